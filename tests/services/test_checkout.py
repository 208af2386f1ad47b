"""Buying for the first time, against the sandbox's engine on a real database."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal import pricing
from portal.db import unit_of_work
from portal.models import Attempt, BillingDetails, Invoice
from portal.services import attempts, checkout, invoices, matches, quotes
from tests.services.buying import Customer
from tests.shop import BERLIN, CALIFORNIA, TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def test_twelve_seats_and_copilot_by_the_year_become_one_active_subscription(customer: Customer) -> None:
    quote_id = customer.buy(TWELVE_BY_THE_YEAR)

    subscription = customer.subscription()
    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
        [invoice] = invoices.listing(session)
    assert (quote.subtotal, quote.tax, quote.total, quote.amount_due) == (1_398_000, 0, 1_398_000, 1_398_000)
    assert (subscription.tier, subscription.seats, subscription.interval) == ("advanced", 12, "year")
    assert subscription.access == "active"
    assert subscription.default_payment_method["last4"] == "4242"
    assert (invoice.status, invoice.amount_paid) == ("paid", 1_398_000)
    assert customer.proof() == [("before_payment", True), ("final", True)]
    assert customer.state(quote_id) == "active"
    assert customer.mails("receipt") == 1
    assert customer.incidents() == []


def test_however_often_the_page_is_loaded_stripe_is_asked_once_in_two_seconds(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.confirm(quote_id)
    asked = []
    for _load in range(3):
        before = len(customer.shop.faults.calls)
        customer.state(quote_id, ask_stripe=True)
        asked.append(len(customer.shop.faults.calls) > before)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Attempt).values(asked_at=Attempt.asked_at - timedelta(seconds=2)))
    before = len(customer.shop.faults.calls)
    customer.state(quote_id, ask_stripe=True)

    assert asked == [True, False, False]
    assert len(customer.shop.faults.calls) > before


def test_invoices_of_one_second_are_on_one_page_or_the_next(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    for _month in range(3):
        customer.shop.advance(days=31, hours=2)
        customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).values(issued_at=customer.gateways.clock.now()))
        every = [row.stripe_id for row in invoices.listing(session)]
        first = invoices.listing(session, limit=2)
        last = first[-1]
        second = invoices.listing(session, limit=2, before=last.issued_at, before_id=last.stripe_id)

    assert len(every) == 4
    assert [row.stripe_id for row in [*first, *second]] == every


def test_a_void_invoice_shows_no_match(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        [invoice_id] = session.scalars(select(Invoice.stripe_id))
        paid = matches.of_invoices(session, [invoice_id])
        session.execute(update(Invoice).values(status="void"))
        void = matches.of_invoices(session, [invoice_id])

    assert (list(paid), void) == ([invoice_id], {})


def test_an_invoice_keeps_the_rates_of_its_tax(customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, None, BERLIN)
    customer.buy(pricing.Selection("essential", 1))
    with unit_of_work(customer.workspace_id) as session:
        [invoice] = invoices.listing(session)
    [rate] = invoice.billing["tax_rates"]

    assert (rate["percentage"], rate["name"], rate["country"]) == ("19", "VAT", "DE")
    assert rate["amount"] == invoice.tax > 0


def test_every_metered_item_of_the_catalogue_comes_with_the_subscription(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)

    items = {item["key"]: item["quantity"] for item in customer.subscription().items}
    assert items == {
        "seat": 12,
        "copilot": 5,
        "proactive_support": 1,
        "resolution": None,
        "proactive_message": None,
        "sms": None,
        "whatsapp": None,
        "phone_minute": None,
        "bulk_email": None,
    }


def test_messages_are_not_metered_without_the_add_on_that_sells_them(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)

    assert "proactive_message" not in {item["key"] for item in customer.subscription().items}


def test_tax_is_stripes_and_part_of_the_quote(customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, None, BERLIN)
    quote_id = customer.buy(pricing.Selection("essential", 1))

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
    assert (quote.subtotal, quote.tax, quote.total) == (3900, 741, 4641)
    assert quote.tax_status["state"] == "charged"
    assert [(part["name"], part["percentage"]) for part in quote.tax_status["parts"]] == [("VAT", "19")]
    assert customer.proof() == [("before_payment", True), ("final", True)]


def test_a_tax_number_of_another_country_reverses_the_charge(customer: Customer) -> None:
    details = replace(BERLIN, tax_id_type="eu_vat", tax_id_value="DE123456789")
    checkout.save_details(customer.gateways, customer.workspace_id, None, details)
    quote_id = customer.prepare(pricing.Selection("essential", 1))

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
    assert (quote.tax, quote.total) == (0, 3900)
    assert quote.tax_status["state"] == "reverse_charge"


def test_a_promotion_code_is_reckoned_by_us_and_by_stripe_alike(customer: Customer) -> None:
    customer.shop.promotion("WELCOME15", percent_off=15)
    quote_id = customer.buy(TWELVE_BY_THE_MONTH, promotion_code="welcome15")

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
    assert (quote.subtotal, quote.discount, quote.total) == (146_200, 21_930, 124_270)
    assert customer.proof() == [("before_payment", True), ("final", True)]


def test_an_amount_off_is_spread_over_the_lines_as_stripe_does(customer: Customer) -> None:
    customer.shop.promotion("TENOFF", amount_off=1000, currency="usd")
    quote_id = customer.buy(TWELVE_BY_THE_MONTH, promotion_code="TENOFF")

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
    assert [line["discount"] for line in quote.lines] == [812, 119, 69]
    assert quote.total == 145_200


def test_everything_off_collects_a_way_to_pay_for_later(customer: Customer) -> None:
    customer.shop.promotion("FREEMONTH", percent_off=100)
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH, promotion_code="FREEMONTH")
    confirmation = customer.confirm(quote_id)
    before = customer.access()
    customer.shop.set_up(confirmation.client_secret)
    customer.settle()

    assert confirmation.collect == "setup"
    assert before == "none"
    assert customer.access() == "active"
    assert customer.subscription().default_payment_method["last4"] == "4242"
    assert customer.shop.charges() == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("NOSUCHCODE", "This code is not valid. Check the spelling, or go on without it."),
        ("USAGETOO", "This code is not valid. Check the spelling, or go on without it."),
        ("EUROS", "This code is for another currency."),
    ],
)
def test_a_code_that_cannot_be_used_is_refused_with_the_reason(
    customer: Customer, code: str, reason: str
) -> None:
    customer.shop.promotion("USAGETOO", restricted=False, percent_off=10, duration="forever")
    customer.shop.promotion("EUROS", amount_off=500, currency="eur")

    with pytest.raises(checkout.PromotionCodeError) as refused:
        customer.prepare(TWELVE_BY_THE_MONTH, promotion_code=code)

    assert refused.value.message == reason


def test_who_used_a_code_up_without_paying_is_told_so(customer: Customer) -> None:
    customer.shop.promotion("ONLYONCE", percent_off=15, max_redemptions=1)
    confirmation = customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH, promotion_code="ONLYONCE"))
    with pytest.raises(checkout.PromotionCodeError, match="waits for its payment has it"):
        customer.prepare(TWELVE_BY_THE_YEAR, promotion_code=" onlyonce")

    attempts.abandon(customer.gateways, customer.workspace_id, confirmation.attempt_id, "cancelled")
    with pytest.raises(checkout.PromotionCodeError, match="was not finished may have used it up"):
        customer.prepare(TWELVE_BY_THE_YEAR, promotion_code="onlyonce")


def test_a_code_spent_on_an_empty_trial_invoice_is_refused(customer: Customer) -> None:
    customer.shop.promotion("WELCOME15", percent_off=15)

    with pytest.raises(checkout.PromotionCodeError, match="cannot be combined with a trial"):
        customer.prepare(TWELVE_BY_THE_MONTH, promotion_code="WELCOME15", trial=True)


def test_a_trial_collects_a_card_charges_nothing_and_is_given_once(customer: Customer) -> None:
    quote_id = customer.buy(TWELVE_BY_THE_MONTH, trial=True)

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
        used = session.get_one(BillingDetails, customer.workspace_id).trial_used_at
    assert (quote.trial_days, quote.amount_due, quote.total) == (14, 0, 146_200)
    assert customer.subscription().status == "trialing"
    assert customer.state(quote_id) == "trialing"
    assert customer.shop.charges() == []
    assert used is not None


def test_a_trial_without_a_card_gives_no_access(customer: Customer) -> None:
    customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH, trial=True))
    customer.settle()

    assert customer.access() == "none"


def test_the_invoice_after_a_trial_is_held_against_the_quote(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.advance(days=11, hours=1)
    customer.settle()
    customer.shop.advance(days=3, hours=2)
    customer.settle()

    assert customer.subscription().status == "active"
    assert [charge.amount for charge in customer.shop.charges()] == [146_200]
    assert ("final", True) in customer.proof()
    assert customer.incidents() == []
    assert customer.mails("trial_reminder") == 1


def test_a_second_trial_is_refused(customer: Customer) -> None:
    quote_id = customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    attempt = customer.attempt(quote_id)
    customer.shop.client.v1.subscriptions.cancel(attempt.stripe_subscription_id)
    customer.settle()

    with pytest.raises(checkout.TrialUsedError):
        customer.prepare(TWELVE_BY_THE_MONTH, trial=True)


def test_whoever_has_a_subscription_is_sent_to_change_it(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)

    with pytest.raises(checkout.AlreadySubscribedError):
        customer.prepare(TWELVE_BY_THE_YEAR)


def test_without_an_address_nothing_is_quoted(selling, workspace) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(checkout.DetailsMissingError):
        checkout.prepare(selling, workspace.workspace_id, None, TWELVE_BY_THE_MONTH)


def test_a_declined_card_can_be_followed_by_one_that_works(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret
    with pytest.raises(Exception, match="Your card was declined"):
        customer.shop.pay(secret, "pm_card_visa_chargeDeclined")
    customer.settle()
    declined = checkout.state(customer.gateways, customer.workspace_id, quote_id)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.settle()

    assert (declined.name, declined.message) == ("declined", "Your card was declined.")
    assert customer.state(quote_id) == "active"
    assert [charge.paid for charge in customer.shop.charges()] == [True, False]


def test_the_account_balance_is_part_of_what_is_due(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        customer_id = session.get_one(BillingDetails, customer.workspace_id).stripe_customer_id
    customer.shop.client.v1.customers.balance_transactions.create(
        customer_id, {"amount": -5000, "currency": "usd"}
    )
    quote_id = customer.buy(TWELVE_BY_THE_MONTH)

    with unit_of_work(customer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
    assert (quote.total, quote.amount_due) == (146_200, 141_200)
    assert customer.proof() == [("before_payment", True), ("final", True)]
    assert customer.state(quote_id) == "active"


def test_without_a_webhook_the_waiting_page_asks_stripe(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    before = customer.state(quote_id)
    asked = customer.state(quote_id, ask_stripe=True)

    assert before == "awaiting_payment"
    assert asked == "active"
    assert customer.mails("receipt") == 1


def test_saved_details_reach_stripes_customer(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        row = session.get_one(BillingDetails, customer.workspace_id)
    found = customer.shop.client.v1.customers.retrieve(row.stripe_customer_id)

    assert (found.name, found.email) == (CALIFORNIA.company_name, CALIFORNIA.email)
    assert found.metadata["workspace"] == str(customer.workspace_id)
    assert found.address.postal_code == "94103"
