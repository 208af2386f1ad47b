"""Months of usage: opened from the subscription's metered items, closed by the invoice that bills them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, exists, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways import stripe_words as words
from portal.models import Allowance, CatalogPrice, Subscription, UsageDay, UsagePeriod
from portal.pricing import periods as calendar
from portal.services import bulk, subscriptions

RESOLUTION = "resolution"
OPEN, CLOSED = "open", "closed"
# Stripe makes the draft final an hour after the period's end; what is found later than this would be sent too
# late to be on it
LAST_CALL = timedelta(minutes=30)
# a month without usage may have no invoice at all
CLOSED_WITHOUT_INVOICE_AFTER = timedelta(days=3)
SECOND = timedelta(seconds=1)
# what is asked of Stripe at the end of a month may be before it there, or after it
MOMENT = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
BATCH = 500


@dataclass
class Period:
    """A period that is locked; ``used`` follows what is booked in it."""

    starts_at: datetime
    ends_at: datetime
    state: str
    trial: bool
    used: int

    @property
    def last_instant(self) -> datetime:
        """The last one that it holds."""
        return self.ends_at - INSTANT

    def takes(self, now: datetime) -> bool:
        """Whether what happened in it can still be billed with it."""
        return self.state == OPEN and now < self.ends_at + LAST_CALL


@dataclass(frozen=True)
class Place:
    """Where something is booked: in its own period at its own instant, or ``late`` in the open one, now."""

    period: Period
    at: datetime
    late: bool
    was_trial: bool = False  # ``late``, and its own period was a trial, which is free


@dataclass(frozen=True)
class Periods:
    """The periods that matter to a few instants, oldest first, and the time it is."""

    rows: Sequence[Period]
    now: datetime
    customer_id: str | None = None  # the workspace's, at Stripe

    def containing(self, at: datetime) -> Period | None:
        """The period that ``at`` belongs to; none before the subscription, between two, and after its end."""
        return next((row for row in reversed(self.rows) if row.starts_at <= at < row.ends_at), None)

    def starting(self, starts_at: datetime) -> Period | None:
        """The period by its start."""
        return next((row for row in self.rows if row.starts_at == starts_at), None)

    def place(self, at: datetime) -> Place | None:
        """Where what happened at ``at`` is booked; nowhere if no subscription pays for it."""
        own = self.containing(at)
        if own is None:
            return None
        if own.takes(self.now):
            return Place(own, at, late=False)
        current = self.containing(self.now)
        if current is None or not current.takes(self.now):
            return None
        return Place(current, self.now, late=True, was_trial=own.trial)


LOCKED = """
SELECT starts_at, ends_at, state, trial, used, (SELECT stripe_customer_id FROM billing_details) AS customer_id
FROM usage_period WHERE ends_at > %(since)s ORDER BY starts_at FOR UPDATE
"""


def locked(session: Session, *, since: datetime, until: datetime, now: datetime) -> Periods:
    """The periods that instants in [since, until] may belong to, locked until the end of the transaction.

    A period that Stripe has begun and not yet told of is opened ahead: the calendar says when it ends.
    """
    rows = bulk.run(session, LOCKED, {"since": since})
    last = rows[-1][1] if rows else None
    if (last is None or last <= max(until, now)) and _open_ahead(session, max(until, now)):
        rows = bulk.run(session, LOCKED, {"since": since})
    return Periods([Period(*row[:-1]) for row in rows], now, rows[-1][-1] if rows else None)


def lock_newest(session: Session) -> None:
    """Wait for whoever writes usage, and let nobody write any until the transaction ends.

    Everybody who does locks the newest period first, then the allowance and the lots of credits.
    """
    newest = select(UsagePeriod.starts_at).order_by(UsagePeriod.starts_at.desc()).limit(1)
    session.execute(newest.with_for_update())


def is_to_be_billed(session: Session, now: datetime) -> bool:
    """Whether a month has ended, or is about to, whose invoice is not final: a grant made now may miss it."""
    over = (UsagePeriod.state == OPEN, UsagePeriod.ends_at <= now + MOMENT)
    return session.scalar(select(UsagePeriod.starts_at).where(*over).limit(1)) is not None


def facts(subscription: Subscription) -> tuple[object, ...]:
    """What months of usage, their prices and caps go by; when it is as it was they need not be looked at."""
    at = (subscription.anchor, subscription.trial_end, subscription.cancel_at, subscription.ended_at)
    return (
        *(subscription.status, subscription.access, subscription.catalog, subscription.currency),
        *at,
        list(subscription.items),
    )


def follow(session: Session, subscription: Subscription, *, before: tuple[object, ...] | None = None) -> None:
    """Open the period that the metered items are in; end the last one with the subscription.

    ``subscription`` is the projection that was just written, ``before`` the facts that stood there.
    """
    if before == facts(subscription) and _stands(session, subscription):
        return
    _follow(session, subscription)
    # whoever asks for a unit next looks anew which period it is, and what its cap comes to
    session.execute(update(Allowance).values(period_end=None))


def _stands(session: Session, subscription: Subscription) -> bool:
    """Whether the period of the metered items is there, and no other in its time, or none is to be there."""
    span = _span(subscription)
    if subscription.status in subscriptions.ENDED or span is None:
        return False
    if subscription.access == subscriptions.NONE:
        return True
    rows = session.execute(
        select(UsagePeriod.starts_at, UsagePeriod.ends_at, UsagePeriod.stripe_subscription_id).where(
            UsagePeriod.starts_at < span[1], UsagePeriod.ends_at > span[0]
        )
    )
    return [tuple(row) for row in rows] == [(*span, subscription.stripe_id)]


def _follow(session: Session, subscription: Subscription) -> None:
    if subscription.status in subscriptions.ENDED:
        _end(session, subscription.stripe_id, subscription.ended_at)
        return
    span = _span(subscription)
    if subscription.access == subscriptions.NONE or span is None:
        return
    start, end = span
    _open_until(session, subscription, start)
    _drop(session, UsagePeriod.starts_at > start, UsagePeriod.starts_at < end)
    _cut(session, start)
    later = session.scalars(
        select(UsagePeriod.starts_at)
        .where(UsagePeriod.starts_at > start, UsagePeriod.starts_at < end)
        .order_by(UsagePeriod.starts_at)
    ).first()
    _open(session, subscription, start, later or end)


def _end(session: Session, subscription_id: str, ended_at: datetime | None) -> None:
    if ended_at is None:
        return
    # another may have begun since, or a purchase that came to nothing ends beside the one that did
    own = UsagePeriod.stripe_subscription_id == subscription_id
    _drop(session, own, UsagePeriod.starts_at >= ended_at)
    _cut(session, ended_at, own)


def end_with(session: Session, subscription: words.Subscription) -> None:
    """End the last period with a subscription that has just been read, so that its last invoice closes it."""
    if subscription.status in subscriptions.ENDED:
        _end(session, subscription.id, subscriptions.moment(subscription.ended_at))


def close(
    session: Session, invoice: words.Invoice, prices: Mapping[str, CatalogPrice], *, now: datetime
) -> None:
    """Close the periods that a final invoice bills: those of its metered lines, which it is noted for.

    A renewal's invoice closes what ended before it was made, too: Stripe had nothing to bill for that.
    ``prices``: Stripe's price id → our catalogue's row.
    """
    if invoice.subscription_id is None:
        return
    metered = [line for line in invoice.lines if _is_usage(prices.get(line.price_id or ""))]
    billed = {subscriptions.moment(line.period_end) for line in metered if not line.proration}
    own = select(UsagePeriod).where(UsagePeriod.stripe_subscription_id == invoice.subscription_id)
    created = datetime.fromtimestamp(invoice.created, UTC)
    if invoice.billing_reason == "subscription_cycle":
        ended = own.where(UsagePeriod.ends_at <= created)
        for row in session.scalars(ended.where(UsagePeriod.state == OPEN).with_for_update()):
            _close(row, now)
        latest = session.scalars(ended.order_by(UsagePeriod.ends_at.desc()).limit(1)).first()
        billed |= {latest.ends_at} if latest else set()
    if not billed:
        return
    for row in session.scalars(own.where(UsagePeriod.ends_at.in_(billed)).with_for_update()):
        _close(row, now)
        row.stripe_invoice_id = row.stripe_invoice_id or invoice.id
    session.flush()


def billed_by(session: Session, invoice_id: str) -> Sequence[datetime]:
    """The starts of the months that an invoice bills."""
    billed = select(UsagePeriod.starts_at).where(UsagePeriod.stripe_invoice_id == invoice_id)
    return session.scalars(billed).all()


def _close(row: UsagePeriod, now: datetime) -> None:
    row.state, row.closed_at = CLOSED, row.closed_at or now


def _is_usage(price: CatalogPrice | None) -> bool:
    return price is not None and price.key in pricing.catalog(price.catalog).usage


def sweep(gateways: Gateways) -> int:
    """Close the periods that ended days ago and got no invoice: there was nothing in them to bill.

    A batch at a time, a workspace at a time; returns how many workspaces were looked at.
    """
    now = gateways.clock.now()
    over = (UsagePeriod.state == OPEN, UsagePeriod.ends_at <= now - CLOSED_WITHOUT_INVOICE_AFTER)
    with unit_of_work(system=True) as session:
        due = session.scalars(select(UsagePeriod.workspace_id).where(*over).distinct().limit(BATCH)).all()
    for workspace_id in due:
        with unit_of_work(workspace_id) as session:
            session.execute(update(UsagePeriod).where(*over).values(state=CLOSED, closed_at=now))
    return len(due)


def _span(subscription: Subscription) -> tuple[datetime, datetime] | None:
    """The period of the metered items; resolutions' counts, should others have a period of their own."""
    metered = [item for item in subscription.items if item["metered"] and item.get("period_start")]
    found = next((item for item in metered if item["key"] == RESOLUTION), metered[0] if metered else None)
    if found is None:
        return None
    start, end = int(str(found["period_start"])), int(str(found["period_end"]))
    # an item whose period has collapsed, as Stripe's do when a trial ends in a pause, holds no instant
    return (_at(start), _at(end)) if start < end else None


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _open(session: Session, subscription: Subscription, start: datetime, end: datetime) -> None:
    trial = subscription.trial_end is not None and end <= subscription.trial_end
    values = {"ends_at": end, "stripe_subscription_id": subscription.stripe_id, "trial": trial}
    statement = insert(UsagePeriod).values(starts_at=start, **values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[UsagePeriod.workspace_id, UsagePeriod.starts_at],
            set_=values,
            where=UsagePeriod.state == OPEN,
        )
    )


