"""The price of a change: what is held becomes what is wanted, at a moment.

The whole old item is credited and the whole new one charged, each line for itself; a credit goes by what was
really billed, a charge by the price, less the discounts that last. Nothing is reckoned from list prices: the
caller says what each unit costs this customer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import rate as checked_rate
from portal.pricing.checks import whole
from portal.pricing.discount import Discount, deduct
from portal.pricing.errors import PricingError
from portal.pricing.money import decimal_text, line_amount, round_half_down
from portal.pricing.periods import containing
from portal.pricing.proration import MAX_ITEM_QUANTITY, MAX_TIME
from portal.pricing.selection import Selection
from portal.pricing.trace import MONEY, RATE, SECONDS, UNITS, Input, Reason, explained

CREDIT = "credit"
DEBIT = "debit"


@dataclass(frozen=True, slots=True)
class Item:
    """So many units at a price: what is held, or what is wanted.

    ``price`` names the price (a lookup key, an id): another name is another price, whatever it costs.
    ``unit_amount`` is Decimal minor units per ``interval``.
    """

    key: str
    description: str
    price: str
    quantity: int
    unit_amount: Decimal
    interval: str

    def __post_init__(self) -> None:
        whole(self.quantity, "quantity", minimum=1, maximum=MAX_ITEM_QUANTITY)
        checked_rate(self.unit_amount, "unit_amount")


@dataclass(frozen=True, slots=True)
class Billed:
    """What was billed for an item's time: ``amount`` (minor units ≥ 0, discounts taken off) for a span."""

    amount: int
    quantity: int
    period_start: int
    period_end: int


@dataclass(frozen=True, slots=True)
class Held:
    """An item with its current period (unix seconds) and what was billed for the time that is left."""

    item: Item
    period_start: int
    period_end: int
    billed: tuple[Billed, ...]


@dataclass(frozen=True, slots=True)
class Lasting:
    """A discount that is on: for those lines (None: for all), until then (None: for good; unix seconds)."""

    discount: Discount
    keys: frozenset[str] | None = None
    ends_at: int | None = None

    def lasts(self, at: int) -> bool:
        """Whether an invoice made at that second still has it."""
        return self.ends_at is None or self.ends_at > at


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """One line of a change: a ``credit`` (``amount`` negative) or a ``debit``, in integer minor units.

    ``amount`` has the discounts in it already, as Stripe's proration lines have; ``unit_amount`` is what a
    unit costs per ``interval`` before them.
    """

    key: str
    description: str
    side: str
    price: str
    quantity: int
    unit_amount: Decimal
    interval: str
    amount: int
    period_start: int
    period_end: int
    trace: tuple[Reason, ...]

    def as_dict(self, *, explain: bool = False) -> dict[str, object]:
        """Return the line for JSON; ``explain`` adds the trace."""
        shape: dict[str, object] = {
            "key": self.key,
            "description": self.description,
            "side": self.side,
            "price": self.price,
            "quantity": self.quantity,
            "unit_amount": decimal_text(self.unit_amount),
            "interval": self.interval,
            "amount": self.amount,
            "discount": 0,
            "total": self.amount,
            "period_start": self.period_start,
            "period_end": self.period_end,
        }
        return shape | explained(self.trace, explain)


