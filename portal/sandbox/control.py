"""The sandbox's controls as JSON under `/_sandbox/`: time, payments, webhooks, faults, and what is stored.

Bodies are JSON or form fields. A form on the control page gets a redirect back, a program the new state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, current_app, jsonify, redirect, request

from portal.sandbox import calendar_steps, debits, deliveries, next_payment
from portal.sandbox.events import public
from portal.sandbox.faults import Faults
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.webhooks import Webhooks

blueprint = Blueprint("control", __name__, url_prefix="/_sandbox")

ROWS = 100
MAX_ADVANCE = 5 * 366 * 86_400
Answer = Callable[..., Any]


@blueprint.before_request
def refuse_other_origins() -> None:
    """No page of another origin may press these buttons."""
    origin = request.headers.get("Origin")
    if request.method == "POST" and origin and urlsplit(origin).netloc != request.host:
        abort(403)


@blueprint.errorhandler(ValueError)
def nonsense(error: ValueError) -> tuple[Response, int]:
    return jsonify(error={"message": str(error)}), 400


def changes(view: Answer) -> Answer:
    """A form of the page is sent back to where it was; a program gets the new state."""

    @wraps(view)
    def answer(*args: Any, **kwargs: Any) -> Any:
        state = view(*args, **kwargs)
        if "back" in request.form:
            path = urlsplit(request.form["back"]).path
            return redirect(path if path.startswith("/_sandbox/") else "/_sandbox/", 303)
        return state

    return answer


def body() -> dict[str, Any]:
    """The fields of the request, JSON or form; ValueError when it is neither."""
    raw = request.get_data()
    if not raw.lstrip().startswith((b"{", b"[")) and (request.form or not raw):
        return {name: value for name, value in request.form.items() if name != "back"}
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError("The body must be a JSON object, as {} with the fields inside.")
    return given


def whole(name: str, value: Any) -> int:
    """An integer field; ValueError that names it."""
    try:
        if isinstance(value, bool | float):
            raise TypeError
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a whole number") from None


def clock_state(current: Sandbox) -> dict[str, int]:
    return {"now": current.clock.now(), "offset": current.clock.offset}


@blueprint.get("/clock")
def clock() -> Response:
    return jsonify(clock_state(sandbox()))


@blueprint.post("/clock")
@changes
def set_clock() -> Response:
    """`{"advance": seconds}`, `{"to": unix}`, or `{"step": "day" | "week" | "month" | "year"}`."""
    current, given = sandbox(), body()
    now = current.clock.now()
    if given.get("step"):
        target = calendar_steps.after(now, str(given["step"]))
    elif given.get("date"):
        target = int(datetime.fromisoformat(str(given["date"])).replace(tzinfo=UTC).timestamp())
    elif "to" in given:
        target = whole("to", given["to"])
    else:
        target = now + whole("advance", given.get("advance"))
    if not 0 <= target - now <= MAX_ADVANCE:
        raise ValueError(f"The clock stands at {now}. It goes forward only, by at most five years at a time.")
    current.advance(to=target)
    return jsonify(clock_state(current))


@blueprint.get("/next-payment")
def chosen_payment() -> Response:
    return jsonify(outcome=next_payment.waiting(sandbox()), outcomes=next_payment.OUTCOMES)


@blueprint.post("/next-payment")
@changes
def choose_payment() -> Response:
    """`{"outcome": "card_declined"}`; null or "" lets payments end by themselves again."""
    current, given = sandbox(), body()
    if "outcome" not in given:
        raise ValueError('outcome is missing; {"outcome": null} lets payments end by themselves again.')
    with current.work():
        next_payment.order(current, given["outcome"] or None)
    return chosen_payment()


@blueprint.post("/debits")
@changes
def settle_debits() -> Response:
    """`{"payment_intent": id}`, or nothing for all: bank debits under way end now instead of on their day."""
    ended = debits.settle_now(sandbox(), body().get("payment_intent") or None)
    return jsonify(settled=[{"payment_intent": each["id"], "status": each["status"]} for each in ended])


@blueprint.get("/webhooks")
def webhook_controls() -> Response:
    return jsonify(deliveries.controls(sandbox()))


@blueprint.post("/webhooks")
@changes
def order_webhooks() -> Response:
    """`{"delay": seconds, "drop": count, "duplicate": count, "reorder": true}`, each optional."""
    given = body()
    wanted: dict[str, Any] = {
        name: whole(name, given[name]) for name in ("delay", "drop", "duplicate") if name in given
    }
    if "reorder" in given:
        wanted["reorder"] = given["reorder"] in (True, "true", "on", "1")
    unknown = given.keys() - deliveries.NO_CONTROLS.keys()
    if unknown:
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}.")
    current = sandbox()
    with current.work():
        deliveries.order(current, wanted)
    return webhook_controls()


@blueprint.get("/faults")
def faults() -> Response:
    return jsonify(current_app.extensions["faults"].as_dict())


@blueprint.post("/faults")
@changes
def order_faults() -> Response:
    """`{"status": 500 | 429, "count": n, "moment": "before" | "during" | "after", "latency_ms": n}`."""
    given, ordered = body(), current_app.extensions["faults"]
    assert isinstance(ordered, Faults)
    ordered.order(
        whole("status", given["status"]) if given.get("status") else None,
        str(given.get("moment") or "before"),
        whole("count", given.get("count", 1)),
        whole("latency_ms", given.get("latency_ms") or 0),
    )
    return faults()


@blueprint.post("/reset")
@changes
def reset() -> Response:
    """Empty everything: objects, events, keys, clock, faults."""
    current_app.extensions["reset"]()
    return jsonify(clock_state(sandbox()))


@blueprint.get("/objects")
def kinds() -> Response:
    counts = sandbox().store.kinds()
    return jsonify({kind: count for kind, count in counts.items() if not kind.startswith("_")})


@blueprint.get("/objects/<kind>")
def objects(kind: str) -> Response:
    """The newest objects of a kind, private members included: this is the developer's view."""
    with sandbox().lock:
        return jsonify(sandbox().store.find(kind)[:ROWS])


@blueprint.get("/objects/<kind>/<id>")
def one_object(kind: str, id: str) -> Response:
    found = sandbox().store.get(kind, id)
    if found is None:
        abort(404)
    return jsonify(found)


@blueprint.get("/events")
def events() -> Response:
    with sandbox().lock:
        return jsonify([public(event) for event in sandbox().store.find("event")[:ROWS]])


@blueprint.post("/events/<id>/resend")
@changes
def resend(id: str) -> Response:
    sender: Webhooks = current_app.extensions["webhooks"]
    try:
        return jsonify(queued=sender.resend(id))
    except KeyError:
        abort(404)


@blueprint.get("/attempts")
def attempts() -> Response:
    """The newest webhook attempts, and what still waits."""
    current = sandbox()
    with current.lock:
        return jsonify(attempts=current.store.find("_attempt")[:ROWS], pending=deliveries.pending(current))
