"""Our catalogues at Stripe: pushed there once, found again by lookup key, never changed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError, UnavailableError
from portal.gateways import Gateways
from portal.gateways.stripe_catalog import StripeAccount
from portal.gateways.stripe_words import Band, Meter, Price, PriceSpec, PurchaseItem
from portal.models import CatalogPrice
from portal.services.ids import new_id

# Software as a service, business use (docs.stripe.com/tax/tax-codes)
TAX_CODE = "txcd_10103001"
PRODUCT_PREFIX = "portal-"


class CatalogDiffersError(ConflictError):
    """Stripe holds another price under one of our lookup keys; prices cannot be changed there."""

    code = "catalog_differs"


@dataclass
class Pushed:
    """What a push did: ids made, and lookup keys that were there already."""

    products: list[str] = field(default_factory=list)
    meters: list[str] = field(default_factory=list)
    prices: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def push(gateways: Gateways, catalogs: Iterable[pricing.Catalog] | None = None) -> Pushed:
    """Bring every catalogue to Stripe and note its ids in ``catalog_price``. Doing it again changes nothing.

    Two pushes at once make nothing twice: product ids, lookup keys and event names are unique at Stripe.
    Older prices stay as they are and are never archived: an archived one cannot be set on an item again.
    Raises CatalogDiffersError, before anything is written, naming every price that differs.
    """
    account = gateways.stripe.account
    wanted = [price for each in (catalogs or reversed(pricing.catalogs())) for price in each.lookup_keys()]
    found = account.prices([price.lookup_key for price in wanted])
    _refuse_differences(wanted, found)
    done = Pushed()
    _push_products(account, wanted, done)
    meters = push_meters(account, wanted, done)
    rows = []
    for price in wanted:
        known = found.get(price.lookup_key)
        if known is None:
            known = account.create_price(_spec(price, meters), key=new_id("P"))
            done.prices.append(price.lookup_key)
        else:
            done.kept.append(price.lookup_key)
        rows.append(_row(price, known))
    _store(rows)
    return done


def _catalog_of(price: pricing.Price) -> str:
    return price.lookup_key.split(":", 1)[0]


def _metadata(price: pricing.Price) -> dict[str, str]:
    role = "metered" if price.usage_type == "metered" else ("seat" if price.tier else "add_on")
    found = {"catalog": _catalog_of(price), "key": price.key, "role": role}
    return found | ({"tier": price.tier} if price.tier else {})


def product_id(price: pricing.Price) -> str:
    """The product's id at Stripe; the same in every catalogue."""
    return PRODUCT_PREFIX + price.product.replace(":", "-").replace("_", "-")


def _spec(price: pricing.Price, meters: Mapping[str, Meter]) -> PriceSpec:
    return PriceSpec(
        lookup_key=price.lookup_key,
        product_id=product_id(price),
        currency=price.currency,
        interval=price.interval,
        unit_amount=price.unit_amount,
        bands=tuple(Band(band.up_to, band.unit_amount, band.flat_amount) for band in price.bands),
        bands_mode="graduated" if price.bands else None,
        meter_id=meters[price.meter].id if price.meter else None,
        metadata=_metadata(price),
    )


def _push_products(account: StripeAccount, wanted: list[pricing.Price], done: Pushed) -> None:
    newest = {product_id(price): price for price in wanted}
    for stripe_id, price in newest.items():
        metadata = {name: value for name, value in _metadata(price).items() if name != "catalog"}
        known = account.product(stripe_id)
        if known is None:
            account.create_product(
                stripe_id,
                price.product_name,
                tax_code=TAX_CODE,
                unit_label=price.unit_label,
                metadata=metadata,
                key=new_id("P"),
            )
            done.products.append(stripe_id)
        elif (known.name, known.tax_code, known.active) != (price.product_name, TAX_CODE, True):
            account.update_product(
                stripe_id, name=price.product_name, tax_code=TAX_CODE, metadata=metadata, key=new_id("P")
            )
            done.products.append(stripe_id)


def push_meters(account: StripeAccount, wanted: list[pricing.Price], done: Pushed) -> dict[str, Meter]:
    """Make the meters that the wanted prices count with; all active ones by event name."""
    meters = account.meters()
    for price in wanted:
        if price.meter and price.meter not in meters:
            meters[price.meter] = account.create_meter(price.meter, price.product_name, key=new_id("P"))
            done.meters.append(price.meter)
    return meters


def _refuse_differences(wanted: list[pricing.Price], found: Mapping[str, Price]) -> None:
    lines = []
    for price in wanted:
        known = found.get(price.lookup_key)
        if known is not None:
            lines += [f"{price.lookup_key}: {difference}" for difference in differences(price, known)]
    if lines:
        raise CatalogDiffersError(
            "Stripe holds other prices under these lookup keys. A price cannot be changed: make a new"
            " catalogue file, or give the key free at Stripe.\n" + "\n".join(lines)
        )


