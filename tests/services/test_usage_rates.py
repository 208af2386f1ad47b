"""A month of usage has one price: whatever is changed, what is counted changes when its month ends."""

from collections import Counter
from typing import Any

import pytest

from portal.db import unit_of_work
from portal.pricing import Selection
from portal.services import change_errors, changes, invoices, leaving
from portal.services.billed_months import billed_months
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH, taken_once

PRO = Selection("pro", 10, "month")
SUPPORTED_BY_THE_YEAR = Selection("advanced", 12, "year", {"proactive_support": 1})
NEW = tuple(f"2026-11:{key}:month" for key in ("bulk_email", "phone_minute", "resolution", "sms", "whatsapp"))


@pytest.fixture
def older(customer: Customer) -> Changer:
    """Ten seats of Pro, five days old, with 100 resolutions at 1.90."""
    customer.at_the_time_of("2023-05").buy(PRO)
    changer = Changer(customer)
    days_pass(changer, 5)
    use(changer, resolution=100)
    return changer


@pytest.fixture
def monthly(customer: Customer) -> Changer:
    """Twelve seats with Copilot and Proactive Support, five days old, and 700 messages: 500 are included."""
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    days_pass(changer, 5)
    use(changer, proactive_message=700)
    return changer


@taken_once
def use(changer: Changer, **counts: int) -> None:
    """So much of each kind now, at Stripe's meters."""
    shop = changer.customer.shop
    [customer_id] = {str(each.customer) for each in shop.subscriptions()}
    for key, count in counts.items():
        payload = {"stripe_customer_id": customer_id, "value": str(count)}
        shop.client.v1.billing.meter_events.create({"event_name": key, "payload": payload})
    shop.advance(minutes=1)


def days_pass(changer: Changer, days: int) -> None:
    for _day in range(days):
        changer.customer.shop.advance(days=1)
        changer.customer.settle()


def month_ends(changer: Changer) -> None:
    """The open month of usage ends, and its invoice becomes final."""
    shop, customer = changer.customer.shop, changer.customer
    left = changer.held().usage_ends - customer.gateways.clock.now()
    shop.advance(seconds=int(left.total_seconds()))
    customer.settle()
    shop.advance(hours=2)
    customer.settle()


def metered(changer: Changer) -> list[str]:
    row = changer.customer.subscription()
    return sorted(str(item["lookup_key"]) for item in row.items if item["metered"])


def usage_lines(changer: Changer) -> Counter[tuple[str, int]]:
    """Key and amount of every line of usage that was ever invoiced, but for those of nothing."""
    with unit_of_work(changer.customer.workspace_id) as session:
        stored = invoices.listing(session, limit=100)
    lines = [line for invoice in stored if invoice.status != "void" for line in invoice.lines]
    kinds = ("resolution", "proactive_message", "sms")
    return Counter((line["key"], line["amount"]) for line in lines if line["key"] in kinds and line["amount"])


def settled(changer: Changer) -> None:
    """Everything is as it should be: nothing is planned, no schedule is left, nobody was alarmed."""
    assert changer.held().plan is None
    assert [each.schedule for each in changer.customer.shop.subscriptions() if each.status != "canceled"] == [
        None
    ]
    assert changer.customer.incidents() == []


def confirm(changer: Changer, **differently: Any) -> str:
    quote_id = changer.change(**differently)
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    return quote_id


# --- a move to another catalogue ----------------------------------------------------------------------------


def test_the_month_of_a_move_is_counted_at_the_old_price_and_the_next_one_at_the_new(older: Changer) -> None:
    quote_id = older.prepare(tier="advanced", catalog="2026-11")
    quote = older.quote(quote_id)
    use(older, resolution=20)  # meanwhile
    older.confirm(quote_id)
    older.customer.settle()
    use(older, resolution=30)
    now, ends_at = metered(older), older.held().usage_ends
    month_ends(older)
    then = metered(older)
    use(older, resolution=40)
    month_ends(older)

    assert {line["key"] for line in quote.lines} == {"seat"}
    assert older.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert now == sorted({*NEW, "2023-05:resolution:month"} - {"2026-11:resolution:month"})
    assert quote.terms["rates"]["at"] == int(ends_at.timestamp())
    assert then == sorted(NEW)
    assert usage_lines(older) == {("resolution", 150 * 190): 1, ("resolution", 40 * 99): 1}
    settled(older)


