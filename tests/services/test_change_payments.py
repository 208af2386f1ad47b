"""A change that has to be paid first: declined, authenticated, given up, by debit, by two people at once."""

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import Attempt
from portal.services import change_states, changes, sweeping
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.shop import TWELVE_BY_THE_MONTH, taken_once

UPDATE = "/v1/subscriptions/*"


@pytest.fixture
def changer(customer: Customer) -> Changer:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


@taken_once
def pays_with(changer: Changer, method: str) -> None:
    """The method on file is another one from now on."""
    v1 = changer.customer.shop.client.v1
    [subscription] = changer.customer.shop.subscriptions()
    attached = v1.payment_methods.attach(method, {"customer": subscription.customer})
    v1.subscriptions.update(subscription.id, {"default_payment_method": attached.id})
    changer.customer.settle()


def test_a_declined_card_changes_nothing_and_another_one_makes_the_change(changer: Changer) -> None:
    pays_with(changer, "pm_card_chargeCustomerFail")
    quote_id = changer.prepare(seats=15)
    confirmation = changer.confirm(quote_id)
    changer.customer.settle()
    declined = (changer.state(quote_id), changer.customer.subscription().seats)
    changer.customer.shop.pay(confirmation.client_secret)
    changer.customer.settle()

    assert confirmation.collect == "payment"
    assert declined == ("declined", 12)
    assert (changer.state(quote_id), changer.customer.subscription().seats) == ("done", 15)
    assert changer.customer.mails("payment_failed") == 0


def test_a_change_that_went_on_since_it_was_looked_at_is_followed_from_where_it_is(changer: Changer) -> None:
    pays_with(changer, "pm_card_authenticationRequired")
    changer.confirm(changer.prepare(seats=15))
    with unit_of_work(changer.customer.workspace_id) as session:
        seen = change_states.live(session)
        with unit_of_work(changer.customer.workspace_id) as other:
            other.execute(update(Attempt).values(intent_status="processing"))
        locked = change_states.collecting(session)

        assert seen is not None
        assert locked is not None
        assert (seen.id, locked.intent_status) == (locked.id, "processing")


def test_three_d_secure_is_asked_for_and_then_the_seats_are_there(changer: Changer) -> None:
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = changer.prepare(seats=15)
    confirmation = changer.confirm(quote_id)
    changer.customer.settle()
    asked = (changer.state(quote_id), changer.customer.subscription().seats)
    changer.customer.shop.pay(confirmation.client_secret)
    changer.customer.settle()

    assert asked == ("requires_action", 12)
    assert (changer.state(quote_id), changer.customer.subscription().seats) == ("done", 15)
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_a_change_that_is_never_authenticated_lapses_and_what_was_planned_comes_back(
    changer: Changer,
) -> None:
    changer.change(seats=8)
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.confirm(quote_id)
    changer.customer.settle()
    waiting = changer.state(quote_id)
    changer.customer.shop.advance(hours=23, minutes=30)
    changer.customer.settle()
    let_claims_run_out(changer.customer)
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    pays_with(changer, "pm_card_visa")
    lapsed = (changer.state(quote_id), changer.planned().selection["seats"])
    changer.customer.shop.advance(days=21)
    changer.customer.settle()

    assert waiting == "requires_action"
    assert lapsed == ("expired", 8)
    assert (changer.customer.subscription().tier, changer.customer.subscription().seats) == ("advanced", 8)


def test_another_change_replaces_one_that_was_not_paid(changer: Changer) -> None:
    pays_with(changer, "pm_card_chargeCustomerFail")
    first = changer.prepare(seats=15)
    changer.confirm(first)
    pays_with(changer, "pm_card_visa")
    second = changer.prepare(seats=13)
    changer.confirm(second)
    changer.customer.settle()

    assert (changer.state(first), changer.state(second)) == ("abandoned", "done")
    assert changer.customer.subscription().seats == 13


def test_the_second_of_two_people_is_told_what_the_first_one_changed(changer: Changer) -> None:
    first, second = changer.prepare(seats=15), None
    with pytest.raises(changes.QuoteChangedError):
        second = changer.prepare(seats=14)
        changer.confirm(first)
    changer.confirm(second)
    third = changer.prepare(seats=20)
    shop = changer.customer.shop
    # somebody changed it at Stripe, and no webhook has come yet
    [subscription] = shop.subscriptions()
    seat = next(item for item in subscription["items"].data if "seat" in str(item.price.lookup_key))
    shop.client.v1.subscriptions.update(subscription.id, {"items": [{"id": seat.id, "quantity": 16}]})
    with pytest.raises(changes.QuoteChangedError) as told:
        changer.confirm(third)

    assert [(each.what, each.before, each.after) for each in told.value.changes] == [("seats", 14, 16)]


