"""Every text of /usage/limits can be translated."""

from flask import Flask

from portal.services import alerts
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.limiting import Company
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.test_translation import app, apps, texts, untranslated

__all__ = ["app", "apps", "texts"]

PATH = "/usage/limits"


def test_limits_their_refusals_and_what_was_told(app: Flask, buyer: Browser, customer: Customer) -> None:
    empty = buyer.get(PATH)
    customer.buy(TWELVE_BY_THE_MONTH)
    clock = customer.gateways.clock
    company = Company(customer.gateways, customer.workspace_id, customer.account.user_id, clock)  # type: ignore[arg-type]
    approver = customer.account.email
    company.limit(budget=500, cap_amount=500, at_cap="ask_approver", approver=approver)
    company.use(5)
    alerts.look(customer.gateways, customer.workspace_id)
    choice = {"cap": "units", "cap_units": "9", "kind": "hard", "at_cap": "hand_over"}
    pages = [
        empty,
        buyer.get(PATH),
        buyer.get(f"{PATH}/more"),
        buyer.submit(f"{PATH}/more", {"units": "x", "seen": "5"}),
        buyer.submit(f"{PATH}/more", {"units": "3", "seen": "5"}, follow_redirects=True),
        buyer.submit(PATH, choice, page=PATH),
        buyer.submit(PATH, choice | {"cap_units": "1", "budget": "x"}, page=PATH),
        buyer.submit(PATH, {"cap": "none", "kind": "soft", "at_cap": "stop"}, page=PATH),
        buyer.submit(f"{PATH}/alerts", {"another": "x@y.example"}, page=PATH),
        buyer.get("/billing/activity"),
    ]

    assert [untranslated(page) for page in pages] == [[]] * len(pages)