def test_the_replay_finds_the_month_of_a_move_whole(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    use(older, resolution=50)
    month_ends(older)
    with unit_of_work(older.customer.workspace_id) as session:
        [billed] = billed_months(session, now=older.customer.gateways.clock.now(), most=12)

    assert {key: count for key, count in billed.month.usage.items() if count} == {"resolution": 150}
    assert billed.month.usage_paid == 150 * 190
    assert [(part.tier, part.seconds > 0) for part in billed.month.changes] == [
        ("pro", False),
        ("advanced", True),
    ]


def test_a_move_is_no_planned_change_that_could_be_undone(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")

    assert older.planned() is None
    assert older.held().wanted == older.held().selection
    with pytest.raises(change_errors.NotPlannedError):
        undo(older)


def undo(changer: Changer) -> None:
    changes.undo(*changer.place)
    changer.customer.settle()


def test_a_move_that_is_taken_back_on_the_same_day_leaves_the_month_as_it_was(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    use(older, resolution=10, sms=100)
    confirm(older, tier="pro", catalog="2023-05", all_now=True)
    use(older, resolution=10)
    month_ends(older)

    assert metered(older) == ["2023-05:resolution:month"]
    assert usage_lines(older) == {("resolution", 120 * 190): 1, ("sms", 400): 1}
    settled(older)


def test_a_move_to_the_year_gets_the_new_prices_with_the_next_month(older: Changer) -> None:
    confirm(older, tier="advanced", interval="year", catalog="2026-11")
    use(older, resolution=50)
    month_ends(older)
    then = metered(older)
    use(older, resolution=40)
    month_ends(older)

    assert then == sorted(NEW)
    assert (older.held().renews_at - older.held().usage_ends).days > 250
    assert usage_lines(older) == {("resolution", 150 * 190): 1, ("resolution", 40 * 99): 1}
    settled(older)


def test_fewer_seats_for_next_year_and_new_prices_for_next_month_are_one_schedule(older: Changer) -> None:
    confirm(older, tier="advanced", interval="year", catalog="2026-11")
    older.change(seats=4)
    planned = older.planned()
    [subscription] = older.customer.shop.subscriptions()
    schedule = older.customer.shop.client.v1.subscription_schedules.retrieve(str(subscription.schedule))
    month_ends(older)

    assert planned is not None
    assert [len(phase["items"]) for phase in schedule.phases] == [6, 6, 6]
    assert metered(older) == sorted(NEW)
    assert older.planned() is not None
    assert older.held().selection.seats == 10
    assert usage_lines(older) == {("resolution", 100 * 190): 1}

    undo(older)
    settled(older)


def test_prices_that_came_are_planned_no_more_while_seats_wait_for_the_year(older: Changer) -> None:
    confirm(older, tier="advanced", interval="year", catalog="2026-11")
    older.change(seats=4)
    month_ends(older)
    planned = older.planned()
    confirm(older, add_ons={"proactive_support": 1})
    days_pass(older, 1)

    assert planned is not None
    assert (planned.rates, planned.rates_at) == (None, None)
    assert "2026-11:proactive_message:month" in metered(older)
    assert older.customer.incidents() == []


def test_who_undoes_a_plan_keeps_the_prices_that_were_to_come_with_it(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    older.change(seats=4)
    undo(older)
    month_ends(older)

    assert older.held().selection.seats == 10
    assert metered(older) == sorted(NEW)
    assert usage_lines(older) == {("resolution", 100 * 190): 1}
    settled(older)


def test_fewer_seats_come_together_with_the_new_prices(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    older.change(seats=4)
    month_ends(older)

    assert older.held().selection.seats == 4
    assert metered(older) == sorted(NEW)
    assert usage_lines(older) == {("resolution", 100 * 190): 1}
    settled(older)


def test_more_seats_after_a_move_change_nothing_about_what_comes(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    confirm(older, seats=12)
    month_ends(older)

    assert older.held().selection.seats == 12
    assert metered(older) == sorted(NEW)
    assert usage_lines(older) == {("resolution", 100 * 190): 1}
    settled(older)


def test_during_the_trial_usage_is_free_and_its_prices_change_at_once(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    changer = Changer(customer)
    days_pass(changer, 3)
    use(changer, proactive_message=700)
    changer.change(add_ons={})
    now = metered(changer)
    month_ends(changer)
    use(changer, resolution=10)
    month_ends(changer)

    assert "2026-11:proactive_message:month" not in now
    assert usage_lines(changer) == {("resolution", 10 * 99): 1}
    settled(changer)


# --- an add-on that goes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bought", [TWELVE_BY_THE_MONTH, Selection("advanced", 12, "year", {"proactive_support": 1})]
)
def test_messages_of_an_add_on_that_went_are_charged_once_when_their_month_ends(
    customer: Customer, bought: Selection
) -> None:
    customer.buy(bought)
    changer = Changer(customer)
    days_pass(changer, 5)
    use(changer, proactive_message=700)
    quote_id = confirm(changer, add_ons={}, all_now=True)
    month_ends(changer)

    assert "proactive_message" not in {line["key"] for line in changer.quote(quote_id).lines}
    assert "2026-11:proactive_message:month" not in metered(changer)
    assert usage_lines(changer) == {("proactive_message", 1600): 1}
    settled(changer)


def test_what_is_included_does_not_begin_anew_when_an_add_on_goes_and_comes_back(monthly: Changer) -> None:
    confirm(monthly, add_ons={}, all_now=True)
    confirm(monthly, add_ons={"proactive_support": 1})
    use(monthly, proactive_message=100)
    month_ends(monthly)

    assert "2026-11:proactive_message:month" in metered(monthly)
    assert usage_lines(monthly) == {("proactive_message", 2400): 1}
    settled(monthly)


def test_month_to_year_without_the_add_on_bills_its_messages_with_their_month(monthly: Changer) -> None:
    confirm(monthly, interval="year", add_ons={})
    month_ends(monthly)

    assert usage_lines(monthly) == {("proactive_message", 1600): 1}
    assert "2026-11:proactive_message:month" not in metered(monthly)
    settled(monthly)


# --- beside an end ------------------------------------------------------------------------------------------


def ask(changer: Changer, kind: str) -> None:
    leaving.ask(*changer.place, kind)
    changer.customer.settle()


def test_who_ends_and_stays_after_all_gets_the_new_prices(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    ask(older, leaving.AT_PERIOD_END)
    ending = older.customer.shop.subscriptions()[0].cancel_at
    ask(older, leaving.KEEP)
    month_ends(older)

    assert ending is not None
    assert metered(older) == sorted(NEW)
    settled(older)


def test_by_the_year_the_new_prices_come_although_it_ends(older: Changer) -> None:
    confirm(older, tier="advanced", interval="year", catalog="2026-11")
    ask(older, leaving.AT_PERIOD_END)
    ending = older.customer.shop.subscriptions()[0].cancel_at
    month_ends(older)
    after = older.customer.shop.subscriptions()[0].cancel_at
    use(older, resolution=40)
    month_ends(older)

    assert ending == after == int(older.held().renews_at.timestamp())
    assert metered(older) == sorted(NEW)
    assert usage_lines(older) == {("resolution", 100 * 190): 1, ("resolution", 40 * 99): 1}
    assert older.customer.incidents() == []

    ask(older, leaving.KEEP)
    assert older.customer.shop.subscriptions()[0].cancel_at is None
    settled(older)


def test_ended_at_once_all_that_was_used_is_billed_at_the_price_of_its_month(older: Changer) -> None:
    confirm(older, tier="advanced", catalog="2026-11")
    use(older, resolution=50)
    ask(older, leaving.NOW)
    older.customer.shop.advance(hours=2)
    older.customer.settle()

    assert older.customer.subscription().status == "canceled"
    assert usage_lines(older) == {("resolution", 150 * 190): 1}
    assert older.customer.incidents() == []


# --- beside a payment that fails ----------------------------------------------------------------------------


def test_a_debit_that_fails_loses_no_usage_and_bills_none_twice(older: Changer) -> None:
    from tests.services.walking import BAD_ACCOUNT, GOOD, Walk

    walk = Walk(older, chance=None)  # type: ignore[arg-type]
    walk.pays_from(BAD_ACCOUNT)
    quote_id = older.change(tier="advanced", catalog="2026-11")
    walk.pays_with(GOOD)
    use(older, resolution=50, sms=100)
    days_pass(older, 8)
    state = older.state(quote_id)
    month_ends(older)

    assert state == "failed"
    assert older.held().catalog == "2023-05"
    assert metered(older) == ["2023-05:resolution:month"]
    assert usage_lines(older) == {("resolution", 150 * 190): 1, ("sms", 400): 1}
    settled(older)


def test_shortly_before_the_month_ends_a_move_waits_for_the_next_one(older: Changer) -> None:
    left = older.held().usage_ends - older.customer.gateways.clock.now()
    older.customer.shop.advance(seconds=int(left.total_seconds()) - 600)

    with pytest.raises(change_errors.RenewalNearError):
        older.prepare(tier="advanced", catalog="2026-11")


# --- our own ledger -----------------------------------------------------------------------------------------


def test_our_months_follow_and_what_is_late_is_counted_in_the_next_one(older: Changer) -> None:
    using = Workspace(older.customer.gateways, older.customer.workspace_id)
    using.resolve()
    confirm(older, tier="advanced", catalog="2026-11")
    using.resolve()
    month_ends(older)
    using.resolve()
    months = using.periods()

    assert [month.state for month in months] == ["closed", "open"]
    assert months[0].ends_at == months[1].starts_at
    assert [month.used for month in months] == [2, 1]
    assert {entry.charge for entry in using.entries()} == {"meter"}
