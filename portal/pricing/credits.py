"""Which annual credits cover which use: lots are drawn down in time, the one that ends first comes first.

What is drawn stands in a stack, and a reversal takes from its top: the units drawn last are given back first,
those that no lot covered among them. So after a reversal the lots are as if the unit had never been used, and
within a usage period the outcome is what Stripe makes of the period's sum when its invoice becomes final.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from portal.pricing.checks import shown, text, whole
from portal.pricing.errors import PricingError
from portal.pricing.proration import MAX_TIME
from portal.pricing.usage import MAX_QUANTITY

# Stripe takes at most a hundred unused grants at a time; these are those of many years.
MAX_LOTS = 1_000
MAX_USES = 1_000_000
MAX_PERIODS = 10_000


@dataclass(frozen=True, slots=True)
class Lot:
    """Units bought together, to be used from ``starts_at`` until just before ``expires_at`` (unix seconds).

    ``returned`` of the ``units`` were taken back, by a refund or a chargeback, and can never be drawn.
    Raises PricingError (params ``id``, ``units``, ``starts_at``, ``expires_at``, ``returned``).
    """

    id: str
    units: int
    expires_at: int
    starts_at: int = 0
    returned: int = 0

    def __post_init__(self) -> None:
        text(self.id, "id")
        whole(self.units, "units", minimum=0, maximum=MAX_QUANTITY)
        whole(self.starts_at, "starts_at", minimum=0, maximum=MAX_TIME)
        whole(self.expires_at, "expires_at", minimum=0, maximum=MAX_TIME)
        if self.expires_at <= self.starts_at:
            message = f"expires_at must be after starts_at ({self.starts_at}), not {self.expires_at}."
            raise PricingError(message, "expires_at")
        whole(self.returned, "returned", minimum=0, maximum=self.units)

    def covers(self, at: int) -> bool:
        """Return whether a unit used ``at`` that second may be drawn from this lot."""
        return self.starts_at <= at < self.expires_at


@dataclass(frozen=True, slots=True)
class Use:
    """``units`` used ``at`` a moment (unix seconds); negative units are a reversal.

    Raises PricingError (params ``at``, ``units``).
    """

    at: int
    units: int

    def __post_init__(self) -> None:
        whole(self.at, "at", minimum=0, maximum=MAX_TIME)
        whole(self.units, "units", minimum=-MAX_QUANTITY, maximum=MAX_QUANTITY)


@dataclass(frozen=True, slots=True)
class Covered:
    """So many units drawn from the lot of that id; negative: given back to it."""

    lot: str
    units: int

    def as_dict(self) -> dict[str, object]:
        """Return the lot's id and the units for JSON."""
        return {"id": self.lot, "units": self.units}


@dataclass(frozen=True, slots=True)
class Coverage:
    """Where units came from: ``lots`` in the order of drawing, ``uncovered`` what is to be paid by use.

    ``carried`` units met a reversal that had found nothing to give back to, and cost nothing; negative: the
    reversal itself, which waits for such units. All parts of a reversal are negative or 0.
    """

    lots: tuple[Covered, ...]
    uncovered: int
    carried: int

    @property
    def units(self) -> int:
        """All units: what was used, less what was reversed."""
        return sum(each.units for each in self.lots) + self.uncovered + self.carried


@dataclass(frozen=True, slots=True)
class UseDrawn:
    """What covered one use, or what one reversal gave back."""

    at: int
    units: int
    by: Coverage

    def as_dict(self) -> dict[str, object]:
        """Return the use for JSON; its parts add up to its units."""
        return {
            "at": self.at,
            "units": self.units,
            "lots": [each.as_dict() for each in self.by.lots],
            "uncovered": self.by.uncovered,
            "carried": self.by.carried,
        }


@dataclass(frozen=True, slots=True)
class LotDrawn:
    """What became of one lot: ``used + left + lapsed + returned`` are its ``units``, always."""

    id: str
    units: int
    used: int
    left: int
    lapsed: int
    returned: int

    def as_dict(self) -> dict[str, object]:
        """Return what was used, is left and has lapsed for JSON."""
        return {"id": self.id, "used": self.used, "left": self.left, "lapsed": self.lapsed}


