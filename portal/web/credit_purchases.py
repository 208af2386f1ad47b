"""/credits/buy and /credits/purchases: the price of a pack, its payment, and what became of it."""

from collections.abc import Mapping

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from flask_babel import gettext
from werkzeug import Response

from portal import pricing
from portal.errors import ConflictError, PortalError
from portal.services import credit_purchase_waiting as waiting
from portal.services import credit_purchases, credit_refunds, credit_renewals, payments
from portal.services.attempts import StillConfirmingError
from portal.services.credit_purchases import Wanted
from portal.services.dues import OnItsWayError
from portal.services.payment_actions import StillWorkingError
from portal.services.payments import Payment
from portal.services.quotes import QuoteChangedError, QuoteExpiredError
from portal.services.undoing import PaymentUnderWayError
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.credit_purchase_form import UnitsForm, units_form
from portal.web.credit_purchase_pages import buy_page, done_page, quote_page, refund_page, standing_of
from portal.web.credit_purchase_words import balance_url, follows, outcome, pack_of, page_of
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.paying import NEW, why_refused
from portal.web.payment_form import ASK_STRIPE_AFTER

blueprint = Blueprint("credit_purchases", __name__, url_prefix="/credits")

BUYER = "billing"


@blueprint.context_processor
def links() -> dict[str, object]:
    """``balance_url()`` for the pages of a pack."""
    return {"balance_url": balance_url}


@blueprint.get("/buy")
@workspace_required(BUYER)
def form() -> str:
    """What packs cost; ``?units=600`` prefills how many."""
    return buy_page(units_form(request.args.get("units")))


@blueprint.post("/buy")
@limit_quotes
@workspace_required(BUYER)
def prepare() -> Response | tuple[str, int]:
    """A binding quote for so many units, or the form with what is wrong."""
    form = UnitsForm()
    if not form.validate_on_submit():
        return buy_page(form), 422
    return _prepared(form)


def _prepared(form: UnitsForm) -> Response | tuple[str, int]:
    try:
        quote_id = _quoted(int(form.units.data))
    except PortalError as error:
        return buy_page(form, refusal=translated(error.message)), error.status
    except pricing.PricingError:
        return buy_page(form, refusal=gettext("So many units are not sold. Choose another number.")), 422
    return redirect(url_for("credit_purchases.quote", quote_id=quote_id), code=303)


def _quoted(units: int) -> str:
    return credit_purchases.prepare(gateways(), current_workspace_id(), current_user_id(), Wanted(units))


@blueprint.get("/purchases/<quote:quote_id>")
@workspace_required(BUYER)
def quote(quote_id: str) -> Response | str:
    """The binding quote with every way to pay it, or why it is over."""
    state = waiting.state(gateways(), current_workspace_id(), quote_id)
    if state.name in ("done", "processing", "confirming"):
        return redirect(url_for("credit_purchases.done", quote_id=quote_id), code=303)
    return quote_page(state, changed=request.args.getlist("changed"))


@blueprint.post("/purchases/<quote:quote_id>/renew")
@limit_quotes
@workspace_required(BUYER)
def renew(quote_id: str) -> Response:
    """The price of now for as many units."""
    state = waiting.state(gateways(), current_workspace_id(), quote_id)
    units = int(pack_of(state.quote)["units"])
    try:
        return redirect(url_for("credit_purchases.quote", quote_id=_quoted(units)), code=303)
    except PortalError as error:
        flash(translated(error.message), "info")
    except pricing.PricingError:
        flash(gettext("So many units are not sold. Choose another number."), "info")
    return redirect(url_for("credit_purchases.form", units=units), code=303)


@blueprint.post("/purchases/<quote:quote_id>/confirm")
@limit_quotes
@workspace_required(BUYER)
@fresh_required(MONEY)
def confirm(quote_id: str) -> Response | str | tuple[Response, int] | tuple[str, int]:
    """The click: JSON for the page's script, a redirect for a browser without."""
    given = request.get_json(silent=True) if request.is_json else request.form
    chosen = str((given if isinstance(given, Mapping) else {}).get("method") or NEW)
    try:
        payment = _paid(quote_id, chosen)
    except PortalError as error:
        return _refused(quote_id, chosen, error)
    if not request.is_json:
        return redirect(url_for("credit_purchases.done", quote_id=quote_id), code=303)
    collect = {"action": "action", "collect": "payment"}.get(payment.name, "nothing")
    return jsonify(collect=collect, client_secret=payment.client_secret)


