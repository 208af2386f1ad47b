"""The sandbox as a web application: the one place where its parts meet."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from flask import Blueprint, Flask, redirect
from werkzeug.exceptions import HTTPException

from portal.sandbox import dispatch, event_destinations
from portal.sandbox.clock import Clock
from portal.sandbox.faults import Faults
from portal.sandbox.idempotency import InFlight, forget_old
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Store
from portal.sandbox.webhook_endpoints import from_command_line
from portal.sandbox.webhooks import Send, Webhooks, post

# Every module that registers routes, time hooks or a blueprint named `blueprint`.
MODULES = (
    "account",
    "catalog",
    "prices",
    "coupons",
    "promotion_codes",
    "customers",
    "customer_balance",
    "customer_payment",
    "customer_location",
    "tax_ids",
    "tax_settings",
    "meters",
    "meter_event_routes",
    "meter_stream",
    "meter_errors",
    "thin_events",
    "event_destinations",
    "domains",
    "event_routes",
    "webhook_endpoints",
    "subscription_routes",
    "subscription_updates",
    "schedule_routes",
    "item_routes",
    "older_data",
    "invoice_routes",
    "invoice_drafts",
    "invoice_line_routes",
    "invoice_payments",
    "invoice_item_routes",
    "credit_note_routes",
    "credit_grants",
    "credit_transactions",
    "credit_balance",
    "preview",
    "tax_rates",
    "renewals",
    "dunning",
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
    "disputes",
    "dispute_outcomes",
    "aftermath",
    "link",
    "wallets",
    "elements",
    "redirects",
    "control",
    "control_pages",
    "usage_pages",
)


def create_sandbox(
    data: Path | None = None,
    webhooks: list[tuple[str, str]] | None = None,
    clock: Clock | None = None,
    send: Send = post,
    thin_webhooks: list[tuple[str, str]] | None = None,
    app: Flask | None = None,
) -> Flask:
    """The application over the state in `data` (None: in memory), sending events to `webhooks` (URL, secret).

    Thin events of meter errors go to `thin_webhooks`. `clock` replaces real time, for tests that need a
    certain second; `send` replaces HTTP for webhooks.
    Nothing runs between requests until `background.Background(app).start()`; tests call
    `app.extensions["webhooks"].deliver_pending()` instead. `app` is one made `with_routes`, without state.
    """
    app = app or with_routes()
    current = Sandbox(Store(data), clock or Clock())
    app.extensions["sandbox"] = current
    app.extensions["webhooks"] = Webhooks(current, send)
    app.extensions["faults"] = Faults()
    app.extensions["in_flight"] = InFlight()
    start = partial(_start, current, webhooks or [], thin_webhooks or [])
    start()
    app.extensions["reset"] = lambda: _reset(app, start)
    return app


def with_routes() -> Flask:
    """The application without any state."""
    app = Flask("portal.sandbox", static_folder=None)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    # Stripe knows no others; refusing them is the dispatcher's, in Stripe's words
    methods = ["GET", "POST", "DELETE", "PUT", "PATCH"]
    app.add_url_rule(
        "/v1/<path:path>", "api", dispatch.serve_v1, methods=methods, provide_automatic_options=False
    )
    app.add_url_rule("/v2/<path:path>", "v2", dispatch.serve_v2, methods=methods)
    app.register_error_handler(HTTPException, dispatch.refused)
    app.add_url_rule("/", "root", lambda: redirect("/_sandbox/", 303))
    app.add_url_rule("/v1/<path:path>", "preflight", dispatch.preflight, methods=["OPTIONS"])
    for name in MODULES:
        _register(app, name)
    return app


def _start(current: Sandbox, webhooks: list[tuple[str, str]], thin: list[tuple[str, str]]) -> None:
    with current.work():
        forget_old(current)
        prepare(current)
        from_command_line(current, webhooks)
        event_destinations.from_command_line(current, thin)


def _reset(app: Flask, start: Callable[[], None]) -> None:
    current: Sandbox = app.extensions["sandbox"]
    with current.lock:
        current.store.reset()
        current.clock.offset = 0
        app.extensions["faults"].clear()
        start()


def prepare(current: Sandbox) -> None:
    """Fill a fresh or emptied sandbox with what an account has from the start."""
    for name in MODULES:
        module = sys.modules.get(f"portal.sandbox.{name}")
        fill = getattr(module, "prepare", None)
        if fill is not None:
            fill(current)


def _register(app: Flask, name: str) -> None:
    blueprint = getattr(importlib.import_module(f"portal.sandbox.{name}"), "blueprint", None)
    if isinstance(blueprint, Blueprint):
        app.register_blueprint(blueprint)
