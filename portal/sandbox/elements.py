"""Stripe.js and the frames that it opens: one script, and pages of this origin that know what was typed."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_from_directory

from portal.sandbox import intents, methods, setups
from portal.sandbox.authentication import is_publishable
from portal.sandbox.errors import StripeError, missing
from portal.sandbox.invoices import ACCOUNT
from portal.sandbox.state import sandbox

STATIC = Path(__file__).parent / "static"
# The script's modules, each after those that it imports.
MODULES = (
    "origin",
    "errors",
    "emitter",
    "frame",
    "api",
    "dialog",
    "element",
    "address_element",
    "express_element",
    "group",
    "confirm",
    "stripe",
)
# Each frame: its module, and what its document is called.
PAGES = {
    "payment": ("payment", "Payment details"),
    "link-authentication": ("link_authentication", "Email"),
    "express-checkout": ("express_checkout", "Express checkout"),
    "address": ("address", "Address"),
    "challenge": ("challenge", "3-D Secure authentication"),
    "link": ("link_dialog", "Pay with Link"),
    "wallet": ("wallet_dialog", "Pay with a wallet"),
}
DIALOGS = ("challenge", "link", "wallet")
# Any page may show the frames, as with the real ones; nothing in them is inline or from elsewhere.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors *"
)
IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
IMPORTED = re.compile(r"""^(?:import|\}) .*from ["']\./(\w+)\.js["'];$""", re.MULTILINE)
EXPORT = re.compile(r"^export (?=class|function|async|const|let)", re.MULTILINE)

blueprint = Blueprint("elements", __name__, template_folder="templates")


@cache
def modules_of(name: str) -> list[str]:
    """A frame's module and all that it imports, itself first: the browser fetches them at once."""
    found = [name]
    for known in found:
        source = (STATIC / "frames" / f"{known}.js").read_text(encoding="utf-8")
        found += [other for other in IMPORTED.findall(source) if other not in found]
    return found


@cache
def script() -> str:
    """Stripe.js as one classic script: the modules behind each other, their imports and exports taken off."""
    sources = (EXPORT.sub("", IMPORT.sub("", module_source(name))) for name in MODULES)
    return "(() => {\n'use strict';\n" + "\n".join(sources) + "})();\n"


def module_source(name: str) -> str:
    """The text of one module of Stripe.js."""
    return (STATIC / "stripe" / f"{name}.js").read_text(encoding="utf-8")


@blueprint.get("/endive/stripe.js")
def stripe_js() -> Response:
    response = Response(script(), content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = "max-age=60"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@blueprint.get("/elements/<page>")
def frame(page: str) -> Response:
    if page not in PAGES:
        abort(404)
    module, title = PAGES[page]
    html = render_template(
        "elements/frame.html", modules=modules_of(module), title=title, dialog=page in DIALOGS
    )
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/elements/static/<path:path>")
def static(path: str) -> Response:
    return send_from_directory(STATIC, path, max_age=60)


@blueprint.get("/elements/config")
def config() -> Response | tuple[Response, int]:
    """What a frame must know before it can draw itself: the methods on offer and what the time is here."""
    try:
        is_publishable(request.args.get("key", ""))
        offered, saves = _offered(request.args.get("client_secret"), request.args.get("currency"))
    except StripeError as error:
        return jsonify(error=error.body()), error.status
    name = ACCOUNT["account_name"]
    return jsonify(payment_method_types=offered, saves=saves, now=sandbox().now(), business=name)


def _offered(secret: str | None, currency: str | None) -> tuple[list[str], bool]:
    if not secret:
        return methods.types_for(currency or "usd"), False
    id = secret.split("_secret_")[0]
    kind = setups.KIND if id.startswith("seti_") else intents.KIND
    intent = sandbox().store.get(kind, id)
    if not intent or intent["client_secret"] != secret:
        raise missing(kind, id, "intent")
    saves = kind == setups.KIND or intent["setup_future_usage"] is not None
    return intent["payment_method_types"], saves
