"""/billing/subscription: what is had, the change of it, its binding quote, and the page after confirming."""

from flask import Blueprint, flash, jsonify, redirect, request, url_for
from flask_babel import gettext
from werkzeug import Response

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.services import changes
from portal.services.changes import Holding, Wanted
from portal.services.leavers import Affected
from portal.services.quotes import QuoteChangedError, QuoteExpiredError
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.pricing import offered_catalog
from portal.web.subscription_done import ASK_STRIPE_AFTER, done_page, outcome, standing_of
from portal.web.subscription_pages import Facts, facts, form_page, way_back
from portal.web.subscription_quote import change_url, quote_page, rebased
from portal.web.subscription_quote_words import Terms, terms_of

blueprint = Blueprint("subscription", __name__, url_prefix="/billing/subscription")

# who may spend the workspace's money
BUYER = "billing"


def _nothing_bought() -> Response:
    return redirect(url_for("billing.overview"), code=303)


def _read(*, move: bool = False) -> Facts | None:
    """The form and what it is about; nothing where nothing was bought. ``move``: to the current catalogue."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        holding = changes.holding(session)
        if holding is None:
            return None
        catalog = offered_catalog() if move else pricing.catalog(holding.catalog)
        return facts(session, holding, catalog, moving=move)


@blueprint.get("")
@workspace_required(BUYER)
def page() -> Response | str:
    """What is had, and the form for anything else; ``?seats=13`` prefills it."""
    read = _read()
    return form_page(read) if read else _nothing_bought()


@blueprint.post("")
@limit_quotes
@workspace_required(BUYER)
def prepare() -> Response | tuple[str, int]:
    """A binding quote for what the form asks for, or the form with what is wrong."""
    read = _read()
    return _prepared(read) if read else _nothing_bought()


@blueprint.get("/prices")
@workspace_required(BUYER)
def prices() -> Response | str:
    """The move to the current catalogue: what rises and what falls, line by line."""
    read = _read(move=True)
    if read is None or read.had.catalog.version == read.form.catalog.version:
        return redirect(url_for("subscription.page"), code=303)
    return form_page(read)


@blueprint.post("/prices")
@limit_quotes
@workspace_required(BUYER)
def move() -> Response | tuple[str, int]:
    """A binding quote for the move to the current catalogue."""
    read = _read(move=True)
    return _prepared(read) if read else _nothing_bought()


@blueprint.post("/prices/back")
@limit_quotes
@workspace_required(BUYER)
def back() -> Response:
    """A binding quote for going back to the prices that were left today."""
    with unit_of_work(current_workspace_id()) as session:
        holding = changes.holding(session)
        wanted = way_back(session, holding) if holding else None
    if wanted is None:
        flash(gettext("The day of the move is over; these prices are not sold any more."), "info")
        return redirect(url_for("subscription.page"), code=303)
    return _requoted(wanted)


def _prepared(read: Facts) -> Response | tuple[str, int]:
    """The way to the new quote; the same page again when the form or the service says no."""
    if read.wanted is None or _uneven(read):
        return form_page(read), 422
    wanted = Wanted(
        selection=read.wanted.selection,
        catalog=read.wanted.catalog.version if read.moving else None,
        all_now=read.form.all_now,
        leavers=_leavers(read.affected),
    )
    try:
        quote_id = changes.prepare(gateways(), current_workspace_id(), current_user_id(), wanted)
    except PortalError as error:
        return form_page(read, refusal=translated(error.message)), error.status
    except pricing.PricingError:
        return form_page(read, refusal=gettext("This choice is not sold. Choose something else.")), 422
    return redirect(url_for("subscription.quote", quote_id=quote_id), code=303)


def _leavers(affected: Affected) -> tuple[changes.Leaver, ...]:
    return tuple(changes.Leaver(person.member_id, seat) for person, seat in affected.named)


def _uneven(read: Facts) -> bool:
    """Whether more or fewer people were chosen than have to give up a seat; the form then says so."""
    chosen, needed = len(read.affected.chosen), read.affected.needed
    if chosen == needed:
        return False
    read.form.form_errors.append(
        gettext(
            "Choose as many people as there are too few seats: %(needed)s, not %(chosen)s.",
            needed=needed,
            chosen=chosen,
        )
    )
    return True


@blueprint.get("/<quote:quote_id>")
@workspace_required(BUYER)
def quote(quote_id: str) -> Response | str:
    """The binding quote and its button, or why it is over."""
    state = changes.state(gateways(), current_workspace_id(), quote_id)
    if state.name in ("done", "planned", "processing", "confirming"):
        return redirect(url_for("subscription.done", quote_id=quote_id), code=303)
    return quote_page(state, changed=request.args.getlist("changed"))


@blueprint.post("/<quote:quote_id>/renew")
@limit_quotes
@workspace_required(BUYER)
def renew(quote_id: str) -> Response:
    """The price of now for what this quote was about; what others changed meanwhile stays."""
    old = changes.state(gateways(), current_workspace_id(), quote_id).quote
    terms = terms_of(old)
    if terms.swapped is not None:
        # what seats are worth has changed with the time: it is looked at again before it is quoted
        return redirect(change_url(old, terms), code=303)
    with unit_of_work(current_workspace_id()) as session:
        holding = changes.holding(session)
    if holding is None:
        return _nothing_bought()
    return _requoted(_again(terms, holding))


def _again(terms: Terms, holding: Holding) -> Wanted:
    wanted, planned = rebased(terms, holding.wanted), holding.planned
    leavers = terms.leavers
    if planned is not None and wanted.seats != terms.final.selection.seats:
        # the number is the plan's, and so is the choice of people for it
        leavers = tuple(planned.leavers)
    return Wanted(
        wanted,
        catalog=terms.now.catalog.version if terms.moves else None,
        all_now=terms.all_now,
        leavers=tuple(changes.Leaver(int(str(each["member_id"])), str(each["seat"])) for each in leavers),
    )


def _requoted(wanted: Wanted) -> Response:
    try:
        new = changes.prepare(gateways(), current_workspace_id(), current_user_id(), wanted)
    except PortalError as error:
        flash(translated(error.message), "info")
        return redirect(url_for("subscription.page"), code=303)
    except pricing.PricingError:
        flash(gettext("This choice is not sold. Choose something else."), "info")
        return redirect(url_for("subscription.page"), code=303)
    return redirect(url_for("subscription.quote", quote_id=new), code=303)


@blueprint.post("/<quote:quote_id>/confirm")
@limit_quotes
@workspace_required(BUYER)
@fresh_required(MONEY)
def confirm(quote_id: str) -> Response | tuple[Response, int]:
    """Carry the quote out: JSON for the page's script, the next page for a form."""
    try:
        result = changes.confirm(gateways(), current_workspace_id(), current_user_id(), quote_id)
    except PortalError as error:
        return _refused(quote_id, error)
    if request.is_json:
        return jsonify(collect=result.collect, client_secret=result.client_secret)
    return redirect(url_for("subscription.done", quote_id=quote_id), code=303)