def differences(price: pricing.Price, known: Price) -> list[str]:
    """What is immutable and differs between our price and Stripe's, one line each."""
    bands = tuple(Band(band.up_to, band.unit_amount, band.flat_amount) for band in price.bands)
    pairs: list[tuple[str, object, object]] = [
        ("currency", price.currency, known.currency),
        ("interval", price.interval, known.interval),
        ("unit amount", price.unit_amount, known.unit_amount),
        ("bands", bands, known.bands),
        ("product", product_id(price), known.product_id),
        ("tax behaviour", "exclusive", known.tax_behavior),
        ("metered", price.usage_type == "metered", known.meter_id is not None),
        ("active", True, known.active),
    ]
    return [f"{what} is {theirs}, ours is {ours}" for what, ours, theirs in pairs if ours != theirs]


def _row(price: pricing.Price, known: Price) -> dict[str, object]:
    return {
        "lookup_key": price.lookup_key,
        "catalog": _catalog_of(price),
        "key": price.key,
        "tier": price.tier,
        "interval": price.interval,
        "stripe_product_id": known.product_id,
        "stripe_price_id": known.id,
    }


def _store(rows: list[dict[str, object]]) -> None:
    statement = insert(CatalogPrice).values(rows)
    ids = {
        "stripe_product_id": statement.excluded.stripe_product_id,
        "stripe_price_id": statement.excluded.stripe_price_id,
    }
    with unit_of_work() as session:
        session.execute(statement.on_conflict_do_update(index_elements=[CatalogPrice.lookup_key], set_=ids))


def prices_by_key(session: Session, version: str) -> dict[str, CatalogPrice]:
    """Lookup key → where it lives at Stripe, for one catalogue. Raises UnavailableError before a push."""
    rows = noted(session, version)
    if not rows:
        raise UnavailableError(
            N_("These prices are not on sale yet. Try again in a few minutes."),
            log=f"catalogue {version} is not at Stripe; run flask catalog push",
        )
    return rows


def noted(session: Session, version: str) -> dict[str, CatalogPrice]:
    """Lookup key → our row, as far as the catalogue was pushed."""
    rows = session.scalars(select(CatalogPrice).where(CatalogPrice.catalog == version))
    return {row.lookup_key: row for row in rows}


_OF_PRICES = select(CatalogPrice).where(
    CatalogPrice.stripe_price_id.in_(bindparam("price_ids", expanding=True))
)


def keys_of_prices(session: Session, price_ids: Iterable[str | None]) -> dict[str, CatalogPrice]:
    """Stripe's price id → our row, for those that are ours."""
    wanted = {price_id for price_id in price_ids if price_id}
    rows = session.scalars(_OF_PRICES, {"price_ids": list(wanted)})
    return {row.stripe_price_id: row for row in rows}


def keys_of_products(session: Session, product_ids: Iterable[object]) -> frozenset[str]:
    """The line keys that these products of Stripe's are sold under."""
    wanted = {str(each) for each in product_ids}
    rows = session.scalars(select(CatalogPrice.key).where(CatalogPrice.stripe_product_id.in_(wanted)))
    return frozenset(rows)


def products_of(session: Session, key: str) -> list[str]:
    """Stripe's products that are sold under a line key, in every catalogue."""
    rows = session.scalars(select(CatalogPrice.stripe_product_id).where(CatalogPrice.key == key).distinct())
    return sorted(rows)


def promote(
    gateways: Gateways,
    code: str,
    *,
    percent_off: Decimal | None = None,
    amount_off: int | None = None,
    duration: str = "once",
    months: int | None = None,
) -> str:
    """Make a promotion code for seats and add-ons, never for usage; Stripe's id of it.

    Exactly one of ``percent_off`` and ``amount_off`` (minor units); ``months`` with duration ``repeating``.
    Raises ConflictError when the code is in use (no coupon is made then) and before a push.
    """
    licensed = [p for p in pricing.current_catalog().lookup_keys() if p.usage_type == "licensed"]
    products = sorted({product_id(price) for price in licensed})
    if any(gateways.stripe.account.product(each) is None for each in products):
        raise ConflictError("The products are not at Stripe yet. Run flask catalog push first.")
    return gateways.stripe.account.create_promotion(
        code,
        percent_off=percent_off,
        amount_off=amount_off,
        currency=pricing.current_catalog().currency,
        duration=duration,
        months=months,
        product_ids=products,
        key=new_id("P"),
    )


def lookup_key(catalog: pricing.Catalog, key: str, tier: str, interval: str) -> str:
    """The lookup key of a line: ``2026-11:seat:advanced:month``, ``2026-11:copilot:year``."""
    thing = f"{key}:{tier}" if key == "seat" else key
    return f"{catalog.version}:{thing}:{interval}"


def purchase_items(
    catalog: pricing.Catalog,
    selection: pricing.Selection,
    quantities: Mapping[str, int],
    prices: Mapping[str, CatalogPrice],
) -> tuple[PurchaseItem, ...]:
    """The subscription's items: what was chosen (``quantities`` by line key), then the metered rates."""
    licensed = [
        PurchaseItem(
            prices[lookup_key(catalog, key, selection.tier, selection.interval)].stripe_price_id, quantity
        )
        for key, quantity in quantities.items()
    ]
    metered = [
        PurchaseItem(prices[f"{catalog.version}:{rate.key}:month"].stripe_price_id)
        for rate in catalog.usage.values()
        if rate.requires is None or rate.requires in quantities
    ]
    return (*licensed, *metered)
