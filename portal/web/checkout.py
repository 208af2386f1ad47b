"""/checkout: details, the binding quote, paying, and the page that waits for the outcome."""

from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import BillingDetails
from portal.pricing import Selection, quote
from portal.services import billing_details, checkout, subscriptions
from portal.services.checkout import (
    AlreadySubscribedError,
    DetailsError,
    PromotionCodeError,
    QuoteChangedError,
    QuoteExpiredError,
    StillConfirmingError,
    TrialUsedError,
)
from portal.services.promotions import NOT_VALID
from portal.services.quotes import FIRST_PURCHASE
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.address_form import put_errors
from portal.web.checkout_form import TRIAL, DetailsForm, details_form
from portal.web.checkout_pages import open_quote, quote_page, resume_page
from portal.web.checkout_waiting import ASK_STRIPE_AFTER, outcome, standing_of, waiting_page
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.pricing import offered_catalog
from portal.web.pricing_form import choice_form, choice_query
from portal.web.text_rules import is_plain

blueprint = Blueprint("checkout", __name__, url_prefix="/checkout")

# who may spend the workspace's money
BUYER = "billing"


def _prepare(selection: Selection, *, promotion_code: str | None = None, trial: bool = False) -> str:
    return checkout.prepare(
        gateways(),
        current_workspace_id(),
        current_user_id(),
        selection,
        promotion_code=promotion_code,
        trial=trial,
    )


def _known() -> tuple[BillingDetails | None, bool]:
    """What is known of the workspace, and whether it has bought already."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        return billing_details.current(session), subscriptions.bought(session) is not None


def _already() -> Response:
    flash(gettext("This workspace has a subscription already. It is shown here."), "info")
    return redirect(url_for("billing.overview"), code=303)


@blueprint.route("", methods=["GET", "POST"])
@limit_quotes
@workspace_required(BUYER)
def details() -> Response | str | tuple[str, int]:
    """Step 1: whom the invoices are for. The choice is in the address, as on /pricing."""
    known, bought = _known()
    if bought:
        return _already()
    if not request.args:
        return _without_choice(known)
    choice = choice_form(request.args, offered_catalog())
    if not choice.validate() or choice.selection is None:
        typed: dict[str, Any] = {name: text for name, text in request.args.items() if name in choice}
        return redirect(url_for("pricing.page", **typed), code=303)
    form = details_form(known)
    quote_id = _quoted(form, choice.selection) if form.validate_on_submit() else None
    if quote_id:
        return redirect(url_for("checkout.page", quote_id=quote_id), code=303)
    return _details_page(form, choice.selection, known), 422 if form.errors else 200


def _without_choice(known: BillingDetails | None) -> Response | str:
    """The quote that still holds, else the choice that was made before signing up, else the way to one."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        waiting = open_quote(session, known)
    if waiting is not None:
        return resume_page(waiting)
    if known is None or not known.draft_selection:
        return redirect(url_for("pricing.page"), code=303)
    query = choice_query(Selection.from_dict(known.draft_selection))
    return redirect(url_for("checkout.details", **query), code=303)


def _quoted(form: DetailsForm, selection: Selection) -> str | None:
    """The id of the new quote; nothing when the form now says what is wrong."""
    try:
        checkout.save_details(gateways(), current_workspace_id(), current_user_id(), form.details())
        return _prepare(selection, trial=form["start"].data == TRIAL)
    except DetailsError as error:
        put_errors(form, error.fields)
    except TrialUsedError as error:
        put_errors(form, {"start": error.message})
    return None


def _details_page(form: DetailsForm, selection: Selection, known: BillingDetails | None) -> str:
    catalog = offered_catalog()
    trial_left = known is None or known.trial_used_at is None
    return render_template(
        "checkout/details.html",
        form=form,
        estimate=quote(selection, catalog=catalog, currency=catalog.currency),
        pricing_url=url_for("pricing.page", **choice_query(selection)),
        trial=catalog.trial if trial_left else None,
    )


@blueprint.get("/<quote:quote_id>")
@workspace_required(BUYER)
def page(quote_id: str) -> Response | str:
    """Step 2: the binding quote and the payment form, or why it is over."""
    state = checkout.state(gateways(), current_workspace_id(), quote_id)
    if state.quote.kind != FIRST_PURCHASE:
        return redirect(url_for("subscription.quote", quote_id=quote_id), code=303)
    if state.name in ("active", "trialing"):
        return redirect(url_for("billing.overview", welcome=quote_id), code=303)
    if state.name in ("processing", "confirming"):
        return redirect(url_for("checkout.done", quote_id=quote_id), code=303)
    return quote_page(state, changed=request.args.getlist("changed"))


