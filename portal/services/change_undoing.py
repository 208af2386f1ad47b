"""Undoing a change that was not paid: the invoice is voided, and everything is as it was before.

The invoice goes first: Stripe refuses to void it once money has moved, so whoever was faster wins there.
"""

from typing import Any

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.gateways.stripe_change_words import NONE, SubscriptionChange
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import (
    change_pricing,
    change_quotes,
    change_states,
    holdings,
    notices,
    plan_restoring,
    planned_changes,
    projections,
    quotes,
    unbilled_periods,
)
from portal.services.unbilled_periods import UnbilledPeriod
from portal.services.undoing import REASONS, PaymentUnderWayError

FAILED_DEBIT = N_("Your bank did not pay. Nothing was charged, and your subscription is as it was before.")
FAILED_AFTER_RENEWAL = N_(
    "Your bank did not pay for the days before the renewal, and nothing was charged for them. What you chose"
    " holds since the renewal and is on its invoice."
)
FAILED_AND_BILLED = N_(
    "Your bank did not pay for the change, and nothing was charged for it. You have what you had before. Its"
    " period that has begun meanwhile is billed now, as the renewal would have billed it."
)
FAILED_AND_UNBILLED = N_(
    "Your bank did not pay for the change, and nothing was charged for it. You have what you had before. Its"
    " period that has begun meanwhile is not billed yet. Support has been told, and writes to you before"
    " anything is charged for it."
)
# in the attempt's error: the renewal has billed what was wanted, and there is nothing to take back
RENEWED = "renewed"


def start(workspace_id: int, attempt_id: str, reason: str, *, step: str) -> None:
    """Decide that a claimed attempt is undone, for one of REASONS; committed before Stripe hears of it."""
    with unit_of_work(workspace_id) as session:
        attempt = states.locked(session, attempt_id)
        if attempt.step not in states.UNDOING_CHANGE:
            states.advance(session, attempt, step)
            attempt.error = {"code": reason, "message": REASONS[reason]}


def refuse(workspace_id: int, attempt_id: str, error: dict[str, object]) -> None:
    """Stripe said no: what was planned before comes back, nothing else has happened."""
    with unit_of_work(workspace_id) as session:
        attempt = states.locked(session, attempt_id)
        states.advance(session, attempt, states.RESTORE)
        attempt.error = error


