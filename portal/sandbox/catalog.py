"""Products: what is sold. Their prices are in `prices`."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    ProductCreateParams,
    ProductDeleteParams,
    ProductListParams,
    ProductRetrieveParams,
    ProductUpdateParams,
)

from portal.sandbox import lists, prices
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_body, in_path, merged_metadata
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

FIELDS: tuple[str, ...] = (
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "package_dimensions",
    "shippable",
)
FIELDS += ("statement_descriptor", "tax_code", "unit_label", "url")
SUPPORTED: tuple[str, ...] = (*FIELDS, "metadata")


@route(
    "POST",
    "/v1/products",
    params=ProductCreateParams,
    supports=(*SUPPORTED, "id", "type", "default_price_data"),
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    product = new_product(sandbox, params)
    price_data = params.get("default_price_data")
    if price_data:
        price = prices.build(sandbox, price_data, product["id"])
        product["default_price"] = price["id"]
    sandbox.store.put("product", product)
    sandbox.emit("product.created", product)
    if price_data:
        prices.add(sandbox, price)
    return product


def new_product(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """A product from the parameters of `POST /v1/products` or of `product_data`, not yet stored."""
    id = params.get("id") or sandbox.new_id("prod", 14)
    if sandbox.store.get("product", id):
        raise invalid("Product already exists.", code="resource_already_exists")
    now = sandbox.now()
    product: Document = {
        "id": id,
        "object": "product",
        "active": True,
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": merged_metadata(None, params.get("metadata")),
        "name": params["name"],
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": params.get("type", "service"),
        "unit_label": None,
        "updated": now,
        "url": None,
    }
    assign(product, params, FIELDS)
    return product


@route("GET", "/v1/products/{id}", params=ProductRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return in_path(sandbox, "product", id)


@route("POST", "/v1/products/{id}", params=ProductUpdateParams, supports=(*SUPPORTED, "default_price"))
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    before = in_path(sandbox, "product", id)
    product = {**before, "metadata": merged_metadata(before["metadata"], params.get("metadata"))}
    assign(product, params, FIELDS)
    for name in ("images", "marketing_features"):
        product[name] = product[name] or []
    if params.get("default_price"):
        price = in_body(sandbox, "price", params["default_price"], "default_price")
        if price["product"] != id:
            raise invalid(f"The price `{price['id']}` does not belong to this product.", "default_price")
        product["default_price"] = price["id"]
    if product != before:
        product["updated"] = sandbox.now()
    sandbox.store.put("product", product)
    sandbox.emit("product.updated", product, {**before, "updated": product["updated"]})
    return product


@route("DELETE", "/v1/products/{id}", params=ProductDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    product = in_path(sandbox, "product", id)
    if any(sandbox.store.walk("price", product=id)):
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    sandbox.store.delete("product", id)
    sandbox.emit("product.deleted", {**product, "active": False})
    return {"id": id, "object": "product", "deleted": True}


@route("GET", "/v1/products", params=ProductListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    ids, address = params.get("ids"), params.get("url")

    def wanted(product: Document) -> bool:
        return (ids is None or product["id"] in ids) and address in (None, product["url"])

    equals = {name: params.get(name) for name in ("active", "shippable", "type")}
    return lists.page(sandbox, "product", params, "/v1/products", wanted, **equals)
