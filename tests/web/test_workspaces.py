"""Every address of one workspace, asked for by another: it does not exist."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from portal.db import unit_of_work
from portal.models import Attempt, Invoice, Member, Quote, Subscription
from portal.services import api_keys, invitations, method_changes
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.using import Workspace

# arguments that name something of no workspace, or are a test of their own
ELSEWHERE = {"token", "version", "name", "workspace_id", "handle", "passkey_id", "key"}
ADDING = "P-0123456789"


@pytest.fixture
def bought(customer: Customer) -> dict[str, str]:
    """What the company owns after a purchase, by the names that routes have for it."""
    quote_id = customer.buy()
    pack = CreditBuyer(customer).buy(600)
    change_id = Changer(customer).prepare(seats=14)
    by = customer.account.user_id
    method_changes.begin_adding(customer.gateways, customer.workspace_id, by, ADDING, make_default=False)
    conversation_id = Workspace(customer.gateways, customer.workspace_id).resolve()
    with unit_of_work(customer.workspace_id) as session:
        sent = invitations.invite(
            session, customer.gateways, "ada@oak.example", role="member", seat="full", by=by
        )
        key = api_keys.make(session, customer.gateways, name="Help desk", scopes=["read"], by=by)
        return {
            "quote_id": quote_id,
            "stripe_id": session.scalars(select(Invoice.stripe_id).order_by(Invoice.issued_at)).first() or "",
            "member_id": str(session.scalars(select(Member.id)).one()),
            "invitation_id": str(sent.id),
            "action_id": ADDING,
            "method_id": str(customer.shop.subscriptions()[0].default_payment_method),
            "change_id": change_id,
            "pack_id": str(pack.quote_id),
            "key_id": key.row.id,
            "conversation_id": conversation_id,
            "episode": "1",
        }


@pytest.fixture
def stranger(app: Flask) -> Browser:
    """The owner of another company."""
    account = factories.account(app, company_name="Oak Inc")
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(account.email, account.password)
    return browser


def owned_routes(app: Flask) -> Iterator[Rule]:
    for rule in app.url_map.iter_rules():
        if rule.arguments - ELSEWHERE:
            yield rule


def named(rule: Rule, names: dict[str, str]) -> dict[str, str]:
    """The values of the route's names; a change and a pack have quotes of their own kinds."""
    values = {name: names[name] for name in rule.arguments}
    if rule.endpoint.startswith("subscription.") and "change_id" in names:
        values["quote_id"] = names["change_id"]
    if rule.endpoint.startswith("credit_purchases.") and "pack_id" in names:
        values["quote_id"] = names["pack_id"]
    return values


def asked(app: Flask, browser: Browser, rule: Rule, names: dict[str, str]) -> Iterator[tuple[str, int, str]]:
    """(what was asked, status, text) for every method of the route."""
    token = browser.token("/account")
    adapter = app.url_map.bind("localhost")
    for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
        path = adapter.build(rule.endpoint, named(rule, names), method=method)
        data = {"csrf_token": token} if method != "GET" else None
        answer = browser.open(path, method=method, data=data, headers={"X-CSRFToken": token})
        yield f"{method} {path}", answer.status_code, answer.text


def test_nothing_of_another_workspace_exists_on_any_route(
    app: Flask, buyer: Browser, bought: dict[str, str], stranger: Browser
) -> None:
    made_up = {
        "quote_id": "Q-0000000000",
        "stripe_id": "in_0000000000",
        "member_id": "999999999",
        "invitation_id": "999999999",
        "action_id": "P-0000000000",
        "method_id": "pm_0000000000",
        "key_id": "K-0000000000",
        "conversation_id": "made-up",
        "episode": "1",
    }
    routes = list(owned_routes(app))
    seen = [answer for rule in routes for answer in asked(app, stranger, rule, bought)]
    nothing = [answer for rule in routes for answer in asked(app, stranger, rule, made_up)]

    assert len(seen) >= 7
    assert [status for _, status, _ in seen] == [status for _, status, _ in nothing]
    # a redirect without a look is to the page that does not exist
    assert {status for _, status, _ in seen} <= {303, 404}
    assert not any("Acme" in text for _, _, text in seen)


def test_the_same_routes_answer_the_workspace_itself(
    app: Flask, buyer: Browser, bought: dict[str, str]
) -> None:
    seen = [answer for rule in owned_routes(app) for answer in asked(app, buyer, rule, bought)]

    assert [what for what, status, _ in seen if status == 404] == []


def test_a_made_up_name_and_a_foreign_one_are_answered_alike(
    app: Flask, bought: dict[str, str], stranger: Browser
) -> None:
    foreign = stranger.get(f"/checkout/{bought['quote_id']}")
    made_up = stranger.get("/checkout/Q-0000000000")

    assert foreign.status_code == made_up.status_code == 404
    assert (
        foreign.text.split("<main")[1].split("reference")[0]
        == made_up.text.split("<main")[1].split("reference")[0]
    )


def test_lists_show_nothing_of_another_workspace(bought: dict[str, str], stranger: Browser) -> None:
    for path in ("/billing", "/billing/invoices", "/billing/seats", "/account"):
        page = stranger.get(path).text

        assert bought["stripe_id"] not in page
        assert "ada@oak.example" not in page
        assert "Acme" not in page


def test_every_row_of_a_purchase_is_hidden_from_another_workspace(app: Flask, bought: dict[str, str]) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        seen = [session.scalars(select(table)).all() for table in (Quote, Attempt, Subscription, Invoice)]

    assert seen == [[], [], [], []]


@pytest.mark.parametrize("role", ["member"])
def test_a_member_without_the_right_cannot_buy(app: Flask, workspace: factories.Account, role: str) -> None:
    account = factories.member(app, workspace.workspace_id, role=role)
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(account.email, account.password)

    assert browser.get("/checkout?tier=advanced&seats=3").status_code == 403
