"""Which events matter, and what each leads to: the object is read again and projected."""

from collections.abc import Callable
from dataclasses import dataclass

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_meters import ERROR_TYPES
from portal.services import (
    adjustments,
    billing_details,
    credit_by_hand,
    credit_disputes,
    incidents,
    meter_errors,
    method_changes,
    notices,
    payment_actions,
    payment_methods,
    projections,
)


@dataclass(frozen=True)
class Handled:
    """What came of an event: one line, and whose it was. ``ours`` False: it concerned nobody here.

    ``read``: what was read with it; events ``told_together`` about these need no reading of their own.
    """

    outcome: str
    workspace_id: int | None = None
    ours: bool = True
    read: frozenset[str] = frozenset()


Handler = Callable[[Gateways, str], Handled]


def _subscription(gateways: Gateways, subscription_id: str) -> Handled:
    return _handled(projections.refresh_subscription(gateways, subscription_id))


def _trial(gateways: Gateways, subscription_id: str) -> Handled:
    """Stripe's word that a trial ends soon counts, whatever a clock of ours says of the same second."""
    handled = _subscription(gateways, subscription_id)
    if handled.workspace_id is not None:
        notices.remind_one(gateways, handled.workspace_id, subscription_id)
    return handled


def _invoice(gateways: Gateways, invoice_id: str) -> Handled:
    return _handled(projections.refresh_invoice(gateways, invoice_id))


def _intent(gateways: Gateways, intent_id: str) -> Handled:
    return _handled(projections.refresh_intent(gateways, intent_id))


def _setup(gateways: Gateways, intent_id: str) -> Handled:
    """A method is saved: for a first purchase, or because somebody added one."""
    asked = payment_actions.of_intent(intent_id)
    if asked is None:
        return _intent(gateways, intent_id)
    action = method_changes.follow_setup(gateways, *asked)
    return Handled(f"the adding of a payment method is {action.state}", action.workspace_id)


def _method(gateways: Gateways, method_id: str) -> Handled:
    return _handled(payment_methods.refresh_method(gateways, method_id))


def _customer(gateways: Gateways, customer_id: str) -> Handled:
    return _handled(payment_methods.refresh(gateways, customer_id))


def _tax_id(gateways: Gateways, tax_id: str) -> Handled:
    answer = billing_details.refresh_tax_id(gateways, tax_id)
    if answer is None:
        return Handled("no tax number of this portal's", ours=False)
    return Handled(f"tax number is {answer[1]}", answer[0])


def _credit_note(gateways: Gateways, credit_note_id: str) -> Handled:
    return _given_back(gateways, adjustments.refresh_credit_note(gateways, credit_note_id))


def _refund(gateways: Gateways, refund_id: str) -> Handled:
    return _given_back(gateways, adjustments.refresh_refund(gateways, refund_id))


def _charge(gateways: Gateways, charge_id: str) -> Handled:
    return _given_back(gateways, adjustments.refresh_charge(gateways, charge_id))


def _given_back(gateways: Gateways, done: projections.Outcome) -> Handled:
    if done.workspace_id is not None and done.invoice_id is not None:
        credit_by_hand.follow(gateways, done.workspace_id, done.invoice_id)
    return _handled(done)


def _dispute(gateways: Gateways, dispute_id: str) -> Handled:
    done = adjustments.refresh_dispute(gateways, dispute_id)
    if done.workspace_id is not None and done.invoice_id is not None:
        credit_disputes.follow(gateways, done.workspace_id, done.invoice_id)
    return _handled(done)


def _not_finalized(gateways: Gateways, invoice_id: str) -> Handled:
    invoice = gateways.stripe.invoice(invoice_id)
    workspace_id = billing_details.workspace_of(invoice.customer_id)
    if workspace_id is None:
        return Handled(projections.NOT_OURS, ours=False)
    with unit_of_work(workspace_id) as session:
        incidents.report(
            session,
            gateways,
            "invoice_not_final",
            dedupe_key=f"invoice_not_final:{invoice_id}",
            workspace_id=workspace_id,
            summary="Stripe could not make an invoice final, so it is not being collected; look at its tax",
            details={"invoice": invoice_id, "tax_status": invoice.tax_status},
        )
    return Handled("invoice is not final", workspace_id)


def _handled(done: projections.Outcome) -> Handled:
    return Handled(done.text, done.workspace_id, ours=done.workspace_id is not None, read=done.read)


def _meter_errors(gateways: Gateways, event_id: str) -> Handled:
    return Handled(meter_errors.take_in(gateways, event_id))


# what an endpoint of API v1 is told
SNAPSHOT_HANDLERS: dict[str, Handler] = {
    "customer.subscription.created": _subscription,
    "customer.subscription.updated": _subscription,
    "customer.subscription.deleted": _subscription,
    "customer.subscription.paused": _subscription,
    "customer.subscription.resumed": _subscription,
    "customer.subscription.trial_will_end": _trial,
    "invoice.finalized": _invoice,
    "invoice.finalization_failed": _not_finalized,
    "invoice.paid": _invoice,
    "invoice.payment_failed": _invoice,
    "invoice.payment_action_required": _invoice,
    "invoice.voided": _invoice,
    "invoice.marked_uncollectible": _invoice,
    "payment_intent.processing": _intent,
    "payment_intent.requires_action": _intent,
    "payment_intent.payment_failed": _intent,
    "payment_intent.succeeded": _intent,
    "setup_intent.succeeded": _setup,
    "setup_intent.setup_failed": _setup,
    "payment_method.attached": _method,
    "payment_method.detached": _method,
    "payment_method.updated": _method,
    "payment_method.automatically_updated": _method,
    "customer.updated": _customer,
    "customer.tax_id.updated": _tax_id,
    "credit_note.created": _credit_note,
    "credit_note.updated": _credit_note,
    "credit_note.voided": _credit_note,
    "refund.created": _refund,
    "refund.updated": _refund,
    "refund.failed": _refund,
    "charge.refunded": _charge,
    "charge.dispute.created": _dispute,
    "charge.dispute.updated": _dispute,
    "charge.dispute.closed": _dispute,
    "charge.dispute.funds_withdrawn": _dispute,
    "charge.dispute.funds_reinstated": _dispute,
}
EVENT_TYPES = tuple(SNAPSHOT_HANDLERS)
# what only API v2 tells; a handler is given the id of the event itself
THIN_HANDLERS: dict[str, Handler] = dict.fromkeys(ERROR_TYPES, _meter_errors)
THIN_EVENT_TYPES = tuple(THIN_HANDLERS)
HANDLERS = SNAPSHOT_HANDLERS | THIN_HANDLERS
# each reads the same things together, whichever of them it is about
_PURCHASE = (_subscription, _invoice, _intent)
_METHODS = (_method, _customer)


def told_together(event_type: str) -> list[str]:
    """The types whose handlers read the same things as that type's."""
    handler = HANDLERS[event_type]
    alike = next((group for group in (_PURCHASE, _METHODS) if handler in group), (handler,))
    return [name for name, other in HANDLERS.items() if other in alike]
