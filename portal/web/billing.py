"""/billing: the overview. What the workspace has, what it pays and when, and what needs attention first."""

from flask import Blueprint, render_template, request
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.models import BillingDetails, Invoice, QuoteMatch, Subscription
from portal.pricing import Catalog, PricingError, catalog
from portal.services import (
    allowances,
    attempts,
    billing_details,
    changes,
    dues,
    invoices,
    subscriptions,
    unbilled_periods,
    usage_prices,
    usage_so_far,
)
from portal.services.holdings import Holding
from portal.services.overview import ROWS
from portal.web import (
    current_user_id,
    current_workspace_id,
    gateways,
    settings,
    workspace_required,
)
from portal.web.billing_attention import Notice, attention, may_here
from portal.web.billing_words import bought_lines, invoice_status, next_charges, payment_method
from portal.web.holding_words import HeldLines, PlannedWords, held_lines, planned_words
from portal.web.rate_words import next_rates
from portal.web.starting import start
from portal.web.usage_limits_words import cap_notice

blueprint = Blueprint("billing", __name__, url_prefix="/billing")


@blueprint.get("")
@workspace_required()
def overview() -> str:
    """The overview; ``?welcome=<quote id>`` says that this purchase has just gone through."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        ROWS.read(session)
        return render_template("billing/overview.html", **_facts(session))


def _facts(session: Session) -> dict[str, object]:
    subscription = subscriptions.current(session)
    details = billing_details.current(session)
    newest = invoices.newest(session)
    proof = _last(invoices.proof(session, newest.stripe_id)) if newest else None
    sold = _catalog(subscription.catalog) if subscription else None
    holding = changes.holding(session, subscription)
    held = held_lines(holding, gateways().clock.now()) if holding else _bought(subscription, sold)
    planned = planned_words(holding) if holding else None
    used = usage_so_far.read(session, gateways().clock.now(), subscription) if subscription else None
    return {
        "subscription": subscription,
        "details": details,
        "catalog": sold,
        **_usage_costs(subscription if sold else None, holding),
        "held": held,
        "buyer": may_here("billing") and holding is not None and holding.cancel_at is None,
        "charges": next_charges(subscription, held.total, planned, used) if subscription else [],
        "used": used,
        "invoice": newest,
        "invoice_status": invoice_status(newest) if newest else None,
        "proof": proof,
        "method": payment_method(subscription.default_payment_method) if subscription else None,
        "attention": _attention(session, subscription, details, newest, proof, planned),
        "start": None if subscription else start(session),
        "welcome": _welcome(subscription),
    }


def _attention(
    session: Session,
    subscription: Subscription | None,
    details: BillingDetails | None,
    newest: Invoice | None,
    proof: QuoteMatch | None,
    planned: PlannedWords | None,
) -> list[Notice]:
    today = gateways().clock.now().date()
    due = dues.due(session, subscription, grace=settings().grace, today=today)
    found = attention(
        subscription, details, newest, proof, attempts.unpaid(session), due,
        planned=planned, missed=changes.missed(session), unbilled=unbilled_periods.latest(session),
        on_its_way=attempts.on_its_way(session),
    )  # fmt: skip
    return [*found, *_cap(session)]


def _cap(session: Session) -> list[Notice]:
    """That a cap keeps the AI from answering, if one does."""
    found = cap_notice(allowances.stopped(session, gateways().clock.now()))
    return [found] if found else []


def _welcome(subscription: Subscription | None) -> bool:
    """Whether the page is what follows the purchase that its address names."""
    named = request.args.get("welcome")
    return subscription is not None and named is not None and named == subscription.quote_id


def _usage_costs(subscription: Subscription | None, holding: Holding | None) -> dict[str, object]:
    """What usage that comes with what is held costs now, and from the end of its month on if that differs."""
    if subscription is None:
        return {"rates": {}, "next_rates": None}
    coming = next_rates(holding, subscription) if holding else None
    held = {item.get("key") for item in subscription.items}
    rates = usage_prices.rates(subscription)
    sold = {key: rate for key, rate in rates.items() if rate.requires is None or {key, rate.requires} & held}
    return {"rates": sold, "next_rates": coming}


def _bought(subscription: Subscription | None, sold: Catalog | None) -> HeldLines:
    """The lines of a subscription that cannot be changed any more."""
    lines = bought_lines(subscription, sold) if subscription else []
    interval = str(subscription.interval) if subscription else "month"
    return HeldLines(lines, sum(line["amount"] for line in lines), interval)


def _last(proof: list[QuoteMatch]) -> QuoteMatch | None:
    return proof[-1] if proof else None


def _catalog(version: str | None) -> Catalog | None:
    try:
        return catalog(version) if version else None
    except PricingError:
        return None
