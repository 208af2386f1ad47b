"""Carrying out a confirmed change: schedule off, update, compare, collect, plan; and undoing an unpaid one.

The steps of an attempt of kind "change"; each can be done again, under the key ``<attempt>:<step>``.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import Subscription
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import (
    attempt_steps,
    attempts,
    catalogs,
    change_matches,
    change_quotes,
    change_states,
    change_undoing,
    matches,
    planned_changes,
    projections,
    swap_purchases,
)
from portal.services.attempt_steps import Way
from portal.services.attempts import KEY_LIFETIME, Confirmation, PurchaseRefusedError


def carry_out(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """Take a claimed attempt as far as it goes, and let it go. Raises as ``attempt_steps.carry_out``."""
    return attempt_steps.carry_out(gateways, WAY, workspace_id, attempt_id)


def decide(session: Session, gateways: Gateways, quote: Quote, *, user_id: int | None) -> str:
    """Plan a quote that asks for nothing now, beside a change whose debit is on its way; its attempt's id.

    Nothing is paid, so there is nothing to wait for; Stripe's schedule follows.
    """
    now = gateways.clock.now()
    attempt = attempts.begin(
        session, quote, user_id=user_id, now=now, step=states.DONE, state=states.SUCCEEDED
    )
    attempt.claimed_until, attempt.collect = None, "nothing"
    attempt.stripe_subscription_id = str((quote.terms or {})["subscription"])
    planned_changes.replace(session, quote, user_id=user_id)
    change_states.succeed(session, attempt, quote)
    gateways.jobs.defer(session, planned_changes.MIRROR, workspace_id=quote.workspace_id)
    return attempt.id


def _advance(attempt: Attempt, step: str) -> None:
    with unit_of_work(attempt.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step == attempt.step:
            states.advance(session, row, step)


def _release(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """What is planned goes off the subscription, which can be changed then."""
    planned_changes.release(gateways, quote.workspace_id)
    _advance(attempt, states.PLAN if change_quotes.update_of(quote) is None else states.UPDATE)


def _update(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    subscription = _updated(gateways, attempt, quote)
    with unit_of_work(quote.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step != states.UPDATE:
            return
        row.stripe_subscription_id = subscription.id
        if subscription.latest_invoice_id != (quote.terms or {}).get("latest_invoice"):
            row.stripe_invoice_id = subscription.latest_invoice_id
            swap_purchases.billed(session, quote, str(subscription.latest_invoice_id))
        states.advance(session, row, states.COMPARE)


def _updated(gateways: Gateways, attempt: Attempt, quote: Quote) -> Subscription:
    change = change_quotes.update_of(quote, attempt.id)
    if change is None:
        raise ValueError(f"quote {quote.id} changes nothing now")
    if _too_late(quote, attempt, gateways.clock.now()):
        found = gateways.stripe.subscription(change.subscription_id)
        if attempt.id in (found.metadata.get("change"), (found.pending or {}).get("change")):
            return found
        change_undoing.start(quote.workspace_id, attempt.id, "expired", step=states.RESTORE)
        raise PurchaseRefusedError(N_("This change was not completed in time. Nothing was charged."))
    try:
        return gateways.stripe.changes.update(change, key=f"{attempt.id}:{states.UPDATE}")
    except StripeRefusedError as refusal:
        error: dict[str, object] = {
            "code": "refused",
            "stripe_code": refusal.stripe_code,
            "decline_code": refusal.decline_code,
            "message": refusal.message,
        }
        change_undoing.refuse(quote.workspace_id, attempt.id, error)
        change_undoing.undo(gateways, quote.workspace_id, attempt.id)
        raise PurchaseRefusedError(refusal.message, log=str(refusal), param=refusal.param) from refusal


def _too_late(quote: Quote, attempt: Attempt, now: datetime) -> bool:
    """Whether it may not be done any more: the key is forgotten, or the trial that made it free is over."""
    terms = quote.terms or {}
    if terms.get("trialing") and int(now.timestamp()) >= int(str(terms["next_charge_at"])):
        return True
    return bool(now - attempt.created_at > KEY_LIFETIME)


def _compare(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Hold the invoice against the quote before anybody pays it in the browser."""
    invoice = gateways.stripe.invoice(attempt.stripe_invoice_id) if attempt.stripe_invoice_id else None
    with unit_of_work(quote.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step != states.COMPARE:
            return
        if invoice is None:
            row.collect = "nothing"
            states.advance(session, row, states.PLAN)
        else:
            prices = catalogs.keys_of_prices(session, [line.price_id for line in invoice.lines])
            keys = change_quotes.keys(quote, prices)
            found = change_matches.differences(change_matches.quoted(quote), invoice, keys)
            matches.record(session, quote.id, invoice.id, matches.BEFORE_PAYMENT, found)
            if found and invoice.status == "open":
                states.advance(session, row, states.VOID)
                attempts.note_mismatch(session, gateways, row, quote, invoice, found)
                return
            attempt_steps.collect(session, row, invoice)


def _look(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Whatever has been paid moves the attempt on when it is projected."""
    projections.refresh_subscription(gateways, str(attempt.stripe_subscription_id))


def _plan(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """The part that waits for the renewal, then the end."""
    with unit_of_work(quote.workspace_id) as session:
        planned_changes.replace(session, quote, user_id=attempt.created_by)
    planned_changes.mirror_or_report(gateways, quote.workspace_id)
    projections.refresh_subscription(gateways, str((quote.terms or {})["subscription"]))
    with unit_of_work(quote.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step == states.PLAN:
            change_states.succeed(session, row, quote)


def _start_undoing(workspace_id: int, attempt_id: str, reason: str) -> None:
    change_undoing.start(workspace_id, attempt_id, reason, step=states.VOID)


WAY = Way(
    steps={
        states.RELEASE: _release,
        states.UPDATE: _update,
        states.COMPARE: _compare,
        states.COLLECT: _look,
        states.PLAN: _plan,
    },
    undoing=states.UNDOING_CHANGE,
    start_undoing=_start_undoing,
    undo=change_undoing.undo,
)


def resume(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Take one attempt a step on, whatever it waits for. Nothing happens while somebody works on it."""
    attempt_steps.resume(gateways, WAY, workspace_id, attempt_id)


def abandon(gateways: Gateways, workspace_id: int, attempt_id: str, reason: str) -> None:
    """Give a live change up: the subscription stays as it was. Raises as ``attempt_steps.abandon``."""
    attempt_steps.abandon(gateways, WAY, workspace_id, attempt_id, reason)
