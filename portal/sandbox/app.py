"""The sandbox as a web application: the one place where its parts meet."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from flask import Blueprint, Flask

from portal.sandbox import dispatch
from portal.sandbox.clock import Clock
from portal.sandbox.faults import Faults
from portal.sandbox.idempotency import InFlight, forget_old
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Store

# Every module that registers routes, time hooks or a blueprint named `blueprint`.
MODULES = (
    "account",
    "catalog",
    "prices",
    "coupons",
    "promotion_codes",
    "customers",
    "balances",
    "tax_ids",
    "tax_settings",
    "meters",
    "domains",
    "event_routes",
    "webhook_endpoints",
    "subscriptions",
    "items",
    "invoices",
    "invoice_items",
    "preview",
    "tax_rates",
    "renewals",
    "test_clocks",
    "hosted",
    "payment_methods",
    "payment_intents",
    "setup_intents",
    "charges",
    "refunds",
    "balance",
    "mandates",
    "debits",
    "aftermath",
    "link",
    "elements",
    "redirects",
    "control",
)


def create_sandbox(
    data: Path | None = None,
    webhooks: list[tuple[str, str]] | None = None,
    clock: Clock | None = None,
) -> Flask:
    """The application over the state in `data` (None: in memory), sending events to `webhooks` (URL, secret).

    `clock` replaces real time, for tests that need a certain second.
    """
    app = Flask("portal.sandbox", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    current = Sandbox(Store(data), clock or Clock())
    app.extensions["sandbox"] = current
    app.extensions["faults"] = Faults()
    app.extensions["in_flight"] = InFlight()
    app.add_url_rule("/v1/<path:path>", "api", dispatch.serve, methods=["GET", "POST", "DELETE"])
    app.add_url_rule("/v1/<path:path>", "preflight", dispatch.preflight, methods=["OPTIONS"])
    for name in MODULES:
        _register(app, name)
    with current.work():
        forget_old(current)
    return app


def _register(app: Flask, name: str) -> None:
    full = f"portal.sandbox.{name}"
    if importlib.util.find_spec(full) is None:
        return
    blueprint = getattr(importlib.import_module(full), "blueprint", None)
    if isinstance(blueprint, Blueprint):
        app.register_blueprint(blueprint)
