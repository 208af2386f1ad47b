"""Carrying out a confirmed pack: its draft becomes final, is compared, and waits for its payment.

The steps of an attempt of kind "credits"; each can be done again, under the key ``<attempt>:<step>``.
"""

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import (
    attempt_steps,
    attempts,
    credit_matches,
    credit_purchase_states,
    matches,
    payment_actions,
    projections,
    quotes,
    undoing,
)
from portal.services.attempt_steps import Way
from portal.services.attempts import Confirmation, PurchaseRefusedError
from portal.services.credit_purchase_kinds import BY_ITSELF


def carry_out(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """Take a claimed attempt as far as the payment, and let it go. Raises as ``attempt_steps.carry_out``."""
    return attempt_steps.carry_out(gateways, WAY, workspace_id, attempt_id)


def _finalize(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """The draft that was quoted becomes an invoice; one that is final already is gone on with."""
    invoice_id = str((quote.terms or {})["draft"])
    try:
        gateways.stripe.invoices.finalize(invoice_id, key=f"{attempt.id}:{states.FINALIZE}")
    except StripeRefusedError as refusal:
        if refusal.missing or gateways.stripe.invoice(invoice_id).status == "draft":
            _refuse(attempt, refusal)
            raise PurchaseRefusedError(refusal.message, log=str(refusal)) from refusal
    with unit_of_work(attempt.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step == states.FINALIZE:
            row.stripe_invoice_id = invoice_id
            states.advance(session, row, states.COMPARE)


def _refuse(attempt: Attempt, refusal: StripeRefusedError) -> None:
    error: dict[str, object] = {
        "code": refusal.stripe_code,
        "decline_code": refusal.decline_code,
        "message": refusal.message,
    }
    states.close(attempt.workspace_id, attempt.id, states.REFUSED, error)
    with unit_of_work(attempt.workspace_id) as session:
        # its draft is no more to be had: the sweeper throws it away
        quotes.load(session, attempt.quote_id).replaced_at = attempt.created_at
        purchase = credit_purchase_states.of_quote(session, attempt.quote_id)
        if purchase is not None and purchase.state == credit_purchase_states.PAYING:
            credit_purchase_states.move(session, purchase, credit_purchase_states.OPEN)


def _compare(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Hold the invoice against the quote before anybody can pay it; then our rows know it."""
    invoice = gateways.stripe.invoice(str(attempt.stripe_invoice_id))
    with unit_of_work(quote.workspace_id) as session:
        row = states.locked(session, attempt.id)
        if row.step != states.COMPARE:
            return
        found = matches.differences(matches.quoted(quote), invoice, credit_matches.keys(invoice))
        matches.record(session, quote.id, invoice.id, matches.BEFORE_PAYMENT, found)
        if found and invoice.status == "open":
            states.advance(session, row, states.VOID)
            attempts.note_mismatch(session, gateways, row, quote, invoice, found)
            return
        attempt_steps.collect(session, row, invoice)
    projections.refresh_invoice(gateways, invoice.id)


def _look(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Whatever has been paid moves the attempt on when it is projected."""
    projections.refresh_invoice(gateways, str(attempt.stripe_invoice_id))


def _undo(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Void the invoice of a claimed attempt, and let our rows follow; money that has moved wins.

    Raises PaymentUnderWayError then: the purchase goes on as if nothing had been said.
    """
    try:
        undoing.undo(gateways, workspace_id, attempt_id)
    finally:
        attempt, _quote = attempt_steps.load(workspace_id, attempt_id)
        projections.refresh_invoice(gateways, str(attempt.stripe_invoice_id))


WAY = Way(
    steps={states.FINALIZE: _finalize, states.COMPARE: _compare, states.COLLECT: _look},
    undoing=states.UNDOING,
    start_undoing=undoing.start,
    undo=_undo,
)


def resume(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Take one attempt a step on, whatever it waits for. Nothing happens while somebody works on it.

    One that was not paid while its price held is given up, and so is one that was bought by itself and that
    a crash left unpaid; a debit that is on its way is waited for.
    """
    attempt_steps.resume(gateways, WAY, workspace_id, attempt_id)
    attempt, quote = attempt_steps.load(workspace_id, attempt_id)
    if attempt.state != states.AWAITING_PAYMENT or attempt.step != states.COLLECT:
        return
    if gateways.clock.now() >= quote.expires_at or _nobody_pays(attempt):
        abandon(gateways, workspace_id, attempt_id, "expired")


def _nobody_pays(attempt: Attempt) -> bool:
    """Whether it was bought by itself, and no payment of it was begun."""
    with unit_of_work(attempt.workspace_id) as session:
        purchase = credit_purchase_states.of_quote(session, attempt.quote_id)
        by_itself = purchase is not None and purchase.kind in BY_ITSELF
        return by_itself and payment_actions.paying(session, str(attempt.stripe_invoice_id)) is None


def abandon(gateways: Gateways, workspace_id: int, attempt_id: str, reason: str) -> None:
    """Give a live attempt up: its invoice can no longer be paid. Raises as ``attempt_steps.abandon``."""
    attempt_steps.abandon(gateways, WAY, workspace_id, attempt_id, reason)
