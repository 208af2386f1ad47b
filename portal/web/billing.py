"""/billing: the overview. What the workspace has, what it pays and when, and what needs attention first."""

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import Quote, QuoteMatch
from portal.pricing import Catalog, PricingError, catalog
from portal.services import (
    attempt_states,
    attempts,
    billing_details,
    dues,
    invoices,
    quotes,
    subscriptions,
)
from portal.web import current_user_id, current_workspace_id, gateways, settings, workspace_required
from portal.web.billing_attention import attention
from portal.web.billing_words import bought_lines, invoice_status, next_charges, payment_method

blueprint = Blueprint("billing", __name__, url_prefix="/billing")


@blueprint.get("")
@workspace_required()
def overview() -> str:
    """The overview; ``?welcome=<quote id>`` says that this purchase has just gone through."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return render_template("billing/overview.html", **_facts(session))


def _facts(session: Session) -> dict[str, object]:
    subscription = subscriptions.current(session)
    details = billing_details.current(session)
    newest = next(iter(invoices.listing(session, limit=1)), None)
    proof = _last(invoices.proof(session, newest.stripe_id)) if newest else None
    due = dues.due(session, grace=settings().grace, today=gateways().clock.now().date())
    sold = _catalog(subscription.catalog) if subscription else None
    lines = bought_lines(subscription, sold) if subscription else []
    amount = sum(line["amount"] for line in lines)
    return {
        "subscription": subscription,
        "details": details,
        "catalog": sold,
        "lines": lines,
        "price": amount,
        "charges": next_charges(subscription, amount) if subscription else [],
        "invoice": newest,
        "invoice_status": invoice_status(newest) if newest else None,
        "proof": proof,
        "method": payment_method(subscription.default_payment_method) if subscription else None,
        "attention": attention(subscription, details, newest, proof, _unpaid(session), due),
        "welcome": subscription is not None and request.args.get("welcome") == subscription.quote_id,
    }


def _unpaid(session: Session) -> Quote | None:
    """The quote that was confirmed and not paid, if there is one."""
    attempt = attempts.live(session)
    if attempt is None or attempt.state != attempt_states.AWAITING_PAYMENT:
        return None
    return quotes.load(session, attempt.quote_id)


def _last(proof: list[QuoteMatch]) -> QuoteMatch | None:
    return proof[-1] if proof else None


def _catalog(version: str | None) -> Catalog | None:
    try:
        return catalog(version) if version else None
    except PricingError:
        return None
