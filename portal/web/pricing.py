"""/pricing: compare the tiers, choose, see what it costs. Public; the whole choice is in the address."""

from collections.abc import Mapping

from flask import Blueprint, Response, make_response, render_template, request

from portal.pricing import Catalog, catalog, quote
from portal.web import public, settings
from portal.web.pricing_form import ChoiceForm, choice_form

blueprint = Blueprint("pricing", __name__)


def offered_catalog() -> Catalog:
    """The catalogue that new customers buy from."""
    return catalog(settings().default_catalog)


def year_saving(prices: Mapping[str, int]) -> int:
    """What a year costs less than twelve months (minor units); zero where it saves nothing or is not sold."""
    return 12 * prices["month"] - prices["year"] if "year" in prices else 0


def _page(template: str, form: ChoiceForm) -> Response:
    estimate = None
    if form.validate() and form.selection:
        estimate = quote(form.selection, catalog=form.catalog, currency=form.catalog.currency)
    response = make_response(
        render_template(
            template,
            form=form,
            catalog=form.catalog,
            estimate=estimate,
            year_saving=year_saving,
        )
    )
    # the browser may keep it for Back, and asks again before it shows it anew
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@blueprint.get("/pricing")
@public
def page() -> Response:
    """The page, with what the address chooses."""
    return _page("pricing/page.html", choice_form(request.args, offered_catalog()))


@blueprint.get("/pricing/choice")
@public
def choice() -> Response:
    """The changing part of the page alone, for the script that updates it as the person types."""
    return _page("pricing/_choice.html", choice_form(request.args, offered_catalog()))
