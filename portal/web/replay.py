"""/usage/replay: what the last twelve months would have cost at the current prices, month by month."""

from flask import Blueprint, render_template, request, url_for
from werkzeug.datastructures import MultiDict

from portal import pricing
from portal.db import unit_of_work
from portal.services import replay
from portal.services.replay import Nothing, Replayed
from portal.web import current_user_id, current_workspace_id, gateways, may, workspace_required
from portal.web.pricing import offered_catalog
from portal.web.replay_words import Row, extremes, rows, standing_for, way
from portal.web.subscription_words import price_list

blueprint = Blueprint("replay", __name__, url_prefix="/usage/replay")

# who may move the workspace to other prices
BUYER = "billing"


@blueprint.get("")
@workspace_required()
def page() -> str:
    """The months beside each other; ``?tier=advanced&interval=year`` chooses what to compare with."""
    tier, interval = _chosen(request.args, offered_catalog())
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        found = replay.replay(session, gateways(), tier=tier, interval=interval)
    if isinstance(found, Nothing):
        return render_template("replay/nothing.html", nothing=found)
    return render_template("replay/page.html", **_facts(found, tier, interval))


def _chosen(asked: MultiDict[str, str], catalog: pricing.Catalog) -> tuple[str | None, str | None]:
    """What the address asks for, as far as it is sold: nobody's old link leads to an error."""
    tier, interval = asked.get("tier"), asked.get("interval")
    return tier if tier in catalog.tiers else None, interval if interval in catalog.intervals else None


def _facts(found: Replayed, tier: str | None, interval: str | None) -> dict[str, object]:
    table: list[Row] = rows(found)
    return {
        "replayed": found,
        "rows": table,
        "total": way(found.found.difference, found.found.own, found.currency),
        "extremes": extremes(found, table),
        "own_prices": price_list(found.own.version),
        "current_prices": price_list(found.catalog.version),
        "standing_for": standing_for(found),
        "chosen_tier": tier,
        "chosen_interval": interval or found.found.months[-1].interval,
        "move": url_for("subscription.prices") if found.live and may(BUYER) else None,
    }
