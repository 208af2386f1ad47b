"""Discounts per line and per order: the line's first, then the order's, in the order they were given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from portal.pricing.checks import percentage, shown, text, whole
from portal.pricing.errors import PricingError
from portal.pricing.money import round_half_up
from portal.pricing.trace import MONEY, PERCENT, Input, Reason

MAX_AMOUNT_OFF = 10**12


@dataclass(frozen=True, slots=True)
class Discount:
    """A percentage or an amount off one line or the whole order.

    ``percent_off`` (Decimal, above 0, at most 100) or ``amount_off`` (integer minor units, at least 1) is
    set. ``line`` is the key of the line it is for (``seat``, ``copilot`` …); None is an order discount, on
    all seats and add-ons. Usage is never discounted.
    Raises PricingError (params ``line``, ``percent_off``, ``amount_off``).
    """

    line: str | None
    percent_off: Decimal | None = None
    amount_off: int | None = None

    def __post_init__(self) -> None:
        if self.line is not None:
            text(self.line, "line")
        if self.percent_off is not None and self.amount_off is not None:
            raise PricingError(
                "Received both percent_off and amount_off. Please pass in only one.", "percent_off"
            )
        if self.percent_off is not None:
            percentage(self.percent_off, "percent_off")
        elif self.amount_off is not None:
            whole(self.amount_off, "amount_off", minimum=1, maximum=MAX_AMOUNT_OFF)
        else:
            raise PricingError("A discount needs percent_off or amount_off.", "percent_off")


def deduct(amounts: Mapping[str, int], discounts: Sequence[Discount]) -> dict[str, tuple[Reason, ...]]:
    """Return for every line what each discount takes off it: reasons whose results (minor units ≥ 0) add up.

    ``amounts``: the gross amounts by line key, in the order of the invoice. Line discounts come first, then
    order discounts; each applies to what the ones before it left, so no line falls below zero. A percentage
    is rounded per line, a tie upward; an amount for the whole order is shared out by ``spread()``.
    Raises PricingError (param ``discounts[i][line]``) for a line that is not in ``amounts``.
    Source: Stripe discounts (docs: billing/subscriptions/coupons); recorded: 50 % off 1900 is 950, per
    line. The direction of a tie, and an amount over several lines, are to be confirmed against Stripe's
    test mode.
    """
    remaining = dict(amounts)
    reasons: dict[str, list[Reason]] = {key: [] for key in amounts}
    for position, discount in enumerate(discounts):
        if discount.line is not None and discount.line not in amounts:
            named = shown(discount.line)
            message = f"No such line to discount: {named}. This quote has {', '.join(amounts)}."
            raise PricingError(message, f"discounts[{position}][line]")
    for discount in sorted(discounts, key=lambda each: each.line is None):
        for key, reason in _shares(discount, remaining):
            remaining[key] -= reason.result
            reasons[key].append(reason)
    return {key: tuple(own) for key, own in reasons.items()}


def _shares(discount: Discount, remaining: Mapping[str, int]) -> list[tuple[str, Reason]]:
    keys = tuple(remaining) if discount.line is None else (discount.line,)
    scope = "order" if discount.line is None else "line"
    if discount.percent_off is not None:
        return [(key, _percent_reason(scope, remaining[key], discount.percent_off)) for key in keys]
    before = [remaining[key] for key in keys]
    amount_off = discount.amount_off or 0
    shares = spread(amount_off, before)
    return [
        (key, _amount_reason(scope, amount_off, left, sum(before), share))
        for key, left, share in zip(keys, before, shares, strict=True)
    ]


def spread(amount: int, over: Sequence[int]) -> list[int]:
    """Share out ``amount`` in proportion to ``over``: each share floored, the rest to the last.

    All are integer minor units ≥ 0. At most the sum of ``over`` is given out and no share exceeds its part:
    cents that the last has no room for go to the one before it, and so on.
    Source: Stripe, documented only ($5 over $10 and $20 is 166 and 334); to be confirmed against its test
    mode.
    """
    whole_sum = sum(over)
    amount = min(amount, whole_sum)
    if not amount:
        return [0 for _ in over]
    shares = [amount * part // whole_sum for part in over]
    rest = amount - sum(shares)
    for position in reversed(range(len(shares))):
        more = min(rest, over[position] - shares[position])
        shares[position] += more
        rest -= more
    return shares


def _percent_reason(scope: str, base: int, percent_off: Decimal) -> Reason:
    numerator, denominator = percent_off.as_integer_ratio()
    inputs = (Input("amount", base, MONEY), Input("percent_off", percent_off, PERCENT))
    result = round_half_up(base * numerator, 100 * denominator)
    return Reason(f"{scope}_percent", "amount × percent_off ÷ 100", inputs, result)


def _amount_reason(scope: str, amount_off: int, base: int, order: int, share: int) -> Reason:
    inputs = (Input("amount_off", amount_off, MONEY), Input("amount", base, MONEY))
    if scope == "line":
        return Reason("line_amount", "min(amount_off, amount)", inputs, share)
    formula = "min(amount_off, order) × amount ÷ order, rounded down, the rest to the last line"
    return Reason("order_amount", formula, (*inputs, Input("order", order, MONEY)), share)
