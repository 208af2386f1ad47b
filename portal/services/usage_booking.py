"""Units in the ledger: put in when they become billable, taken back when the customer returns.

What an event that arrived late shows to have been another outcome is corrected where it stands, while its
month is open; after that it is taken back, and what was taken back stays so.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session

from portal.models import UsageEntry
from portal.pricing import outcomes as rules
from portal.services import (
    limits,
    meter_events,
    units,
    usage_invoices,
    usage_ledger,
    usage_moves,
    usage_periods,
)
from portal.services.meter_events import TakenBack
from portal.services.units import Unit
from portal.services.usage_ledger import Entry
from portal.services.usage_periods import Period, Periods

RESOLUTION = usage_periods.RESOLUTION
CHARGEABLE = (rules.BILLABLE, rules.REVERSED)


@dataclass(frozen=True, slots=True)
class Change:
    """A unit as it was known, and as it is now with what the ledger has of it so far."""

    known: Unit | None
    unit: Unit

    @property
    def touches_ledger(self) -> bool:
        """Whether the unit stands in the ledger or may come into it."""
        return self.unit.counts or self.unit.state in CHARGEABLE

    @property
    def opens(self) -> bool:
        """Whether something is held for it from now on; also if it came with what decides it."""
        if self.unit.state == rules.PENDING:
            return self.known is None or self.known.state != rules.PENDING
        was_answered = self.known is not None and self.known.answered_at is not None
        return self.unit.answered_at is not None and not was_answered

    @property
    def settles(self) -> bool:
        """Whether what is, or would be, held for it is free from now on."""
        was_pending = self.known is not None and self.known.state == rules.PENDING
        return self.unit.state != rules.PENDING and (was_pending or self.opens)


def periods_of(session: Session, changes: Sequence[Change], now: datetime) -> Periods:
    """The periods of every instant at which something may be booked, locked."""
    at = {now}
    for change in changes:
        both = (change.unit, change.known or change.unit)
        at |= {moment for unit in both for moment in (unit.billable_at, unit.reversed_at) if moment}
        at |= {change.unit.period_start} if change.unit.period_start else set()
    return usage_periods.locked(session, since=min(at), until=max(at), now=now)


@dataclass
class Booking:
    """The entries of one transaction, collected and then written in one go."""

    session: Session
    workspace_id: int
    periods: Periods
    entries: list[Entry] = field(default_factory=list)
    takes: list[Entry] = field(default_factory=list)  # those whose meter event is to be taken back
    units: dict[str, Unit] = field(default_factory=dict)  # by what the ledger calls them
    roomy: int = 0  # the entries whose room under a cap is free again

    def carry_out(self, changes: Sequence[Change], *, note: str | None = None) -> None:
        """Take back, which makes room under a cap; put; take back what was put and came back."""
        puts = [change for change in changes if self._take_back(change, note)]
        self._make_room()
        puts.sort(key=lambda c: (c.unit.billable_at, c.unit.conversation_id, c.unit.episode))
        self._put([change.unit for change in puts])
        for change in puts:
            if change.unit.counts and change.unit.state == rules.REVERSED:
                self._reverse(change.unit, fresh=True)
        self._make_room()
        self._tell_meter()
        if self.entries:
            usage_ledger.write(
                self.session, self.workspace_id, self.entries, customer_id=self.periods.customer_id
            )

    def _take_back(self, change: Change, note: str | None) -> bool:
        """Take the unit out of the ledger as far as it should not be there; whether it is to be put in."""
        unit, known = change.unit, change.known
        if unit.contest == units.ACCEPTED and note is None:
            return False
        if not unit.counts:
            return self._is_new(unit, known)
        assert known is not None
        if note is not None or unit.state not in CHARGEABLE:
            self._correct(unit, known, note or usage_ledger.LATE_EVENT)
            return False
        if _stands_as(unit) != _stands_as(known) and self._own_place(known):
            self._correct(unit, known, usage_ledger.LATE_EVENT)
            return True
        if unit.state == rules.REVERSED:
            self._reverse(unit)
        return False

    def _is_new(self, unit: Unit, known: Unit | None) -> bool:
        """Whether a unit that the ledger does not count is to be counted, if only to be reversed at once.

        What was taken back stays so: what its month billed, and another gave back, is final.
        """
        if known is not None and known.taken_back_at is not None:
            return False
        if unit.state == rules.BILLABLE:
            # one that nothing could bill when it became billable is nobody's
            return known is None or known.state != rules.BILLABLE or _stands_as(unit) != _stands_as(known)
        if unit.state != rules.REVERSED or (known is not None and known.state == rules.REVERSED):
            return False
        assert unit.billable_at is not None
        place = self.periods.place(unit.billable_at)
        return place is not None and not place.late

    def _own_place(self, known: Unit) -> Period | None:
        """The period in which the unit stands, if that can still be billed."""
        own = self.periods.starting(known.period_start) if known.period_start else None
        return own if own is not None and own.takes(self.periods.now) else None

    def _put(self, wanted: Sequence[Unit]) -> None:
        places = [(unit, self.periods.place(unit.billable_at)) for unit in wanted if unit.billable_at]
        charged = self._charged([place.period for _, place in places if place and not place.was_trial])
        for unit, place in places:
            if place is None:
                unit.period_start = unit.charge = None
                continue
            unit.charge = usage_ledger.TRIAL if place.was_trial else next(charged[place.period.starts_at])
            unit.times += 1
            unit.counts, unit.period_start = True, place.period.starts_at
            unit.counted_at, unit.counted_as, unit.counted_on = place.at, unit.kind, unit.channel
            note = usage_ledger.LATE if place.late else None
            entry = self._add(unit, usage_ledger.BILLABLE, place.period, place.at, note)
            if unit.charge == usage_ledger.METER:
                entry.outbox = meter_events.WAITING if unit.state == rules.BILLABLE else meter_events.DROPPED
                entry.identifier = meter_events.identifier(self.workspace_id, entry.source)

    def _charged(self, periods: Sequence[Period]) -> dict[datetime, Iterator[str]]:
        """For each period the charges of what comes into it, in order: first those under the cap."""
        wanted = Counter(period.starts_at for period in periods)
        return {
            period.starts_at: iter(
                limits.charge_for(self.session, period, wanted[period.starts_at], self.periods.now)
            )
            for period in self.periods.rows
            if period.starts_at in wanted
        }

    def _correct(self, unit: Unit, known: Unit, note: str) -> None:
        """As if it had never counted, where it stands; in a month that is closed, it is taken back now."""
        own = self._own_place(known)
        if own is None or known.counted_at is None:
            self._reverse(unit, note=note)
            return
        entry = self._add(unit, usage_ledger.CORRECTION, own, known.counted_at, note)
        unit.counts = False
        self.takes.append(entry)

    def _reverse(self, unit: Unit, *, fresh: bool = False, note: str | None = None) -> None:
        at = unit.reversed_at if unit.reversed_at and note is None else self.periods.now
        place = self.periods.place(at)
        own = self.periods.starting(unit.period_start) if unit.period_start else None
        if place is not None and own is not None and own.ends_at <= at and own.takes(self.periods.now):
            # the month that has just ended can still be billed without it, and Stripe's meter will be
            entry = self._add(unit, usage_ledger.REVERSAL, own, own.last_instant, note)
        elif place is not None:
            late = usage_ledger.LATE if place.late else None
            entry = self._add(unit, usage_ledger.REVERSAL, place.period, place.at, note or late)
        else:
            assert own is not None
            at = min(at, own.last_instant)
            entry = self._add(unit, usage_ledger.REVERSAL, own, at, usage_ledger.AFTER_END)
        unit.counts, unit.taken_back_at = False, entry.at
        if not fresh:
            self.takes.append(entry)

    def _make_room(self) -> None:
        """Free what was taken back for the caps of the periods that it was booked in.

        What was free in a trial makes no room in the months after it: their invoices become no smaller.
        """
        taken = [entry for entry in self.entries[self.roomy :] if entry.quantity < 0]
        self.roomy = len(self.entries)
        room = Counter((entry.period_start, entry.charge) for entry in taken)
        for period in self.periods.rows:
            counted = room[period.starts_at, usage_ledger.TRIAL if period.trial else usage_ledger.METER]
            if counted:
                limits.taken_back(self.session, period, counted, self.periods.now)

    def _add(self, unit: Unit, kind: str, period: Period, at: datetime, note: str | None) -> Entry:
        quantity = 1 if kind == usage_ledger.BILLABLE else -1
        charge = unit.charge or usage_ledger.METER
        # as it stands there, not as it is known by now
        entry = Entry(
            period.starts_at, RESOLUTION, unit.source, kind, quantity, at, unit.counted_on or unit.channel,
            charge, basis=unit.counted_as, note=note,
        )  # fmt: skip
        self.entries.append(entry)
        self.units[entry.source] = unit
        period.used += quantity
        return entry

    def _tell_meter(self) -> None:
        """Have what Stripe was, or was to be, told of the units taken back from it, too."""
        metered = {entry.source: entry for entry in self.takes if entry.charge == usage_ledger.METER}
        if not metered:
            return
        final = [row.starts_at for row in self.periods.rows if not row.takes(self.periods.now)]
        taken = meter_events.take_back(
            self.session, self.workspace_id, list(metered), now=self.periods.now, final_periods=final
        )
        for source, back in taken.items():
            entry = metered[source]
            if back.counter:
                entry.identifier = meter_events.identifier(self.workspace_id, source, reversal=True)
                # for the sum that is counted next
                entry.outbox = meter_events.WAITING
            elif back.dropped and back.period_start != entry.period_start:
                self._move_unsent(back, entry)
        countered = [(metered[source], back.period_start) for source, back in taken.items() if back.counter]
        self._credit_at_own_price(countered)
        for start in {entry.period_start for entry, _billed in countered}:
            self._keep_above_zero(start)

    def _credit_at_own_price(self, countered: Sequence[tuple[Entry, datetime]]) -> None:
        """What was billed at another price than the open month's comes back by a credit note, as it was."""
        before = {billed for entry, billed in countered if billed != entry.period_start}
        repriced = {start for start in before if usage_invoices.is_repriced(self.session, start, RESOLUTION)}
        for entry, billed in countered:
            if billed in repriced and billed != entry.period_start:
                entry.outbox, entry.charge = meter_events.CREDITING, usage_ledger.CREDITED

    def _move_unsent(self, back: TakenBack, entry: Entry) -> None:
        """Book what its month's invoice lacks out of that month and into the one that takes it back."""
        put = self.session.get_one(UsageEntry, (self.workspace_id, back.period_start, back.entry_id))
        moved = usage_moves.move(self.session, self.workspace_id, put, self.periods)
        unit = self.units[entry.source]
        entry.charge = unit.charge = usage_ledger.OVER_CAP if moved.free else entry.charge
        unit.period_start, unit.counted_at = moved.period_start, moved.at

    def _keep_above_zero(self, start: datetime) -> None:
        """Negative events while a month's sum stays above zero; beyond that a credit note is owed."""
        own = [e for e in self.entries if e.period_start == start and e.charge == usage_ledger.METER]
        negative = [entry for entry in own if entry.quantity < 0 and entry.outbox]
        others = sum(entry.quantity for entry in own) + len(negative)
        left = usage_ledger.charged(self.session, start, RESOLUTION) + others
        for position, entry in enumerate(negative):
            if position >= left or entry.note == usage_ledger.AFTER_END:
                entry.outbox, entry.charge = meter_events.CREDITING, usage_ledger.CREDITED


def _stands_as(unit: Unit) -> tuple[object, ...]:
    """What the ledger says of a unit that counts."""
    return unit.kind, unit.billable_at, unit.channel
