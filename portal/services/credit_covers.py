"""Which pack pays for which resolution, and what is paid by use: as read by pages, files and the API.

A month's sum decides how much each pack pays of it (``credit_ledger``). Of the month's units, in the order in
which they were counted, the first are those of the pack that is drawn first, and the last are paid by use.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.orm import Session

from portal.models import CreditLot, CreditPurchase, CreditSum, Resolution, UsageDay
from portal.services.credit_lots import DRAWN, GIVEN_BACK, ORDER
from portal.services.units import SOURCE_TIMES
from portal.services.usage_prices import RESOLUTION

METERED = "meter"
# units of a month that are looked through for the last one of a pack
MOST = 50_000

# instant, conversation, episode: what the units of a month are ordered by
Place = tuple[datetime, str, int]

# the units after which another pack pays; one that was taken or booked out of its month stands there no more
LAST_OF = text(f"""
SELECT counted_at, conversation_id, episode, number FROM (
  SELECT r.counted_at, r.conversation_id, r.episode,
    row_number() OVER (ORDER BY r.counted_at, r.conversation_id, r.episode) AS number
  FROM resolution r
  WHERE r.workspace_id = :workspace AND r.period_start = :month AND r.charge = '{METERED}'
    AND (r.counts OR 0 < (
      SELECT sum(e.quantity) FROM usage_entry e
      WHERE e.workspace_id = r.workspace_id AND e.key = '{RESOLUTION}' AND e.period_start = r.period_start
        AND e.charge = '{METERED}'
        AND (e.source = r.conversation_id || '#' || r.episode
          OR e.source >= r.conversation_id || '#' || r.episode || '{SOURCE_TIMES}'
          AND e.source < r.conversation_id || '#' || r.episode || '{3 * SOURCE_TIMES}')))
  ORDER BY r.counted_at, r.conversation_id, r.episode
  LIMIT :most
) AS unit WHERE number = ANY(:numbers) ORDER BY number
""")  # noqa: S608 (all of it is ours)


@dataclass(frozen=True)
class Pack:
    """A lot as people know it: so many units, bought then."""

    lot_id: str
    units: int
    bought_at: datetime


@dataclass(frozen=True)
class Share:
    """How many units of a month a pack pays for."""

    pack: Pack
    units: int


@dataclass(frozen=True)
class Cover:
    """What packs pay of a month's resolutions, the one that is drawn first standing first.

    ``by_use`` units are paid by use. ``ends``: the last unit of each pack that another one, or use, follows;
    None where that lies too far back to be looked for.
    """

    shares: Sequence[Share]
    by_use: int
    ends: Sequence[Place] | None = ()

    @property
    def units(self) -> int:
        """All that packs pay for."""
        return sum(share.units for share in self.shares)

    @property
    def tells(self) -> bool:
        """Whether it is known of each unit."""
        return self.ends is not None

    def of(self, place: Place) -> Pack | None:
        """The pack that pays for the unit that stands there; None for one that is paid by use."""
        if not self.shares or self.ends is None:
            return None
        return self._pack(sum(place > end for end in self.ends))

    def at(self, number: int) -> Pack | None:
        """The pack that pays while so many units have been counted, for units that have no place here."""
        return self._pack(sum(number > last for last in accumulate(share.units for share in self.shares)))

    @property
    def rest(self) -> Pack | None:
        """What pays, or is given back, after the last unit."""
        return None if self.by_use or not self.shares else self.shares[-1].pack

    def _pack(self, number: int) -> Pack | None:
        if self.by_use:
            return self.shares[number].pack if number < len(self.shares) else None
        return self.shares[min(number, len(self.shares) - 1)].pack if self.shares else None


NOTHING = Cover((), 0)


# what a month's invoice took stays taken, also of a unit that came back to its pack later
_PAID = (
    select(CreditSum.period_start, CreditSum.lot_id, func.sum(-CreditSum.quantity).label("units"))
    .where(
        CreditSum.period_start.in_(bindparam("months", expanding=True)),
        CreditSum.kind.in_((DRAWN, GIVEN_BACK)),
        ~CreditSum.of_unit,
    )
    .group_by(CreditSum.period_start, CreditSum.lot_id)
    # once, whatever the planner thinks of the number of lots
    .cte("paid")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_SHARES = (
    select(
        _PAID.c.period_start,
        CreditLot.id,
        CreditLot.units,
        func.coalesce(CreditPurchase.paid_at, CreditLot.created_at),
        _PAID.c.units,
    )
    .join(CreditLot, CreditLot.id == _PAID.c.lot_id)
    .join(CreditPurchase, CreditPurchase.id == CreditLot.purchase_id)
    .where(_PAID.c.units > 0)
    .order_by(*ORDER)
)


def shares(session: Session, months: Collection[datetime]) -> dict[datetime, list[Share]]:
    """What packs pay of the months that start then; those of which none pays anything are left out."""
    found: dict[datetime, list[Share]] = {}
    for month, lot_id, size, at, count in session.execute(_SHARES, {"months": list(months)}):
        found.setdefault(month, []).append(Share(Pack(lot_id, size, at), int(count)))
    return found


def of_units(session: Session, units: Iterable[Resolution]) -> Mapping[datetime, Cover]:
    """How the months of some units are paid; nothing for months of which packs pay nothing."""
    return of_months(session, {unit.period_start for unit in units if unit.period_start and stands(unit)})


def of_month(session: Session, month: datetime) -> Cover:
    """How a month is paid."""
    return of_months(session, [month]).get(month, NOTHING)


def of_months(session: Session, months: Collection[datetime], *, most: int = MOST) -> dict[datetime, Cover]:
    """The same of months, by their start; ``most`` units of each are looked through."""
    paid = shares(session, months) if months else {}
    charged = _charged(session, paid) if paid else {}
    return {
        month: _cover(session, month, found, charged.get(month, 0), most) for month, found in paid.items()
    }


def _charged(session: Session, months: Collection[datetime]) -> dict[datetime, int]:
    sums = select(UsageDay.period_start, func.sum(UsageDay.charged)).where(
        UsageDay.key == RESOLUTION, UsageDay.period_start.in_(months)
    )
    return {month: int(total) for month, total in session.execute(sums.group_by(UsageDay.period_start))}


def _cover(session: Session, month: datetime, paid: Sequence[Share], charged: int, most: int) -> Cover:
    by_use = max(charged - sum(share.units for share in paid), 0)
    # the last pack has the rest of the month, unless some of it is paid by use
    numbers = list(accumulate(share.units for share in (paid if by_use else paid[:-1])))
    if not numbers:
        return Cover(paid, by_use)
    return Cover(paid, by_use, _ends(session, month, numbers) if numbers[-1] <= most else None)


def _ends(session: Session, month: datetime, numbers: Sequence[int]) -> list[Place]:
    where = {"workspace": session.info["workspace_id"], "month": month}
    rows = session.execute(LAST_OF, where | {"numbers": list(numbers), "most": numbers[-1]})
    return [(at, conversation_id, episode) for at, conversation_id, episode, _number in rows]


def stands(unit: Resolution) -> bool:
    """Whether it is in the ledger as something to be paid."""
    return unit.counts and unit.charge == METERED


def place_of(unit: Resolution) -> Place | None:
    """Where it stands in the order of its month."""
    return (unit.counted_at, unit.conversation_id, unit.episode) if unit.counted_at else None


def pack_of(unit: Resolution, covers: Mapping[datetime, Cover]) -> Pack | None:
    """The pack that pays for a unit; None where none does, or where it cannot be told."""
    place = place_of(unit)
    if place is None or unit.period_start is None or not stands(unit):
        return None
    return covers.get(unit.period_start, NOTHING).of(place)
