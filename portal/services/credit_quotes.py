"""The binding price of a pack: reckoned at the customer's own price, stored, and looked at again.

What the invoice is going to say is asked of Stripe with a draft of that very invoice, which nobody sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal import pricing
from portal.errors import N_, ConflictError
from portal.gateways.stripe_words import Invoice
from portal.models import BillingDetails, CreditPurchase, Quote, Subscription
from portal.pricing import packs
from portal.pricing import periods as calendar
from portal.services import credit_lots, quotes, subscriptions, usage_prices
from portal.services.change_errors import SubscriptionEndsError
from portal.services.credit_purchase_kinds import BY_ITSELF
from portal.services.ids import new_id
from portal.services.quotes import Change, QuoteChangedError
from portal.services.usage_prices import RESOLUTION

LIFETIME = timedelta(hours=24)
# the key of the only line
LINE = "credits"
# Stripe leaves a smaller rest on the balance (docs.stripe.com/currencies#minimum-and-maximum-charge-amounts)
SMALLEST_CHARGE = {"usd": 50, "eur": 50, "gbp": 30}
# and charges no more at once
LARGEST_CHARGE = 99_999_999


class NoSubscriptionForCreditsError(ConflictError):
    """Credits pay for a subscription's resolutions; there is none that goes on."""

    code = "no_subscription"

    def __init__(self) -> None:
        super().__init__(
            N_("Credits pay for the resolutions of a subscription. Choose a tier first, then buy credits.")
        )


class NoPacksError(ConflictError):
    """The customer's own prices are of a list that sells no packs."""

    code = "no_packs"

    def __init__(self) -> None:
        super().__init__(
            N_("Your prices are of an older price list, which sells no packs. Move to today's prices first.")
        )


class FreeResolutionsError(ConflictError):
    """What costs nothing is not bought in advance."""

    code = "free_resolutions"

    def __init__(self) -> None:
        super().__init__(N_("Resolutions cost you nothing, so there is nothing to buy in advance."))


@dataclass(frozen=True)
class Buyer:
    """What the price of a pack depends on: the subscription's own price of a resolution, and its list."""

    subscription_id: str
    customer_id: str
    catalog: pricing.Catalog
    currency: str
    unit_amount: Decimal
    price_id: str
    anchor: int
    billing: Mapping[str, object]
    purchase_order: str | None

    def offer(self, units: int) -> packs.Offer:
        """The pack to sell to who asks for ``units``. Raises pricing.PricingError (param ``units``)."""
        offer = packs.offer(units, catalog=self.catalog, unit_amount=self.unit_amount)
        if offer.pack.total > LARGEST_CHARGE:
            raise pricing.PricingError(f"units must cost at most {LARGEST_CHARGE} together.", "units")
        return offer

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """From when to when a pack that is paid now counts: whole months of usage, a year and a rest."""
        return credit_lots.span(self.anchor, now)

    def month_ends(self, now: datetime) -> datetime:
        """When the open month of usage ends."""
        _, end = calendar.containing(self.anchor, "month", int(now.timestamp()))
        return datetime.fromtimestamp(end, UTC)

    @property
    def facts(self) -> dict[str, object]:
        """What a quote goes by beside the billing details."""
        return {
            "subscription": self.subscription_id,
            "price": self.price_id,
            "unit_amount": str(self.unit_amount),
        }


def buyer(session: Session, details: BillingDetails | None) -> Buyer:
    """Who buys, by our rows.

    Raises NoSubscriptionForCreditsError, SubscriptionEndsError, NoPacksError, FreeResolutionsError.
    """
    row = subscriptions.bought(session)
    if row is None or details is None or details.stripe_customer_id is None:
        raise NoSubscriptionForCreditsError
    if row.cancel_at is not None:
        raise SubscriptionEndsError
    item = _resolutions(row)
    price = usage_prices.of_key(row, RESOLUTION)
    if item is None or price is None:
        raise NoSubscriptionForCreditsError
    catalog = usage_prices.catalog_of(row, item)
    if catalog.credits is None or len(price.bands) != 1:
        raise NoPacksError
    if not price.bands[0].unit_amount:
        raise FreeResolutionsError
    return Buyer(
        subscription_id=row.stripe_id,
        customer_id=details.stripe_customer_id,
        catalog=catalog,
        currency=row.currency,
        unit_amount=price.bands[0].unit_amount,
        price_id=str(item["stripe_price_id"]),
        anchor=subscriptions.anchor_of(row),
        billing=quotes.billing_facts(details),
        purchase_order=details.purchase_order,
    )


