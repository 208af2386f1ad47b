"""Why one resolution is billed or not: its conversation, the rule, the price, the ledger and the invoice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from portal.errors import N_, NotFoundError
from portal.models import (
    ConversationEvent,
    Invoice,
    MeterEvent,
    Resolution,
    UsageCredit,
    UsageEntry,
    UsagePeriod,
)
from portal.pricing.outcomes import EVENT_TYPES, Episode
from portal.services import (
    credit_covers,
    meter_countering,
    meter_events,
    resolutions,
    subscriptions,
    units,
    usage,
    usage_credits,
    usage_invoices,
    usage_moves,
)
from portal.services.credit_covers import NOTHING, Cover, Pack
from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION

MOST_EVENTS = 500
# as often as one unit may become billable anew and still be told in full
MOST_TIMES = 50


@dataclass(frozen=True)
class Evidence:
    """All that is known of one unit.

    ``events`` are the conversation's, in the order in which they count; ``more``: there are others.
    ``prevented_by`` is a code of pricing.outcomes, ``unit_price`` what one costs in minor units, None where
    the price has bands; ``entries`` are the ledger's about the unit, ``sent`` what Stripe was told of them.
    ``period`` is that in which it stands, ``invoice`` the one that bills it, if it is final. ``credit`` gives
    its price back after that invoice; ``cover`` says what packs pay of its month.
    """

    unit: Resolution
    events: Sequence[ConversationEvent]
    more: bool
    episodes: Sequence[Resolution]
    entries: Sequence[UsageEntry]
    sent: Mapping[int, MeterEvent]
    period: Period | None
    invoice: Invoice | None
    currency: str
    unit_price: Decimal | None
    credit: UsageCredit | None = None
    cover: Cover = NOTHING

    @property
    def pack(self) -> Pack | None:
        """The pack that pays for it, if one does."""
        place = credit_covers.place_of(self.unit)
        return self.cover.of(place) if place and self.charged else None

    @property
    def prevented_by(self) -> str | None:
        """What would have prevented the charge; None where nothing is charged."""
        unit = self.unit
        if unit.contest == units.ACCEPTED:
            return None
        facts = (unit.episode, unit.state, unit.kind, None, None, None, None, unit.because)
        return Episode(*facts).prevented_by

    @property
    def crediting(self) -> bool:
        """Whether its price is owed as a credit note that is not made yet."""
        return any(row.state == meter_events.CREDITING for row in self.sent.values())

    @property
    def charged(self) -> bool:
        """Whether it stands in the ledger as something to be paid."""
        return credit_covers.stands(self.unit)


def find(session: Session, conversation_id: str, episode: int) -> Evidence:
    """The evidence of an episode. Raises NotFoundError."""
    episodes = resolutions.of_conversation(session, conversation_id)
    unit = next((each for each in episodes if each.episode == episode), None)
    unit = unit or session.get(Resolution, (session.info["workspace_id"], conversation_id, episode))
    if unit is None:
        raise NotFoundError(N_("There is no such resolution."))
    events = _events(session, conversation_id)
    period = _period(session, unit)
    billed = usage_invoices.by_id(session, [period.invoice_id]) if period else {}
    subscription = subscriptions.current(session)
    price = usage.price_in(session, subscription, period, RESOLUTION)
    entries = _entries(session, unit)
    return Evidence(
        unit=unit,
        events=events[:MOST_EVENTS],
        more=len(events) > MOST_EVENTS,
        episodes=episodes,
        entries=entries,
        sent=_sent(session, entries),
        period=period,
        invoice=next(iter(billed.values()), None),
        currency=usage.currency_of(subscription),
        unit_price=price.bands[0].unit_amount if price and len(price.bands) == 1 else None,
        credit=usage_credits.of_unit(session, RESOLUTION, entries[-1].source) if entries else None,
        cover=credit_covers.of_month(session, unit.period_start) if unit.period_start else NOTHING,
    )


def _events(session: Session, conversation_id: str) -> list[ConversationEvent]:
    statement = (
        select(ConversationEvent)
        .where(ConversationEvent.conversation_id == conversation_id)
        .order_by(ConversationEvent.occurred_at, ConversationEvent.id)
        .limit(MOST_EVENTS + 1)
    )
    return sorted(session.scalars(statement), key=_when)


def _when(event: ConversationEvent) -> tuple[object, int]:
    return event.occurred_at, EVENT_TYPES.index(event.type)


def _period(session: Session, unit: Resolution) -> Period | None:
    if unit.period_start is None:
        return None
    row = session.get(UsagePeriod, (session.info["workspace_id"], unit.period_start))
    return usage.period_of(row) if row else None


def _entries(session: Session, unit: Resolution) -> Sequence[UsageEntry]:
    """What the ledger has of the unit, in the order of its being written."""
    times = range(1, min(unit.times, MOST_TIMES) + 1)
    sources = [units.source_of(unit.conversation_id, unit.episode, each) for each in times]
    moved = [UsageEntry.source.startswith(f"{each}{usage_moves.MOVED}", autoescape=True) for each in sources]
    statement = (
        select(UsageEntry)
        .where(UsageEntry.key == RESOLUTION, or_(UsageEntry.source.in_(sources), *moved))
        .order_by(UsageEntry.id)
    )
    return session.scalars(statement).all()


def _sent(session: Session, entries: Sequence[UsageEntry]) -> dict[int, MeterEvent]:
    """The entry's id → its meter event, for those that Stripe is told of."""
    workspace_id = session.info["workspace_id"]
    wanted = set()
    for each in entries:
        own = meter_events.identifier(workspace_id, usage_moves.base(each.source))
        back = meter_events.identifier(workspace_id, usage_moves.base(each.source), reversal=True)
        wanted |= {own, back, own + meter_countering.REVERSAL, usage_moves.next_of(own)}
    rows = session.scalars(select(MeterEvent).where(MeterEvent.identifier.in_(wanted)))
    return {row.entry_id: row for row in rows}
