"""A made-up stream played into a running portal, and what has to be the same at its end.

The stream is judged by the rules alone (``expected``), apart from everything that the portal stores.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.gateways import Gateways
from portal.models import Member, MeterEvent, UsageDay, UsagePeriod
from portal.pricing import outcomes as rules
from portal.services import (
    members,
    meter_sending,
    outcomes,
    projections,
    subscriptions,
    usage,
    usage_entries,
    usage_invoices,
)
from portal.services.conversations import ConversationEvent
from portal.services.demo_stream import Sent
from portal.services.usage_prices import RESOLUTION

DAY = timedelta(days=1)
# when an invoice is final after the end of what it bills
FINAL = timedelta(hours=2)
# how often what waits for Stripe's meter is looked for before the month ends
ROUNDS = 120
UNDERWAY = ("waiting", "sending", "cancelling")

Turn = Callable[[datetime], None]
Wait = Callable[[], None]


@dataclass(frozen=True)
class Closed:
    """A month that was billed: what ledger, file and invoice say, in units and minor units."""

    ledger: int
    file_units: int
    file_amount: int
    invoice: str
    invoice_units: int
    invoice_amount: int

    @property
    def agrees(self) -> bool:
        """Whether all of them say the same."""
        units = {self.ledger, self.file_units, self.invoice_units}
        return len(units) == 1 and self.file_amount == self.invoice_amount


def hours(sent: Sequence[Sent], since: datetime, step: timedelta) -> Iterator[tuple[datetime, list[Sent]]]:
    """The stream cut into steps: the end of each, and what is sent up to then."""
    end, waiting = since, list(sent)
    while waiting:
        end += step
        ready = [each for each in waiting if each.at <= end]
        waiting = waiting[len(ready) :]
        yield end, ready


def expected(events: Iterable[ConversationEvent], now: datetime) -> int:
    """How many resolutions the events come to by the rules, as of ``now``."""
    by_conversation = sorted({each.id: each for each in events}.values(), key=attrgetter("conversation_id"))
    found = 0
    for _name, group in groupby(by_conversation, key=attrgetter("conversation_id")):
        own = list(group)
        units = rules.episodes(
            [rules.Event(each.type, _micros(each.occurred_at)) for each in own],
            now=_micros(now),
            test=any(each.test for each in own),
            window=rules.DAY * 10**6,
        )
        found += sum(unit.state == rules.BILLABLE for unit in units)
    return found


def _micros(at: datetime) -> int:
    return int(at.timestamp() * 10**6)


def owner_of(session: Session) -> int:
    """The login of the workspace's first owner. Raises ConflictError where there is none."""
    found = session.scalars(
        select(Member.user_id).where(Member.role == members.OWNER).order_by(Member.id).limit(1)
    ).first()
    if found is None:
        raise ConflictError("There is no such workspace.")
    return found


def settle(gateways: Gateways, workspace_id: int) -> int:
    """Let everything become billable that is due; the net units of all periods."""
    outcomes.catch_up(gateways, workspace_id)
    counted = select(func.coalesce(func.sum(UsageDay.quantity), 0)).where(UsageDay.key == RESOLUTION)
    with unit_of_work(workspace_id) as session:
        return int(session.scalar(counted) or 0)


def undecided(workspace_id: int) -> int:
    """Units that become billable by themselves, unless their customers come back."""
    with unit_of_work(workspace_id) as session:
        return usage.pending(session)


def close_month(gateways: Gateways, workspace_id: int, turn: Turn, wait: Wait) -> Closed:
    """Let the present period end and be billed; what ledger, file and invoice then say.

    Until Stripe has been told of everything, ``wait`` is called between the looks.
    """
    with unit_of_work(workspace_id) as session:
        period = usage.find(session, gateways.clock.now())
        subscription = subscriptions.current(session)
    if period is None or subscription is None:
        raise ConflictError("The workspace has no subscription.")
    turn(period.ends_at - timedelta(minutes=5))
    settle(gateways, workspace_id)
    tell_stripe(gateways, workspace_id, wait)
    turn(period.ends_at + FINAL)
    projections.refresh_subscription(gateways, subscription.stripe_id)
    return _closed(workspace_id, period.starts_at)


def tell_stripe(gateways: Gateways, workspace_id: int, wait: Wait) -> None:
    """Send what waits for Stripe's meter, until nothing does; ``wait`` is called between the looks."""
    for _round in range(ROUNDS):
        meter_sending.report(gateways)
        if not _underway(workspace_id):
            return
        wait()


def _underway(workspace_id: int) -> int:
    """How much of the ledger Stripe has not been told of."""
    with unit_of_work(workspace_id) as session:
        return session.scalars(select(func.count()).where(MeterEvent.state.in_(UNDERWAY))).one()


def _closed(workspace_id: int, starts_at: datetime) -> Closed:
    with unit_of_work(workspace_id) as session:
        row = session.get_one(UsagePeriod, (workspace_id, starts_at))
        period = usage.period_of(row)
        invoice = usage_invoices.by_id(session, [period.invoice_id]).get(str(period.invoice_id))
        billed = usage_invoices.billed(invoice, period.ends_at).get(RESOLUTION) if invoice else None
        entries = usage_entries.of_period(session, period, RESOLUTION)
    booked = [each for page in entries.pages() for each in page]
    return Closed(
        ledger=row.used,
        file_units=sum(each.entry.quantity for each in booked),
        file_amount=sum(each.amount for each in booked),
        invoice=(invoice.number or invoice.stripe_id) if invoice else "none yet",
        invoice_units=billed.quantity if billed else 0,
        invoice_amount=billed.amount if billed else 0,
    )