@pytest.mark.parametrize("kind", ["timeout_after", "error_after", "timeout_before"])
def test_an_unknown_result_is_settled_under_the_same_key(changer: Changer, kind: str) -> None:
    quote_id = changer.prepare(seats=15)
    changer.customer.shop.faults.fail(kind, UPDATE, times=3)
    with pytest.raises(changes.StillConfirmingError):
        changer.confirm(quote_id)
    changer.customer.shop.faults.mend()
    unknown = changer.state(quote_id)
    let_claims_run_out(changer.customer)
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    changer.customer.settle()

    assert unknown == "confirming"
    assert changer.state(quote_id) == "done"
    assert len(set(changer.customer.shop.faults.keys(UPDATE[:-1] + changer.held().subscription_id))) == 1
    assert len(changer.customer.shop.charges()) == 2


@pytest.mark.parametrize("when", ["kill_before", "kill_after"])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", UPDATE), ("GET", "/v1/payment_intents/*"), ("POST", "/v1/subscription_schedules")],
)
def test_a_process_killed_anywhere_leaves_one_change_that_the_sweeper_finishes(
    changer: Changer, method: str, path: str, when: str
) -> None:
    quote_id = changer.prepare(seats=8, tier="expert")
    if method == "GET":
        # the next one is read before anything is begun
        changer.customer.shop.faults.fail("slow", path, method=method)
    changer.customer.shop.faults.fail(when, path, method=method)
    with pytest.raises(Killed):
        changer.confirm(quote_id)
    let_claims_run_out(changer.customer)
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    changer.customer.settle()

    assert changer.state(quote_id) == "done"
    assert changer.customer.subscription().tier == "expert"
    assert changer.planned().selection["seats"] == 8
    assert len(changer.customer.shop.charges()) == 2


def debit_payer(customer: Customer, account: str = "000123456789") -> Changer:
    """A company that pays by bank debit, whose first one has arrived."""
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay_by_debit(customer.confirm(quote_id).client_secret or "", account=account)
    customer.settle()
    customer.shop.advance(days=7)
    customer.settle()
    return Changer(customer)


@taken_once
def failing_account(customer: Customer) -> str:
    """A bank account whose debits come back."""
    method = customer.shop.client.v1.payment_methods.create(
        {
            "type": "us_bank_account",
            "us_bank_account": {
                "account_holder_type": "company",
                "account_number": "000222222227",
                "routing_number": "110000000",
            },
            "billing_details": {"name": "Acme Inc", "email": "billing@acme.example"},
        }
    )
    return str(method.id)


def test_seats_by_debit_count_when_it_has_arrived(customer: Customer) -> None:
    changer = debit_payer(customer)
    quote_id = changer.prepare(seats=15)
    confirmation = changer.confirm(quote_id)
    customer.settle()
    waiting = (changer.state(quote_id), customer.subscription().seats)
    with pytest.raises(changes.PaymentUnderWayError):
        changer.prepare(seats=16)
    customer.shop.advance(days=7)
    customer.settle()

    assert confirmation.collect == "nothing"
    assert waiting == ("processing", 12)
    assert (changer.state(quote_id), customer.subscription().seats) == ("done", 15)


def test_a_debit_that_comes_back_takes_the_change_back(customer: Customer) -> None:
    changer = debit_payer(customer)
    v1 = customer.shop.client.v1
    [subscription] = customer.shop.subscriptions()
    pays_with(changer, failing_account(customer))
    quote_id = changer.prepare(seats=15, tier="expert")
    changer.confirm(quote_id)
    customer.settle()
    waiting = (changer.state(quote_id), customer.subscription().seats, customer.subscription().tier)
    customer.shop.advance(days=5)
    customer.settle()

    assert waiting == ("processing", 12, "advanced")
    assert changer.state(quote_id) == "failed"
    assert customer.mails("change_unpaid") == 1
    assert changer.at_stripe()["2026-11:seat:advanced:month"] == 12
    after = customer.subscription()
    assert (after.seats, after.tier, after.status, after.access) == (12, "advanced", "active", "active")
    assert v1.subscriptions.retrieve(subscription.id).status == "active"
    # and it can be changed again, at the right price
    pays_with(changer, "pm_card_visa")
    again = changer.change(seats=13)
    assert changer.proof(again) == [("before_payment", True), ("final", True)]


def test_an_add_on_that_comes_back_with_a_failed_debit_can_go_again(customer: Customer) -> None:
    changer = debit_payer(customer)
    pays_with(changer, failing_account(customer))
    quote_id = changer.prepare(seats=20, add_ons={"copilot": 5}, all_now=True)
    changer.confirm(quote_id)
    customer.settle()
    customer.shop.advance(days=5)
    customer.settle()
    pays_with(changer, "pm_card_visa")
    back = changer.at_stripe()
    again = changer.change(seats=13, add_ons={"copilot": 5}, all_now=True)

    assert changer.state(quote_id) == "failed"
    assert back["2026-11:proactive_support:month"] == 1
    assert changer.proof(again) == [("before_payment", True), ("final", True)]
    assert customer.incidents() == []
