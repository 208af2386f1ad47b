"""Carrying out a purchase while everything fails: one subscription or none, and the page says which."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import Attempt, CatalogPrice, Quote
from portal.services import attempt_states, checkout, quotes, sweeping
from tests.faults import Killed
from tests.services.buying import Customer
from tests.shop import BERLIN, TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR

CREATE = "/v1/subscriptions"
NOW = timedelta(0)


def let_claims_run_out(customer: Customer) -> None:
    """Whoever worked on an attempt is gone for longer than a claim lasts."""
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Attempt).values(claimed_until=None))


def sweep(customer: Customer) -> None:
    let_claims_run_out(customer)
    sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)


def paid_afterwards(customer: Customer, quote_id: str) -> bool:
    """The customer comes back and pays: everything has to be as if nothing had happened."""
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.settle()
    return (
        customer.state(quote_id) == "active"
        and len(customer.shop.subscriptions()) == 1
        and [charge.amount for charge in customer.shop.charges()] == [146_200]
    )


@pytest.mark.parametrize("kind", ["timeout_after", "reset", "error_after", "timeout_before", "error_before"])
def test_a_passing_fault_is_retried_under_the_same_key(customer: Customer, kind: str) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail(kind, CREATE, times=2)
    confirmation = customer.confirm(quote_id)

    keys = customer.shop.faults.keys(CREATE)
    assert keys == [f"{confirmation.attempt_id}:create_subscription"] * 3
    assert paid_afterwards(customer, quote_id)


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "timeout_before", "refused", "rate_limit"])
def test_while_the_result_is_unknown_the_page_says_so_and_the_sweeper_settles_it(
    customer: Customer, kind: str
) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail(kind, CREATE, times=3)
    with pytest.raises(checkout.StillConfirmingError):
        customer.confirm(quote_id)
    unknown = customer.state(quote_id)
    customer.shop.faults.mend()
    sweep(customer)

    assert unknown == "confirming"
    assert customer.state(quote_id) == "awaiting_payment"
    assert len(set(customer.shop.faults.keys(CREATE))) == 1
    assert paid_afterwards(customer, quote_id)


def test_a_rate_limit_is_not_answered_with_more_requests(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("rate_limit", CREATE, times=3)
    with pytest.raises(checkout.StillConfirmingError):
        customer.confirm(quote_id)

    assert len(customer.shop.faults.keys(CREATE)) == 1


def test_an_unknown_result_is_settled_by_reading_once_the_key_is_forgotten(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("timeout_after", CREATE, times=3)
    with pytest.raises(checkout.StillConfirmingError):
        customer.confirm(quote_id)
    asked = len(customer.shop.faults.keys(CREATE))
    # nobody pays within 23 hours, so the sandbox lets it expire meanwhile
    customer.shop.advance(hours=23, minutes=30)
    sweep(customer)

    assert len(customer.shop.faults.keys(CREATE)) == asked
    assert customer.attempt(quote_id).stripe_subscription_id == customer.shop.subscriptions()[0].id
    assert customer.shop.charges() == []


# every place at which a process can die while a purchase is confirmed
POINTS = [
    ("POST", "/v1/invoices/create_preview"),
    ("POST", "/v1/subscriptions"),
    ("GET", "/v1/invoices/*"),
    ("GET", "/v1/payment_intents/*"),
]


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@pytest.mark.parametrize(("method", "path"), POINTS)
def test_a_process_killed_anywhere_leaves_one_purchase_that_goes_on(
    customer: Customer, method: str, path: str, when: str
) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail(when, path, method=method)
    with pytest.raises(Killed):
        customer.confirm(quote_id)
    sweep(customer)

    assert paid_afterwards(customer, quote_id)


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@pytest.mark.parametrize("path", ["/void", "/v1/subscriptions/*"])
def test_a_process_killed_while_it_gives_up_a_purchase_is_followed_by_the_sweeper(
    customer: Customer, path: str, when: str
) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.confirm(first)
    method = "POST" if path == "/void" else "DELETE"
    customer.shop.faults.fail(when, path, method=method)
    with pytest.raises(Killed):
        customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR))
    sweep(customer)

    assert customer.state(first) == "abandoned"
    assert [each.status for each in customer.shop.subscriptions()] == ["incomplete_expired"]
    assert customer.shop.charges() == []


def test_a_second_click_gets_the_first_ones_result(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    first = customer.confirm(quote_id)
    second = customer.confirm(quote_id)

    assert second == first
    assert len(customer.shop.subscriptions()) == 1


def test_coming_back_after_paying_leaves_nothing_to_confirm(customer: Customer) -> None:
    quote_id = customer.buy(TWELVE_BY_THE_MONTH)
    confirmation = customer.confirm(quote_id)

    assert (confirmation.collect, confirmation.client_secret) == ("nothing", None)


def test_another_choice_replaces_the_unpaid_one(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.confirm(first)
    second = customer.buy(TWELVE_BY_THE_YEAR)

    assert (customer.state(first), customer.state(second)) == ("abandoned", "active")
    assert sorted(each.status for each in customer.shop.subscriptions()) == ["active", "incomplete_expired"]
    assert [charge.amount for charge in customer.shop.charges()] == [1_398_000]


def test_another_choice_replaces_a_trial_that_never_began(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH, trial=True)
    customer.confirm(first)
    customer.settle()
    second = customer.buy(TWELVE_BY_THE_YEAR)

    assert (customer.state(first), customer.state(second)) == ("abandoned", "active")
    assert sorted(each.status for each in customer.shop.subscriptions()) == ["active", "canceled"]


def test_a_payment_that_was_faster_than_the_other_choice_wins(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(first).client_secret
    second = customer.prepare(TWELVE_BY_THE_YEAR)
    customer.shop.pay(secret)
    with pytest.raises((checkout.PaymentUnderWayError, checkout.AlreadySubscribedError)):
        customer.confirm(second)
    customer.settle()

    assert customer.state(first) == "active"
    assert [charge.amount for charge in customer.shop.charges()] == [146_200]
    assert [each.status for each in customer.shop.subscriptions()] == ["active"]


def test_a_payment_in_the_very_moment_of_giving_up_is_never_lost(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(first).client_secret
    second = customer.prepare(TWELVE_BY_THE_YEAR)
    # the customer pays in the other tab after our decision, before Stripe hears of it
    customer.shop.faults.fail("first", "/void", action=lambda: customer.shop.pay(secret))
    with pytest.raises(checkout.PaymentUnderWayError):
        customer.confirm(second)
    customer.settle()

    assert customer.state(first) == "active"
    assert [each.status for each in customer.shop.subscriptions()] == ["active"]


def test_an_unpaid_purchase_expires_and_the_next_day_begins_anew(customer: Customer) -> None:
    first = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.confirm(first)
    customer.shop.advance(hours=24, minutes=1)
    customer.settle()
    expired = customer.state(first)
    second = customer.buy(TWELVE_BY_THE_MONTH)

    assert expired in ("expired", "abandoned")
    assert customer.state(second) == "active"


def test_a_trial_nobody_gave_a_card_for_is_given_up_after_23_hours(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH, trial=True)
    customer.confirm(quote_id)
    customer.shop.advance(hours=23, minutes=30)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Attempt).values(updated_at=Attempt.updated_at - timedelta(hours=1)))
    sweep(customer)

    assert customer.state(quote_id) == "expired"
    assert [each.status for each in customer.shop.subscriptions()] == ["canceled"]


def test_an_expired_quote_is_not_carried_out(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.advance(hours=24)

    with pytest.raises(checkout.QuoteExpiredError):
        customer.confirm(quote_id)
    assert customer.state(quote_id) == "expired"
    assert customer.shop.subscriptions() == []


def test_a_quote_half_a_minute_before_its_end_is_carried_out(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        end = quotes.load(session, quote_id).expires_at
    customer.shop.sandbox.advance(to=int(end.timestamp()) - 30)

    assert customer.confirm(quote_id).collect == "payment"


def moved_to_berlin(customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, None, BERLIN)


def balance_spent(customer: Customer) -> None:
    [found] = customer.shop.client.v1.customers.list().data
    customer.shop.client.v1.customers.balance_transactions.create(
        found.id, {"amount": -100, "currency": "usd"}
    )


def quote_tampered_with(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Quote).values(total=1))


@pytest.mark.parametrize(
    ("happens", "changed"),
    [
        (moved_to_berlin, "address"),
        (balance_spent, "amount_due"),
        (quote_tampered_with, "digest"),
    ],
)
def test_whatever_changed_since_the_quote_is_named_and_nothing_is_bought(
    customer: Customer, happens: Callable[[Customer], None], changed: str
) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    happens(customer)
    with pytest.raises(checkout.QuoteChangedError) as refused:
        customer.confirm(quote_id)

    assert changed in {change.what for change in refused.value.changes}
    assert customer.shop.subscriptions() == []


def test_a_promotion_withdrawn_since_the_quote_is_named(customer: Customer) -> None:
    code = customer.shop.promotion("WELCOME15", percent_off=15)
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH, promotion_code="WELCOME15")
    customer.shop.client.v1.promotion_codes.update(code, {"active": False})
    with pytest.raises(checkout.QuoteChangedError) as refused:
        customer.confirm(quote_id)

    assert [change.what for change in refused.value.changes] == ["promotion"]
    assert customer.shop.subscriptions() == []


def dearer_seat(customer: Customer) -> None:
    """Somebody at Stripe's dashboard points our row to another price."""
    account = customer.shop.client.v1
    price = account.prices.create(
        {
            "product": "portal-seat-advanced",
            "currency": "usd",
            "unit_amount": 9901,
            "recurring": {"interval": "month"},
            "tax_behavior": "exclusive",
        }
    )
    with unit_of_work() as session:
        session.execute(
            update(CatalogPrice)
            .where(CatalogPrice.lookup_key == "2026-11:seat:advanced:month")
            .values(stripe_price_id=price.id)
        )