@blueprint.route("/<quote:quote_id>/promotion", methods=["GET", "POST"])
@limit_quotes
@workspace_required(BUYER)
def promotion(quote_id: str) -> Response | tuple[str, int]:
    """A new quote with this promotion code, or without one."""
    if request.method == "GET":  # the address that a refused code leaves in the browser
        return redirect(url_for("checkout.page", quote_id=quote_id), code=303)
    code = request.form.get("promotion_code", "").strip()
    state = checkout.state(gateways(), current_workspace_id(), quote_id)
    selection = Selection.from_dict(state.quote.selection)
    try:
        if not is_plain(code):
            raise PromotionCodeError(NOT_VALID)
        new = _prepare(selection, promotion_code=code or None, trial=state.quote.trial_days > 0)
    except PromotionCodeError as error:
        return quote_page(state, promotion_code=code, promotion_error=translated(error.message)), error.status
    return redirect(url_for("checkout.page", quote_id=new, _anchor="promotion"), code=303)


@blueprint.post("/<quote:quote_id>/renew")
@limit_quotes
@workspace_required(BUYER)
def renew(quote_id: str) -> Response:
    """The price of now for what this quote was about; a code that is no longer valid falls away."""
    old = checkout.state(gateways(), current_workspace_id(), quote_id).quote
    selection, trial = Selection.from_dict(old.selection), old.trial_days > 0
    code = str(old.promotion["code"]) if old.promotion else None
    try:
        new = _prepare(selection, promotion_code=code, trial=trial)
    except PromotionCodeError as error:
        why = translated(error.message)
        flash(gettext("Promotion %(code)s was taken off: %(why)s", code=code, why=why), "warning")
        new = _prepare(selection, trial=trial)
    except (AlreadySubscribedError, TrialUsedError) as error:
        flash(translated(error.message), "info")
        return redirect(url_for("billing.overview"), code=303)
    return redirect(url_for("checkout.page", quote_id=new, instead_of=quote_id), code=303)


@blueprint.post("/<quote:quote_id>/confirm")
@limit_quotes
@workspace_required(BUYER)
@fresh_required(MONEY)
def confirm(quote_id: str) -> Response | tuple[Response, int]:
    """Carry the quote out; JSON for the page's script: what the browser has to confirm, or where to go."""
    try:
        result = checkout.confirm(gateways(), current_workspace_id(), current_user_id(), quote_id)
    except PortalError as error:
        return _refused(quote_id, error), error.status
    return jsonify(collect=result.collect, client_secret=result.client_secret)


def _refused(quote_id: str, error: PortalError) -> Response:
    """Where to go on after a refusal, or what to say and stay. Nothing was charged."""
    match error:
        case QuoteChangedError():
            changed = [change.what for change in error.changes]
            return jsonify(location=url_for("checkout.page", quote_id=quote_id, changed=changed))
        case QuoteExpiredError():
            return jsonify(location=url_for("checkout.page", quote_id=quote_id))
        case AlreadySubscribedError():
            return jsonify(location=url_for("billing.overview"))
        case StillConfirmingError():
            return jsonify(location=url_for("checkout.done", quote_id=quote_id))
    return jsonify(
        code=error.code, title=gettext("The purchase did not go through"), message=translated(error.message)
    )


@blueprint.get("/<quote:quote_id>/state")
@workspace_required(BUYER)
def state(quote_id: str) -> Response:
    """How the purchase stands, for the page's script."""
    purchase = standing_of(quote_id, ask_stripe="ask_stripe" in request.args)
    told = outcome(purchase)
    location = told.location
    if location is None and not told.waiting:
        location = url_for("checkout.done", quote_id=quote_id, waited=ASK_STRIPE_AFTER)
    return jsonify(name=purchase.name, waiting=told.waiting, message=told.body, location=location)


@blueprint.get("/<quote:quote_id>/done")
@workspace_required(BUYER)
def done(quote_id: str) -> Response | str:
    """The page after paying: waits for the webhook, and asks Stripe itself when that is late."""
    waited = request.args.get("waited", 0, type=int)
    failed = request.args.get("redirect_status") == "failed"
    purchase = standing_of(quote_id, ask_stripe=failed or waited >= ASK_STRIPE_AFTER)
    told = outcome(purchase)
    if told.location:
        return redirect(told.location, code=303)
    return waiting_page(purchase, told, waited=waited)
