"""The choice made before signing up waits until something was bought."""

import pytest
from flask import Flask
from sqlalchemy import func

from portal.db import unit_of_work
from portal.models import Subscription
from portal.services import accounts
from tests import factories

DRAFT: dict[str, object] = {"tier": "advanced", "seats": 12}


@pytest.mark.parametrize(
    ("status", "access", "waits"),
    [
        ("incomplete_expired", "none", True),
        ("incomplete", "none", True),
        ("active", "active", False),
        ("incomplete", "payment_pending", False),
        ("canceled", "ended", False),
    ],
)
def test_only_what_was_bought_ends_a_begun_purchase(
    app: Flask, status: str, access: str, waits: bool
) -> None:
    account = factories.account(app, draft_selection=DRAFT)
    with unit_of_work(account.workspace_id) as session:
        row = {"stripe_id": "sub_1", "status": status, "access": access, "currency": "usd"}
        session.add(Subscription(**row, items=[], discounts=[], synced_at=func.now()))
    with unit_of_work(account.workspace_id) as session:
        found = accounts.begun_purchase(session)

    assert found == (DRAFT if waits else None)
