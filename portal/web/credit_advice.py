"""The advisor of /credits, and the price of any number of units as it is typed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict
from wtforms import Form

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.pricing import Offer, Option
from portal.services import credit_advice, credits
from portal.services.credit_advice import Advised
from portal.services.credits import Balance
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.credit_advice_words import because, expectation_words, row_of
from portal.web.language import translated
from portal.web.pack_words import better, reasons
from portal.web.pricing_form import CountField

blueprint = Blueprint("credit_advice", __name__, url_prefix="/credits")

# who may spend the workspace's money
BUYER = "billing"
# what a person may type on the page; who needs more talks to us
MAX_UNITS = 1_000_000


class UnitsForm(Form):
    """How many resolutions somebody thinks of; the minimum is the catalogue's."""

    units = CountField(_("Resolutions"), minimum=1, maximum=MAX_UNITS)


@dataclass(frozen=True)
class Advisor:
    """What the advisor's part of /credits shows; ``refusal``: why there is nothing to advise on.

    ``way`` is the address and the words of what helps, if anything does.
    """

    advised: Advised | None
    form: UnitsForm | None
    offer: Offer | None
    refusal: str | None = None
    way: tuple[str, str] | None = None


def advisor(session: Session, balance: Balance, arguments: MultiDict[str, str]) -> Advisor:
    """Read the advisor's part for the entered workspace; ``?units=600`` chooses a number."""
    try:
        advised = credit_advice.advise(session, balance)
    except PortalError as error:
        return Advisor(None, None, None, translated(error.message), _way(error))
    form = _form(arguments, advised)
    return Advisor(advised, form, _offer(advised, form) if form.validate() else None)


def _way(error: PortalError) -> tuple[str, str] | None:
    if not may(BUYER):
        return None
    match error.code:
        case "no_subscription":
            return url_for("pricing.page"), gettext("Choose a tier")
        case "no_packs":
            return url_for("subscription.prices"), gettext("Compare today's prices")
        case _:
            return None


def _form(arguments: MultiDict[str, str], advised: Advised) -> UnitsForm:
    given = MultiDict({"units": arguments.get("units", str(advised.suggested))})
    form = UnitsForm(given)
    form.units.minimum = advised.least
    return form


def _offer(advised: Advised, form: UnitsForm) -> Offer | None:
    """The pack that is sold for what was typed; what cannot be priced is said at the field."""
    try:
        return advised.buyer.offer(int(form.units.data or 0))
    except pricing.PricingError:
        form.units.errors = [gettext("So many resolutions at once are not sold here. Ask for fewer.")]
        return None


def context(session: Session, balance: Balance) -> dict[str, Any]:
    """What ``credits/_advisor.html`` needs, for the page that includes it."""
    found = advisor(session, balance, request.args)
    advised = found.advised
    return {
        "advisor": found,
        "rows": [_row(advised, option) for option in advised.found.options] if advised else [],
        "because": because(advised) if advised else None,
        "expectation": expectation_words(advised) if advised else [],
        "held": advised.found.held if advised else 0,
        "reasons": reasons(found.offer.pack.as_dict()) if found.offer else [],
        "may_swap": may(BUYER),
        "better": better(found.offer) if found.offer else None,
        "buy": _buy_address(found.offer) if found.offer and may(BUYER) else None,
    }


def _buy_address(offer: Offer) -> str:
    return f"{request.script_root}/credits/buy?units={offer.pack.units}"


def _row(advised: Advised, option: Option) -> Mapping[str, object]:
    return row_of(option, recommended=option is advised.found.recommended)


@blueprint.get("/price")
@workspace_required()
def price() -> str:
    """The changing part of the advisor alone, for the script that updates it as the person types."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        balance = credits.read(session, gateways().clock.now())
        return render_template("credits/_advisor.html", **context(session, balance))
