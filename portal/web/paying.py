"""/billing/payment/pay: one open invoice, and the click that pays it."""

from collections.abc import Mapping

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import ConflictError, PortalError
from portal.models import Invoice
from portal.services import attempts, billing_details, dues, invoices, payment_methods, payments
from portal.services.dues import NotPayableError, OnItsWayError
from portal.services.payment_actions import RefusedError, StillWorkingError
from portal.services.payments import Declined, Payment
from portal.web import current_user_id, current_workspace_id, gateways, settings, workspace_required
from portal.web.billing_attention import page_of
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.payment_form import asked_stripe, stripe_form
from portal.web.payment_words import decline_advice, decline_reason, expiry

blueprint = Blueprint("paying", __name__, url_prefix="/billing/payment/pay")

PAYER = "billing"
NEW = "new"
# what the page's script calls the states
SCRIPTS_NAMES = {"paid": "done", "waiting": "confirming", "closed": "expired"}


@blueprint.get("/<invoice:stripe_id>")
@workspace_required(PAYER)
def page(stripe_id: str) -> Response | str:
    """The invoice with every way to pay it, or why nothing is to be paid."""
    return _page(stripe_id)


def _page(stripe_id: str, *, chosen: str = "", problem: str = "") -> Response | str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        invoice = invoices.get(session, stripe_id)
        if invoice.status == "paid":
            return redirect(url_for("paying.done", stripe_id=stripe_id), code=303)
        try:
            dues.payable(session, stripe_id)
        except (NotPayableError, OnItsWayError) as refusal:
            if (waiting := attempts.quote_to_pay(session, stripe_id)) is not None:
                return redirect(page_of(waiting), code=303)
            message = translated(refusal.message)
            return render_template("paying/closed.html", invoice=invoice, message=message)
        owed = dues.owed(session, payment_methods.live_subscription(session), grace=settings().grace)
        methods = payment_methods.listing(session)
        details = billing_details.current(session)
        following = dues.following(session, invoice)
    today = gateways().clock.now().date()
    return render_template(
        "paying/page.html",
        invoice=invoice,
        owed=next((each for each in owed if each.invoice.stripe_id == stripe_id), None),
        methods=methods,
        expiries={method.id: expiry(method, today) for method in methods},
        following=following,
        chosen=chosen or (methods[0].id if methods else NEW),
        problem=problem,
        on_hold=_on_hold(invoice),
        **_form(invoice, details),
    )


def _form(invoice: Invoice, details: object) -> dict[str, object]:
    done = url_for("paying.done", stripe_id=invoice.stripe_id, _external=True)
    state = url_for("paying.state", stripe_id=invoice.stripe_id)
    mode = "subscription" if invoice.stripe_subscription_id else "payment"
    return stripe_form(details, mode, done, state, amount=invoice.amount_due, currency=invoice.currency)  # type: ignore[arg-type]


def _on_hold(invoice: Invoice) -> bool:
    """Whether invoices made since then wait as drafts: Stripe has put the subscription on hold."""
    with unit_of_work(current_workspace_id()) as session:
        row = payment_methods.live_subscription(session)
    return row is not None and row.status == "unpaid" and row.stripe_id == invoice.stripe_subscription_id


@blueprint.post("/<invoice:stripe_id>")
@limit_quotes
@workspace_required(PAYER)
@fresh_required(MONEY)
def confirm(stripe_id: str) -> Response | str | tuple[Response, int] | tuple[str, int]:
    """The click: JSON for the page's script, a redirect for a browser without."""
    given = request.get_json(silent=True) if request.is_json else request.form
    chosen = str((given if isinstance(given, Mapping) else {}).get("method") or NEW)
    try:
        payment = _pay(stripe_id, chosen)
    except PortalError as error:
        if request.is_json:
            return _refused(stripe_id, error), error.status
        return _refused_page(stripe_id, chosen, error)
    return _answer(stripe_id, payment)


def _pay(stripe_id: str, chosen: str) -> Payment:
    method_id = None if chosen == NEW else chosen
    if method_id is None and not request.is_json:
        raise ConflictError(payments.NEEDS_SCRIPT)
    return payments.pay(gateways(), current_workspace_id(), current_user_id(), stripe_id, method_id)


def _answer(stripe_id: str, payment: Payment) -> Response:
    if not request.is_json:
        return redirect(url_for("paying.done", stripe_id=stripe_id), code=303)
    collect = {"action": "action", "collect": "payment"}.get(payment.name, "nothing")
    return jsonify(collect=collect, client_secret=payment.client_secret)


def _refused(stripe_id: str, error: PortalError) -> Response:
    """Where to go on after a refusal, or what to say and stay."""
    match error:
        case StillWorkingError():
            return jsonify(location=url_for("paying.done", stripe_id=stripe_id))
        case NotPayableError() | OnItsWayError():
            return jsonify(location=url_for("paying.page", stripe_id=stripe_id))
    title = gettext("The payment did not go through")
    return jsonify(code=error.code, title=title, message=why_refused(error))


def _refused_page(
    stripe_id: str, chosen: str, error: PortalError
) -> Response | str | tuple[Response, int] | tuple[str, int]:
    if isinstance(error, StillWorkingError):
        return redirect(url_for("paying.done", stripe_id=stripe_id), code=303)
    page = _page(stripe_id, chosen=chosen, problem=why_refused(error))
    return (page, error.status) if isinstance(page, str) else page


def why_refused(error: PortalError) -> str:
    """Why a payment was refused, that nothing was charged, and what to do."""
    if isinstance(error, Declined) and (error.decline.get("code") or error.decline.get("decline_code")):
        return gettext(
            "%(why)s You were not charged. %(advice)s",
            why=decline_reason(error.decline),
            advice=decline_advice(error.decline),
        )
    if isinstance(error, RefusedError):
        return gettext("%(why)s You were not charged.", why=translated(error.message))
    return translated(error.message)


@blueprint.get("/<invoice:stripe_id>/state")
@workspace_required(PAYER)
def state(stripe_id: str) -> Response:
    """How the payment stands, for the page's script."""
    name = payments.standing(
        gateways(), current_workspace_id(), stripe_id, ask_stripe="ask_stripe" in request.args
    )
    return jsonify(name=SCRIPTS_NAMES.get(name, name), waiting=name == "waiting", location=None)


@blueprint.get("/<invoice:stripe_id>/done")
@workspace_required(PAYER)
def done(stripe_id: str) -> Response | str:
    """The page after paying: waits for the webhook, and asks Stripe itself when that is late."""
    waited = request.args.get("waited", 0, type=int)
    name = payments.standing(gateways(), current_workspace_id(), stripe_id, ask_stripe=asked_stripe(waited))
    if name == "declined":
        flash(gettext("The payment did not go through. You were not charged."), "warning")
        return redirect(url_for("paying.page", stripe_id=stripe_id), code=303)
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        invoice = invoices.get(session, stripe_id)
        facts = {
            "following": dues.following(session, invoice),
            "details": billing_details.current(session),
        }
    return render_template("paying/done.html", invoice=invoice, name=name, waited=waited, **facts)
