"""The role matrix: every route, every role, a guest, and the owner of another workspace, as one table.

A route without a row fails, and so does a row without a route. The rows are in ``role_matrix.py``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import Connection, select
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from portal.db import unit_of_work
from portal.models import Invoice, Member
from portal.services import api_keys
from portal.services.members import ROLES
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.web.role_matrix import IN, REFUSED, ROWS, SIGN_IN, Row

GUEST = "guest"
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Person:
    """Somebody's cookie and token; each request is made by a browser of its own with them."""

    app: Flask
    cookie: str | None
    token: str

    def ask(self, method: str, path: str) -> TestResponse:
        browser = self.app.test_client()
        if self.cookie:
            browser.set_cookie("session", self.cookie)
        data = {"csrf_token": self.token} if method in UNSAFE else None
        headers = {"X-CSRFToken": self.token} if method in UNSAFE else {}
        return browser.open(path, method=method, data=data, headers=headers)


@dataclass(frozen=True)
class Stage:
    """A workspace that has bought, with a person of each role, and a stranger who owns another."""

    app: Flask
    connection: Connection
    people: dict[str, Person]
    names: dict[str, object]

    def status(self, who: str, row: Row) -> tuple[int, str]:
        """What ``who`` gets; whatever the request has changed is undone."""
        path = self.app.url_map.bind("localhost").build(row.endpoint, self._arguments(row), method=row.method)
        changes = self.connection.begin_nested()
        try:
            answer = self.people[who].ask(row.method, path)
            answer.close()
            return answer.status_code, answer.location or ""
        finally:
            changes.rollback()

    def _arguments(self, row: Row) -> dict[str, object]:
        return {name: self.names[name] for name in rule_of(self.app, row).arguments}


def person(app: Flask, account: factories.Account | None) -> Person:
    browser = app.test_client()
    assert isinstance(browser, Browser)
    if account:
        browser.sign_in(account.email, account.password)
    token = browser.token("/account" if account else "/login")
    cookie = browser.get_cookie("session")
    return Person(app, cookie.value if cookie else None, token)


@pytest.fixture
def stage(app: Flask, connection: Connection, customer: Customer) -> Stage:
    # a page that breaks has let its reader in; whether it works is for its own tests
    app.config["PROPAGATE_EXCEPTIONS"] = False
    quote_id = customer.buy()
    with unit_of_work(customer.workspace_id) as session:
        invoice_id = session.scalars(select(Invoice.stripe_id)).one()
    people = {"owner": person(app, customer.account), GUEST: person(app, None)}
    for role in ROLES[1:]:
        people[role] = person(app, factories.member(app, customer.workspace_id, role=role))
    people["stranger"] = person(app, factories.account(app, company_name="Oak Inc"))
    member = factories.member(app, customer.workspace_id)
    names: dict[str, object] = {
        "quote_id": quote_id,
        "stripe_id": invoice_id,
        "invoice_id": invoice_id,
        "workspace_id": customer.workspace_id,
        "member_id": _member_id(customer.workspace_id, member.user_id),
        "key_id": _key_id(customer),
    }
    return Stage(app, connection, people, {**SAMPLES, **names})


# of names that have no object here: what a person could type
SAMPLES: dict[str, object] = {
    "token": "sample",
    "name": "sample",
    "version": "sample",
    "invitation_id": 1,
    "handle": "sample",
    "passkey_id": 1,
    "action_id": "P-0000000000",
    "method_id": "pm_sample",
    "conversation_id": "sample",
    "episode": 1,
    "key": "sms",
}


def _key_id(customer: Customer) -> str:
    with unit_of_work(customer.workspace_id) as session:
        by = customer.account.user_id
        made = api_keys.make(session, customer.gateways, name="Agent", scopes=[api_keys.READ], by=by)
        return made.row.id


def _member_id(workspace_id: int, user_id: int) -> int:
    with unit_of_work(workspace_id) as session:
        return session.scalars(select(Member.id).where(Member.user_id == user_id)).one()


def routes(app: Flask) -> Iterator[tuple[str, Rule]]:
    """(method, rule) of every route."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule


def rule_of(app: Flask, row: Row) -> Rule:
    return next(rule for method, rule in routes(app) if (method, rule.rule) == (row.method, row.path))


def outcome(status: int, location: str) -> str:
    """The answer as the table writes it; what is missing or wrong in a request lets one in first."""
    if status == 403:
        return REFUSED
    return SIGN_IN if status == 303 and location.startswith(("/login", "/signup")) else IN


def test_every_route_has_a_row_and_every_row_a_route(app: Flask) -> None:
    there = {(method, rule.rule, rule.endpoint) for method, rule in routes(app)}
    written = {(row.method, row.path, row.endpoint) for row in ROWS}

    assert sorted(there - written) == []
    assert sorted(written - there) == []


def test_every_role_gets_what_the_table_says(stage: Stage) -> None:
    wrong = []
    for row in ROWS:
        for role in (*ROLES, GUEST):
            status, location = stage.status(role, row)
            if outcome(status, location) not in row.expected(role):
                wrong.append(f"{row.method} {row.path} as {role}: {status} {location}")

    assert wrong == []


def test_the_owner_of_another_workspace_finds_nothing_of_this_one(stage: Stage) -> None:
    wrong = []
    for row in ROWS:
        if row.foreign != "nothing":
            continue
        status, location = stage.status("stranger", row)
        if status == 303 and row.method == "GET":
            # sent on without a look, to a page that is not there
            status = stage.people["stranger"].ask("GET", location).status_code
        if status not in ({404} if row.method == "GET" else {303, 404}):
            wrong.append(f"{row.method} {row.path} as a stranger: {status} {location}")

    assert wrong == []
