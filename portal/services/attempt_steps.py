"""An attempt taken from step to step, whatever its kind: carried out, taken up again, given up.

Each step can be done again, under the key ``<attempt>:<step>``, and commits what it brought before the next.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeUnknownError
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt, Quote
from portal.services import attempt_states as states
from portal.services import attempts, audit, projections, quotes, second_click
from portal.services.attempts import Confirmation, PurchaseRefusedError, StillConfirmingError
from portal.services.quotes import QuoteChangedError
from portal.services.undoing import PaymentUnderWayError

Step = Callable[[Gateways, Attempt, Quote], None]
CarryOut = Callable[[Gateways, int, str], Confirmation]


@dataclass(frozen=True)
class Way:
    """How attempts of one kind go: what each step does, and how one is undone that is not wanted any more.

    ``start_undoing`` decides on it for a reason (attempt, reason), ``undo`` carries on with it from whichever
    of the steps ``undoing`` it has reached.
    """

    steps: Mapping[str, Step]
    undoing: tuple[str, ...]
    start_undoing: Callable[[int, str, str], None]
    undo: Callable[[Gateways, int, str], None]


def load(workspace_id: int, attempt_id: str) -> tuple[Attempt, Quote]:
    """The attempt and what it carries out."""
    with unit_of_work(workspace_id) as session:
        attempt = attempts.get(session, attempt_id)
        return attempt, quotes.load(session, attempt.quote_id)


def carry_out(gateways: Gateways, way: Way, workspace_id: int, attempt_id: str) -> Confirmation:
    """Take a claimed attempt as far as it goes without the browser, and let it go.

    Raises StillConfirmingError (unknown result), PurchaseRefusedError (definite no) or QuoteChangedError
    (Stripe's invoice is not what was quoted: it is voided, nothing was charged).
    """
    try:
        attempt, quote = load(workspace_id, attempt_id)
        done = ""
        while attempt.step in way.steps and attempt.step != done:
            done = attempt.step
            _do(way.steps[done], gateways, attempt, quote)
            attempt, quote = load(workspace_id, attempt_id)
        if attempt.step in way.undoing:
            way.undo(gateways, workspace_id, attempt_id)
            attempt, _quote = load(workspace_id, attempt_id)
        return attempts.confirmation(gateways, attempt)
    finally:
        states.release(workspace_id, attempt_id)


def wait_for(
    gateways: Gateways,
    workspace_id: int,
    attempt_id: str,
    carry_out: CarryOut,
    *,
    decided: Callable[[Attempt], bool] | None = None,
) -> Attempt:
    """What the first click led to: wait until it is ``decided``, and go on in its place should it have died.

    Raises StillConfirmingError when that takes too long, and what ``carry_out`` raises.
    """
    for _look in second_click.looks():
        attempt, _quote = load(workspace_id, attempt_id)
        if decided(attempt) if decided else attempt.state != states.OPEN:
            return attempt
        if states.claim(workspace_id, attempt_id):
            carry_out(gateways, workspace_id, attempt_id)
            return load(workspace_id, attempt_id)[0]
    raise StillConfirmingError(log=f"attempt {attempt_id} is still being worked on")


def _do(step: Step, gateways: Gateways, attempt: Attempt, quote: Quote) -> None:
    try:
        step(gateways, attempt, quote)
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown


def collect(session: Session, row: Attempt, invoice: Invoice) -> None:
    """What is left to pay is the payer's; where all is paid already nobody has to do anything."""
    states.advance(session, row, states.COLLECT)
    row.collect = "nothing"
    if invoice.status == "open" and invoice.intent_id is not None:
        row.collect, row.stripe_intent_id = "payment", invoice.intent_id
        states.move(session, row, states.AWAITING_PAYMENT, actor=audit.SYSTEM)


def resume(gateways: Gateways, way: Way, workspace_id: int, attempt_id: str) -> None:
    """Take one attempt a step on, whatever it waits for. Nothing happens while somebody works on it."""
    attempt, _quote = load(workspace_id, attempt_id)
    if attempt.step in way.undoing:
        if states.claim(workspace_id, attempt_id):
            try:
                way.undo(gateways, workspace_id, attempt_id)
            finally:
                states.release(workspace_id, attempt_id)
    elif attempt.state == states.OPEN:
        if states.claim(workspace_id, attempt_id):
            carry_out(gateways, way, workspace_id, attempt_id)
    elif attempt.state in states.LIVE and attempt.stripe_invoice_id:
        # a subscription's latest invoice may be another by now
        projections.refresh_invoice(gateways, attempt.stripe_invoice_id)
    elif attempt.state in states.LIVE and attempt.stripe_subscription_id:
        projections.refresh_subscription(gateways, attempt.stripe_subscription_id)


def abandon(gateways: Gateways, way: Way, workspace_id: int, attempt_id: str, reason: str) -> None:
    """Give a live attempt up: its invoice can no longer be paid, everything else stays as it was.

    ``reason``: replaced, expired or cancelled. Raises PaymentUnderWayError when money is on its way or has
    come; StillConfirmingError while somebody works on it or Stripe does not answer.
    """
    _claim(workspace_id, attempt_id)
    attempt, _quote = load(workspace_id, attempt_id)
    try:
        if attempt.state == states.OPEN and attempt.step not in way.undoing:
            try:
                carry_out(gateways, way, workspace_id, attempt_id)
            except (PurchaseRefusedError, QuoteChangedError):
                return  # it had never come into being
            _claim(workspace_id, attempt_id)
        _give_up(gateways, way, workspace_id, attempt_id, reason)
    except StripeUnknownError as unknown:
        raise StillConfirmingError(log=str(unknown)) from unknown


def _claim(workspace_id: int, attempt_id: str) -> None:
    if not states.claim(workspace_id, attempt_id):
        raise StillConfirmingError(log=f"attempt {attempt_id} is being worked on")


def _give_up(gateways: Gateways, way: Way, workspace_id: int, attempt_id: str, reason: str) -> None:
    try:
        attempt, _quote = load(workspace_id, attempt_id)
        if attempt.state not in states.LIVE:
            return
        if attempt.state == states.PROCESSING:
            raise PaymentUnderWayError
        way.start_undoing(workspace_id, attempt_id, reason)
        way.undo(gateways, workspace_id, attempt_id)
    finally:
        states.release(workspace_id, attempt_id)
