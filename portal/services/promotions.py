"""Promotion codes: looked up at Stripe, and turned into the discounts that our own price is reckoned with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.errors import N_, PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_words import PromotionCode
from portal.models import Attempt, Quote
from portal.services import attempt_states

LONGEST_CODE = 100
NOT_VALID = N_("This code is not valid. Check the spelling, or go on without it.")
# a code is used as soon as a purchase is confirmed, paid or not; that it was good for one, nobody tells
USED_BY_WAITING = N_(
    "This code is not valid any more. Your purchase that waits for its payment has it: go on with that"
    " purchase, or go on without the code."
)
USED_BY_UNFINISHED = N_(
    "This code is not valid any more. A purchase of yours that was not finished may have used it up: ask us"
    " for another one, or go on without it."
)


class PromotionCodeError(PortalError):
    """The code cannot be used; the message says why and is shown beside the field."""

    code = "promotion_code"
    status = 422

    def __init__(self, message: str, *, log: str | None = None) -> None:
        super().__init__(message, param="promotion_code", log=log)


class UnknownCodeError(PromotionCodeError):
    """There is no such code, or none that can still be used: Stripe lists neither."""

    def __init__(self) -> None:
        super().__init__(NOT_VALID)


@dataclass(frozen=True)
class Promotion:
    """A valid code with its effect on this purchase."""

    source: PromotionCode
    discounts: tuple[pricing.Discount, ...]

    def as_dict(self) -> dict[str, object]:
        """The stored form; amounts in minor units, percentages as text."""
        source = self.source
        return {
            "code": source.code,
            "promotion_code": source.id,
            "coupon": source.coupon_id,
            "name": source.name,
            "percent_off": None if source.percent_off is None else str(source.percent_off),
            "amount_off": source.amount_off,
            "duration": source.duration,
            "duration_in_months": source.duration_in_months,
        }


def look_up(
    gateways: Gateways,
    code: str,
    *,
    quote: pricing.Quote,
    products: Mapping[str, str],
    customer_id: str,
    trial: bool,
) -> Promotion:
    """The promotion behind ``code`` for a purchase that costs ``quote`` without it.

    ``products``: line key → Stripe's product id. Asks Stripe. Raises PromotionCodeError.
    """
    code = code.strip()
    if not code or len(code) > LONGEST_CODE:
        raise UnknownCodeError
    found = gateways.stripe.find_promotion_code(code)
    if found is None or not found.active or not found.coupon_valid:
        raise UnknownCodeError
    _check(found, quote, customer_id=customer_id, now=int(gateways.clock.now().timestamp()), trial=trial)
    return Promotion(found, _discounts(found, [line.key for line in quote.lines], products))


def own_use(session: Session, code: str) -> str | None:
    """What keeps the workspace from a code that it used for a purchase that is not paid; None: nothing.

    A sentence to show. ``code`` is as it was typed.
    """
    own = (Quote.workspace_id == Attempt.workspace_id) & (Quote.id == Attempt.quote_id)
    used = select(Attempt.state).join(Quote, own).order_by(Attempt.created_at.desc())
    same = func.lower(Quote.promotion["code"].astext) == code.strip().lower()
    state = session.scalars(used.where(same)).first()
    if state in attempt_states.LIVE:
        return USED_BY_WAITING
    return USED_BY_UNFINISHED if state in (attempt_states.ABANDONED, attempt_states.FAILED) else None


def _check(found: PromotionCode, quote: pricing.Quote, *, customer_id: str, now: int, trial: bool) -> None:
    if found.customer_id not in (None, customer_id):
        raise PromotionCodeError(NOT_VALID)
    if found.expires_at is not None and found.expires_at <= now:
        raise PromotionCodeError(N_("This code has expired."))
    if found.currency not in (None, quote.currency):
        raise PromotionCodeError(N_("This code is for another currency."))
    if found.minimum_amount is not None and quote.subtotal < found.minimum_amount:
        raise PromotionCodeError(N_("This code is for larger orders."))
    if trial and found.duration == "once":
        # Stripe would spend it on the trial's empty invoice
        raise PromotionCodeError(N_("This code cannot be combined with a trial. Choose one of the two."))


def _discounts(
    found: PromotionCode, keys: Sequence[str], products: Mapping[str, str]
) -> tuple[pricing.Discount, ...]:
    """The code as discounts on lines, or on the order when it covers all of them."""
    covered = [key for key in keys if not found.product_ids or products[key] in found.product_ids]
    if not covered:
        raise PromotionCodeError(N_("This code is not for anything that you chose."))
    if not found.product_ids and found.duration != "once":
        raise PromotionCodeError(
            NOT_VALID, log=f"coupon {found.coupon_id} has no applies_to: it would discount usage as well"
        )
    if len(covered) == len(keys):
        return (_discount(found, None),)
    if found.amount_off is not None and len(covered) > 1:
        raise PromotionCodeError(N_("This code cannot be used with this combination of add-ons."))
    return tuple(_discount(found, key) for key in covered)


def _discount(found: PromotionCode, line: str | None) -> pricing.Discount:
    return pricing.Discount(line, percent_off=found.percent_off, amount_off=found.amount_off)