@dataclass(frozen=True, slots=True)
class DrawDown:
    """What became of all lots and uses, both in the order in which they were given.

    ``uncovered`` units are to be paid by use. ``owed`` units were reversed and met no use of their period:
    what the customer gets back for them is a credit note, no unit of a lot.
    """

    lots: tuple[LotDrawn, ...]
    uses: tuple[UseDrawn, ...]
    uncovered: int
    owed: int

    def between(self, starts_at: int, ends_at: int) -> Coverage:
        """Return what covered the uses of a period, ``starts_at`` ≤ at < ``ends_at``: what its invoice draws.

        Lots in the order given, without those that gave nothing.
        """
        own = [each.by for each in self.uses if starts_at <= each.at < ends_at]
        drawn = {lot.id: 0 for lot in self.lots}
        for coverage in own:
            for each in coverage.lots:
                drawn[each.lot] += each.units
        lots = tuple(Covered(lot, units) for lot, units in drawn.items() if units)
        return Coverage(lots, sum(each.uncovered for each in own), sum(each.carried for each in own))

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return lots and uncovered units for JSON; ``explain`` adds what covered each use."""
        answer: dict[str, object] = {
            "lots": [each.as_dict() for each in self.lots],
            "uncovered": self.uncovered,
        }
        if explain:
            answer |= {"uses": [each.as_dict() for each in self.uses], "owed": self.owed}
        return answer


def draw(
    lots: Sequence[Lot], uses: Sequence[Use], *, now: int, period_starts: Sequence[int] = ()
) -> DrawDown:
    """Return which lot covered which units, what is left of each ``now``, and what has lapsed.

    Of the lots that cover the moment of a use, the one that ends first is drawn first, then the one that
    started earlier, then by id. The order in which uses are given changes nothing for a lot: they count by
    their moment, at the same moment uses before reversals, then as given. Units left at an ``expires_at`` ≤
    ``now`` have lapsed. ``now`` decides nothing else: a use after it counts too, so that a forecast can be
    drawn like what happened.

    A reversal gives back the units that were drawn last, each to the lot that covered it; what a lot covered
    that has ended meanwhile stays used, and older units are looked at. What finds none makes the next units
    free instead. ``period_starts`` are the moments at which usage periods begin: an invoice covers what was
    before, so a reversal gives back units of its own period only, and frees none of a later one.
    Raises PricingError (params ``lots``, ``lots[i][id]``, ``uses``, ``now``, ``period_starts[i]``).
    """
    _check(lots, uses, now, period_starts)
    stack = _Stack(lots, period_starts)
    drawn: dict[int, UseDrawn] = {}
    for position in sorted(range(len(uses)), key=lambda each: (uses[each].at, uses[each].units < 0)):
        use = uses[position]
        drawn[position] = UseDrawn(use.at, use.units, stack.count(use))
    return DrawDown(
        lots=tuple(_drawn(lot, stack.left[lot.id], now) for lot in lots),
        uses=tuple(drawn[position] for position in range(len(uses))),
        uncovered=sum(each.by.uncovered for each in drawn.values()),
        owed=-sum(each.by.carried for each in drawn.values()),
    )


def _check(lots: Sequence[Lot], uses: Sequence[Use], now: int, period_starts: Sequence[int]) -> None:
    for param, given, maximum in (
        ("lots", lots, MAX_LOTS),
        ("uses", uses, MAX_USES),
        ("period_starts", period_starts, MAX_PERIODS),
    ):
        if len(given) > maximum:
            raise PricingError(f"{param} may have at most {maximum} items.", param)
    whole(now, "now", minimum=0, maximum=MAX_TIME)
    for position, moment in enumerate(period_starts):
        whole(moment, f"period_starts[{position}]", minimum=0, maximum=MAX_TIME)
    seen: set[str] = set()
    for position, lot in enumerate(lots):
        if lot.id in seen:
            param = f"lots[{position}][id]"
            raise PricingError(
                f"{param} must be a lot of its own: {shown(lot.id)} stands there twice.", param
            )
        seen.add(lot.id)


def _order(lot: Lot) -> tuple[int, int, str]:
    return lot.expires_at, lot.starts_at, lot.id


def _drawn(lot: Lot, left: int, now: int) -> LotDrawn:
    lapsed = left if lot.expires_at <= now else 0
    return LotDrawn(lot.id, lot.units, lot.units - lot.returned - left, left - lapsed, lapsed, lot.returned)


class _Stack:
    """What was drawn in the current period, the last on top; ``left`` is what each lot still has."""

    __slots__ = ("_coming", "_drawn", "_lots", "_waiting", "left")

    def __init__(self, lots: Sequence[Lot], period_starts: Sequence[int]) -> None:
        self.left = {lot.id: lot.units - lot.returned for lot in lots}
        self._lots = sorted(lots, key=_order, reverse=True)
        self._coming = sorted(period_starts, reverse=True)
        self._drawn: list[tuple[Lot | None, int]] = []
        self._waiting = 0

    def count(self, use: Use) -> Coverage:
        """Draw the units of a use, or give those of a reversal back; uses come in the order of time."""
        while self._coming and self._coming[-1] <= use.at:
            self._coming.pop()
            self._drawn.clear()
            self._waiting = 0
        # the lots that end first stand last; what has ended is not looked at again
        while self._lots and self._lots[-1].expires_at <= use.at:
            self._lots.pop()
        return self._draw(use.at, use.units) if use.units >= 0 else self._give_back(use.at, -use.units)

    def _draw(self, at: int, units: int) -> Coverage:
        carried = min(units, self._waiting)
        self._waiting -= carried
        rest = units - carried
        covered = []
        for lot in reversed(self._lots):
            if not rest:
                break
            taken = min(rest, self.left[lot.id]) if lot.covers(at) else 0
            if taken:
                rest -= taken
                self.left[lot.id] -= taken
                self._drawn.append((lot, taken))
                covered.append(Covered(lot.id, taken))
        if rest:
            self._drawn.append((None, rest))
        return Coverage(tuple(covered), rest, carried)

    def _give_back(self, at: int, units: int) -> Coverage:
        rest, uncovered = units, 0
        covered: dict[str, int] = {}
        while rest and self._drawn:
            lot, drawn = self._drawn.pop()
            if lot is not None and lot.expires_at <= at:
                continue
            given = min(rest, drawn)
            rest -= given
            if given < drawn:
                self._drawn.append((lot, drawn - given))
            if lot is None:
                uncovered += given
            else:
                self.left[lot.id] += given
                covered[lot.id] = covered.get(lot.id, 0) + given
        self._waiting += rest
        lots = tuple(Covered(lot_id, -given) for lot_id, given in covered.items())
        return Coverage(lots, -uncovered, -rest)
