"""The control page: what a developer sees at `/_sandbox/`."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, render_template, request

from portal.sandbox import (
    calendar_steps,
    deliveries,
    dispute_outcomes,
    dunning,
    faults,
    next_payment,
    usage_report,
)
from portal.sandbox.events import API_VERSION, public
from portal.sandbox.expansion import KIND_BY_PREFIX
from portal.sandbox.routes import registered
from portal.sandbox.state import Sandbox, sandbox

blueprint = Blueprint("control_pages", __name__, url_prefix="/_sandbox", template_folder="templates")

LATEST = 15
ROWS = 100
TITLES = (
    "name",
    "email",
    "description",
    "code",
    "lookup_key",
    "number",
    "type",
    "status",
    "event_name",
    "url",
)
STATES = ("status", "active", "valid", "deleted")


@blueprint.app_template_filter("moment")
def moment(seconds: int | str) -> str:
    """A unix time for people, in UTC; a time of API v2 is one already."""
    if isinstance(seconds, str):
        return seconds
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y, %H:%M:%S UTC")


@blueprint.app_template_filter("utc_day")
def utc_day(seconds: int) -> str:
    """The day of a unix time, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%d %b %Y")


@blueprint.app_template_filter("title_of")
def title_of(document: dict[str, Any]) -> str:
    """What tells a document from others of its kind."""
    return next((str(document[name]) for name in TITLES if document.get(name)), "")


@blueprint.app_template_filter("state_of")
def state_of(document: dict[str, Any]) -> str:
    """The document's state in a word or two."""
    name = next((name for name in STATES if name in document), None)
    if name is None or (name == "deleted" and not document[name]):
        return ""
    return str(document[name]) if isinstance(document[name], str) else f"{name}: {document[name]}".lower()


@blueprint.app_template_filter("linked")
def linked(document: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The document as pieces of JSON text; a piece that is the id of an object comes with its address."""
    pieces: list[tuple[str, str | None]] = []
    for line in json.dumps(document, indent=2, ensure_ascii=False).splitlines(keepends=True):
        before, quote, value = line.rpartition(': "')
        id = value.rstrip('",\n')
        kind = KIND_BY_PREFIX.get(id.split("_")[0]) if quote and "_" in id else None
        if kind and sandbox().store.get(kind, id):
            start = len(before) + len(quote)
            pieces += [(line[:start], None), (id, f"/_sandbox/browse/{kind}/{id}")]
            pieces.append((line[start + len(id) :], None))
        else:
            pieces.append((line, None))
    return pieces


@blueprint.after_request
def protect(response: Response) -> Response:
    """Nothing but this page's own style runs here."""
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src 'nonce-{style_nonce()}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    return response


def style_nonce() -> str:
    """The nonce of this answer's style element."""
    if "style_nonce" not in g:
        g.style_nonce = secrets.token_urlsafe(16)
    return g.style_nonce


@blueprint.context_processor
def common() -> dict[str, Any]:
    """What every page of the control shows."""
    current = sandbox()
    with current.lock:
        counts = current.store.kinds()
    return {
        "now": current.clock.now(),
        "offset": current.clock.offset,
        "style_nonce": style_nonce(),
        "version": API_VERSION,
        "kinds": {k: n for k, n in counts.items() if n and not k.startswith("_")},
    }


@blueprint.get("/")
def overview() -> str:
    with sandbox().lock:
        return render_template("control.html", asked=request.args.get("request"), **_shown(sandbox()))


def _shown(current: Sandbox) -> dict[str, Any]:
    """What the page shows, besides what every page does."""
    return {
        "steps": calendar_steps.STEPS,
        "outcome": next_payment.waiting(current),
        "outcomes": next_payment.OUTCOMES,
        "debits": len(current.store.find("payment_intent", status="processing")),
        "controls": deliveries.controls(current),
        "last_step": dunning.last_step(current),
        "last_steps": dunning.LAST_STEPS,
        "retry_days": dunning.RETRY_DAYS,
        "disputes": current.store.find("dispute", lambda row: row["status"] in dispute_outcomes.OPEN)[
            :LATEST
        ],
        "faults": current_app.extensions["faults"],
        "moments": faults.MOMENTS,
        "events": current.store.find("event")[:LATEST],
        "attempts": current.store.find("_attempt")[:LATEST],
        "pending": deliveries.pending(current),
        "usage": usage_report.series(current, LATEST),
    }


@blueprint.get("/browse/<kind>")
def browse(kind: str) -> str:
    with sandbox().lock:
        found = list(sandbox().store.walk(kind))
        rows = [sandbox().store.get(kind, row["id"]) for row in found[:ROWS]]
    return render_template("control_list.html", kind=kind, rows=rows, count=len(found), limit=ROWS)


@blueprint.get("/browse/<kind>/<id>")
def show(kind: str, id: str) -> str:
    found = sandbox().store.get(kind, id)
    if found is None or kind.startswith("_"):
        abort(404)
    attempts = sandbox().store.find("_attempt", event=id) if kind == "event" else []
    history = sandbox().store.find("event", lambda event: event["data"]["object"].get("id") == id)
    return render_template(
        "control_object.html", kind=kind, row=found, shown=public(found), attempts=attempts, history=history
    )


@blueprint.get("/endpoints")
def endpoints() -> str:
    return render_template("control_endpoints.html", endpoints=registered())
