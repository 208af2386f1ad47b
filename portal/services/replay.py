"""What the last twelve months would have cost at the prices that are sold now, for who is on older ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import pricing
from portal.gateways import Gateways
from portal.services import seats, subscriptions
from portal.services.billed_months import BilledMonth, billed_months

MONTHS = 12
NO_SUBSCRIPTION, CURRENT_PRICES, NO_MONTHS = "no_subscription", "current_prices", "no_months"


@dataclass(frozen=True)
class Replayed:
    """The months as they were billed beside ``found``, the same ones at the prices of ``catalog``.

    ``billed`` and ``found.months`` have the same order, the oldest first. ``own`` is the catalogue that the
    workspace has now. Amounts are minor units of ``currency``, before tax.
    """

    billed: Sequence[BilledMonth]
    found: pricing.Replay
    catalog: pricing.Catalog
    own: pricing.Catalog
    currency: str
    live: bool


@dataclass(frozen=True)
class Nothing:
    """Why there is nothing to replay; ``until``: when the first month that can be is complete, if known."""

    why: str
    until: datetime | None = None


def replay(
    session: Session, gateways: Gateways, *, tier: str | None = None, interval: str | None = None
) -> Replayed | Nothing:
    """What the entered workspace paid, month by month, and would have paid under the current catalogue.

    ``tier`` stands for every own tier; without it the own ones stay, and for those that are not sold the
    cheapest that holds the lite seats in use. Raises pricing.PricingError for what is not sold.
    """
    subscription = subscriptions.current(session)
    current = pricing.catalog(gateways.settings.default_catalog)
    own = _known(subscription.catalog if subscription else None)
    if subscription is None or own is None:
        return Nothing(NO_SUBSCRIPTION)
    if own.version == current.version:
        return Nothing(CURRENT_PRICES)
    billed = billed_months(session, now=gateways.clock.now(), most=MONTHS)
    if not billed:
        return Nothing(NO_MONTHS, subscription.usage_period_end)
    found = pricing.replay(
        [each.month for each in billed],
        catalog=current,
        tier=tier,
        interval=interval,
        lite_seats=seats.usage(session).lite_used,
    )
    live = subscription.status in subscriptions.LIVE
    return Replayed(billed, found, current, own, subscription.currency, live)


def _known(version: str | None) -> pricing.Catalog | None:
    """The catalogue of that version; nothing for prices that are none of ours."""
    try:
        return pricing.catalog(version) if version else None
    except pricing.PricingError:
        return None
