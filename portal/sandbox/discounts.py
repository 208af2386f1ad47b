"""Discount arithmetic: which line loses how much to which discount.

Discounts of a line come before those of the whole invoice, and each takes from what the one before left.
A percentage is rounded half up per line. An amount over several lines is split in proportion to what is
left of them, every share rounded down, and the last line takes the rest. None of this is recorded; it
follows Stripe's texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Reduction:
    """A discount (its id) with the coupon's terms; `products` are those it applies to, None means all."""

    discount: str
    percent_off: Fraction | None = None
    amount_off: int | None = None
    products: frozenset[str] | None = None


@dataclass(frozen=True)
class Row:
    """What a line brings to the calculation: minor units before discounts and its own discounts."""

    amount: int
    product: str | None = None
    discountable: bool = True
    own: tuple[Reduction, ...] = ()


Taken = list[list[tuple[str, int]]]


def take(rows: Sequence[Row], order: Sequence[Reduction]) -> Taken:
    """Per line the (discount id, minor units) taken off it, in the order of application."""
    taken: Taken = [[] for _ in rows]
    left = [row.amount for row in rows]
    for index, row in enumerate(rows):
        for reduction in row.own:
            if row.discountable and _covers(reduction, row):
                _reduce(reduction, [index], left, taken)
    for reduction in order:
        covered = [
            index
            for index, row in enumerate(rows)
            if row.discountable and row.amount > 0 and _covers(reduction, row)
        ]
        _reduce(reduction, covered, left, taken)
    return taken


def _covers(reduction: Reduction, row: Row) -> bool:
    return reduction.products is None or row.product in reduction.products


def _reduce(reduction: Reduction, indexes: list[int], left: list[int], taken: Taken) -> None:
    amounts = [left[index] for index in indexes]
    for index, share in zip(indexes, _shares(reduction, amounts), strict=True):
        left[index] -= share
        taken[index].append((reduction.discount, share))


def _shares(reduction: Reduction, amounts: list[int]) -> list[int]:
    if reduction.percent_off is not None:
        return [int((amount * reduction.percent_off / 100 + HALF) // 1) for amount in amounts]
    total = sum(amounts)
    off = min(reduction.amount_off or 0, total)
    if total <= 0:
        return [0 for _ in amounts]
    shares = [off * amount // total for amount in amounts]
    left = off - sum(shares)
    # the rest goes to the last line, and where that has no room to the one before it
    for place in reversed(range(len(amounts))):
        more = min(left, amounts[place] - shares[place])
        shares[place] += more
        left -= more
    return shares
