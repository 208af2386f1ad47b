"""/usage: what was counted in a period, by day and channel, what it costs, and what it will come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, render_template, request, url_for
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.services import subscriptions, usage, usage_caps, usage_entries, usage_invoices
from portal.services.usage import Metered, Period, Usage
from portal.services.usage_prices import RESOLUTION
from portal.web import (
    current_user_id,
    current_workspace_id,
    gateways,
    may,
    settings,
    usage_csv,
    workspace_required,
)
from portal.web.resolutions import blueprint as resolution_pages
from portal.web.usage_address import known_or_404, period_text, read_period
from portal.web.usage_charts import chart
from portal.web.usage_words import (
    channel,
    period_name,
    share_words,
    unit_name,
    why_amount,
    why_forecast,
)

blueprint = Blueprint("usage", __name__, url_prefix="/usage")
blueprint.register_blueprint(resolution_pages)

# periods that the page tells of below the chosen one
EARLIER = 6
# channels that are listed; what else there is stands in the CSV
CHANNELS = 12
LIMITS_PAGE, KEYS_PAGE, REPLAY_PAGE = "usage_limits.page", "api_keys.listing", "replay.page"
EVENTS = "/v1/events"


@dataclass(frozen=True)
class Past:
    """A period that is over: its units and what was charged for all its usage (None: no invoice yet)."""

    period: Period
    amount: int | None
    number: str | None
    void: bool


@blueprint.get("")
@workspace_required()
def page() -> str:
    """The present period, or the one of ``?period=``; ``?unit=`` shows another kind of usage."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        now, subscription = gateways().clock.now(), subscriptions.current(session)
        listed, wanted = usage.periods(session, now), read_period(request.args)
        period = next((each for each in listed if wanted in (None, each.starts_at)), None)
        found = usage.read(session, now, wanted, period=period, subscription=subscription)
        if found is None:
            known_or_404(request.args)
            return render_template("usage/none.html", subscription=subscription)
        cap = usage_caps.read(session, now, found.period, subscription) if found.is_current else None
        facts = _facts(session, usage.within(found, cap.cap if cap else None), listed)
        older = subscription is not None and subscription.catalog != pricing.current_catalog().version
        return render_template("usage/page.html", **facts, cap=cap, on_older_prices=older)


def _facts(session: Session, found: Usage, listed: Sequence[Period]) -> dict[str, Any]:
    shown = _chosen(found)
    return {
        "usage": found,
        "period": found.period,
        "shown": shown,
        "periods": listed,
        "earlier": _earlier(session, [each for each in listed if each.starts_at < found.period.starts_at]),
        "chart": chart(shown, found.period, found.now),
        "channels": shown.channels[:CHANNELS],
        "why_amount": why_amount(shown, found.period, found.currency),
        "why_forecast": why_forecast(shown, found.currency),
        "why_of": lambda each: why_amount(each, found.period, found.currency),
        "events_address": f"{settings().base_url}{EVENTS}",
        "period_text": period_text,
        "period_name": period_name,
        "share_words": share_words,
        "unit_name": unit_name,
        "channel": channel,
        "address": _address(found.period, shown.key),
        "limits_page": url_for(LIMITS_PAGE),
        "replay_page": url_for(REPLAY_PAGE),
        "keys_page": url_for(KEYS_PAGE) if may("admin") else None,
    }


def _chosen(found: Usage) -> Metered:
    key = request.args.get("unit", RESOLUTION)
    return next((each for each in found.metered if each.key == key), found.resolutions)


def _earlier(session: Session, listed: Sequence[Period]) -> list[Past]:
    """The periods before, with what their invoices bill."""
    shown = listed[:EARLIER]
    invoices = usage_invoices.by_id(session, [each.invoice_id for each in shown])
    found = []
    for each in shown:
        invoice = invoices.get(str(each.invoice_id))
        lines = usage_invoices.billed(invoice, each.ends_at).values() if invoice else ()
        amount = sum(line.amount - line.by_credits for line in lines if not line.void) if invoice else None
        number = (invoice.number or invoice.stripe_id) if invoice else None
        found.append(Past(each, amount, number, any(line.void for line in lines)))
    return found


def _address(period: Period, unit: str) -> dict[str, str]:
    """The page's own part of an address; the present period and the resolutions go without saying."""
    kept = {"period": period_text(period.starts_at)} if request.args.get("period") else {}
    return kept | ({} if unit == RESOLUTION else {"unit": unit})


@blueprint.get("/resolutions.csv")
@workspace_required()
def resolution_file() -> Response:
    """Every entry of the ledger for the period's resolutions; their amounts sum to the invoice's line."""
    return _file(RESOLUTION)


@blueprint.get("/units/<key>.csv")
@workspace_required()
def unit_file(key: str) -> Response:
    """The same for another kind of usage."""
    return _file(key)


def _file(key: str) -> Response:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        period = usage.find(session, gateways().clock.now(), read_period(request.args))
        if period is None:
            abort(404)
        entries = usage_entries.of_period(session, period, key)
        if entries.price is None and not usage_entries.any_of(session, period, key):
            abort(404)
    return usage_csv.download(entries)
