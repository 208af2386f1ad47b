"""What waits for the renewal while something else is not settled: a debit, an unpaid invoice, a bank."""

from contextlib import suppress
from decimal import Decimal

import pytest
from flask import Flask

from portal.db import unit_of_work
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import NegotiatedDiscount
from portal.services import changes, members, negotiated_discounts, planned_changes, seats, sweeping
from tests import factories
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.services.test_change_payments import debit_payer, failing_account, pays_with
from tests.services.test_renewals import card_that_stops_working
from tests.shop import TWELVE_BY_THE_MONTH

SCHEDULES = "/v1/subscription_schedules"


def until_the_renewal(changer: Changer, *, days: int = 0, hours: int = 0) -> None:
    """Turn the clock to so long before the renewal."""
    left = changer.held().renews_at - changer.customer.gateways.clock.now()
    seconds = int(left.total_seconds()) - days * 86_400 - hours * 3_600
    changer.customer.shop.advance(seconds=seconds)
    changer.customer.settle()


def later(customer: Customer, **delta: int) -> None:
    customer.shop.advance(**delta)
    customer.settle()


# --- a debit over the renewal -------------------------------------------------------------------------


def test_what_is_planned_takes_effect_though_a_debit_is_on_its_way_at_the_renewal(customer: Customer) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    changer.change(seats=8)
    more = changer.change(add_ons={"copilot": 8, "proactive_support": 1}, seats=8)
    waiting = (changer.state(more), changer.planned().selection["seats"], changer.planned().mirrored)
    later(customer, days=3)
    renewed = (changer.state(more), changer.at_stripe()["2026-11:seat:advanced:month"])
    seats = customer.subscription().seats
    later(customer, days=7)

    assert waiting == ("processing", 8, True)
    assert renewed == ("processing", 8)
    assert seats == 8
    assert changer.planned() is None
    assert (changer.state(more), customer.subscription().seats) == ("done", 8)
    assert customer.shop.subscriptions()[0].schedule is None
    assert customer.incidents() == []


def test_a_debit_that_comes_back_brings_back_what_was_planned_before(customer: Customer) -> None:
    changer = debit_payer(customer)
    later(customer, days=1)
    changer.change(seats=8)
    pays_with(changer, failing_account(customer))
    quote_id = changer.change(tier="expert", seats=10)
    meanwhile = changer.planned().selection
    later(customer, days=6)
    pays_with(changer, "pm_card_visa")
    back = changer.planned()
    until_the_renewal(changer)
    later(customer, hours=3)

    assert (meanwhile["tier"], meanwhile["seats"]) == ("expert", 10)
    assert changer.state(quote_id) == "failed"
    assert (back.selection["tier"], back.selection["seats"], back.mirrored) == ("advanced", 8, True)
    assert changer.at_stripe()["2026-11:seat:advanced:month"] == 8
    assert customer.incidents() == []


def test_a_debit_that_comes_back_after_the_renewal_leaves_what_the_renewal_billed(customer: Customer) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    pays_with(changer, failing_account(customer))
    quote_id = changer.change(tier="expert", seats=8)
    pays_with(changer, "pm_card_visa")
    later(customer, days=3)
    renewed = (changer.state(quote_id), customer.subscription().tier, customer.subscription().seats)
    later(customer, days=2)

    # while the debit is on its way only what is paid counts: the tier of before
    assert renewed == ("processing", "advanced", 8)
    assert changer.state(quote_id) == "failed"
    assert (customer.subscription().tier, customer.subscription().seats) == ("expert", 8)
    assert customer.subscription().access == "active"
    assert changer.at_stripe()["2026-11:seat:expert:month"] == 8
    assert "since the renewal" in str(changer.customer.attempt(quote_id).error["message"])
    assert customer.mails("change_unpaid") == 1
    assert customer.incidents() == []


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after"])
@pytest.mark.parametrize("path", ["/release", "/v1/subscriptions/*", "/v1/subscription_schedules"])
def test_a_silent_stripe_while_a_debit_is_taken_back_leaves_what_was_before(
    customer: Customer, path: str, kind: str
) -> None:
    changer = debit_payer(customer)
    changer.change(seats=8)
    pays_with(changer, failing_account(customer))
    quote_id = changer.change(tier="expert", seats=10)
    customer.shop.faults.fail(kind, path, times=300)
    with suppress(StripeUnknownError):
        later(customer, days=6)
    during = changer.state(quote_id)
    customer.shop.faults.mend()
    let_claims_run_out(customer)
    sweeping.sweep_attempts(customer.gateways, left_behind_after=NOW)
    customer.settle()

    # what Stripe did without saying so is seen when it is read again
    assert during in (("confirming",) if kind == "timeout_before" else ("confirming", "failed"))
    assert changer.state(quote_id) == "failed"
    assert (changer.planned().selection["seats"], changer.planned().mirrored) == (8, True)
    assert changer.at_stripe()["2026-11:seat:advanced:month"] == 12
    assert customer.incidents() == []


