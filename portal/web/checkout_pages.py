"""The binding quote as a page, and what is shown when it no longer holds."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import ConflictError, NotFoundError
from portal.models import BillingDetails, Quote
from portal.pricing import Selection
from portal.services import billing_details, quotes, subscriptions
from portal.services.checkout import Change, PurchaseState, QuoteChangedError
from portal.web import current_workspace_id, gateways, settings
from portal.web.billing_attention import Notice
from portal.web.checkout_form import TRIAL
from portal.web.checkout_words import (
    change_words,
    changes_between,
    payment_words,
    tax_id_words,
    tax_words,
    what_comes_next,
)
from portal.web.language import translated
from portal.web.pricing_form import choice_query


def links_back(quote: Quote) -> dict[str, str]:
    """The ways back from a quote, with everything that was chosen."""
    query = choice_query(Selection.from_dict(quote.selection))
    trial = {"start": TRIAL} if quote.trial_days else {}
    return {
        "pricing_url": url_for("pricing.page", **query),
        "details_url": url_for("checkout.details", **query, **trial),
    }


def stale_page(state: PurchaseState, refusal: ConflictError | None) -> str:
    """A quote that no longer holds: why, that nothing was charged, and the way to the price of now."""
    reasons = change_words(refusal.changes) if isinstance(refusal, QuoteChangedError) else []
    with unit_of_work(current_workspace_id()) as session:
        newer = quotes.latest(session)
        bought = subscriptions.bought(session) is not None
    return render_template(
        "checkout/stale.html",
        quote=state.quote,
        newer=newer if newer and newer.id != state.quote.id and newer.confirmed_at is None else None,
        bought=bought,
        title=gettext("This price no longer holds"),
        body=translated(refusal.message if refusal else state.message),
        reasons=reasons,
        **links_back(state.quote),
    )


def open_quote(session: Session, details: BillingDetails | None) -> Quote | None:
    """The newest quote that was not confirmed and may still be, or nothing."""
    newest = quotes.latest(session)
    if newest is None or details is None or newest.confirmed_at is not None:
        return None
    return newest if standing(newest, details) is None else None


def resume_page(quote: Quote) -> str:
    """The way back to a quote that still holds, and the way to another choice."""
    return render_template("checkout/resume.html", quote=quote, **links_back(quote))


def standing(quote: Quote, details: BillingDetails) -> ConflictError | None:
    """Why the quote may not be confirmed any more, or nothing when it may."""
    try:
        quotes.check(quote, details=details, catalog=settings().default_catalog, now=gateways().clock.now())
    except ConflictError as refusal:
        return refusal
    return None


def quote_page(
    state: PurchaseState,
    *,
    promotion_code: str = "",
    promotion_error: str | None = None,
    changed: Sequence[str] = (),
) -> str:
    """The binding quote with the payment form, or why it holds no longer.

    ``changed``: what Stripe would no longer charge as quoted, when confirming has just found that out.
    """
    quote = state.quote
    with unit_of_work(current_workspace_id()) as session:
        details = billing_details.current(session)
        replaced = _replaced(session)
    if details is None or state.name in ("expired", "abandoned", "failed"):
        return stale_page(state, standing(quote, details) if details else None)
    refusal = standing(quote, details) if state.attempt is None else None
    if changed and state.name == "quoted" and refusal is None:
        refusal = QuoteChangedError([Change(what, None, None) for what in changed])
    if refusal:
        return stale_page(state, refusal)
    return _standing_page(
        state, details, replaced, promotion_code=promotion_code, promotion_error=promotion_error
    )


def _standing_page(
    state: PurchaseState, details: BillingDetails, replaced: Quote | None, **promotion: str | None
) -> str:
    quote, stripe_js = state.quote, settings().stripe_js_url
    return render_template(
        "checkout/quote.html",
        quote=quote,
        state=state,
        details=details,
        tax=tax_words(quote),
        tax_id=tax_id_words(details),
        next=what_comes_next(quote, gateways().clock.now()),
        notices=_notices(state, replaced),
        pay=payment_words(quote),
        mode="subscription" if quote.amount_due else "setup",
        publishable_key=settings().stripe_publishable_key,
        stripe_js_url=stripe_js,
        stripe_origin="{0.scheme}://{0.netloc}".format(urlsplit(stripe_js)),
        **promotion,
        **links_back(quote),
    )


def _replaced(session: Session) -> Quote | None:
    """The quote that this page says it replaces."""
    older = request.args.get("instead_of")
    try:
        return quotes.load(session, older) if older else None
    except NotFoundError:
        return None


def _notices(state: PurchaseState, replaced: Quote | None) -> list[Notice]:
    found = []
    if state.name == "declined":
        body = gettext(
            "%(reason)s You were not charged. Try again below, or use another way to pay.",
            reason=translated(state.message),
        )
        found.append(Notice("negative", gettext("The payment did not go through"), body))
    if state.name == "requires_action":
        found.append(
            Notice(
                "caution",
                gettext("Your bank has not confirmed yet"),
                gettext("You were not charged. Press the button below and follow your bank's steps."),
            )
        )
    if replaced is not None and replaced.id != state.quote.id:
        changes = " ".join(changes_between(replaced, state.quote))
        found.append(
            Notice(
                "info",
                gettext("This price replaces quote %(id)s", id=replaced.id),
                changes or gettext("The amounts are the same."),
            )
        )
    return found
