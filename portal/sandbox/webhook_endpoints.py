"""Webhook endpoints: where events are sent, and which."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit

from stripe.params import (
    WebhookEndpointCreateParams,
    WebhookEndpointDeleteParams,
    WebhookEndpointListParams,
    WebhookEndpointRetrieveParams,
    WebhookEndpointUpdateParams,
)

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import assign, in_path, merged_metadata
from portal.sandbox.errors import invalid
from portal.sandbox.events import API_VERSION
from portal.sandbox.state import Sandbox, random_text
from portal.sandbox.store import Document

KIND = "webhook_endpoint"
MAX_ENDPOINTS = 16
SECRET_LENGTH = 32


@route(
    "POST",
    "/v1/webhook_endpoints",
    params=WebhookEndpointCreateParams,
    supports=("api_version", "description", "enabled_events", "metadata", "url"),
)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    version = params.get("api_version", API_VERSION)
    if version != API_VERSION:
        raise invalid(f"This sandbox sends events of API version {API_VERSION} only.", "api_version")
    if len(sandbox.store.find(KIND)) >= MAX_ENDPOINTS:
        raise invalid(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    endpoint = {
        "id": sandbox.new_id("we"),
        "object": KIND,
        "api_version": version,
        "application": None,
        "created": sandbox.now(),
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "status": "enabled",
        "url": checked_url(params["url"]),
        "_secret": f"whsec_{random_text(SECRET_LENGTH)}",
    }
    sandbox.store.put(KIND, endpoint)
    return {**endpoint, "secret": endpoint["_secret"]}


def checked_url(url: str) -> str:
    """The address, if it is one that can be called; 400 else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise invalid("Not a valid URL", "url", code="url_invalid")
    return url


@route("GET", "/v1/webhook_endpoints/{webhook_endpoint}", params=WebhookEndpointRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], webhook_endpoint: str) -> Document:
    return in_path(sandbox, KIND, webhook_endpoint, "webhook_endpoint")


@route("POST", "/v1/webhook_endpoints/{webhook_endpoint}", params=WebhookEndpointUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], webhook_endpoint: str) -> Document:
    endpoint = in_path(sandbox, KIND, webhook_endpoint, "webhook_endpoint")
    endpoint["metadata"] = merged_metadata(endpoint["metadata"], params.get("metadata"))
    if "url" in params:
        endpoint["url"] = checked_url(params["url"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    assign(endpoint, params, ("description", "enabled_events"))
    sandbox.store.put(KIND, endpoint)
    return endpoint


@route("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", params=WebhookEndpointDeleteParams)
def delete(sandbox: Sandbox, params: dict[str, Any], webhook_endpoint: str) -> Document:
    in_path(sandbox, KIND, webhook_endpoint, "webhook_endpoint")
    sandbox.store.delete(KIND, webhook_endpoint)
    return {"id": webhook_endpoint, "object": KIND, "deleted": True}


@route("GET", "/v1/webhook_endpoints", params=WebhookEndpointListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return lists.page(sandbox, KIND, params, "/v1/webhook_endpoints")


def from_command_line(sandbox: Sandbox, given: list[tuple[str, str]]) -> None:
    """Let the endpoints of the command line be those of this run: URL and secret, all events."""
    for known in sandbox.store.find(KIND, lambda endpoint: "_command_line" in endpoint):
        sandbox.store.delete(KIND, known["id"])
    for url, secret in given:
        endpoint = {
            "id": f"we_{hashlib.sha256(url.encode()).hexdigest()[:24]}",
            "object": KIND,
            "api_version": API_VERSION,
            "application": None,
            "created": sandbox.now(),
            "description": "Given on the command line",
            "enabled_events": ["*"],
            "livemode": False,
            "metadata": {},
            "status": "enabled",
            "url": url,
            "_secret": secret,
            "_command_line": True,
        }
        sandbox.store.put(KIND, endpoint)
