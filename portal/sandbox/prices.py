"""Prices: what a unit costs, once or per period, licensed or metered, flat or in tiers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from stripe.params import PriceCreateParams, PriceListParams, PriceRetrieveParams, PriceUpdateParams

from portal.sandbox import lists
from portal.sandbox.currencies import checked_currency
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

MAX_LOOKUP_KEYS = 10
CREATE: tuple[str, ...] = (
    "active",
    "billing_scheme",
    "currency",
    "lookup_key",
    "metadata",
    "nickname",
    "product",
    "product_data",
)
CREATE += ("tax_behavior", "tiers", "tiers_mode", "transfer_lookup_key", "unit_amount", "unit_amount_decimal")
CREATE += ("recurring.interval", "recurring.interval_count", "recurring.usage_type", "recurring.meter")
CREATE += ("currency_options",)


@route("POST", "/v1/prices", params=PriceCreateParams, supports=CREATE)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    if "product" in params and "product_data" in params:
        raise invalid("You may only specify one of these parameters: product, product_data.", "product")
    if "product" in params:
        product = in_body(sandbox, "product", params["product"], "product")
    elif "product_data" in params:
        product = _product_from(sandbox, params["product_data"])
    else:
        raise missing_param("product")
    price = build(sandbox, params, product["id"])
    _take_lookup_key(sandbox, price, params)
    return add(sandbox, price)


def add(sandbox: Sandbox, price: Document) -> Document:
    """Store a new price and tell about it."""
    sandbox.store.put("price", price)
    sandbox.emit("price.created", price)
    return price


def build(sandbox: Sandbox, params: dict[str, Any], product: str) -> Document:
    """A price of the product from create parameters, checked, not yet stored."""
    currency = checked_currency(params["currency"])
    amounts = _amounts(params)
    recurring = _recurring(sandbox, params.get("recurring"))
    price: Document = {
        "id": sandbox.new_id("price"),
        "object": "price",
        "active": params.get("active", True),
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "created": sandbox.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": params.get("lookup_key") or None,
        "metadata": merged_metadata(None, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": product,
        "recurring": recurring,
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        **amounts,
    }
    price["_currency_options"] = _currency_options(params, price)
    return price


def _amounts(params: dict[str, Any]) -> Document:
    if params.get("billing_scheme") == "tiered":
        return {"unit_amount": None, "unit_amount_decimal": None, "_tiers": _tiers(params)}
    for name in ("tiers", "tiers_mode"):
        if name in params:
            raise invalid(f"`{name}` can only be set when `billing_scheme` is `tiered`.", name)
    pair = amount_pair(params, "unit_amount")
    if pair["unit_amount_decimal"] is None:
        raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.")
    # may be asked for (`expand[]=tiers`) in a list that holds prices of both kinds
    return {**pair, "_tiers": None}


def amount_pair(params: dict[str, Any], name: str, *, signed: bool = False) -> Document:
    """An amount as Stripe shows it twice: as an integer if it is one, and as a decimal string.

    `signed`: it may be negative, a credit.
    """
    whole, decimal = params.get(name), params.get(f"{name}_decimal")
    if whole is not None and decimal is not None:
        raise invalid(f"You may only specify one of these parameters: {name}, {name}_decimal.", name)
    if whole is None and decimal is None:
        return {name: None, f"{name}_decimal": None}
    value = Decimal(whole if whole is not None else str(decimal))
    if value < 0 and not signed:
        raise invalid("Invalid non-negative integer", name)
    text = format(value.normalize(), "f")
    return {name: int(value) if value == value.to_integral_value() else None, f"{name}_decimal": text}


def _tiers(params: dict[str, Any]) -> list[Document]:
    if not params.get("tiers"):
        raise missing_param("tiers")
    if "tiers_mode" not in params:
        raise missing_param("tiers_mode")
    tiers, last = [], 0
    for index, given in enumerate(params["tiers"]):
        final = index == len(params["tiers"]) - 1
        up_to = None if given["up_to"] == "inf" else given["up_to"]
        if final != (up_to is None):
            raise invalid(
                "The last tier, and only it, must have `up_to` set to `inf`.", f"tiers[{index}][up_to]"
            )
        if up_to is not None and up_to <= last:
            raise invalid("Each tier must end above the one before.", f"tiers[{index}][up_to]")
        last = up_to or last
        amounts = {**amount_pair(given, "flat_amount"), **amount_pair(given, "unit_amount")}
        if amounts["flat_amount_decimal"] is None and amounts["unit_amount_decimal"] is None:
            raise invalid("A tier needs a `unit_amount` or a `flat_amount`.", f"tiers[{index}]")
        tiers.append({**amounts, "up_to": up_to})
    return tiers


def _recurring(sandbox: Sandbox, given: dict[str, Any] | None) -> Document | None:
    if given is None:
        return None
    usage_type = given.get("usage_type", "licensed")
    meter = given.get("meter")
    if usage_type == "metered" and not meter:
        raise invalid(
            "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters."
        )
    if meter:
        in_body(sandbox, "billing.meter", meter, "recurring[meter]")
        if usage_type != "metered":
            raise invalid("`meter` can only be set when `usage_type` is `metered`.", "recurring[meter]")
    return {
        "interval": given["interval"],
        "interval_count": given.get("interval_count", 1),
        "meter": meter,
        "trial_period_days": None,
        "usage_type": usage_type,
    }


def _currency_options(params: dict[str, Any], price: Document) -> Document:
    own = {
        "custom_unit_amount": None,
        "tax_behavior": price["tax_behavior"],
        "unit_amount": price["unit_amount"],
        "unit_amount_decimal": price["unit_amount_decimal"],
    }
    options = {price["currency"]: own}
    for currency, given in (params.get("currency_options") or {}).items():
        if "tiers" in given or "custom_unit_amount" in given:
            raise invalid("Only amounts per unit are supported here.", f"currency_options[{currency}]")
        behavior = given.get("tax_behavior", "unspecified")
        options[checked_currency(currency)] = {
            **own,
            "tax_behavior": behavior,
            **amount_pair(given, "unit_amount"),
        }
    return options


def _product_from(sandbox: Sandbox, data: dict[str, Any]) -> Document:
    from portal.sandbox.catalog import new_product

    product = new_product(sandbox, data)
    sandbox.store.put("product", product)
    sandbox.emit("product.created", product)
    return product


def _take_lookup_key(sandbox: Sandbox, price: Document, params: dict[str, Any]) -> None:
    """Refuse a key that another price holds (an inactive one holds it too) or move it over."""
    key = price["lookup_key"]
    holders = [held for held in sandbox.store.find("price", lookup_key=key) if held["id"] != price["id"]]
    if key is None or not holders:
        return
    if not params.get("transfer_lookup_key"):
        raise invalid(f"A price (`{holders[0]['id']}`) already uses that lookup key.", "lookup_key")
    for holder in holders:
        after = {**holder, "lookup_key": None}
        sandbox.store.put("price", after)
        sandbox.emit("price.updated", after, holder)


@route("GET", "/v1/prices/{price}", params=PriceRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], price: str) -> Document:
    return in_path(sandbox, "price", price, "price")


@route(
    "POST",
    "/v1/prices/{price}",
    params=PriceUpdateParams,
    supports=("active", "lookup_key", "metadata", "nickname", "tax_behavior", "transfer_lookup_key"),
)
def update(sandbox: Sandbox, params: dict[str, Any], price: str) -> Document:
    before = in_path(sandbox, "price", price, "price")
    after = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(after, params, ("active", "nickname", "lookup_key"))
    wanted = params.get("tax_behavior", before["tax_behavior"])
    if wanted != before["tax_behavior"] and before["tax_behavior"] != "unspecified":
        raise invalid("`tax_behavior` cannot be changed once it is inclusive or exclusive.", "tax_behavior")
    after["tax_behavior"] = wanted
    if "lookup_key" in params:
        _take_lookup_key(sandbox, after, params)
    sandbox.store.put("price", after)
    sandbox.emit("price.updated", after, before)
    return after


@route("GET", "/v1/prices", params=PriceListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    keys = params.get("lookup_keys")
    if keys is not None and len(keys) > MAX_LOOKUP_KEYS:
        raise invalid(f"At most {MAX_LOOKUP_KEYS} lookup keys can be asked for at once.", "lookup_keys")
    recurring = params.get("recurring", {})

    def wanted(price: Document) -> bool:
        terms = price["recurring"] or {}
        right_terms = all(terms.get(name) == value for name, value in recurring.items())
        return right_terms and (keys is None or price["lookup_key"] in keys)

    equals = {name: params.get(name) for name in ("active", "currency", "product", "type")}
    return lists.page(sandbox, "price", params, "/v1/prices", wanted, **equals)
