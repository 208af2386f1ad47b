"""/pricing: compare the tiers, choose, see what it costs. Public; the whole choice is in the address."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from babel import Locale
from flask import Blueprint, Response, current_app, make_response, render_template, request
from markupsafe import Markup

from portal.db import unit_of_work
from portal.pricing import Catalog, catalog, quote
from portal.services import subscriptions
from portal.web import public, settings, signed_in
from portal.web.language import page_locale
from portal.web.pricing_form import ChoiceForm, choice_form
from portal.web.subscription_words import price_list

blueprint = Blueprint("pricing", __name__)

KEPT_CHOICES = 256


def offered_catalog() -> Catalog:
    """The catalogue that new customers buy from."""
    return catalog(settings().default_catalog)


def year_saving(prices: Mapping[str, int]) -> int:
    """What a year costs less than twelve months (minor units); zero where it saves nothing or is not sold."""
    return 12 * prices["month"] - prices["year"] if "year" in prices else 0


@dataclass(frozen=True)
class _Choice:
    """What the changing part of the page is made from; nothing in it is about who asks."""

    catalog: Catalog
    typed: tuple[tuple[str, tuple[str, ...]], ...]
    locale: Locale
    root: str
    form: ChoiceForm = field(compare=False)


def _rendered(chosen: _Choice) -> Markup:
    form, catalog = chosen.form, chosen.catalog
    estimate = quote(form.selection, catalog=catalog, currency=catalog.currency) if form.selection else None
    return Markup(  # noqa: S704 - the template has escaped what was typed
        render_template(
            "pricing/_choice.html", form=form, catalog=catalog, estimate=estimate, year_saving=year_saving
        )
    )


# most who come see one of a few choices; only what can be priced is kept
_kept = lru_cache(KEPT_CHOICES)(_rendered)


def _choice() -> Markup:
    form = choice_form(request.args, offered_catalog())
    priced = form.validate()
    typed = tuple((each.name, tuple(each.raw_data or ())) for each in form)
    chosen = _Choice(form.catalog, typed, page_locale(), request.script_root, form)
    return _kept(chosen) if priced and not current_app.debug else _rendered(chosen)


def _answer(page: str) -> Response:
    response = make_response(page)
    # the browser may keep it for Back, and asks again before it shows it anew
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@blueprint.get("/pricing")
@public
def page() -> Response:
    """The page, with what the address chooses."""
    return _answer(render_template("pricing/page.html", choice=_choice(), own=_own_prices()))


def _own_prices() -> str | None:
    """What the prices of who has bought already are called; None for everybody else."""
    sign_in = signed_in()
    if sign_in is None or sign_in.current is None:
        return None
    with unit_of_work(sign_in.current.workspace_id) as session:
        row = subscriptions.bought(session)
    return price_list(row.catalog) if row is not None and row.catalog else None


@blueprint.get("/pricing/choice")
@public
def choice() -> Response:
    """The changing part of the page alone, for the script that updates it as the person types."""
    return _answer(_choice())
