"""Months of usage for a made-up customer: the sandbox's time passes, and each month ends with its invoice.

A little usage comes in as events, as a customer's system sends it; much of it is written in bulk, and Stripe
is told the sum of each day.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Subscription
from portal.services import (
    billing_details,
    conversations,
    demo_playing,
    demo_stream,
    demo_usage,
    outcomes,
    projections,
    usage,
)
from portal.services.demo import DemoCustomer
from portal.services.demo_playing import Turn, Wait
from portal.services.demo_usage import Shape
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION

# so many at most come in as events, each with its ledger entry and meter event
BY_EVENTS = 1_000
# how far into the present month the usage reaches
PRESENT = timedelta(days=12)
# of a hundred made-up conversations so many are resolved
RESOLVED = 74
# what is used up to shortly before a month's end, and when its invoice is final
BEFORE_END, AFTER_END = timedelta(minutes=10), timedelta(hours=2)


def live(
    gateways: Gateways,
    made: DemoCustomer,
    size: int,
    *,
    months: int,
    shape: Shape,
    turn: Turn,
    wait: Wait,
) -> Iterator[str]:
    """Let ``months`` months pass, and some days, with ``size`` resolutions; says what was done on the way.

    ``turn`` turns the clock, which every customer of the sandbox has in common; ``wait`` lets a moment pass
    in which Stripe is told of what waits.
    """
    shares = _shares(size, months)
    for number, share in enumerate(shares):
        period = _present(gateways, made)
        whole = number < months
        until = period.ends_at - BEFORE_END if whole else period.starts_at + PRESENT
        turn(until)
        written = _use(gateways, made, period, until, share, shape)
        yield f"{period.starts_at:%Y-%m-%d} to {until:%Y-%m-%d}: {written} resolutions"
        if whole:
            demo_playing.tell_stripe(gateways, made.workspace_id, wait)
            turn(period.ends_at + AFTER_END)
            _catch_up(gateways, made)


def _shares(size: int, months: int) -> list[int]:
    """How many units each month has; the last one is not over yet."""
    parts = 10 * months + 4
    whole = [size * 10 // parts] * months
    return [*whole, size - sum(whole)]


def _present(gateways: Gateways, made: DemoCustomer) -> Period:
    with unit_of_work(made.workspace_id) as session:
        found = usage.find(session, gateways.clock.now())
    if found is None:
        raise RuntimeError("the subscription has no usage period")
    return found


def _use(
    gateways: Gateways, made: DemoCustomer, period: Period, until: datetime, size: int, shape: Shape
) -> int:
    if size <= BY_EVENTS:
        return _send(gateways, made, period, until, size, shape)
    days = demo_usage.fill(made.workspace_id, period, until, size, shape)
    _tell_stripe(gateways, made, period, until, days)
    return sum(days.values())


def _send(
    gateways: Gateways, made: DemoCustomer, period: Period, until: datetime, size: int, shape: Shape
) -> int:
    """The usage as events; what they come to by then."""
    for batch in demo_stream.batches(
        demo_stream.events(shape.seed, size * 100 // RESOLVED, period.starts_at, until), conversations.BATCH
    ):
        with unit_of_work(made.workspace_id) as session:
            conversations.take_in(session, gateways, made.workspace_id, batch)
    outcomes.catch_up(gateways, made.workspace_id)
    with unit_of_work(made.workspace_id) as session:
        found = usage.read(session, gateways.clock.now(), period.starts_at)
    return found.resolutions.count.quantity if found else 0


def _tell_stripe(
    gateways: Gateways, made: DemoCustomer, period: Period, until: datetime, days: dict[date, int]
) -> None:
    """The sum of each day, stamped at its last moment within the period."""
    with unit_of_work(made.workspace_id) as session:
        details = billing_details.current(session)
    customer_id = str(details.stripe_customer_id) if details else ""
    for day, units in days.items():
        end = datetime.combine(day + timedelta(days=1), time(), UTC) - timedelta(seconds=1)
        key = f"demo-{made.workspace_id}-{period.starts_at:%Y%m%d}-{day:%Y%m%d}"
        if units:
            at = min(end, until - timedelta(seconds=1))
            gateways.stripe.demo.count(RESOLUTION, customer_id, units, at=at, key=key)


def _catch_up(gateways: Gateways, made: DemoCustomer) -> None:
    """Read what Stripe has made of the month, should no worker run."""
    projections.refresh_subscription(gateways, made.subscription_id)
    with unit_of_work(made.workspace_id) as session:
        row = session.get_one(Subscription, (made.workspace_id, made.subscription_id))
    if row.latest_invoice_id:
        projections.refresh_invoice(gateways, row.latest_invoice_id)