def _resolutions(row: Subscription) -> Mapping[str, Any] | None:
    found = (each for each in row.items if each.get("key") == RESOLUTION and each.get("metered"))
    return next((each for each in found if each.get("stripe_price_id")), None)


def store(
    session: Session,
    purchase: CreditPurchase,
    held: Buyer,
    draft: Invoice,
    *,
    pack: packs.Pack,
    asked: int,
    balance: int,
    now: datetime,
) -> Quote:
    """Write the price of ``pack`` as the workspace's quote; a person's replaces earlier unconfirmed ones.

    ``draft``: Stripe's invoice of it; ``balance``: the customer's, below zero its credit. ``asked``: how many
    units were asked for.
    """
    quote = Quote(
        id=new_id("Q"),
        kind=quotes.CREDITS,
        selection={"units": pack.units, "asked": asked},
        catalog=pack.catalog,
        currency=pack.currency,
        lines=[line(pack) | {"tax": draft.tax}],
        usage={},
        subtotal=pack.total,
        discount=0,
        tax=draft.tax,
        total=draft.total,
        amount_due=due(draft.total, balance, pack.currency),
        tax_status=quotes.tax_status(draft),
        promotion=None,
        trial_days=0,
        billing=dict(held.billing),
        preview=quotes.evidence(draft),
        terms=_terms(purchase, held, pack, now) | {"draft": draft.id},
        created_at=now,
        created_by=purchase.created_by,
        expires_at=_end(held, now),
    )
    quote.digest = quotes.digest(quote)
    _replace_earlier(session, purchase, now)
    session.add(quote)
    session.flush()
    purchase.quote_id = quote.id
    return quote


def _end(held: Buyer, now: datetime) -> datetime:
    """Until when the price holds: in another month of usage the pack would cover others."""
    return min(now + LIFETIME, held.month_ends(now))


def _terms(purchase: CreditPurchase, held: Buyer, pack: packs.Pack, now: datetime) -> dict[str, object]:
    """What is bought, for which months, and what all of it was reckoned from."""
    starts_at, expires_at = held.span(now)
    return {
        "purchase": purchase.id,
        "kind": purchase.kind,
        "pack": pack.as_dict(explain=True),
        "facts": held.facts,
        "starts_at": int(starts_at.timestamp()),
        "expires_at": int(expires_at.timestamp()),
    }


def _replace_earlier(session: Session, purchase: CreditPurchase, now: datetime) -> None:
    """Mark what nobody has confirmed; somebody's price and one that is bought by itself leave each other."""
    if purchase.kind in BY_ITSELF:
        return
    session.execute(
        update(Quote)
        .where(
            Quote.kind == quotes.CREDITS,
            Quote.confirmed_at.is_(None),
            Quote.replaced_at.is_(None),
            Quote.terms["kind"].astext.not_in(BY_ITSELF),
        )
        .values(replaced_at=now)
    )


def line(pack: packs.Pack) -> dict[str, object]:
    """The only line: the pack as a whole, so that it is rounded once; its trace says how it came about."""
    return {
        "key": LINE,
        "quantity": 1,
        "amount": pack.total,
        "discount": 0,
        "total": pack.total,
        "units": pack.units,
        "unit_amount": str(pack.unit_amount),
        "percent_off": str(pack.percent_off),
        "description": description(pack),
    }


def description(pack: packs.Pack) -> str:
    """What the invoice calls it, in the invoice's language."""
    return f"{pack.units:,} resolutions, annual credits"


def due(total: int, balance: int, currency: str) -> int:
    """What is left to pay of ``total`` after the customer's balance, as Stripe settles it, in minor units."""
    rest = total + balance if total else 0
    return rest if rest >= SMALLEST_CHARGE.get(currency, 1) else 0


def check(quote: Quote, held: Buyer, *, details: BillingDetails, now: datetime) -> None:
    """Whether the quote may still be carried out, as far as our own rows tell.

    Raises QuoteExpiredError, or QuoteChangedError with what is no longer as it was quoted.
    """
    quotes.check(quote, details=details, catalog=held.catalog.version, now=now)
    before: Any = (quote.terms or {}).get("facts") or {}
    found = [
        Change(name, before.get(name), value)
        for name, value in held.facts.items()
        if before.get(name) != value
    ]
    if found:
        raise QuoteChangedError(found)