def test_undoing_the_plan_while_the_debit_is_on_its_way_holds_when_it_comes_back(customer: Customer) -> None:
    changer = debit_payer(customer)
    changer.change(seats=8)
    pays_with(changer, failing_account(customer))
    quote_id = changer.change(tier="expert", seats=8)
    changes.undo(*changer.place)
    later(customer, days=6)

    assert changer.state(quote_id) == "failed"
    assert changer.planned() is None
    assert customer.shop.subscriptions()[0].schedule is None


def test_a_plan_that_a_crash_kept_from_stripe_while_a_debit_is_on_its_way_is_brought_there(
    customer: Customer,
) -> None:
    changer = debit_payer(customer)
    customer.shop.faults.fail("refuse", SCHEDULES, times=1)
    changer.change(tier="expert", seats=8)
    before = customer.shop.subscriptions()[0].schedule
    planned_changes.sweep(customer.gateways, left_behind_after=NOW)

    assert before is None
    assert customer.shop.subscriptions()[0].schedule is not None


# --- less at the renewal, whatever else is open ---------------------------------------------------------


def test_seats_are_given_up_for_the_renewal_while_a_debit_is_on_its_way(customer: Customer) -> None:
    changer = debit_payer(customer)
    more = changer.change(seats=15)
    fewer = changer.change(seats=7)
    waiting = (changer.state(more), changer.state(fewer), changer.planned().mirrored)
    later(customer, days=7)
    arrived = (changer.state(more), customer.subscription().seats, changer.planned().selection["seats"])
    until_the_renewal(changer)
    later(customer, hours=3)

    assert waiting == ("processing", "planned", True)
    assert arrived == ("done", 15, 7)
    assert customer.subscription().seats == 7
    assert customer.incidents() == []


def test_whoever_was_chosen_last_gives_up_a_seat_though_an_earlier_debit_is_on_its_way(
    app: Flask, customer: Customer
) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    people = [factories.member(app, customer.workspace_id) for _ in range(3)]
    with unit_of_work(customer.workspace_id) as session:
        ids = [members.of_user(session, each.user_id).id for each in people]
        seats.assign(session, ids, "full", by=customer.account.user_id)
    first, second, _third = (changes.Leaver(each, "none") for each in ids)
    changer.change(tier="expert", seats=2, add_ons={}, leavers=(first,))
    changer.change(tier="expert", seats=2, add_ons={"copilot": 1}, leavers=(second,))
    later(customer, days=3)
    with unit_of_work(customer.workspace_id) as session:
        after = [members.get(session, each).seat for each in ids]

    assert customer.subscription().seats == 2
    assert after == ["full", "none", "full"]


def test_what_was_given_up_for_the_renewal_stays_so_when_the_debit_comes_back(customer: Customer) -> None:
    changer = debit_payer(customer)
    pays_with(changer, failing_account(customer))
    more = changer.change(seats=15)
    fewer = changer.change(seats=7)
    later(customer, days=6)
    pays_with(changer, "pm_card_visa")
    failed = (changer.state(more), changer.at_stripe()["2026-11:seat:advanced:month"])
    planned = changer.planned()
    until_the_renewal(changer)
    later(customer, hours=3)

    assert changer.state(fewer) == "planned"
    assert failed == ("failed", 12)
    assert (planned.selection["seats"], planned.mirrored) == (7, True)
    assert customer.subscription().seats == 7


