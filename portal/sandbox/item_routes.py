"""`/v1/subscription_items`: one item of a subscription at a time."""

from __future__ import annotations

from typing import Any

from stripe.params import (
    SubscriptionItemCreateParams,
    SubscriptionItemDeleteParams,
    SubscriptionItemListParams,
    SubscriptionItemRetrieveParams,
    SubscriptionItemUpdateParams,
)

from portal.sandbox import items, lists, subscriptions, updates
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_body
from portal.sandbox.errors import invalid, unsupported
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

BILLING = ("payment_behavior", "proration_behavior", "proration_date")
CHANGED = (*BILLING, "discounts", "metadata", "price", "quantity")


def _of_path(sandbox: Sandbox, id: str) -> Document:
    item = sandbox.store.get(items.KIND, id)
    if item is None:
        raise invalid(f"Invalid subscription_item id: {id}", status=404)
    return item


def _apply(sandbox: Sandbox, subscription: str, wanted: Document, params: dict[str, Any]) -> Document:
    before = in_body(sandbox, subscriptions.KIND, subscription, "subscription")
    billing = {name: params[name] for name in BILLING if name in params}
    return updates.update(sandbox, before, {"items": [wanted], **billing})


def _without(params: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in params.items() if name not in names}


@route(
    "POST",
    "/v1/subscription_items",
    params=SubscriptionItemCreateParams,
    supports=(*CHANGED, "subscription"),
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    wanted = _without(params, *BILLING, "subscription")
    after = _apply(sandbox, params["subscription"], wanted, params)
    if after.get("_proposal"):  # it waits for its payment
        return after["_proposal"]["rows"][-1]
    return _of_path(sandbox, after["_items"][-1])


@route("GET", "/v1/subscription_items/{item}", params=SubscriptionItemRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    return _of_path(sandbox, item)


@route(
    "POST",
    "/v1/subscription_items/{item}",
    params=SubscriptionItemUpdateParams,
    supports=(*CHANGED, "off_session"),
)
def update(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    before = _of_path(sandbox, item)
    wanted = {**_without(params, *BILLING, "off_session"), "id": item}
    _apply(sandbox, before["subscription"], wanted, params)
    return _of_path(sandbox, item)


@route("DELETE", "/v1/subscription_items/{item}", params=SubscriptionItemDeleteParams, supports=BILLING)
def delete(sandbox: Sandbox, params: dict[str, Any], item: str) -> Document:
    before = _of_path(sandbox, item)
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise unsupported("payment_behavior")
    _apply(sandbox, before["subscription"], {"id": item, "deleted": True}, params)
    return {"id": item, "object": items.KIND, "deleted": True}


@route("GET", "/v1/subscription_items", params=SubscriptionItemListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    """Oldest first, the only such list, and without a total count (recorded)."""
    return lists.page(
        sandbox,
        items.KIND,
        params,
        "/v1/subscription_items",
        oldest_first=True,
        subscription=params["subscription"],
    )