def undo(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Carry on with undoing a claimed attempt, from whichever step it had reached.

    Where the renewal came first, its invoice has billed what was wanted: that stays, and only the time before
    it, for which nothing was given, is not paid. Raises PaymentUnderWayError when money has moved; the
    change then goes on as if nothing had been said.
    """
    attempt, quote = _load(workspace_id, attempt_id)
    if attempt.step == states.VOID:
        if not _voided(gateways, attempt, quote):
            _resume_collecting(gateways, workspace_id, attempt)
            raise PaymentUnderWayError
        _to(workspace_id, attempt_id, states.TAKE_BACK)
        attempt, quote = _load(workspace_id, attempt_id)
    if attempt.step == states.TAKE_BACK:
        _take_back(gateways, attempt, quote)
        _to(workspace_id, attempt_id, states.RESTORE)
        attempt, quote = _load(workspace_id, attempt_id)
    planned_changes.mirror_or_report(gateways, workspace_id)
    projections.refresh_subscription(gateways, str((quote.terms or {})["subscription"]))
    end, error = _end(attempt)
    renewed = bool((attempt.error or {}).get(RENEWED))
    if end == states.FAILED:
        with unit_of_work(workspace_id) as session:
            stays = None if renewed else holdings.planned_row(session)
            on = stays.effective_at if stays else None
            unbilled = unbilled_periods.of(attempt)
            notices.about_unpaid_change(
                session, gateways, attempt_id, renewed=renewed, planned_on=on, unbilled=unbilled
            )
    states.close(workspace_id, attempt_id, end, error)
    if renewed:
        # nothing is held back any more
        projections.refresh_subscription(gateways, str((quote.terms or {})["subscription"]))


def _end(attempt: Attempt) -> tuple[str, dict[str, object] | None]:
    error = attempt.error or {}
    if error.get("code") in ("mismatch", "refused"):
        return states.REFUSED, None
    if error.get("code") == change_states.FAILED:
        return states.FAILED, error | {"message": _message(attempt)}
    return states.ABANDONED, None


def _message(attempt: Attempt) -> str:
    period = unbilled_periods.of(attempt)
    if period is not None:
        return FAILED_AND_UNBILLED if period.total is None else FAILED_AND_BILLED
    return FAILED_AFTER_RENEWAL if (attempt.error or {}).get(RENEWED) else FAILED_DEBIT


def _load(workspace_id: int, attempt_id: str) -> tuple[Attempt, Quote]:
    with unit_of_work(workspace_id) as session:
        attempt = states.locked(session, attempt_id)
        return attempt, quotes.load(session, attempt.quote_id)


def _to(workspace_id: int, attempt_id: str, step: str) -> None:
    with unit_of_work(workspace_id) as session:
        states.advance(session, states.locked(session, attempt_id), step)


def _voided(gateways: Gateways, attempt: Attempt, quote: Quote) -> bool:
    """Whether nobody can pay any more: the open invoice is void, or there is none."""
    if attempt.stripe_invoice_id is None:
        return True
    if attempt.stripe_intent_id:
        intent = gateways.stripe.payment_intent(attempt.stripe_intent_id)
        if intent.status in ("processing", "succeeded"):
            return False
    update = change_quotes.update_of(quote)
    if update is not None and not update.waits:
        # else the subscription would stay past due
        gateways.stripe.changes.give_up_invoice(
            attempt.stripe_invoice_id, key=f"{attempt.id}:give_up_invoice"
        )
    try:
        gateways.stripe.void_invoice(attempt.stripe_invoice_id, key=f"{attempt.id}:{states.VOID}")
    except StripeRefusedError:
        invoice = gateways.stripe.invoice(attempt.stripe_invoice_id)
        return invoice.status in ("void", "uncollectible")
    return True


def _take_back(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Where a debit was to pay, the subscription has changed already: let it be as before."""
    update = change_quotes.update_of(quote)
    if update is None or update.waits:
        return
    projections.refresh_subscription(gateways, update.subscription_id)
    terms: Any = quote.terms or {}
    with unit_of_work(quote.workspace_id) as session:
        held = holdings.holding(session)
        if held is None:
            return
        if int(held.renews_at.timestamp()) > terms["next_charge_at"]:
            row = states.locked(session, attempt.id)
            row.error = (row.error or {}) | {RENEWED: True}
            return
        plan_restoring.take_back(session, quote, held)
    # a schedule would take the items back to what it was made with
    planned_changes.release(gateways, quote.workspace_id)
    wanted = {key: (str(price_id), int(count)) for key, (price_id, count) in terms["undo"]["items"].items()}
    # what is counted is billed with its month, whatever becomes of the change
    items = change_pricing.item_changes(held, wanted, held.rates)
    back = SubscriptionChange(update.subscription_id, items, None, proration=NONE, waits=False)
    period = _unbilled(gateways, attempt, quote, back) if items else unbilled_periods.of(attempt)
    if items:
        change = period.charging(back) if period else back
        # what began since an answer was lost makes another call of it
        since = f":{period.since}" if period else ""
        gateways.stripe.changes.update(change, key=f"{attempt.id}:{states.TAKE_BACK}{since}")
    projections.refresh_subscription(gateways, update.subscription_id)
    with unit_of_work(quote.workspace_id) as session:
        held = holdings.holding(session)
        if held is not None:
            plan_restoring.follow(session, quote, held)
        if period is not None:
            unbilled_periods.settle(session, gateways, quote, period)


def _unbilled(
    gateways: Gateways, attempt: Attempt, quote: Quote, back: SubscriptionChange
) -> UnbilledPeriod | None:
    """The period that going back bills, decided once: a repeated call to Stripe must be the same one."""
    decided = unbilled_periods.of(attempt)
    if decided is not None:
        return decided
    found = unbilled_periods.find(gateways, quote, back)
    if found is not None:
        with unit_of_work(quote.workspace_id) as session:
            row = states.locked(session, attempt.id)
            row.error = (row.error or {}) | {unbilled_periods.PERIOD: found.as_dict()}
    return found


def _resume_collecting(gateways: Gateways, workspace_id: int, attempt: Attempt) -> None:
    with unit_of_work(workspace_id) as session:
        row = states.locked(session, attempt.id)
        row.step, row.error = states.COLLECT, None
        row.state = states.AWAITING_PAYMENT
    projections.refresh_subscription(gateways, str(attempt.stripe_subscription_id))