def _refused(quote_id: str, error: PortalError) -> Response | tuple[Response, int]:
    """Where to go on after a refusal, or what to say and stay. Nothing was charged."""
    location = _after_refusal(quote_id, error)
    if not request.is_json:
        if location is None:
            flash(translated(error.message), "error")
        return redirect(location or url_for("subscription.quote", quote_id=quote_id), code=303)
    if location:
        return jsonify(location=location), error.status
    title, message = gettext("The change did not go through"), translated(error.message)
    return jsonify(code=error.code, title=title, message=message), error.status


def _after_refusal(quote_id: str, error: PortalError) -> str | None:
    match error:
        case QuoteChangedError():
            changed = [change.what for change in error.changes]
            return url_for("subscription.quote", quote_id=quote_id, changed=changed)
        case QuoteExpiredError():
            return url_for("subscription.quote", quote_id=quote_id)
        case changes.StillConfirmingError():
            return url_for("subscription.done", quote_id=quote_id)
    return None


@blueprint.get("/<quote:quote_id>/state")
@workspace_required(BUYER)
def state(quote_id: str) -> Response:
    """How the change stands, for the page's script."""
    found = standing_of(quote_id, ask_stripe="ask_stripe" in request.args)
    told = outcome(found)
    return jsonify(name=found.name, waiting=told.waiting, message=told.body, location=told.location)


@blueprint.get("/<quote:quote_id>/done")
@workspace_required(BUYER)
def done(quote_id: str) -> Response | str:
    """The page after confirming: waits for the webhook, then says what happened, with the proof."""
    waited = request.args.get("waited", 0, type=int)
    failed = request.args.get("redirect_status") == "failed"
    found = standing_of(quote_id, ask_stripe=failed or waited >= ASK_STRIPE_AFTER)
    told = outcome(found)
    if told.location:
        return redirect(told.location, code=303)
    return done_page(found, told, waited=waited)


@blueprint.post("/undo")
@workspace_required(BUYER)
def undo() -> Response:
    """The planned change will not happen; said on the page that shows the subscription."""
    try:
        changes.undo(gateways(), current_workspace_id(), current_user_id())
    except PortalError as error:
        flash(translated(error.message), "error")
    else:
        flash(gettext("The planned change is undone. Everything stays as it is."), "success")
    return redirect(url_for("subscription.page"), code=303)
