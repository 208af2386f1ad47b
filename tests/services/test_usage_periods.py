"""Months of usage: opened with the subscription, closed by the invoice that bills them, never with a gap."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Engine, delete, event, select, update

from portal.db import unit_of_work
from portal.models import Allowance, Invoice, Subscription, UsagePeriod
from portal.services import leaving, projections, usage_periods
from tests.services.buying import Customer
from tests.services.using import DAY, HOUR, Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def using(customer: Customer) -> Workspace:
    return Workspace(customer.gateways, customer.workspace_id)


def renew(customer: Customer, **delta: int) -> None:
    customer.shop.advance(**delta)
    customer.settle()


def newest_invoice(customer: Customer) -> str:
    with unit_of_work(customer.workspace_id) as session:
        return session.scalars(select(Invoice.stripe_id).order_by(Invoice.issued_at.desc())).first() or ""


def states(customer: Customer) -> list[tuple[str, bool, str | None]]:
    return [(p.state, p.trial, p.stripe_invoice_id) for p in using(customer).periods()]


def test_a_month_is_open_until_the_invoice_that_bills_it_is_final(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [first] = using(customer).periods()
    customer.shop.sandbox.advance(
        seconds=int((first.ends_at - customer.gateways.clock.now()).total_seconds())
    )
    customer.settle()
    drafted = states(customer)
    renew(customer, hours=2)

    assert (first.state, first.trial, first.starts_at) == ("open", False, customer.subscription().anchor)
    assert drafted == [("open", False, None), ("open", False, None)]
    assert states(customer) == [("closed", False, newest_invoice(customer)), ("open", False, None)]
    months = using(customer).periods()
    assert months[0].ends_at == months[1].starts_at


def test_by_the_year_usage_is_still_counted_by_the_month(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    [first] = using(customer).periods()

    assert timedelta(days=28) <= first.ends_at - first.starts_at <= timedelta(days=31)
    assert customer.subscription().renews_at - first.starts_at > timedelta(days=360)


def test_a_trial_is_a_period_of_its_own_which_the_first_paid_one_follows(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    during = states(customer)
    using(customer).resolve()
    renew(customer, days=14, hours=2)
    using(customer).resolve()

    assert during == [("open", True, None)]
    assert states(customer) == [("closed", True, newest_invoice(customer)), ("open", False, None)]
    assert [entry.charge for entry in using(customer).entries()] == ["trial", "meter"]


def test_a_subscription_that_ends_at_once_takes_its_month_with_it(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    renew(customer, days=10)
    using(customer).resolve()
    leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, leaving.NOW)
    customer.settle()
    [month] = using(customer).periods()
    renew(customer, hours=2)

    assert (month.state, month.ends_at) == ("open", customer.subscription().ended_at)
    assert states(customer) == [("closed", False, newest_invoice(customer))]


def test_who_buys_anew_keeps_the_new_month_whatever_comes_of_the_old_subscription(customer: Customer) -> None:
    """The last invoice of the old one becomes final an hour after its end, and five minutes after the new."""
    customer.buy(TWELVE_BY_THE_MONTH)
    renew(customer, days=10)
    using(customer).resolve()
    leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, leaving.NOW)
    customer.settle()
    renew(customer, minutes=55)
    customer.buy(TWELVE_BY_THE_MONTH)
    renew(customer, minutes=30)
    [old, new] = using(customer).periods()
    using(customer).resolve()

    assert (old.state, new.state, new.stripe_subscription_id) == (
        "closed",
        "open",
        customer.subscription().stripe_id,
    )
    assert [period.used for period in using(customer).periods()] == [1, 1]


def test_a_purchase_that_came_to_nothing_ends_no_month_of_the_one_that_did(customer: Customer) -> None:
    """A card was declined, the next try worked, and a day later Stripe gives the first one up."""
    customer.buy(TWELVE_BY_THE_MONTH)
    [before] = using(customer).periods()
    renew(customer, days=1)
    now = customer.gateways.clock.now()
    given_up = Subscription(
        stripe_id="sub_given_up",
        status="incomplete_expired",
        access="none",
        currency="usd",
        items=[],
        discounts=[],
        started_at=before.starts_at,
        ended_at=now,
        synced_at=now,
    )
    with unit_of_work(customer.workspace_id) as session:
        session.add(given_up)
        session.flush()
        usage_periods.follow(session, given_up)
    [after] = using(customer).periods()

    assert (after.starts_at, after.ends_at) == (before.starts_at, before.ends_at)


def test_a_live_subscription_without_a_month_gets_it_with_its_first_use(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    before = [(p.starts_at, p.ends_at) for p in using(customer).periods()]
    with unit_of_work(customer.workspace_id) as session:
        session.execute(delete(UsagePeriod))
    using(customer).resolve()

    assert [(p.starts_at, p.ends_at, p.used) for p in using(customer).periods()] == [(*before[0], 1)]


def test_what_happens_before_stripe_tells_of_the_new_month_opens_it_ahead(customer: Customer) -> None:
    """Stripe is silent for two days after the month's end; then it tells the same."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=32)
    using(customer).resolve()
    ahead = [(p.starts_at, p.ends_at, p.used) for p in using(customer).periods()]
    customer.settle()

    assert [used for *_, used in ahead] == [0, 1]
    assert [(p.starts_at, p.ends_at, p.used) for p in using(customer).periods()] == ahead
    assert ahead[1][1] == customer.subscription().usage_period_end