def _paid(quote_id: str, chosen: str) -> Payment:
    state = waiting.state(gateways(), current_workspace_id(), quote_id)
    method_id = None if chosen == NEW else chosen
    if method_id is None and state.quote.amount_due and not request.is_json:
        raise ConflictError(payments.NEEDS_SCRIPT)
    return credit_purchases.pay(gateways(), current_workspace_id(), current_user_id(), quote_id, method_id)


def _refused(
    quote_id: str, chosen: str, error: PortalError
) -> Response | str | tuple[Response, int] | tuple[str, int]:
    """Where to go on after a refusal, or what to say and stay. Nothing was charged."""
    location = _after_refusal(quote_id, error)
    if not request.is_json:
        if location:
            return redirect(location, code=303)
        state = waiting.state(gateways(), current_workspace_id(), quote_id)
        return quote_page(state, chosen=chosen, problem=why_refused(error)), error.status
    if location:
        return jsonify(location=location), error.status
    title = gettext("The payment did not go through")
    return jsonify(code=error.code, title=title, message=why_refused(error)), error.status


def _after_refusal(quote_id: str, error: PortalError) -> str | None:
    match error:
        case QuoteChangedError():
            changed = [change.what for change in error.changes]
            return url_for("credit_purchases.quote", quote_id=quote_id, changed=changed)
        case QuoteExpiredError():
            return url_for("credit_purchases.quote", quote_id=quote_id)
        case StillConfirmingError() | StillWorkingError() | OnItsWayError() | PaymentUnderWayError():
            return url_for("credit_purchases.done", quote_id=quote_id)
    return None


@blueprint.get("/purchases/<quote:quote_id>/state")
@workspace_required(BUYER)
def state(quote_id: str) -> Response:
    """How the purchase stands, for the page's script."""
    found = standing_of(quote_id, ask_stripe="ask_stripe" in request.args)
    told = outcome(found)
    waits = told.waiting or follows(found)
    return jsonify(name=found.name, waiting=waits, message=told.body, location=told.location)


@blueprint.get("/purchases/<quote:quote_id>/done")
@workspace_required(BUYER)
def done(quote_id: str) -> Response | str:
    """The page after paying: waits for the webhook, then shows each step, with the proof."""
    waited = request.args.get("waited", 0, type=int)
    failed = request.args.get("redirect_status") == "failed"
    found = standing_of(quote_id, ask_stripe=failed or waited >= ASK_STRIPE_AFTER)
    told = outcome(found)
    if told.location:
        return redirect(told.location, code=303)
    return done_page(found, told, waited=waited)


@blueprint.get("/purchases/<quote:quote_id>/refund")
@workspace_required(BUYER)
def refund(quote_id: str) -> str:
    """What comes back when the pack is returned, or why it cannot be."""
    return refund_page(waiting.state(gateways(), current_workspace_id(), quote_id))


@blueprint.post("/purchases/<quote:quote_id>/refund")
@limit_quotes
@workspace_required(BUYER)
@fresh_required(MONEY)
def give_back(quote_id: str) -> Response:
    """Return the pack."""
    purchase_id = waiting.state(gateways(), current_workspace_id(), quote_id).purchase.id
    try:
        credit_refunds.return_unused(gateways(), current_workspace_id(), current_user_id(), purchase_id)
    except ConflictError as refusal:
        flash(translated(refusal.message), "warning")
    return redirect(url_for("credit_purchases.done", quote_id=quote_id), code=303)


@blueprint.post("/purchases/<quote:quote_id>/renewal")
@workspace_required(BUYER)
@fresh_required(MONEY)
def renewal(quote_id: str) -> Response:
    """Have the pack renewed at its end, or not any more."""
    pack = waiting.purchase_of(current_workspace_id(), quote_id)
    wanted = request.form.get("renews") == "yes"
    try:
        credit_renewals.choose(gateways(), pack.workspace_id, current_user_id(), pack.id, renews=wanted)
        once = gettext("The pack is renewed once, at its end.")
        flash(once if wanted else gettext("The pack is not renewed."), "success")
    except ConflictError as refusal:
        flash(translated(refusal.message), "warning")
    return redirect(page_of(pack), code=303)