def _cut(session: Session, end: datetime, *which: ColumnElement[bool]) -> None:
    """The period around ``end`` stops there."""
    session.execute(
        update(UsagePeriod)
        .where(UsagePeriod.starts_at < end, UsagePeriod.ends_at > end, *which)
        .values(ends_at=end)
        .execution_options(synchronize_session=False)
    )


def _drop(session: Session, *which: ColumnElement[bool]) -> None:
    """Of what was opened ahead and will not be: as far as nothing was booked in it."""
    used = exists().where(
        UsageDay.workspace_id == UsagePeriod.workspace_id, UsageDay.period_start == UsagePeriod.starts_at
    )
    session.execute(delete(UsagePeriod).where(UsagePeriod.state == OPEN, not_(used), *which))


def _open_ahead(session: Session, until: datetime) -> bool:
    """Open the live subscription's periods up to the one that contains ``until``; whether there are any."""
    subscription = subscriptions.bought(session)
    if subscription is None or subscription.anchor is None:
        return False
    last = _last(session, subscription)
    if last is None:
        # whatever became of it: a live subscription's usage has a month
        _follow(session, subscription)
        return _last(session, subscription) is not None
    end = subscription.cancel_at
    return _fill(session, subscription, last, until if end is None else min(until, end - SECOND))


def _open_until(session: Session, subscription: Subscription, start: datetime) -> None:
    """Fill what is missing between the last known period and the one that begins at ``start``."""
    last = _last(session, subscription)
    if last is not None and last < start and subscription.anchor is not None:
        _fill(session, subscription, last, start - SECOND)


def _last(session: Session, subscription: Subscription) -> datetime | None:
    own = UsagePeriod.stripe_subscription_id == subscription.stripe_id
    return session.scalar(select(func.max(UsagePeriod.ends_at)).where(own))


def _fill(session: Session, subscription: Subscription, start: datetime, until: datetime) -> bool:
    assert subscription.anchor is not None
    anchor = int(subscription.anchor.timestamp())
    opened = False
    while start <= until:
        end = _at(calendar.containing(anchor, "month", int(start.timestamp()))[1])
        _open(session, subscription, start, end)
        start, opened = end, True
    return opened
