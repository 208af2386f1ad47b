"""Things that tests start from: plain functions with defaults."""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flask import Flask
from flask_security import hash_password
from sqlalchemy import func

from portal.config import Settings
from portal.db import unit_of_work
from portal.models import Member, User
from portal.services import accounts

PASSWORD = "a walk along the river"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Account:
    """A workspace and the login of its owner."""

    workspace_id: int
    user_id: int
    email: str
    password: str = PASSWORD
    company_name: str = "Acme Ltd"


def settings(**changes: Any) -> Settings:
    """Settings of a portal under test, talking to a sandbox that nobody has started."""
    made = Settings.from_env(
        {
            "PORTAL_ENVIRONMENT": "test",
            "PORTAL_DATABASE_URL": "postgresql://portal_app@localhost/none",
            "PORTAL_SECRET_KEY": "for tests only, and long enough to be accepted",
            "PORTAL_URL": "http://localhost",
            "PORTAL_SANDBOX_URL": "http://localhost:1",
            "PORTAL_DATA_DIR": str(Path(".data")),
            "PORTAL_LIMITS": "no",
            "STRIPE_SECRET_KEY": "sk_test_sandbox",
            "STRIPE_PUBLISHABLE_KEY": "pk_test_sandbox",
            "STRIPE_WEBHOOK_SECRET": "whsec_for_tests",
        }
    )
    return replace(made, **changes)


def account(
    app: Flask,
    *,
    email: str | None = None,
    company_name: str = "Acme Ltd",
    confirmed: bool = True,
    draft_selection: dict[str, object] | None = None,
) -> Account:
    """A company that has signed up; its owner's address is confirmed unless said otherwise."""
    email = email or f"owner{next(_numbers)}@acme.example"
    with app.app_context():
        password = hash_password(PASSWORD)
    with unit_of_work() as session:
        user = User(email=email, password=password, active=True, fs_uniquifier=f"u{next(_numbers)}-{email}")
        user.confirmed_at = func.now() if confirmed else None
        session.add(user)
        workspace_id = accounts.open_workspace(session, user, company_name, draft_selection=draft_selection)
        return Account(workspace_id, user.id, email, company_name=company_name)


def member(app: Flask, workspace_id: int, *, role: str = "member", email: str | None = None) -> Account:
    """A further login in a workspace."""
    email = email or f"member{next(_numbers)}@acme.example"
    with app.app_context():
        password = hash_password(PASSWORD)
    with unit_of_work(workspace_id) as session:
        user = User(email=email, password=password, active=True, fs_uniquifier=f"u{next(_numbers)}-{email}")
        user.confirmed_at = func.now()
        session.add(user)
        session.flush()
        session.add(Member(user_id=user.id, role=role, seat="none"))
        return Account(workspace_id, user.id, email)
