"""/usage/limits: budget and cap, who is warned of what, and more at the cap.

Everybody sees how it stands. Owners and admins set budget and cap, those with the billing role choose alerts,
and the approver of a cap allows more, whatever their role.
"""

from typing import Any

from flask import Blueprint, abort, current_app, flash, redirect, render_template, url_for
from flask_babel import gettext
from werkzeug import Response

from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.services import alerts, limits, members
from portal.services.alerts import RecipientsError
from portal.services.limits import LimitError, NotTheApproverError, Standing, Wanted
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.usage_limits_form import (
    AT_CAP_HINTS,
    KIND_HINTS,
    AlertForm,
    LimitForm,
    MoreForm,
    alert_form,
    limit_form,
    more_form,
    put_problems,
)
from portal.web.usage_limits_words import (
    alert_words,
    budget_meaning,
    cap_meaning,
    goes_on,
    resolutions,
    until_words,
    would_be,
)

blueprint = Blueprint("usage_limits", __name__, url_prefix="/usage/limits")

PAGE = "usage_limits.page"
USAGE = "usage.page"

Answer = str | Response | tuple[str, int]


@blueprint.get("")
@workspace_required()
def page() -> str:
    """How the limits stand, and the forms for those who may change them."""
    return _page(limits.standing(gateways(), current_workspace_id()))


def _page(held: Standing, limiting: LimitForm | None = None, warning: AlertForm | None = None) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        told = alerts.of_period(session, held.state.starts_at)
        chosen = alerts.chosen_people(session, held.limit)
        recipients = alerts.told(session, held.limit)
        offered = members.with_roles(session, alerts.TOLD)
        me = members.of_user(session, current_user_id())
    offered += [person.email for person in chosen if person.email not in offered]
    return render_template(
        "usage_limits/page.html",
        **_facts(held),
        told=[(alert, alert_words(alert, held.spent.currency)) for alert in told],
        recipients=recipients,
        chosen=chosen,
        people=offered,
        # what was sent is the other form's
        form=limiting or limit_form(held, formdata=None),
        alert_form=warning or alert_form(held, chosen, formdata=None),
        may_limit=may(limits.MAY_LIMIT),
        may_warn=may(limits.MAY_WARN),
        may_allow=can_be_raised(held) and limits.may_allow(held, me),
    )


def _facts(held: Standing) -> dict[str, Any]:
    return {
        "held": held,
        "state": held.state,
        "cap": cap_meaning(held),
        "budget": budget_meaning(held),
        "until": until_words(held),
        "goes_on": goes_on(held.state),
        "currency": held.spent.currency,
        "kind_hints": KIND_HINTS,
        "at_cap_hints": AT_CAP_HINTS,
        "usage": url_for(USAGE) if USAGE in current_app.view_functions else None,
    }


def can_be_raised(held: Standing) -> bool:
    """Whether more can be allowed on top of the cap."""
    return held.has_cap and held.limit.hard and not held.state.trial_cap and held.state.starts_at is not None


@blueprint.post("")
@workspace_required(limits.MAY_LIMIT)
@fresh_required(MONEY)
def change() -> Answer:
    """Keep budget and cap; another cap is kept once what it does was seen."""
    form = limit_form(limits.standing(gateways(), current_workspace_id()))
    try:
        if form.validate_on_submit():
            return _changed(form, form.wanted())
    except LimitError as error:
        put_problems(form, error.fields, limits.standing(gateways(), current_workspace_id()))
    return _page(limits.standing(gateways(), current_workspace_id()), limiting=form), 422


def _changed(form: LimitForm, wanted: Wanted) -> Answer:
    held, cap = limits.preview(gateways(), current_workspace_id(), wanted)
    if _is_another_cap(held, wanted) and not form.confirmed.data:
        facts = would_be(held, wanted, cap)
        return render_template(
            "usage_limits/check.html", form=form, facts=facts, wanted=wanted, held=held, cap=cap,
            cap_words=resolutions(cap) if cap is not None else None,
        )  # fmt: skip
    limits.save(gateways(), current_workspace_id(), current_user_id(), wanted)
    flash(gettext("Your limits are changed. They count from now on."), "success")
    return redirect(url_for(PAGE), code=303)


def _is_another_cap(held: Standing, wanted: Wanted) -> bool:
    limit = held.limit
    had = held.has_cap
    was = (limit.cap_units, limit.cap_amount, limit.hard if had else None, limit.at_cap if had else None)
    has = wanted.has_cap
    now = (wanted.cap_units, wanted.cap_amount, wanted.hard if has else None, wanted.at_cap if has else None)
    return was != now


@blueprint.post("/alerts")
@workspace_required(limits.MAY_WARN)
def warn() -> Answer:
    """Keep who is warned of what."""
    held = limits.standing(gateways(), current_workspace_id())
    form = alert_form(held, ())
    try:
        if form.validate_on_submit():
            alerts.save(gateways(), current_workspace_id(), current_user_id(), form.chosen())
            flash(gettext("Your alerts are changed."), "success")
            return redirect(url_for(PAGE) + "#alerts", code=303)
    except RecipientsError as error:
        form.another.errors = [translated(error.message)]
    return _page(held, warning=form), 422


@blueprint.get("/more")
@workspace_required()
def more() -> Answer:
    """Allow more in this period: what it means, and one button."""
    held = limits.standing(gateways(), current_workspace_id())
    _see_right(held)
    if not can_be_raised(held):
        return redirect(url_for(PAGE), code=303)
    return _more_page(held, more_form(held))


@blueprint.post("/more")
@workspace_required()
@fresh_required(MONEY)
def allow() -> Answer:
    """Allow it."""
    held = limits.standing(gateways(), current_workspace_id())
    _see_right(held)
    form = more_form(held)
    if not form.validate_on_submit():
        return _more_page(held, form), 422
    _allow(form)
    return redirect(url_for(PAGE), code=303)


def _allow(form: MoreForm) -> None:
    units = int(form.units.data)
    try:
        limits.allow_more(
            gateways(), current_workspace_id(), current_user_id(), units, seen=form.cap_that_was_seen
        )
        flash(gettext("Done. The AI may take %(more)s more.", more=resolutions(units)), "success")
    except (ConflictError, NotTheApproverError) as refusal:
        flash(translated(refusal.message), "warning")


def _see_right(held: Standing) -> None:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        me = members.of_user(session, current_user_id())
    if not limits.may_allow(held, me):
        abort(403)


def _more_page(held: Standing, form: MoreForm) -> str:
    cost = held.cost_of(form.units.data or held.offered)
    return render_template("usage_limits/more.html", form=form, cost=cost, **_facts(held))
