"""The pages of a pack: the list of packs, the binding quote with its payment, and the steps after it."""

from collections.abc import Sequence

from flask import render_template, url_for
from flask_babel import gettext

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import BillingDetails, Quote
from portal.pricing import packs
from portal.services import (
    billing_details,
    credit_purchases,
    credit_refunds,
    credit_renewals,
    invoices,
    payment_methods,
    quotes,
)
from portal.services import credit_purchase_states as states
from portal.services import credit_purchase_waiting as waiting
from portal.services.credit_purchase_waiting import PurchaseState
from portal.services.quotes import Change
from portal.web import current_user_id, current_workspace_id, gateways
from portal.web.checkout_waiting import Outcome, standing
from portal.web.checkout_words import change_words, tax_words
from portal.web.credit_purchase_form import UnitsForm
from portal.web.credit_purchase_words import (
    button,
    follows,
    notices,
    pack_of,
    rules,
    span_of,
    steps,
)
from portal.web.language import translated
from portal.web.pack_words import better, reasons
from portal.web.paying import NEW
from portal.web.payment_form import stripe_form
from portal.web.payment_words import expiry

OVER = ("expired", "abandoned", "failed")


def buy_page(form: UnitsForm, *, refusal: str = "") -> str:
    """How many units, what that pack costs at the customer's own price, and the list of packs."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        try:
            held = credit_purchases.buyer(session)
        except PortalError as error:
            return render_template(
                "credit_purchases/none.html", message=translated(error.message), code=error.code
            )
    asked = form.units.data
    try:
        offer = held.offer(int(asked)) if asked else None
    except pricing.PricingError:
        offer = None
    listed = packs.price_list(catalog=held.catalog, unit_amount=held.unit_amount)
    starts_at, expires_at = held.span(gateways().clock.now())
    return render_template(
        "credit_purchases/buy.html",
        form=form,
        refusal=refusal,
        held=held,
        offer=offer,
        better=better(offer) if offer else None,
        reasons=reasons(offer.pack.as_dict()) if offer else [],
        listed=listed,
        starts_at=starts_at,
        expires_at=expires_at,
    )


def quote_page(
    state: PurchaseState, *, changed: Sequence[str] = (), chosen: str = "", problem: str = ""
) -> str:
    """The binding quote with every way to pay it, or why it holds no longer."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        details = billing_details.current(session)
        methods = payment_methods.listing(session)
        newer = quotes.latest(session, quotes.CREDITS)
    if details is None or state.name in OVER or (changed and state.attempt is None):
        other = newer if newer and newer.id != state.quote.id and newer.confirmed_at is None else None
        return _stale_page(state, changed, other)
    today = gateways().clock.now().date()
    return render_template(
        "credit_purchases/quote.html",
        quote=state.quote,
        pack=pack_of(state.quote),
        reasons=reasons(pack_of(state.quote)),
        rules=rules(state.quote),
        tax=tax_words(state.quote),
        notices=notices(state, problem),
        button=button(state.quote),
        methods=methods,
        expiries={method.id: expiry(method, today) for method in methods},
        chosen=chosen or (methods[0].id if methods else NEW),
        problem="",
        **_form(state, details),
    )


def _form(state: PurchaseState, details: BillingDetails) -> dict[str, object]:
    quote_id = state.quote.id
    done = url_for("credit_purchases.done", quote_id=quote_id, _external=True)
    asking = url_for("credit_purchases.state", quote_id=quote_id)
    quote = state.quote
    return stripe_form(details, "payment", done, asking, amount=quote.amount_due, currency=quote.currency)


def _stale_page(state: PurchaseState, changed: Sequence[str], newer: Quote | None) -> str:
    found = change_words([Change(what, None, None) for what in changed])
    body = gettext("Something changed since you saw this price:") if found else translated(state.message)
    return render_template(
        "credit_purchases/stale.html",
        quote=state.quote,
        pack=pack_of(state.quote),
        body=body,
        reasons=found,
        newer=newer,
    )


def standing_of(quote_id: str, *, ask_stripe: bool) -> PurchaseState:
    """How the purchase of a pack stands."""
    return standing(waiting.state, quote_id, ask_stripe=ask_stripe)


def done_page(state: PurchaseState, told: Outcome, *, waited: int) -> str:
    """The page, ``waited`` seconds after paying (as far as a browser without scripts counts them)."""
    with unit_of_work(current_workspace_id()) as session:
        details = billing_details.current(session)
        proof = invoices.proof(session, state.invoice.stripe_id) if state.invoice else []
    return render_template(
        "credit_purchases/done.html",
        quote=state.quote,
        state=state,
        pack=pack_of(state.quote),
        span=span_of(state.quote),
        steps=steps(state),
        details=details,
        waited=waited,
        waiting=told.waiting,
        follows=follows(state),
        title=told.title,
        body=told.body,
        links=told.links,
        invoice=state.invoice,
        proof=proof[-1] if proof else None,
        returnable=_why_not(state) is None,
        held=state.purchase.state in states.HELD and state.lot is not None,
        may_renew=credit_renewals.may_renew(state.purchase, state.lot, gateways().clock.now()),
    )


def _why_not(state: PurchaseState) -> str | None:
    return credit_refunds.why_not(state.purchase, state.lot, state.left, gateways())


def refund_page(state: PurchaseState) -> str:
    """What returning the pack comes to, or why it cannot be returned here."""
    reason = _why_not(state)
    invoice = state.invoice
    paid = min(invoice.amount_paid, state.quote.total) if invoice else 0
    return render_template(
        "credit_purchases/refund.html",
        quote=state.quote,
        pack=pack_of(state.quote),
        reason=translated(reason) if reason else None,
        total=state.quote.total,
        refunded=paid,
        balance=state.quote.total - paid,
    )
