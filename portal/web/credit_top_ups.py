"""/credits/automatic: what is bought by itself when the balance is low, and how much of it a month."""

from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from sqlalchemy.orm import Session
from werkzeug import Response
from wtforms import BooleanField

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import CreditTopUp
from portal.pricing import Pack
from portal.services import credit_purchases, credit_top_ups, payment_methods
from portal.services.credit_top_ups import Choice, TopUpError
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.credit_purchase_words import balance_url
from portal.web.freshness import MONEY, fresh_required
from portal.web.language import translated
from portal.web.pricing_form import CountField
from portal.web.usage_limits_form import MoneyField

blueprint = Blueprint("credit_top_ups", __name__, url_prefix="/credits/automatic")

BUYER = "billing"
FIELDS = ("enabled", "below", "units", "most_times", "most_amount", "pause_hours")


class TopUpForm(FlaskForm):
    """When a pack is bought by itself, which one, and how much of it a month."""

    enabled = BooleanField(_("Buy a pack by itself when the balance is low"))
    below = CountField(
        _("When fewer resolutions are left than"), minimum=0, maximum=credit_top_ups.MOST_UNITS
    )
    units = CountField(
        _("Resolutions to buy"), minimum=credit_top_ups.LEAST, maximum=credit_top_ups.MOST_UNITS
    )
    most_times = CountField(_("At most so many packs a month"), minimum=1, maximum=credit_top_ups.MOST_TIMES)
    most_amount = MoneyField(_("At most so much money a month, with tax"))
    pause_hours = CountField(_("Hours of pause after each"), minimum=1, maximum=credit_top_ups.LONGEST_PAUSE)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in FIELDS[1:]:
            getattr(self, name).flags.required = True

    def choice(self) -> Choice:
        """What was filled in; what is missing is out of range, and is said at its field."""
        found = {name: getattr(self, name).data for name in FIELDS[1:]}
        return Choice(
            enabled=bool(self.enabled.data),
            **{name: -1 if value is None else value for name, value in found.items()},
        )


@blueprint.get("")
@workspace_required(BUYER)
def page() -> str:
    """What is bought by itself, and the form to change it."""
    return _page()


@blueprint.post("")
@workspace_required(BUYER)
@fresh_required(MONEY)
def change() -> Response | tuple[str, int]:
    """Keep the choice, or the form with what is wrong."""
    form = TopUpForm()
    if not (form.validate_on_submit() and _kept(form)):
        return _page(form), 422
    on, off = gettext("A pack is bought by itself from now on."), gettext("Nothing is bought by itself.")
    flash(on if form.enabled.data else off, "success")
    return redirect(url_for("credit_top_ups.page"), code=303)


def _kept(form: TopUpForm) -> bool:
    try:
        credit_top_ups.choose(gateways(), current_workspace_id(), current_user_id(), form.choice())
    except TopUpError as error:
        getattr(form, error.param or "units").errors = [translated(error.message)]
        return False
    except PortalError as error:
        form.form_errors.append(translated(error.message))
        return False
    return True


def _price_of(session: Session, units: int) -> tuple[str, Pack | None, str | None]:
    """The customer's currency, what would be bought for so many units today, and why nothing can be."""
    try:
        buyer = credit_purchases.buyer(session)
    except PortalError as error:
        return "usd", None, translated(error.message)
    try:
        return buyer.currency, buyer.offer(units).pack, None
    except pricing.PricingError:
        return buyer.currency, None, None


def _pause(row: CreditTopUp | None, now: datetime) -> datetime | None:
    """Until when nothing is bought because something just was, or could not be."""
    if row is None or not row.enabled or row.paused_until is None:
        return None
    return row.paused_until if row.paused_until > now else None


def _page(form: TopUpForm | None = None) -> str:
    now = gateways().clock.now()
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        row = credit_top_ups.current(session)
        currency, pack, refusal = _price_of(session, (row or Choice()).units)
        facts = {
            "pack": pack,
            "refusal": refusal,
            "left": credit_top_ups.left(session, now),
            "bought": credit_top_ups.this_month(session, now),
            "paused_until": _pause(row, now),
            "methods": [each for each in payment_methods.listing(session) if each.default],
        }
    held = form or TopUpForm(formdata=None, obj=row or Choice())
    held.most_amount.currency = currency
    return render_template(
        "credit_top_ups/page.html", form=held, row=row, currency=currency, balance=balance_url(), **facts
    )
