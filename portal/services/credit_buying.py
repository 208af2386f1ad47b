"""Buying a pack while nobody is there: at the price of today, from the default method, or why not."""

import structlog

from portal import pricing
from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeUnknownError
from portal.services import attempts, credit_attempts, credit_purchases, payment_methods, quotes
from portal.services.attempts import StillConfirmingError
from portal.services.checkout import PriceMismatchError
from portal.services.credit_purchases import CreditsUnpaidError, Wanted
from portal.services.payment_actions import StillWorkingError
from portal.services.payments import Declined
from portal.services.undoing import PaymentUnderWayError

log = structlog.get_logger()

BOUGHT, WAITS = "bought", "waits"
# why a pack was not bought; the mail has words for each
DECLINED, CONFIRMATION, METHOD, REFUSED, AMOUNT, TIMES, TAKEN_BACK, UNPAID = (
    "declined", "confirmation", "method", "refused", "amount", "times", "taken_back", "unpaid",
)  # fmt: skip


def buy(gateways: Gateways, workspace_id: int, wanted: Wanted, *, most: int | None = None) -> str:
    """Buy a pack from the default method; BOUGHT, WAITS (somebody buys just now), or why it was not.

    ``most``: what it may cost with tax, in minor units. What was not paid at once is given up, so that
    nothing is charged later that was said not to be. A result that is not known yet raises
    StripeUnknownError or StillConfirmingError: the sweepers finish it.
    """
    with unit_of_work(workspace_id) as session:
        if attempts.live(session, quotes.CREDITS) is not None:
            return WAITS
        method_id = payment_methods.default_id(session)
    if method_id is None:
        return METHOD
    try:
        quote_id = credit_purchases.prepare(gateways, workspace_id, None, wanted)
    except CreditsUnpaidError:
        return UNPAID
    except (ConflictError, PriceMismatchError, pricing.PricingError) as error:
        log.info("pack_not_bought", workspace=workspace_id, reason=str(error))
        return REFUSED
    with unit_of_work(workspace_id) as session:
        total = quotes.load(session, quote_id).total
    if most is not None and total > most:
        _drop(gateways, workspace_id, quote_id)
        return AMOUNT
    return _pay(gateways, workspace_id, quote_id, method_id)


def _pay(gateways: Gateways, workspace_id: int, quote_id: str, method_id: str) -> str:
    try:
        name = credit_purchases.pay(gateways, workspace_id, None, quote_id, method_id).name
    except (StillConfirmingError, StillWorkingError, StripeUnknownError):
        raise
    except Declined as declined:
        asks = "authentication_required" in (
            declined.decline.get("code"),
            declined.decline.get("decline_code"),
        )
        name = CONFIRMATION if asks else DECLINED
    except ConflictError as error:
        log.info("pack_not_paid", workspace=workspace_id, reason=str(error))
        name = REFUSED
    if name in ("paid", "processing"):
        return BOUGHT
    give_up(gateways, workspace_id, quote_id)
    return {"action": CONFIRMATION, "collect": CONFIRMATION}.get(name, name)


def give_up(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    """See that a pack nobody confirmed is not paid any more; money that has moved wins."""
    with unit_of_work(workspace_id) as session:
        attempt = attempts.of_quote(session, quote_id)
    if attempt is None:
        _drop(gateways, workspace_id, quote_id)
        return
    try:
        credit_attempts.abandon(gateways, workspace_id, attempt.id, "cancelled")
    except PaymentUnderWayError:
        log.info("pack_paid_after_all", quote=quote_id)


def _drop(gateways: Gateways, workspace_id: int, quote_id: str) -> None:
    """A price that nobody is going to confirm; its draft is thrown away by the sweeper."""
    with unit_of_work(workspace_id) as session:
        quotes.load(session, quote_id).replaced_at = gateways.clock.now()
