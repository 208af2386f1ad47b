"""Buying annual credits: the binding price, the payment, and what is held after it."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import pricing
from portal.db import unit_of_work
from portal.models import Subscription
from portal.services import credit_purchase_sweeping, quotes
from portal.services.credit_quotes import (
    FreeResolutionsError,
    NoPacksError,
    NoSubscriptionForCreditsError,
)
from portal.services.quotes import QuoteChangedError, QuoteExpiredError
from portal.services.sweeping import sweep_attempts
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def test_the_price_of_a_pack_is_what_the_invoice_says(credits: CreditBuyer) -> None:
    quote = credits.quote(credits.prepare(1200))

    # 1,200 × $0.99 less 10 %; in this state no tax is collected
    assert (quote.kind, quote.total, quote.tax, quote.amount_due) == ("credits", 106_920, 0, 106_920)
    assert quote.expires_at - quote.created_at == timedelta(hours=24)
    assert (quote.terms or {})["pack"]["units"] == 1200  # type: ignore[index]


def test_a_price_holds_no_longer_than_the_month_from_which_the_pack_counts(credits: CreditBuyer) -> None:
    subscription = credits.customer.subscription()
    assert subscription is not None
    assert subscription.usage_period_end is not None
    to_its_end = subscription.usage_period_end - credits.gateways.clock.now()
    credits.shop.advance(seconds=to_its_end.total_seconds() - 3_600)
    quote = credits.quote(credits.prepare(600))

    assert quote.expires_at == subscription.usage_period_end


def test_a_larger_pack_is_offered_where_it_costs_less(credits: CreditBuyer) -> None:
    purchase = credits.purchase(credits.prepare(599))

    assert (purchase.units, purchase.amount, purchase.percent_off) == (600, 56_430, 5)


def test_fewer_than_a_hundred_units_are_not_sold(credits: CreditBuyer) -> None:
    with pytest.raises(pricing.PricingError, match="units"):
        credits.prepare(99)


def test_more_than_stripe_charges_at_once_is_not_sold(credits: CreditBuyer) -> None:
    # 1,346,800 × $0.99 less 25 %; a hundred more would cost above a million
    assert credits.quote(credits.prepare(1_346_800)).total == 99_999_900
    with pytest.raises(pricing.PricingError, match="units"):
        credits.prepare(1_346_900)


def test_what_costs_nothing_is_not_bought_in_advance(credits: CreditBuyer) -> None:
    with unit_of_work(credits.workspace_id) as session:
        row = session.scalars(select(Subscription)).one()
        row.items = [
            item | {"unit_amount": "0"} if item["key"] == "resolution" else item for item in row.items
        ]

    with pytest.raises(FreeResolutionsError):
        credits.prepare(600)


def test_credits_are_for_those_who_have_a_subscription(customer: Customer) -> None:
    with pytest.raises(NoSubscriptionForCreditsError):
        CreditBuyer(customer).prepare(600)


def test_an_older_list_without_packs_sells_none(customer: Customer) -> None:
    older = customer.at_the_time_of("2023-11")
    older.buy(pricing.Selection("advanced", 3, "month", {}, {}))

    with pytest.raises(NoPacksError):
        CreditBuyer(customer).prepare(600)


def test_a_paid_pack_is_held_once_and_matches_its_quote(credits: CreditBuyer) -> None:
    purchase = credits.buy(1200)

    assert purchase.state in ("paid", "granted")
    assert [(lot.units, lot.purchase_id) for lot in credits.lots()] == [(1200, purchase.id)]
    assert credits.left() == 1200
    assert credits.customer.proof()[-2:] == [("before_payment", True), ("final", True)]
    assert credits.customer.mails("credits_bought") == 1
    assert credits.customer.mails("receipt") == 2


def test_a_lot_covers_whole_months_of_usage(credits: CreditBuyer) -> None:
    subscription = credits.customer.subscription()
    assert subscription is not None
    assert subscription.anchor is not None
    credits.shop.advance(days=10)
    credits.buy(600)
    (lot,) = credits.lots()

    assert lot.starts_at == subscription.anchor
    assert lot.expires_at - lot.starts_at > timedelta(days=365 + 27)


def test_the_balance_pays_first_and_nothing_is_left_to_do_when_it_pays_all(credits: CreditBuyer) -> None:
    give(credits, 60_000)
    quote_id = credits.prepare(600)

    assert credits.quote(quote_id).amount_due == 0
    assert credits.pay(quote_id).name == "paid"
    credits.customer.settle()
    assert credits.purchase(quote_id).state in ("paid", "granted")
    assert credits.left() == 600


def test_a_balance_that_pays_a_part_leaves_the_rest(credits: CreditBuyer) -> None:
    give(credits, 50_000)
    quote_id = credits.prepare(600)

    assert credits.quote(quote_id).amount_due == 6_430
    payment = credits.pay(quote_id)
    assert payment.name == "collect"
    assert credits.shop.pay(payment.client_secret or "").amount == 6_430


def test_a_balance_that_changed_meanwhile_is_said_and_nothing_is_charged(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    give(credits, 100)

    with pytest.raises(QuoteChangedError) as raised:
        credits.pay(quote_id)
    assert [change.what for change in raised.value.changes] == ["amount_due"]
    assert credits.customer.incidents() == []


def test_two_clicks_are_one_purchase(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    first, second = credits.pay(quote_id), credits.pay(quote_id)
    credits.shop.pay(second.client_secret or "")
    credits.customer.settle()

    assert first.client_secret == second.client_secret
    assert len(credits.lots()) == 1
    assert len(credits.shop.charges()) == 2


def test_a_declined_card_buys_nothing_and_the_next_one_does(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    secret = credits.pay(quote_id).client_secret or ""
    with pytest.raises(Exception, match="declined"):
        credits.shop.pay(secret, "pm_card_visa_chargeDeclined")
    credits.customer.settle()
    assert (credits.purchase(quote_id).state, credits.lots()) == ("paying", [])
    # nothing is owed for what was not bought
    assert credits.customer.mails("payment_failed") == 0
    assert credits.customer.access() == "active"

    credits.shop.pay(credits.pay(quote_id).client_secret or "")
    credits.customer.settle()
    assert credits.left() == 600


def test_a_debit_on_its_way_grants_nothing_before_it_has_come(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    credits.shop.pay_by_debit(credits.pay(quote_id).client_secret or "")
    credits.customer.settle()
    attempt = credits.customer.attempt(quote_id)
    assert attempt is not None
    assert (attempt.state, credits.purchase(quote_id).state, credits.lots()) == ("processing", "paying", [])

    credits.shop.advance(days=6)
    credits.customer.settle()
    assert credits.purchase(quote_id).state in ("paid", "granted")
    assert credits.left() == 600


def test_a_debit_that_fails_days_later_voids_the_invoice_and_is_mailed(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    credits.shop.pay_by_debit(credits.pay(quote_id).client_secret or "", "000111111116")
    credits.customer.settle()
    credits.shop.advance(days=6)
    credits.customer.settle()
    sweep_attempts(credits.gateways, left_behind_after=timedelta(0))
    credits.customer.settle()

    assert (credits.purchase(quote_id).state, credits.lots()) == ("void", [])
    assert credits.customer.mails("credits_unpaid") == 1
    assert credits.customer.mails("payment_failed") == 0
    assert credits.customer.access() == "active"


def test_an_unpaid_invoice_is_voided_when_its_price_expires(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    credits.pay(quote_id)
    credits.shop.advance(hours=25)
    look_again(credits)

    purchase = credits.purchase(quote_id)
    assert purchase.state == "void"
    assert credits.gateways.stripe.invoice(str(purchase.stripe_invoice_id)).status == "void"


def test_a_price_that_expired_is_not_charged_and_its_draft_goes(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    credits.shop.advance(hours=25)

    with pytest.raises(QuoteExpiredError):
        credits.pay(quote_id)
    credit_purchase_sweeping.sweep(credits.gateways)
    assert credits.purchase(quote_id).state == "void"
    assert drafts(credits) == 0


def test_a_new_price_takes_the_place_of_the_earlier_one(credits: CreditBuyer) -> None:
    first, second = credits.prepare(600), credits.prepare(1200)

    with pytest.raises(QuoteChangedError):
        credits.pay(first)
    credit_purchase_sweeping.sweep(credits.gateways)
    assert (credits.purchase(first).state, credits.purchase(second).state) == ("void", "open")
    assert drafts(credits) == 1


def test_a_price_that_somebody_asks_for_leaves_the_one_that_is_just_bought_by_itself(
    credits: CreditBuyer,
) -> None:
    renewed = credits.prepare(600, kind="renewal")
    credits.prepare(1200)

    assert credits.pay(renewed).name == "collect"


def test_another_pack_replaces_one_that_waits_for_its_payment(credits: CreditBuyer) -> None:
    first = credits.prepare(600)
    credits.pay(first)
    second = credits.prepare(1200)
    credits.shop.pay(credits.pay(second).client_secret or "")
    credits.customer.settle()

    assert credits.purchase(first).state == "void"
    assert [lot.units for lot in credits.lots()] == [1200]


def test_a_stored_method_pays_with_one_click(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    method_id = str((credits.customer.subscription().default_payment_method or {})["id"])  # type: ignore[union-attr]

    assert credits.pay(quote_id, method_id).name == "paid"
    credits.customer.settle()
    assert credits.left() == 600


def test_tax_is_part_of_the_price(selling, shop, workspace, run_jobs) -> None:  # type: ignore[no-untyped-def]
    from portal.services import checkout
    from tests.shop import BERLIN

    checkout.save_details(selling, workspace.workspace_id, workspace.user_id, BERLIN)
    customer = Customer(selling, shop, workspace, run_jobs)
    customer.buy(TWELVE_BY_THE_YEAR)
    credits = CreditBuyer(customer)
    quote = credits.quote(credits.prepare(600))

    assert (quote.subtotal, quote.tax, quote.total) == (56_430, 10_722, 67_152)
    assert quotes.digest(quote) == quote.digest


def give(credits: CreditBuyer, amount: int) -> None:
    """Put a credit on the customer's balance."""
    (customer,) = credits.shop.client.v1.customers.list().data
    credits.shop.client.v1.customers.balance_transactions.create(
        customer.id, {"amount": -amount, "currency": "usd"}
    )


def drafts(credits: CreditBuyer) -> int:
    """How many drafts Stripe keeps."""
    return len(credits.shop.client.v1.invoices.list({"status": "draft"}).data)


def look_again(credits: CreditBuyer) -> None:
    """The sweeper's turn, however young the rows are."""
    for purchase in credits.purchases():
        attempt = credits.customer.attempt(str(purchase.quote_id))
        if attempt is not None:
            from portal.services.sweeping import resume

            resume(credits.gateways, credits.workspace_id, attempt.id)
    credits.customer.settle()