def test_a_month_that_was_opened_ahead_and_is_not_to_be_goes_again(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [first] = using(customer).periods()
    with unit_of_work(customer.workspace_id) as session:
        usage_periods.locked(session, since=first.starts_at, until=first.ends_at, now=first.ends_at)
        row = session.scalars(select(Subscription)).one()
        opened = session.scalars(select(UsagePeriod.starts_at)).all()
        row.status, row.ended_at = "canceled", first.ends_at - DAY
        session.flush()
        usage_periods.follow(session, row)

    assert len(opened) == 2
    assert [(p.starts_at, p.ends_at) for p in using(customer).periods()] == [
        (first.starts_at, first.ends_at - DAY)
    ]


def test_months_that_were_missed_are_filled_in_without_a_gap(customer: Customer) -> None:
    """Every instant belongs to exactly one month, also when nothing was heard of Stripe for a quarter."""
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=95)
    customer.settle()
    months = using(customer).periods()

    assert len(months) == 4
    assert [month.ends_at for month in months[:-1]] == [month.starts_at for month in months[1:]]
    now = customer.gateways.clock.now()
    for instant in (months[0].starts_at, months[1].starts_at, months[2].ends_at, now):
        assert sum(month.starts_at <= instant < month.ends_at for month in months) == 1


def test_a_month_without_an_invoice_is_closed_after_three_days(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [month] = using(customer).periods()
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(UsagePeriod).values(ends_at=month.ends_at - 40 * DAY))
    usage_periods.sweep(customer.gateways)

    assert [(p.state, p.stripe_invoice_id) for p in using(customer).periods()] == [("closed", None)]


def test_reading_the_same_invoice_again_changes_nothing(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    renew(customer, days=31, hours=2)
    renew(customer, days=31, hours=2)
    before = states(customer)
    customer.shop.advance(hours=1)
    with unit_of_work(customer.workspace_id) as session:
        ids = session.scalars(select(Invoice.stripe_id)).all()
    for invoice_id in ids:
        projections.refresh_invoice(customer.gateways, invoice_id)

    assert states(customer) == before
    assert [invoice is not None for _, _, invoice in before] == [True, True, False]


@contextmanager
def written_to_months() -> Iterator[list[str]]:
    """The statements meanwhile that change or lock months of usage or the allowance."""
    found: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        writes = statement.startswith(("INSERT", "UPDATE", "DELETE")) or "FOR UPDATE" in statement
        if writes and re.search(r"\b(usage_period|allowance)\b", statement):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", hear)
    yield found
    event.remove(Engine, "before_cursor_execute", hear)


def allowance(customer: Customer) -> Allowance:
    with unit_of_work(customer.workspace_id) as session:
        return session.scalars(select(Allowance)).one()


def read_again(customer: Customer) -> None:
    [subscription] = customer.shop.subscriptions()
    projections.refresh_subscription(customer.gateways, subscription.id)


def test_word_of_a_subscription_that_is_as_it_was_writes_nothing_about_its_months(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    acme = using(customer)
    acme.resolve()
    before = (acme.periods()[0].ends_at, allowance(customer).period_end)
    with written_to_months() as written:
        read_again(customer)
    after = (acme.periods()[0].ends_at, allowance(customer).period_end)

    assert written == []
    assert before == after
    assert after[0] == after[1]


def test_a_month_that_is_missing_or_too_long_is_mended_though_the_subscription_is_as_it_was(
    customer: Customer,
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    [first] = using(customer).periods()
    ends = []
    for spoil in (delete(UsagePeriod), update(UsagePeriod).values(ends_at=first.ends_at + DAY)):
        with unit_of_work(customer.workspace_id) as session:
            session.execute(spoil)
        read_again(customer)
        ends.append([period.ends_at for period in using(customer).periods()])

    assert ends == [[first.ends_at], [first.ends_at]]


def test_the_last_call_of_a_month_is_half_an_hour(customer: Customer) -> None:
    """Stripe makes the month's invoice final an hour after its end; what is found until then is on it."""
    customer.buy(TWELVE_BY_THE_MONTH)
    acme = using(customer)
    [month] = acme.periods()
    left = month.ends_at - customer.gateways.clock.now()
    customer.shop.sandbox.advance(seconds=int((left + timedelta(minutes=29)).total_seconds()))
    acme.feed(
        happened("c1", "ai_answered", month.ends_at - HOUR),
        happened("c1", "customer_confirmed", month.ends_at - timedelta(seconds=1)),
    )
    customer.shop.advance(minutes=1)
    acme.feed(
        happened("c2", "ai_answered", month.ends_at - HOUR),
        happened("c2", "customer_confirmed", month.ends_at - timedelta(seconds=1)),
    )

    assert [(e.source, e.period_start == month.starts_at, e.note) for e in acme.entries()] == [
        ("c1#1", True, None),
        ("c2#1", False, "late"),
    ]
