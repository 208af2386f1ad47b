"""The way back for a workspace whose subscription has ended: /pricing, with the old choice filled in."""

from flask import url_for

from portal.models import Subscription
from portal.pricing import Catalog, Selection
from portal.pricing.catalog import SEAT
from portal.web.pricing import offered_catalog
from portal.web.pricing_form import choice_query


def way_back(subscription: Subscription) -> str:
    """The address of /pricing with what it had, where that is still sold."""
    choice = former_choice(subscription, offered_catalog())
    return url_for("pricing.page", **(choice_query(choice) if choice else {}))


def former_choice(subscription: Subscription, catalog: Catalog) -> Selection | None:
    """What an ended subscription had, as sold today; the middle tier for one that is not sold any more."""
    if not subscription.seats:
        return None
    tiers = list(catalog.tiers)
    tier = subscription.tier if subscription.tier in tiers else tiers[len(tiers) // 2]
    counts = {
        str(item["key"]): int(str(item["quantity"]))
        for item in subscription.items
        if item.get("quantity") and item["key"] != SEAT and item["key"] in catalog.add_ons
    }
    intervals = catalog.intervals
    interval = subscription.interval if subscription.interval in intervals else intervals[0]
    return Selection(str(tier), subscription.seats, str(interval), counts)
