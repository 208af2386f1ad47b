"""The page after confirming a change: what it says in each state, and where it leads."""

from flask import render_template, url_for
from flask_babel import gettext

from portal.db import unit_of_work
from portal.services import billing_details, changes, invoices
from portal.services.changes import ChangeState
from portal.web import current_workspace_id
from portal.web.billing_attention import Link
from portal.web.checkout_waiting import ASK_STRIPE_AFTER, Outcome, standing
from portal.web.language import translated
from portal.web.presentation import date_text
from portal.web.subscription_quote_words import sums, terms_of, what_comes_next

__all__ = ["ASK_STRIPE_AFTER", "done_page", "outcome", "standing_of"]


def standing_of(quote_id: str, *, ask_stripe: bool) -> ChangeState:
    """How the change stands."""
    return standing(changes.state, quote_id, ask_stripe=ask_stripe)


def outcome(state: ChangeState) -> Outcome:
    """The page of a change: that it is not paid is said only once Stripe has been asked."""
    said = translated(state.message)
    pay = url_for("subscription.quote", quote_id=state.quote.id)
    page = Link(url_for("subscription.page"), gettext("See the subscription"))
    overview = Link(url_for("billing.overview"), gettext("Go to the overview"))
    match state.name:
        case "done" if terms_of(state.quote).swapped is not None:
            credits = Link(url_for("credits.show"), gettext("See the credits"))
            body = gettext("Your seats have become resolutions. Both hold from now on.")
            return Outcome(False, gettext("The swap is done"), body, links=[credits, overview, page])
        case "done":
            return Outcome(
                False, gettext("The change is done"), gettext("It holds from now on."), links=[overview, page]
            )
        case "planned":
            later_at = terms_of(state.quote).later_at
            title = gettext("The change is planned")
            body = gettext(
                "It takes effect on %(date)s. You can undo it until then.",
                date=date_text(later_at) if later_at else "",
            )
            return Outcome(False, title, body, links=[overview, page])
        case "quoted":
            return Outcome(False, gettext("The change is not confirmed"), said, pay)
        case "declined" if state.asked:
            return Outcome(False, gettext("The payment is not complete"), said, pay)
        case "processing":
            return Outcome(False, gettext("Your payment is on its way"), said, links=[overview, page])
        case "awaiting_payment" | "requires_action" if state.asked:
            return Outcome(False, gettext("The payment is not complete"), said, pay)
        case "expired" | "abandoned" | "failed":
            return Outcome(False, gettext("This change did not go through"), said, pay)
        case _:
            body = gettext("We wait for Stripe to confirm the change. This takes a few seconds.")
            return Outcome(True, gettext("Confirming your change"), body)


def done_page(state: ChangeState, told: Outcome, *, waited: int) -> str:
    """The page, ``waited`` seconds after confirming (as far as a browser without scripts counts them)."""
    terms = terms_of(state.quote)
    invoice = state.invoice
    with unit_of_work(current_workspace_id()) as session:
        details = billing_details.current(session)
        proof = invoices.proof(session, invoice.stripe_id) if invoice else []
    return render_template(
        "subscription/done.html",
        quote=state.quote,
        state=state,
        terms=terms,
        details=details,
        waited=waited,
        waiting=told.waiting,
        title=told.title,
        body=told.body,
        links=told.links,
        happened=state.name in ("done", "planned"),
        invoice=invoice,
        proof=proof[-1] if proof else None,
        sums=sums(state.quote),
        next=what_comes_next(state.quote, terms),
    )