def test_a_cent_between_our_price_and_stripes_stops_the_sale_and_is_reported(customer: Customer) -> None:
    dearer_seat(customer)
    with pytest.raises(checkout.PriceMismatchError):
        customer.prepare(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        kept = list(session.scalars(select(Quote)))

    assert kept == []
    assert customer.incidents() == ["price_mismatch"]


def test_an_invoice_that_is_not_the_quote_is_void_before_anybody_can_pay_it(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    # between our last look and the purchase, somebody at the vendor credits the account
    customer.shop.faults.fail("first", CREATE, action=lambda: balance_spent(customer))
    with pytest.raises(checkout.QuoteChangedError) as refused:
        customer.confirm(quote_id)

    assert [(each.what, each.before, each.after) for each in refused.value.changes] == [
        ("amount_due", 146_200, 146_100)
    ]
    assert [each.status for each in customer.shop.subscriptions()] == ["incomplete_expired"]
    assert [each.status for each in customer.shop.client.v1.invoices.list().data] == ["void"]
    assert customer.shop.charges() == []
    assert customer.incidents() == ["invoice_mismatch"]
    assert customer.attempt(quote_id).state == attempt_states.REFUSED


def test_a_refused_purchase_is_over_and_the_next_click_begins_anew(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("refuse", CREATE)
    with pytest.raises(checkout.PurchaseRefusedError):
        customer.confirm(quote_id)
    refused = customer.attempt(quote_id)

    assert refused.state == attempt_states.REFUSED
    assert paid_afterwards(customer, quote_id)
    assert customer.attempt(quote_id).id != refused.id
