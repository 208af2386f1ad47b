"""/billing/payment: the list, adding, removing, and paying what is owed, by who may."""

import pytest
from flask import Flask
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import PaymentMethod
from portal.services.ids import new_id
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.failing import add, fall_behind, methods
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words


def browser_of(app: Flask, account: factories.Account) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    made.sign_in(account.email, account.password)
    return made


def ask(browser: Browser, path: str, **body: object) -> tuple[int, dict[str, object]]:
    """What the page's script does."""
    headers = {"X-CSRFToken": browser.token("/billing/payment")}
    answer = browser.post(path, json=body, headers=headers)
    return answer.status_code, answer.json or {}


def test_who_has_bought_nothing_is_told_where_to_begin(signed_in: Browser) -> None:
    page = signed_in.get("/billing/payment")

    assert "The first way to pay is added when you buy." in words(page)
    assert signed_in.get("/billing/payment/add").status_code == 303


def test_the_list_names_each_way_to_pay_and_is_there_while_stripe_is_away(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    add(customer, "pm_usBankAccount_success")
    now = customer.gateways.clock.now()
    with unit_of_work(customer.workspace_id) as session:
        ends = update(PaymentMethod).where(PaymentMethod.last4 == "4242")
        session.execute(ends.values(exp_month=now.month, exp_year=now.year))
    overview = words(buyer.get("/billing"))
    with unit_of_work(customer.workspace_id) as session:
        session.execute(ends.values(exp_month=12, exp_year=2034))
    customer.shop.faults.fail("refused", "*", method="*", times=99)
    text = words(buyer.get("/billing/payment"))

    assert "Visa ending in 4242 expires on" in overview
    assert "Add the new card, so that no payment fails. Add a card or account" in overview.replace("\n", " ")

    assert "Visa ending in 4242" in text
    assert "Pays your subscription Works until 31 December 2034" in text
    assert "Bank account ending in 6789" in text


def test_a_card_is_added_made_the_default_and_the_old_one_removed(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    refused = words(buyer.get(f"/billing/payment/methods/{methods(customer)[0].id}/remove"))
    action = new_id("P")
    status, answer = ask(buyer, "/billing/payment/add", action=action, make_default=True)
    waiting = buyer.get(f"/billing/payment/add/{action}")
    refused_at_bank = buyer.get(f"/billing/payment/add/{action}?redirect_status=failed")
    customer.shop.set_up(str(answer["client_secret"]), "pm_card_mastercard")
    customer.settle()
    saved = buyer.get(f"/billing/payment/add/{action}", follow_redirects=True)
    old = methods(customer)[1].id
    removed = buyer.submit(f"/billing/payment/methods/{old}/remove", follow_redirects=True)

    assert "Your subscription is paid with this alone." in refused
    assert "Remove it" not in refused
    assert (status, answer["collect"]) == (200, "setup")
    assert "Saving it" in words(waiting)
    assert "Nothing was saved" in words(refused_at_bank)
    assert "Your new way to pay is saved." in words(saved)
    assert "Mastercard ending in 4444\nPays your subscription" in words(saved)
    assert "Visa ending in 4242 is removed." in words(removed)
    assert ask(buyer, "/billing/payment/add", action="' OR 1=1", make_default=True)[0] == 409


def test_what_is_owed_is_said_on_every_billing_page_and_paid_in_two_clicks(
    buyer: Browser, customer: Customer
) -> None:
    invoice = fall_behind(customer)
    path = f"/billing/payment/pay/{invoice}"
    banner = words(buyer.get("/billing/invoices"))
    page = words(buyer.get(path))
    good = next(each.id for each in methods(customer) if not each.default)
    bad = next(each.id for each in methods(customer) if each.default)
    declined = buyer.submit(path, {"method": bad})
    paid = buyer.submit(path, {"method": good}, follow_redirects=True)
    customer.settle()

    assert "A payment of $1,462.00 failed" in banner
    assert "The bank said no and gave no reason. Everything works until" in banner
    assert "Pay $1,462.00 now" in page
    assert "Otherwise we try again by ourselves on" in page
    assert declined.status_code == 409
    assert "The bank said no and gave no reason. You were not charged." in words(declined)
    assert "over $1,462.00 is paid." in words(paid)
    assert "failed" not in words(buyer.get("/billing/payment"))


def test_the_pages_script_is_told_what_the_bank_asks_and_why_a_card_was_refused(
    buyer: Browser, customer: Customer
) -> None:
    invoice = fall_behind(customer)
    path = f"/billing/payment/pay/{invoice}"
    asked = ask(buyer, path, method=add(customer, "pm_card_authenticationRequired"))
    waiting = buyer.get(f"{path}/state").json
    refused = ask(buyer, path, method=add(customer, "pm_card_chargeCustomerFail"))
    typed = ask(buyer, path, method=None)
    unknown = ask(buyer, path, method="pm_of_somebody_else")

    assert (asked[0], asked[1]["collect"]) == (200, "action")
    assert (waiting or {})["name"] == "confirming"
    assert refused[0] == 409
    assert "You were not charged. Pay with another card" in str(refused[1]["message"])
    assert (typed[0], typed[1]["collect"]) == (200, "payment")
    assert unknown[0] == 404


@pytest.mark.parametrize("role", ["member", "billing"])
def test_the_page_is_for_those_who_may_pay_and_nobody_of_another_company(
    app: Flask, buyer: Browser, customer: Customer, role: str, shop: Shop
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    colleague = browser_of(app, factories.member(app, customer.workspace_id, role=role))
    stranger = browser_of(app, factories.account(app, company_name="Oak Inc"))
    method = methods(customer)[0].id
    invoice = customer.subscription().latest_invoice_id
    paths = ["/billing/payment", "/billing/payment/add", f"/billing/payment/methods/{method}/remove"]
    mine = {colleague.get(path).status_code for path in paths}
    theirs = [
        stranger.get(f"/billing/payment/methods/{method}/remove").status_code,
        stranger.get(f"/billing/payment/pay/{invoice}").status_code,
    ]

    assert mine == {200 if role == "billing" else 403}
    assert theirs == [404, 404]
