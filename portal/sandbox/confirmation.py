"""What happens when a payment intent is confirmed: charged, declined, authenticated, debited, redirected.

Nothing here raises for a decline: the answer is an `Outcome` that holds the intent as it now is and the error
to answer with. An intent that belongs to an invoice tells billing (`invoices.payment_…`) how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from portal.sandbox import charges, intents, mandates, methods, next_payment, payment_methods
from portal.sandbox.cards import ALWAYS, NEVER, UNLESS_SET_UP, Card
from portal.sandbox.declines import card_error
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.events import public
from portal.sandbox.origin import origin
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

AUTHENTICATION_FAILED = "payment_intent_authentication_failure"
CARD_NOT_AUTHENTICATED = (
    "We are unable to authenticate your payment method. "
    "Please choose a different payment method and try again."
)
REDIRECT_NOT_AUTHORISED = (
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
    "PaymentMethod to attempt to fulfill this PaymentIntent again."
)
DEBIT_DAYS = 4
DAY = 86_400


@dataclass(frozen=True)
class Outcome:
    """The intent after a step, and the error that the step answers with when it did not go through."""

    intent: Document
    error: StripeError | None = None

    @property
    def status(self) -> str:
        return self.intent["status"]


def confirm(
    sandbox: Sandbox, intent: Document, method: Document, *, on_session: bool, return_url: str | None = None
) -> Outcome:
    """Try to take the intent's amount with a method; `on_session`: the customer is there."""
    intent = intents.change(
        sandbox,
        intent,
        payment_method=method["id"],
        last_payment_error=None,
        next_action=None,
        _authenticated=False,
    )
    if method["type"] == "us_bank_account":
        return _debit(sandbox, intent, method)
    if forced := next_payment.take(sandbox):
        return _forced(sandbox, intent, method, forced, on_session, return_url)
    if method["type"] in methods.REDIRECTING:
        if on_session:
            return _redirect(sandbox, intent, return_url)
        return _succeed(sandbox, intent, method)
    card = methods.test_card(method)
    assert card
    if needs_authentication(card, method, on_session):
        if on_session:
            return _challenge(sandbox, intent, return_url)
        return _decline(sandbox, intent, method, "authentication_required", charged=False)
    return _charge(sandbox, intent, method, card)


def needs_authentication(card: Card, method: Document, on_session: bool) -> bool:
    """Whether this card asks for 3-D Secure now (docs.stripe.com/testing#regulatory-cards)."""
    if card.authentication == NEVER:
        return False
    if on_session or card.authentication == ALWAYS:
        return True
    return card.authentication == UNLESS_SET_UP and not method.get("_set_up")


def _forced(
    sandbox: Sandbox,
    intent: Document,
    method: Document,
    outcome: str,
    on_session: bool,
    return_url: str | None,
) -> Outcome:
    """The outcome that somebody chose on the control page for the next payment."""
    if outcome == "requires_action" and on_session:
        return _challenge(sandbox, intent, return_url)
    if outcome == "requires_action":
        return _decline(sandbox, intent, method, "authentication_required", charged=False)
    return _decline(sandbox, intent, method, outcome)


def authenticate(sandbox: Sandbox, intent: Document, *, passed: bool) -> Outcome:
    """The customer passed or failed 3-D Secure, or authorised or refused at the redirect method."""
    if intent["status"] != "requires_action":
        raise intents.unexpected_state(
            sandbox,
            intent,
            f"This PaymentIntent does not wait for an action: its status is {intent['status']}.",
        )
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    assert method
    card = methods.test_card(method)
    if not passed:
        message = CARD_NOT_AUTHENTICATED if card else REDIRECT_NOT_AUTHORISED
        error = invalid(message, code=AUTHENTICATION_FAILED)
        return _fail(sandbox, intent, method, error)
    intent = intents.change(sandbox, intent, next_action=None, _authenticated=True)
    if card:
        return _charge(sandbox, intent, method, card)
    return _succeed(sandbox, intent, method)


def _charge(sandbox: Sandbox, intent: Document, method: Document, card: Card) -> Outcome:
    method = payment_methods.with_checks(method, card.cvc_check)
    sandbox.store.put(methods.KIND, method)
    # 3178: declined after authentication, and off session too, where it counts as authenticated.
    reason = (
        card.decline or card.decline_authenticated or (card.decline_charge if intent["customer"] else None)
    )
    if reason:
        return _decline(sandbox, intent, method, reason)
    return _succeed(sandbox, intent, method)


def _succeed(sandbox: Sandbox, intent: Document, method: Document) -> Outcome:
    manual = intent["capture_method"] == "manual"
    charge = charges.succeeded(sandbox, intent, method, captured=not manual)
    keep(sandbox, intent, method)
    if manual:
        intent = intents.change(
            sandbox,
            intent,
            "amount_capturable_updated",
            status="requires_capture",
            amount_capturable=intent["amount"],
            latest_charge=charge["id"],
            next_action=None,
        )
        return Outcome(intent)
    return Outcome(complete(sandbox, intent, charge))


def complete(sandbox: Sandbox, intent: Document, charge: Document) -> Document:
    """The money is here: the intent has succeeded, and the invoice it was for is told."""
    from portal.sandbox import invoices, payments

    intent = intents.change(
        sandbox,
        intent,
        "succeeded",
        status="succeeded",
        amount_received=charge["amount_captured"],
        amount_capturable=0,
        latest_charge=charge["id"],
        next_action=None,
        processing=None,
    )
    if invoice := intent.get("_invoice"):
        payments.save_default(sandbox, intent)
        invoices.payment_succeeded(sandbox, invoice, intent)
    return intent


