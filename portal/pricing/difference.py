"""Why a bill is not what the one before was: parts that add up to the difference, to the minor unit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.catalog import SEAT
from portal.pricing.checks import whole
from portal.pricing.money import MAX_AMOUNT, line_amount

SEATS, ADD_ONS, PRICES, USAGE, ONE_OFFS = "seats", "add_ons", "prices", "usage", "one_offs"
DISCOUNTS, CREDITS, TAX, BALANCE, REST = "discounts", "credits", "tax", "balance", "rest"
# the order in which the parts are told
PARTS = (SEATS, ADD_ONS, PRICES, USAGE, ONE_OFFS, DISCOUNTS, CREDITS, TAX, BALANCE, REST)
LICENSED, METERED, ONCE = "licensed", "metered", "once"


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of a bill: ``kind`` is licensed (billed ahead for a whole period), metered or once.

    ``amount`` (minor units) is before discount and tax; ``unit_amount`` (Decimal minor units) None: unknown.
    """

    key: str
    kind: str
    amount: int
    quantity: int | None = None
    unit_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """A bill as it asks for money: lines, what is off (``discount`` ≥ 0), tax, and what is due in the end.

    ``credits`` ≥ 0 were paid before by packs. ``due`` differs from lines − discount − credits + tax by what
    came from or went to the balance. All minor units.
    Raises PricingError (param of the amount) for what is no amount.
    """

    lines: tuple[BillLine, ...]
    discount: int
    tax: int
    total: int
    due: int
    credits: int = 0

    def __post_init__(self) -> None:
        for name in ("discount", "tax", "total", "due", "credits"):
            whole(getattr(self, name), name, minimum=-MAX_AMOUNT, maximum=MAX_AMOUNT)


@dataclass(frozen=True, slots=True)
class Part:
    """One cause: how much more (or less) is due because of it, in minor units; ``key`` names what is sold.

    For seats and add-ons ``before`` and ``after`` are quantities, else nothing.
    """

    cause: str
    amount: int
    key: str | None = None
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """From ``before`` to ``after`` (both what is due); the parts that are not nothing, in their order."""

    before: int
    after: int
    parts: tuple[Part, ...]

    @property
    def amount(self) -> int:
        """How much more is due: exactly the sum of the parts."""
        return self.after - self.before


def difference(before: Bill, after: Bill) -> Difference:
    """Return why ``after`` asks for another amount than ``before``.

    Another quantity is reckoned at the price before; whatever else changed on such a line is its price.
    What lines, discounts, credits and taxes leave unexplained of a bill's total is told as a rest.
    """
    parts = _of_quantities_and_prices(_licensed(before), _licensed(after))
    changes = (
        (USAGE, lambda bill: _sum(bill, METERED)),
        (ONE_OFFS, lambda bill: _sum(bill, ONCE)),
        (DISCOUNTS, lambda bill: -bill.discount),
        (CREDITS, lambda bill: -bill.credits),
        (TAX, lambda bill: bill.tax),
        (BALANCE, lambda bill: bill.due - bill.total),
        (REST, _rest),
    )
    parts += [Part(cause, _change(of, before, after)) for cause, of in changes]
    told = sorted((part for part in parts if part.amount), key=lambda part: PARTS.index(part.cause))
    return Difference(before.due, after.due, tuple(told))


def _change(of: Callable[[Bill], int], before: Bill, after: Bill) -> int:
    return of(after) - of(before)


def _sum(bill: Bill, kind: str) -> int:
    return sum(line.amount for line in bill.lines if line.kind == kind)


def _rest(bill: Bill) -> int:
    return bill.total - (sum(line.amount for line in bill.lines) - bill.discount - bill.credits + bill.tax)


def _licensed(bill: Bill) -> dict[str, BillLine]:
    """What is billed ahead, by key; several lines of one key count as one without a price."""
    found: dict[str, BillLine] = {}
    for line in bill.lines:
        if line.kind == LICENSED:
            known = found.get(line.key)
            found[line.key] = line if known is None else _together(known, line)
    return found


def _together(one: BillLine, other: BillLine) -> BillLine:
    quantity = (one.quantity or 0) + (other.quantity or 0)
    return BillLine(one.key, LICENSED, one.amount + other.amount, quantity)


def _of_quantities_and_prices(before: Mapping[str, BillLine], after: Mapping[str, BillLine]) -> list[Part]:
    parts: list[Part] = []
    for key in _keys(before, after):
        old, new = before.get(key), after.get(key)
        cause = SEATS if key == SEAT else ADD_ONS
        counts = (old.quantity or 0 if old else 0), (new.quantity or 0 if new else 0)
        amount = (new.amount if new else 0) - (old.amount if old else 0)
        counted = _by_quantity(old, new, amount)
        parts += [Part(cause, counted, key, *counts), Part(PRICES, amount - counted, key)]
    return parts


def _by_quantity(old: BillLine | None, new: BillLine | None, amount: int) -> int:
    """How much of a change comes from the quantity: all of it where something came or went."""
    if old is None or new is None:
        return amount
    if old.unit_amount is None or old.quantity is None or new.quantity is None:
        return 0
    return line_amount(old.unit_amount, new.quantity) - line_amount(old.unit_amount, old.quantity)


def _keys(before: Iterable[str], after: Iterable[str]) -> list[str]:
    return sorted({*before, *after}, key=lambda key: (key != SEAT, key))
