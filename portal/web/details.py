"""/billing/details: whom invoices are made out to, after the first purchase."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.models import BillingDetails
from portal.services import billing_details, details_changes
from portal.services.billing_details import DetailsError
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.address_form import put_errors
from portal.web.details_form import change_form, elsewhere_form
from portal.web.language import translated
from portal.web.starting import start

blueprint = Blueprint("details", __name__, url_prefix="/billing/details")


def _known() -> tuple[BillingDetails | None, dict[str, Any]]:
    """The details where something was bought already, and what every page of them shows."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        known = billing_details.current(session)
        request_open = details_changes.open_request(session)
    if known is None or known.stripe_customer_id is None or not known.address:
        return None, {}
    facts = {
        "details": known,
        "request_open": request_open,
        "tax_id": tax_number(known),
        "may_change": may("billing"),
    }
    return known, facts


def tax_number(known: BillingDetails) -> tuple[str, str] | None:
    """What became of the tax number, as (kind of notice, sentence); None when there is none."""
    if not known.tax_id_value:
        return None
    match known.tax_id_status:
        case "verified":
            return "positive", gettext("Found in the official register.")
        case "unverified":
            return "caution", gettext(
                "The official register does not know it. If it is mistyped, ask support to correct it."
            )
        case "pending":
            return "info", gettext("Its format is right, and the official register is being asked.")
        case _:
            return "info", gettext("Its format is right. There is no register for it that we could ask.")


@blueprint.get("")
@workspace_required()
def page() -> str:
    """What stands on invoices, and the form to change it for those who may."""
    known, facts = _known()
    if known is None:
        with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
            return render_template("details/none.html", start=start(session))
    return render_template("details/page.html", form=change_form(known), **facts)


@blueprint.post("")
@workspace_required("billing")
def change() -> str | Response | tuple[str, int]:
    """Keep what was entered."""
    known, facts = _known()
    if known is None:
        return redirect(url_for("details.page"), 303)
    form = change_form(known)
    if form.validate_on_submit() and _change(form):
        flash(gettext("Your billing details are changed. Later invoices carry them."), "success")
        return redirect(url_for("details.page"), 303)
    return render_template("details/page.html", form=form, **facts), 422


def _change(form: Any) -> bool:
    try:
        details_changes.change(gateways(), current_workspace_id(), current_user_id(), form.wanted())
    except DetailsError as error:
        put_errors(form, error.fields)
        return False
    return True


@blueprint.get("/elsewhere")
@workspace_required("billing")
def elsewhere() -> str | Response:
    """The form that asks support for another country or tax number."""
    known, facts = _known()
    if known is None or facts["request_open"] is not None:
        return redirect(url_for("details.page"), 303)
    return render_template("details/elsewhere.html", form=elsewhere_form(known), **facts)


@blueprint.post("/elsewhere")
@workspace_required("billing")
def ask() -> str | Response | tuple[str, int]:
    """Tell support."""
    known, facts = _known()
    if known is None:
        return redirect(url_for("details.page"), 303)
    form = elsewhere_form(known)
    if form.validate_on_submit() and _ask(form):
        return redirect(url_for("details.page"), 303)
    return render_template("details/elsewhere.html", form=form, **facts), 422


def _ask(form: Any) -> bool:
    try:
        details_changes.ask_support(gateways(), current_workspace_id(), current_user_id(), form.wanted())
    except DetailsError as error:
        put_errors(form, error.fields)
    except ConflictError as error:
        form.form_errors.append(translated(error.message))
    else:
        return True
    return False


@blueprint.post("/elsewhere/withdraw")
@workspace_required("billing")
def withdraw() -> Response:
    """Take the request back."""
    details_changes.withdraw(current_workspace_id(), current_user_id())
    flash(gettext("The request is withdrawn. Nothing was changed."), "success")
    return redirect(url_for("details.page"), 303)
