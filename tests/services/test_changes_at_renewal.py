"""What is less waits for the renewal: planned, shown, undone, replaced, and then so."""

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import AuditEntry
from portal.services import changes, planned_changes
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_attempts import NOW
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


@pytest.fixture
def changer(customer: Customer) -> Changer:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


def renew(changer: Changer, **delta: int) -> None:
    changer.customer.shop.advance(**(delta or {"days": 22}))
    changer.customer.settle()


def test_fewer_seats_wait_for_the_renewal_and_cost_nothing_now(changer: Changer) -> None:
    quote_id = changer.change(seats=8, add_ons={"copilot": 5, "proactive_support": 1})
    quote = changer.quote(quote_id)
    waiting = (
        changer.state(quote_id),
        changer.customer.subscription().seats,
        changer.planned().selection["seats"],
    )
    renew(changer)

    assert (quote.lines, quote.total, quote.amount_due) == ([], 0, 0)
    assert quote.terms["recurring"]["later"]["amount"] == 106_600
    assert waiting == ("planned", 12, 8)
    assert changer.customer.subscription().seats == 8
    assert changer.planned() is None
    assert [charge.amount for charge in changer.customer.shop.charges()] == [106_600, 146_200]
    assert changer.customer.shop.subscriptions()[0].schedule is None


def test_a_planned_change_can_be_undone(changer: Changer) -> None:
    changer.change(seats=8)
    changes.undo(*changer.place)
    again = changer.planned()
    renew(changer)

    assert again is None
    assert changer.customer.subscription().seats == 12
    with pytest.raises(changes.NotPlannedError):
        changes.undo(*changer.place)


def test_more_now_and_less_later_are_one_quote(changer: Changer) -> None:
    quote_id = changer.change(tier="expert", seats=8)
    quote = changer.quote(quote_id)
    now = (changer.customer.subscription().tier, changer.customer.subscription().seats)
    renew(changer)

    assert quote.terms["now"] == {
        "tier": "expert", "seats": 12, "interval": "month", "usage": {},
        "add_ons": {"copilot": 5, "proactive_support": 1},
    }  # fmt: skip
    assert now == ("expert", 12)
    assert changer.at_stripe() == {
        "2026-11:seat:expert:month": 8,
        "2026-11:copilot:month": 5,
        "2026-11:proactive_support:month": 1,
    }


def test_a_planned_change_survives_a_further_one(changer: Changer) -> None:
    changer.change(seats=8)
    first = changer.planned()
    wanted = changes.Wanted(
        changer.selection(seats=8, add_ons={"copilot": 8, "proactive_support": 1}), None, False, ()
    )
    quote_id = changes.prepare(*changer.place, wanted)
    changer.confirm(quote_id)
    changer.customer.settle()
    now = changer.at_stripe()
    second = changer.planned()
    renew(changer)

    assert now["2026-11:copilot:month"] == 8
    assert now["2026-11:seat:advanced:month"] == 12
    assert (first.selection["seats"], second.selection["seats"]) == (8, 8)
    assert second.id != first.id
    assert changer.at_stripe()["2026-11:seat:advanced:month"] == 8


def test_a_year_becomes_a_month_at_the_end_of_the_year(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    customer.shop.advance(days=40)
    customer.settle()
    changer = Changer(customer)
    quote_id = changer.change(interval="month", seats=10)
    for _ in range(11):
        customer.shop.advance(days=30)
        customer.settle()

    assert changer.quote(quote_id).terms["now"]["interval"] == "year"
    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 10, "2026-11:copilot:month": 5}
    assert customer.subscription().interval == "month"


