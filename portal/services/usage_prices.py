"""What a workspace pays for what it uses: its own subscription's prices, never the list's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from portal import pricing
from portal.models import Subscription

RESOLUTION = "resolution"


@dataclass(frozen=True)
class UsagePrice:
    """The price of one kind of usage per month: graduated ``bands`` after the ``included`` units."""

    key: str
    currency: str
    bands: tuple[pricing.Band, ...]
    included: int = 0

    def amount(self, units: int) -> int:
        """What ``units`` of a period cost, in minor units, rounded once as on the invoice."""
        return pricing.rate(max(units, 0), self.bands, included=self.included).amount

    def beyond(self, units: int, paid: int) -> int:
        """What ``units`` of a period cost of which annual credits pay for the first ``paid``."""
        return self.amount(units) - self.amount(min(units, paid))

    def units(self, amount: int) -> int:
        """How many units of a period cost no more than ``amount`` minor units; exact."""
        return pricing.units_within(amount, self.bands, included=self.included)


def of_key(subscription: Subscription | None, key: str) -> UsagePrice | None:
    """What ``key`` costs: as the subscription's item says, else as its catalogue; None where it is not sold.

    Without a subscription: in the catalogue that new customers buy from.
    """
    item = _item(subscription, key)
    catalog = catalog_of(subscription, item)
    usage = catalog.usage.get(key)
    if usage is None:
        return None
    currency = subscription.currency if subscription else catalog.currency
    if item.get("unit_amount") is not None and not usage.included:
        # one rate, perhaps agreed with this customer
        bands = (pricing.Band(None, Decimal(str(item["unit_amount"]))),)
        return UsagePrice(key, currency, bands)
    return UsagePrice(key, currency, usage.bands, usage.included)


def rates(subscription: Subscription | None) -> dict[str, pricing.UsageRate]:
    """Each kind of usage with its present price: that by which it is counted, else its catalogue's."""
    sold = {**catalog_of(subscription).usage}
    for item in subscription.items if subscription else []:
        if item.get("metered"):
            sold |= {
                key: rate for key, rate in catalog_of(subscription, item).usage.items() if key == item["key"]
            }
    found = {}
    for key, rate in sold.items():
        price = of_key(subscription, key)
        found[key] = replace(rate, bands=price.bands, included=price.included) if price else rate
    return found


def _item(subscription: Subscription | None, key: str) -> Mapping[str, Any]:
    items = subscription.items if subscription else []
    return next((item for item in items if item.get("key") == key and item.get("metered")), {})


def catalog_of(subscription: Subscription | None, item: Mapping[str, Any] | None = None) -> pricing.Catalog:
    """The catalogue that ``item`` was bought from, which may be older than that of the seats; else theirs."""
    version = str((item or {}).get("lookup_key") or "").partition(":")[0]
    wanted = version or (subscription.catalog if subscription else None)
    return next((each for each in pricing.catalogs() if each.version == wanted), pricing.current_catalog())
