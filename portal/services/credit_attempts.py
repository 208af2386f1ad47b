"""Carrying out a confirmed pack: its draft becomes final, is compared, and waits for its payment.

The steps of an attempt of kind "credits"; each can be done again, under the key ``<attempt>:<step>``.
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import (
    attempts,
    audit,
    credit_matches,
    credit_purchase_states,
    matches,
    projections,
    quotes,
    undoing,
)
from portal.services.attempts import Confirmation, PurchaseRefusedError, StillConfirmingError
from portal.services.quotes import QuoteChangedError

Step = Callable[[Gateways, Attempt, Quote], None]


def carry_out(gateways: Gateways, workspace_id: int, attempt_id: str) -> Confirmation:
    """Take a claimed attempt as far as the payment, and let it go.

    Raises StillConfirmingError (unknown result), PurchaseRefusedError (definite no) or QuoteChangedError
    (Stripe's invoice is not what was quoted: it is voided, nothing was charged).
    """
    try:
        attempt, quote = _load(workspace_id, attempt_id)
        done = ""
        while attempt.step in STEPS and attempt.step != done:
            done = attempt.step
            _step(gateways, attempt, quote)
            attempt, quote = _load(workspace_id, attempt_id)
        if attempt.step == states.VOID:
            _undo(gateways, workspace_id, attempt_id)
            attempt, _ = _load(workspace_id, attempt_id)
        return attempts.confirmation(gateways, attempt)
    finally:
        states.release(workspace_id, attempt_id)


def _step(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    try:
        STEPS[attempt.step](gateways, attempt, quote)
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown


def _load(workspace_id: int, attempt_id: str) -> tuple[Attempt, Quote]:
    with unit_of_work(workspace_id) as session:
        attempt = attempts.get(session, attempt_id)
        return attempt, quotes.load(session, attempt.quote_id)


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
        _collect(session, row, invoice)
    projections.refresh_invoice(gateways, invoice.id)


def _collect(session: Session, row: Attempt, invoice: Invoice) -> None:
    """What is left to pay is the payer's; where the balance has paid it all nobody has to do anything."""
    states.advance(session, row, states.COLLECT)
    row.collect = "nothing"
    if invoice.status == "open" and invoice.intent_id is not None:
        row.collect, row.stripe_intent_id = "payment", invoice.intent_id
        states.move(session, row, states.AWAITING_PAYMENT, actor=audit.SYSTEM)


def _look(gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    """Whatever has been paid moves the attempt on when it is projected."""
    projections.refresh_invoice(gateways, str(attempt.stripe_invoice_id))


STEPS: dict[str, Step] = {states.FINALIZE: _finalize, states.COMPARE: _compare, states.COLLECT: _look}


def _undo(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Void the invoice of a claimed attempt, and let our rows follow; money that has moved wins.

    Raises PaymentUnderWayError then: the purchase goes on as if nothing had been said.
    """
    try:
        undoing.undo(gateways, workspace_id, attempt_id)
    finally:
        attempt, _ = _load(workspace_id, attempt_id)
        projections.refresh_invoice(gateways, str(attempt.stripe_invoice_id))


def resume(gateways: Gateways, workspace_id: int, attempt_id: str) -> None:
    """Take one attempt a step on, whatever it waits for. Nothing happens while somebody works on it.

    One that was not paid while its price held is given up; a debit that is on its way is waited for.
    """
    attempt, _quote = _load(workspace_id, attempt_id)
    if attempt.step in states.UNDOING:
        if states.claim(workspace_id, attempt_id):
            try:
                _undo(gateways, workspace_id, attempt_id)
            finally:
                states.release(workspace_id, attempt_id)
    elif attempt.state == states.OPEN:
        if states.claim(workspace_id, attempt_id):
            carry_out(gateways, workspace_id, attempt_id)
    elif attempt.state in states.LIVE and attempt.stripe_invoice_id:
        projections.refresh_invoice(gateways, attempt.stripe_invoice_id)
    attempt, quote = _load(workspace_id, attempt_id)
    late = gateways.clock.now() >= quote.expires_at
    if late and attempt.state == states.AWAITING_PAYMENT and attempt.step == states.COLLECT:
        abandon(gateways, workspace_id, attempt_id, "expired")


def abandon(gateways: Gateways, workspace_id: int, attempt_id: str, reason: str) -> None:
    """Give a live attempt up: its invoice can no longer be paid.

    ``reason``: replaced, expired or cancelled. Raises PaymentUnderWayError when money is on its way or has
    come; StillConfirmingError while somebody works on it or Stripe does not answer.
    """
    _claim(workspace_id, attempt_id)
    attempt, _quote = _load(workspace_id, attempt_id)
    if attempt.state == states.OPEN and attempt.step in STEPS:
        try:
            carry_out(gateways, workspace_id, attempt_id)
        except (PurchaseRefusedError, QuoteChangedError):
            return  # it had never come into being
        _claim(workspace_id, attempt_id)
    try:
        attempt, _quote = _load(workspace_id, attempt_id)
        if attempt.state in states.LIVE:
            undoing.start(workspace_id, attempt_id, reason)
            _undo(gateways, workspace_id, attempt_id)
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown
    finally:
        states.release(workspace_id, attempt_id)


def _claim(workspace_id: int, attempt_id: str) -> None:
    if not states.claim(workspace_id, attempt_id):
        raise StillConfirmingError(log=f"attempt {attempt_id} is being worked on")