def test_a_month_becomes_a_year_now_and_the_usage_month_stays(changer: Changer) -> None:
    before = changer.customer.subscription()
    quote_id = changer.change(interval="year", seats=8)
    after = changer.customer.subscription()

    assert [line[:3] for line in changer.amounts(quote_id)] == [
        ("seat", "credit", 12), ("seat", "debit", 8), ("copilot", "credit", 5), ("copilot", "debit", 5),
        ("proactive_support", "credit", 1), ("proactive_support", "debit", 1),
    ]  # fmt: skip
    assert changer.state(quote_id) == "done"
    assert (after.interval, after.seats) == ("year", 8)
    assert after.usage_period_end == before.usage_period_end
    assert (after.renews_at - before.renews_at).days > 300
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_everything_now_gives_a_credit_on_the_balance(changer: Changer) -> None:
    quote_id = changer.change(tier="essential", seats=4, add_ons={}, all_now=True)
    quote = changer.quote(quote_id)
    customer = changer.customer.shop.client.v1.customers.list().data[0]

    assert quote.total < 0
    assert quote.amount_due == 0
    assert customer.balance == quote.total
    assert changer.at_stripe() == {"2026-11:seat:essential:month": 4}
    assert changer.customer.subscription().items != []
    # what was used of it is billed when the month ends, see test_usage_rates
    assert "proactive_message" not in quote.terms["rates"]["prices"]
    assert changer.state(quote_id) == "done"


def test_an_add_on_brings_its_metered_item(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    changer = Changer(customer)
    changer.change(add_ons={"copilot": 5, "proactive_support": 1})

    assert "proactive_message" in [item["key"] for item in customer.subscription().items]


def test_what_a_crash_left_unmirrored_is_brought_to_stripe_by_the_sweeper(changer: Changer) -> None:
    quote_id = changer.prepare(seats=8)
    changer.customer.shop.faults.fail("timeout_before", "/v1/subscription_schedules", times=3)
    with pytest.raises(changes.StillConfirmingError):
        changer.confirm(quote_id)
    changer.customer.shop.faults.mend()
    confirming = changer.state(quote_id)
    changer.state(quote_id, ask_stripe=True)
    planned_changes.sweep(changer.customer.gateways)
    renew(changer)

    assert confirming == "confirming"
    assert changer.customer.subscription().seats == 8


def test_a_plan_that_stripe_refuses_holds_up_nothing_and_support_is_told(changer: Changer) -> None:
    changer.customer.shop.faults.fail("refuse", "/v1/subscription_schedules", times=1)
    quote_id = changer.change(tier="expert", seats=8)
    told = changer.customer.incidents()
    planned_changes.sweep(changer.customer.gateways, left_behind_after=NOW)
    renew(changer)

    assert (changer.state(quote_id), told) == ("done", ["plan_refused"])
    assert (changer.customer.subscription().tier, changer.customer.subscription().seats) == ("expert", 8)


def test_what_was_changed_before_the_renewal_was_billed_is_given_back_at_its_own_price(
    customer: Customer,
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    [subscription] = customer.shop.subscriptions()
    end = subscription["items"].data[0].current_period_end
    # the renewal's invoice is a draft for an hour, the change's is final at once
    renew(changer, seconds=end - int(customer.gateways.clock.now().timestamp()) + 600)
    dearer = changer.change(tier="expert", all_now=True)
    renew(changer, days=10)
    cheaper = changer.change(tier="advanced", all_now=True)

    assert [each.billing_reason for each in customer.shop.client.v1.invoices.list().data[:3]] == [
        "subscription_update",
        "subscription_update",
        "subscription_cycle",
    ]
    for quote_id in (dearer, cheaper):
        assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert customer.incidents() == []


def test_the_history_names_the_quote_of_each_change_and_none_where_there_was_none(changer: Changer) -> None:
    [bought] = {quote for _seats, quote in told(changer, "subscription.projected")}
    more = changer.change(seats=15)
    changer.change(seats=14)
    renew(changer)

    assert told(changer, "subscription.projected") == [(12, bought), (15, more), (14, None)]


def test_a_change_that_is_only_planned_is_not_told_as_done(changer: Changer) -> None:
    changer.change(seats=8)

    assert told(changer, "subscription.changed") == []


def told(changer: Changer, action: str) -> list[tuple[object, str | None]]:
    """The seats and the quote of each entry of the history about that, the oldest first."""
    with unit_of_work(changer.customer.workspace_id) as session:
        entries = session.scalars(
            select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        )
        return [((entry.after or {}).get("seats"), entry.quote_id) for entry in entries]