@dataclass(frozen=True, slots=True)
class Change:
    """The lines of a change, an item's credits before its debit, and their sum in integer minor units."""

    lines: tuple[ChangeLine, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Recurring:
    """What a period costs: ``amount`` after ``discount``, in integer minor units, without tax and usage."""

    amount: int
    discount: int
    interval: str
    lines: tuple[tuple[Item, int, tuple[Reason, ...]], ...]  # item, its amount after discounts, why

    def net(self, key: str) -> int:
        """What the item of that key costs after discounts; nothing when there is none."""
        return sum(net for item, net, _ in self.lines if item.key == key)

    def as_dict(self) -> dict[str, object]:
        """Return the sum for JSON."""
        return {"amount": self.amount, "discount": self.discount, "interval": self.interval}


def change(
    held: Sequence[Held], wanted: Sequence[Item], *, at: int, anchor: int, lasting: Sequence[Lasting] = ()
) -> Change:
    """Return what turning ``held`` into ``wanted`` at the moment ``at`` credits and charges.

    ``anchor`` is the second from which periods are counted; an item of another interval gets the period of
    that interval around ``at``, and the anchor stays. Items are told apart by their key; one that stays as
    it is makes no line. All times are unix seconds.
    Raises PricingError (params ``wanted``, ``at``, ``anchor``).
    Source: recorded Stripe invoices (see ``prorate``); a credit goes by the debit that it gives back:
    docs.stripe.com/billing/subscriptions/billing-mode/compare.
    """
    whole(at, "at", minimum=0, maximum=MAX_TIME)
    known = {each.item.key: each for each in held}
    after = {each.key: each for each in wanted}
    if not after or len(after) < len(wanted):
        raise PricingError("wanted must hold at least one item, and each key once.", "wanted")
    nets = _nets(tuple(wanted), lasting, at)
    lines: list[ChangeLine] = []
    for key in [*known, *(each for each in after if each not in known)]:
        before, then = known.get(key), after.get(key)
        if before and then and (before.item.price, before.item.quantity) == (then.price, then.quantity):
            continue
        if before:
            lines += [_credit(before.item, billed, at) for billed in before.billed if _left(billed, at)]
        if then:
            lines.append(_debit(then, nets[key], _period(before, then, anchor, at), at))
    return Change(tuple(lines), sum(line.amount for line in lines))


def recurring(wanted: Sequence[Item], *, at: int, lasting: Sequence[Lasting] = ()) -> Recurring:
    """Return what a whole period of these items costs when it begins at ``at``."""
    nets = _nets(tuple(wanted), lasting, at)
    lines = tuple((item, *nets[item.key]) for item in wanted)
    gross = sum(line_amount(item.unit_amount, item.quantity) for item in wanted)
    amount = sum(net for _, net, _ in lines)
    return Recurring(amount, gross - amount, wanted[0].interval, lines)


_Net = tuple[int, tuple[Reason, ...]]


def _nets(wanted: tuple[Item, ...], lasting: Sequence[Lasting], at: int) -> dict[str, _Net]:
    """What a whole period of each item costs after the discounts that last, and why."""
    remaining = {item.key: line_amount(item.unit_amount, item.quantity) for item in wanted}
    reasons = {item.key: [_price(item, remaining[item.key])] for item in wanted}
    for each in lasting:
        keys = [key for key in remaining if each.keys is None or key in each.keys]
        if not keys or not each.lasts(at):
            continue
        for key, taken in _taken(each.discount, {key: remaining[key] for key in keys}).items():
            remaining[key] -= sum(reason.result for reason in taken)
            reasons[key] += taken
    return {key: (remaining[key], tuple(reasons[key])) for key in remaining}


def _taken(discount: Discount, amounts: Mapping[str, int]) -> dict[str, tuple[Reason, ...]]:
    """What the discount takes off each; one that is for a single line is that line's own."""
    line = next(iter(amounts)) if len(amounts) == 1 else None
    return deduct(amounts, [Discount(line, discount.percent_off, discount.amount_off)])


def _price(item: Item, amount: int) -> Reason:
    inputs = (Input("quantity", item.quantity, UNITS), Input("unit_amount", item.unit_amount, RATE))
    return Reason("price", "quantity × unit_amount", inputs, amount)


def _period(before: Held | None, then: Item, anchor: int, at: int) -> tuple[int, int]:
    if before and before.item.interval == then.interval:
        return before.period_start, before.period_end
    return containing(anchor, then.interval, at)


def _left(billed: Billed, at: int) -> bool:
    return billed.amount > 0 and billed.period_end > at


FORMULA = "amount × seconds_left ÷ seconds_in_period"


def _inputs(amount: int, start: int, end: int, at: int) -> tuple[Input, ...]:
    return (
        Input("amount", amount, MONEY),
        Input("seconds_left", end - at, SECONDS),
        Input("seconds_in_period", end - start, SECONDS),
    )


def _credit(item: Item, billed: Billed, at: int) -> ChangeLine:
    start, end = billed.period_start, billed.period_end
    begin = max(at, start)
    amount = round_half_down(-billed.amount * (end - begin), end - start)
    why = Reason("proration_credit", f"-({FORMULA})", _inputs(billed.amount, start, end, begin), amount)
    return _line(item, CREDIT, billed.quantity, (begin, end), (why,))


def _debit(item: Item, net: _Net, period: tuple[int, int], at: int) -> ChangeLine:
    start, end = period
    if not start <= at <= end:
        raise PricingError(f"at must lie in the period from {start} to {end}, not {at}.", "at")
    amount, reasons = net
    # the price may be a fraction of a cent: only the share of it is rounded, what is taken off is whole
    numerator, denominator = item.unit_amount.as_integer_ratio()
    exact = numerator * item.quantity - denominator * (reasons[0].result - amount)
    result = round_half_down(exact * (end - at), denominator * (end - start))
    why = Reason("proration_debit", FORMULA, _inputs(amount, start, end, at), result)
    return _line(item, DEBIT, item.quantity, (at, end), (*reasons, why))


def _line(
    item: Item, side: str, quantity: int, period: tuple[int, int], trace: tuple[Reason, ...]
) -> ChangeLine:
    return ChangeLine(
        key=item.key,
        description=item.description,
        side=side,
        price=item.price,
        quantity=quantity,
        unit_amount=item.unit_amount,
        interval=item.interval,
        amount=trace[-1].result,
        period_start=period[0],
        period_end=period[1],
        trace=trace,
    )


def split(
    before: Selection, wanted: Selection, *, tiers: Sequence[str], all_now: bool = False
) -> tuple[Selection, Selection | None]:
    """Return what is to be had now, and what from the renewal on (None: nothing changes there).

    More takes effect now and less at the renewal: a higher tier (``tiers``: lowest first), more seats, more
    of an add-on; fewer of them, a lower tier and a year that becomes a month wait. A month that becomes a
    year takes everything along now, as a whole year would be paid for what is given up otherwise. A tier
    that is not among ``tiers`` (another catalogue's) becomes the wanted one now. ``all_now``: nothing waits.
    """
    before, wanted = plain(before), plain(wanted)
    if all_now or (before.interval, wanted.interval) == ("month", "year"):
        return wanted, None
    now = Selection(
        tier=_higher(before.tier, wanted.tier, tiers),
        seats=max(before.seats, wanted.seats),
        interval=before.interval,
        add_ons={
            key: max(before.add_ons.get(key, 0), wanted.add_ons.get(key, 0))
            for key in [*before.add_ons, *(key for key in wanted.add_ons if key not in before.add_ons)]
        },
    )
    return now, None if same(now, wanted) else wanted


def still_planned(
    planned: Selection, made: Selection, before: Selection, *, tiers: Sequence[str]
) -> Selection:
    """Return what stays planned when the change that made ``made`` of ``before`` is taken back.

    What was planned as that change had made it is as before; what was given up beside it stays given up. None
    of it is more than there is now: a higher tier, a seat or an add-on that was never paid does not come with
    the renewal, nor do add-ons for more seats than stay. ``tiers``: lowest first.
    """
    planned, made, before = plain(planned), plain(made), plain(before)
    seats = _less(planned.seats, made.seats, before.seats)
    ranks = {tier: rank for rank, tier in enumerate(tiers)}
    given_up = planned.tier != made.tier and ranks.get(planned.tier, len(tiers)) < ranks[before.tier]
    add_ons = {
        key: min(_less(planned.add_ons.get(key, 0), made.add_ons.get(key, 0), count), seats)
        for key, count in before.add_ons.items()
    }
    return plain(
        Selection(
            tier=planned.tier if given_up else before.tier,
            seats=seats,
            interval=before.interval if planned.interval == made.interval else planned.interval,
            add_ons=add_ons,
        )
    )


def _less(planned: int, made: int, before: int) -> int:
    return before if planned == made else min(planned, before)


def _higher(before: str, wanted: str, tiers: Sequence[str]) -> str:
    if before in tiers and wanted in tiers and tiers.index(before) > tiers.index(wanted):
        return before
    return wanted


def plain(selection: Selection) -> Selection:
    """Return the selection without zeros and without expected usage."""
    add_ons = {key: count for key, count in selection.add_ons.items() if count}
    return Selection(selection.tier, selection.seats, selection.interval, add_ons)


def same(one: Selection, other: Selection) -> bool:
    """Whether both buy the same; expected usage and zeros make no difference."""
    one, other = plain(one), plain(other)
    return (one.tier, one.seats, one.interval, dict(one.add_ons)) == (
        other.tier,
        other.seats,
        other.interval,
        dict(other.add_ons),
    )
