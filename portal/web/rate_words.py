"""What usage costs, before and after the end of a month of usage, at which it changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext

from portal import pricing
from portal.models import Subscription
from portal.pricing import UsageRate
from portal.services import usage_prices
from portal.services.holdings import Holding
from portal.web.explanations import usage_price
from portal.web.subscription_words import State

Rates = Mapping[str, UsageRate]


@dataclass(frozen=True)
class RateWords:
    """When usage begins to cost something else, and what is different then, a sentence each."""

    on: datetime
    changes: list[str]


def sold_with(state: State) -> dict[str, UsageRate]:
    """The kinds of usage that a selection has, by key, as its catalogue sells them."""
    return {key: state.catalog.usage[key] for key in state.usable}


def rate_changes(before: Rates, after: Rates, currency: str) -> list[str]:
    """What costs something else or is not sold any more; empty where only the price list has another name."""
    found = []
    for key, was in before.items():
        now = after.get(key)
        old, new = (
            "; ".join(usage_price(each, currency)) if each is not None else None for each in (was, now)
        )
        if new is None:
            found.append(gettext("%(usage)s: not sold any more", usage=was.name))
        elif now is not None and new != old:
            found.append(gettext("%(usage)s: %(now)s, until then %(was)s", usage=now.name, now=new, was=old))
    return found


def next_rates(holding: Holding, subscription: Subscription) -> RateWords | None:
    """What usage is going to cost when the open month ends; nothing where that stays as it is."""
    planned = holding.next_rates
    if planned is None:
        return None
    counted = usage_prices.rates(subscription)
    sold = pricing.catalog(holding.catalog).usage
    before = {key: counted[key] for key in holding.metered if key in counted}
    after = {key: sold[key] for key in planned.prices if key in sold}
    changes = rate_changes(before, after, holding.currency)
    return RateWords(planned.at, changes) if changes else None
