"""Mandates: the customer's permission to debit a bank account again."""

from __future__ import annotations

from typing import Any

from flask import has_request_context, request
from stripe.params import MandateRetrieveParams

from portal.sandbox import methods
from portal.sandbox.dispatch import route
from portal.sandbox.errors import missing
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "mandate"


def accept(sandbox: Sandbox, method: Document) -> Document:
    """The method with its mandate, a new one where it has none yet."""
    if method.get("_mandate"):
        return method
    mandate = {
        "id": sandbox.new_id("mandate"),
        "object": "mandate",
        "customer_acceptance": {
            "accepted_at": sandbox.now(method["customer"]),
            "online": {"ip_address": _address(), "user_agent": _browser()},
            "type": "online",
        },
        "livemode": False,
        "multi_use": {},
        "payment_method": method["id"],
        "payment_method_details": {"type": method["type"], method["type"]: {}},
        "status": "active",
        "type": "multi_use",
    }
    sandbox.store.put(KIND, mandate)
    method = {**method, "_mandate": mandate["id"]}
    sandbox.store.put(methods.KIND, method)
    return method


def _address() -> str | None:
    return request.remote_addr if has_request_context() else None


def _browser() -> str | None:
    return request.headers.get("User-Agent") if has_request_context() else None


@route("GET", "/v1/mandates/{id}", params=MandateRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    mandate = sandbox.store.get(KIND, id)
    if not mandate:
        raise missing("mandate", id, "mandate")
    return mandate