def keep(sandbox: Sandbox, intent: Document, method: Document) -> None:
    """Attach the method to the customer when the intent will use it again; else it is used up."""
    if not (intent["setup_future_usage"] and intent["customer"]):
        sandbox.store.put(methods.KIND, {**method, "_spent": method["customer"] is None})
        return
    set_up = method.get("_set_up") or intent["setup_future_usage"] == "off_session"
    payment_methods.attach(sandbox, {**method, "_set_up": set_up}, intent["customer"])
    if method["customer"] and set_up:
        sandbox.store.put(methods.KIND, {**method, "_set_up": True})


def _decline(
    sandbox: Sandbox, intent: Document, method: Document, reason: str, *, charged: bool = True
) -> Outcome:
    extra: dict[str, Any] = {}
    if charged:
        charge = charges.failed(sandbox, intent, method, reason)
        intent = intents.change(sandbox, intent, latest_charge=charge["id"])
        extra["charge"] = charge["id"]
    return _fail(sandbox, intent, method, card_error(reason, **extra))


def _fail(sandbox: Sandbox, intent: Document, method: Document, error: StripeError) -> Outcome:
    """As recorded: the method is taken off the intent, and the intent remembers the error."""
    from portal.sandbox import invoices

    error.keep = True
    shown = public(method)
    intent = intents.change(
        sandbox,
        intent,
        "payment_failed",
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        processing=None,
        last_payment_error={**error.body(), "payment_method": shown},
    )
    if invoice := intent.get("_invoice"):
        invoices.payment_failed(sandbox, invoice, intent)
    error.extra.update(payment_intent=intents.embedded(sandbox, intent), payment_method=shown)
    return Outcome(intent, error)


def _challenge(sandbox: Sandbox, intent: Document, return_url: str | None) -> Outcome:
    """3-D Secure: in a dialog of Stripe.js, or on a page of its own when the server confirmed with a
    return_url.
    """
    address = page_address(sandbox, "challenge", intent)
    if return_url:
        action = {"redirect_to_url": {"return_url": return_url, "url": address}, "type": "redirect_to_url"}
    else:
        details = {"type": "three_d_secure_redirect", "stripe_js": address}
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": details}
    return _wait(sandbox, intent, action, return_url)


def _redirect(sandbox: Sandbox, intent: Document, return_url: str | None) -> Outcome:
    if not return_url:
        error = invalid(
            "You must provide a `return_url` when confirming using this payment method type.", "return_url"
        )
        return Outcome(intent, error)
    target = {"return_url": return_url, "url": page_address(sandbox, "authorize", intent)}
    return _wait(sandbox, intent, {"redirect_to_url": target, "type": "redirect_to_url"}, return_url)


def _wait(sandbox: Sandbox, intent: Document, action: Document, return_url: str | None) -> Outcome:
    from portal.sandbox import invoices

    intent = intents.change(
        sandbox,
        intent,
        "requires_action",
        status="requires_action",
        next_action=action,
        _return_url=return_url,
    )
    if invoice := intent.get("_invoice"):
        invoices.payment_action_required(sandbox, invoice, intent)
    return Outcome(intent)


def page_address(sandbox: Sandbox, page: str, intent: Document) -> str:
    """Where the customer goes on: a page of this sandbox, under the address by which it was called."""
    return f"{origin(sandbox)}/redirect/{page}/{intent['id']}?client_secret={intent['client_secret']}"


def _debit(sandbox: Sandbox, intent: Document, method: Document) -> Outcome:
    """A bank debit is accepted at once and settles or comes back days later (see debits.py)."""
    from portal.sandbox import invoices, payments

    method = mandates.accept(sandbox, method)
    charge = charges.create(sandbox, intent, method, "pending")
    sandbox.emit("charge.pending", charge)
    keep(sandbox, intent, method)
    intent = intents.change(
        sandbox,
        intent,
        "processing",
        status="processing",
        latest_charge=charge["id"],
        _settles_at=sandbox.now(intent["customer"]) + DEBIT_DAYS * DAY,
    )
    if invoice := intent.get("_invoice"):
        payments.save_default(sandbox, intent)
        invoices.payment_processing(sandbox, invoice, intent)
    return Outcome(intent)


def settle(sandbox: Sandbox, intent: Document) -> Outcome:
    """A debit that was under way ends as its test account says."""
    method = sandbox.store.get(methods.KIND, intent["payment_method"])
    charge = sandbox.store.get(charges.KIND, intent["latest_charge"])
    assert method
    assert charge
    account = methods.test_account(method)
    failure = account.failure if account else None
    if failure:
        code, message = failure
        before = charge
        charge = {**charge, "status": "failed", "failure_code": code, "failure_message": message}
        sandbox.store.put(charges.KIND, charge)
        sandbox.emit("charge.failed", charge, before)
        error = StripeError(402, "card_error", message, code, charge=charge["id"])
        return _fail(sandbox, intent, method, error)
    charge = {
        **charge,
        "status": "succeeded",
        "paid": True,
        "captured": True,
        "amount_captured": charge["amount"],
    }
    charge = charges.book(sandbox, charge)
    sandbox.emit("charge.succeeded", charge)
    return Outcome(complete(sandbox, intent, charge))