def test_seats_are_given_up_for_the_renewal_while_an_invoice_is_unpaid(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    later(customer, days=31, hours=2)
    changer = Changer(customer)
    fewer = changer.change(seats=8)
    with pytest.raises(changes.UnpaidInvoiceError):
        changer.prepare(seats=8, tier="expert")
    with pytest.raises(changes.UnpaidInvoiceError):
        changer.prepare(seats=6, all_now=True)
    pays_with(changer, "pm_card_visa")
    [invoice] = customer.shop.client.v1.invoices.list({"status": "open"}).data
    customer.shop.client.v1.invoices.pay(invoice.id)
    customer.settle()
    until_the_renewal(changer)
    later(customer, hours=3)

    assert changer.state(fewer) == "planned"
    assert customer.subscription().seats == 8


# --- the last minutes before the renewal ----------------------------------------------------------------


@pytest.fixture
def changer(customer: Customer) -> Changer:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


def test_with_something_planned_nothing_is_begun_in_the_last_minutes(changer: Changer) -> None:
    changer.change(seats=8)
    until_the_renewal(changer, hours=1)
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.customer.shop.advance(minutes=31)
    with pytest.raises(changes.RenewalNearError):
        changer.prepare(seats=8, tier="expert")
    with pytest.raises((changes.RenewalNearError, changes.QuoteExpiredError)):
        changer.confirm(quote_id)


def test_an_unpaid_change_is_given_up_in_time_for_what_is_planned(changer: Changer) -> None:
    changer.change(seats=8)
    until_the_renewal(changer, hours=1)
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.confirm(quote_id)
    changer.customer.shop.advance(minutes=35)
    let_claims_run_out(changer.customer)
    customer = changer.customer
    sweeping.resume(customer.gateways, customer.workspace_id, customer.attempt(quote_id).id)
    pays_with(changer, "pm_card_visa")
    later(changer.customer, hours=3)

    assert changer.state(quote_id) == "expired"
    assert (changer.customer.subscription().tier, changer.customer.subscription().seats) == ("advanced", 8)


def test_a_renewal_that_goes_by_without_the_planned_change_is_said_as_it_is(changer: Changer) -> None:
    changer.customer.shop.faults.fail("refuse", SCHEDULES, times=100)
    changer.change(seats=8)
    until_the_renewal(changer)
    later(changer.customer, hours=4)
    changer.customer.shop.faults.mend()
    with unit_of_work(changer.customer.workspace_id) as session:
        missed = changes.missed(session)
    incidents = changer.customer.incidents()
    changer.change(seats=9)
    with unit_of_work(changer.customer.workspace_id) as session:
        again = changes.missed(session)

    assert missed is not None
    assert (missed.state, missed.selection["seats"]) == ("missed", 8)
    assert changer.customer.mails("change_missed") == 1
    assert incidents == ["plan_refused", "planned_change_missed"]
    assert again is None


# --- what a quote goes by -------------------------------------------------------------------------------


def test_a_quote_made_for_a_card_is_not_charged_to_a_bank_account(changer: Changer) -> None:
    quote_id = changer.prepare(seats=15)
    pays_with(changer, failing_account(changer.customer))
    with pytest.raises(changes.QuoteChangedError) as told:
        changer.confirm(quote_id)

    assert [(each.what, each.before, each.after) for each in told.value.changes] == [
        ("payer", "card", "us_bank_account")
    ]
    assert changer.customer.subscription().seats == 12


def test_a_customers_new_default_is_known_before_its_webhook_has_come(changer: Changer) -> None:
    v1 = changer.customer.shop.client.v1
    [subscription] = changer.customer.shop.subscriptions()
    owner = str(subscription.customer)
    card = str(subscription.default_payment_method)
    v1.customers.update(owner, {"invoice_settings": {"default_payment_method": card}})
    v1.subscriptions.update(subscription.id, {"default_payment_method": ""})
    changer.customer.settle()
    quote_id = changer.prepare(seats=15)
    account = v1.payment_methods.attach(failing_account(changer.customer), {"customer": owner})
    v1.customers.update(owner, {"invoice_settings": {"default_payment_method": account.id}})
    with pytest.raises(changes.QuoteChangedError):
        changer.confirm(quote_id)

    assert changer.held().payer == "us_bank_account"


def test_another_card_is_not_taken_back_by_what_is_planned(changer: Changer) -> None:
    changer.change(seats=8)
    pays_with(changer, "pm_card_mastercard")
    [subscription] = changer.customer.shop.subscriptions()
    chosen = subscription.default_payment_method
    schedule = changer.customer.shop.client.v1.subscription_schedules.retrieve(str(subscription.schedule))
    until_the_renewal(changer)
    later(changer.customer, hours=3)
    [renewed] = changer.customer.shop.subscriptions()

    assert schedule.default_settings.default_payment_method == chosen
    assert changer.customer.subscription().seats == 8
    assert renewed.default_payment_method == chosen


def test_a_quote_that_holds_no_longer_takes_nothing_of_an_earlier_change_away(changer: Changer) -> None:
    pays_with(changer, "pm_card_authenticationRequired")
    late = changer.prepare(seats=20)
    changer.customer.shop.advance(minutes=20)
    first = changer.prepare(seats=15)
    changer.confirm(first)
    changer.customer.settle()
    changer.customer.shop.advance(minutes=15)
    with pytest.raises(changes.QuoteExpiredError):
        changer.confirm(late)

    assert changer.state(first) == "requires_action"


def test_of_two_changes_in_one_second_the_later_one_is_given_back(changer: Changer) -> None:
    for wanted in (13, 14, 15, 16):
        quote_id = changer.change(seats=wanted)

        assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert changer.customer.incidents() == []


def test_a_discount_that_a_crash_left_waits_for_the_change_under_way(changer: Changer) -> None:
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = changer.prepare(seats=15)
    confirmation = changer.confirm(quote_id)
    customer = changer.customer
    with unit_of_work(customer.workspace_id) as session:
        session.add(
            NegotiatedDiscount(
                id="N-0000000001",
                state=negotiated_discounts.SETTING,
                line="seat",
                percent_off=Decimal(10),
                currency="usd",
                stripe_subscription_id=changer.held().subscription_id,
            )
        )
    during = negotiated_discounts.sweep(customer.gateways, left_behind_after=NOW)
    customer.shop.pay(confirmation.client_secret or "")
    customer.settle()
    after = negotiated_discounts.sweep(customer.gateways, left_behind_after=NOW)

    assert (during, after) == (0, 1)
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert [each["percent_off"] for each in customer.subscription().discounts] == ["10.0"]
