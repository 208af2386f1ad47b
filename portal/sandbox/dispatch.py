"""One API request from its bytes to its answer.

Key, version, endpoint, injected faults, parameters, idempotency key, then the handler inside lock and
transaction, expansion, and the answer. Errors leave in Stripe's envelope.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, request
from werkzeug.exceptions import HTTPException

from portal.sandbox import contract, expansion, forms, idempotency, json_bodies
from portal.sandbox.authentication import (
    api_key,
    check_session,
    check_version,
    is_publishable,
    is_session_token,
    refuse_connect,
    refuse_publishable,
)
from portal.sandbox.errors import INVALID_REQUEST, StripeError
from portal.sandbox.events import API_VERSION, public
from portal.sandbox.faults import Faults
from portal.sandbox.routes import Route, find, refuse_unsupported, route, unknown_url
from portal.sandbox.state import Request, Sandbox, random_text, sandbox

__all__ = ["route", "serve"]

MAX_BODY = 1_000_000
API_ROOTS = ("v1", "v2")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What goes back; `original` is the request that did the work when this one only repeats it.

    `kept`: the idempotency key holds this answer.
    """

    status: int
    body: str
    original: str | None = None
    kept: bool = False


def serve_v1(path: str) -> Response:
    """Answer one request to `/v1/…`."""
    return serve(f"/v1/{path}")


def serve_v2(path: str) -> Response:
    """Answer one request to `/v2/…`, whose bodies are JSON."""
    return serve(f"/v2/{path}")


def serve(path: str) -> Response:
    """Answer one request to the API."""
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    asked = Request(id=f"req_{random_text(14)}", idempotency_key=key)
    try:
        answer = _answer(sandbox(), path, asked)
    except StripeError as error:
        answer = Answer(error.status, _envelope(error, asked.id))
    except sqlite3.Error as error:
        log.exception("the sandbox could not keep what %s did", asked.id)
        broken = StripeError(500, "api_error", f"The sandbox could not write its data file: {error}.")
        answer = Answer(500, _envelope(broken, asked.id))
    response = Response(answer.body, answer.status, content_type="application/json")
    _add_headers(response, asked, answer)
    return response


def refused(error: HTTPException) -> HTTPException | Response:
    """What the web framework refuses by itself; under the API's addresses in Stripe's envelope."""
    if request.path.split("/")[1] not in API_ROOTS:
        return error
    if error.code in (404, 405):
        return _refusal(unknown_url(request.method, request.path))
    message = error.description or error.name
    return _refusal(StripeError(error.code or 400, INVALID_REQUEST, message, logged=False))


def _refusal(error: StripeError) -> Response:
    asked = Request(id=f"req_{random_text(14)}")
    response = Response(_envelope(error, asked.id), error.status, content_type="application/json")
    _add_headers(response, asked, Answer(error.status, ""))
    return response


def preflight(path: str) -> Response:
    """Let a page of another origin call the API with the publishable key, as Stripe does."""
    response = Response(status=204)
    response.headers["Access-Control-Allow-Headers"] = request.headers.get(
        "Access-Control-Request-Headers", ""
    )
    response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Max-Age"] = "300"
    return response


def _answer(current: Sandbox, path: str, asked: Request) -> Answer:
    raw = _decoded()
    given = api_key(request, raw.pop("key", None))
    session = given if is_session_token(given) else None
    publishable = session is None and is_publishable(given)
    refuse_connect(request.headers.get("Stripe-Account"))
    check_version(request.headers.get("Stripe-Version") or raw.pop("_stripe_version", None))
    endpoint, ids = find(request.method, path)
    check_session(session is not None, endpoint.session)
    if publishable and not endpoint.publishable:
        raise refuse_publishable()
    key = asked.idempotency_key
    idempotency.check_key(key)
    faults: Faults = current_app.extensions["faults"]
    in_flight: idempotency.InFlight = current_app.extensions["in_flight"]
    fault = faults.take()
    with in_flight.claim(key):
        fault.wait()
        fault.before()
        work = _Work(current, endpoint, ids, raw, fault.during)
        answer = work.run(path, Request(asked.id, key, publishable, session))
        fault.after()
    return answer


class _Work:
    """The part of a request that runs under the lock, in one transaction."""

    def __init__(
        self, current: Sandbox, endpoint: Route, ids: dict[str, str], raw: dict[str, Any], fail: Any
    ) -> None:
        self.sandbox = current
        self.endpoint = endpoint
        self.ids = ids
        self.raw = raw
        self.fail = fail

    def run(self, path: str, asked: Request) -> Answer:
        """The answer, kept under the idempotency key in the transaction that did the work."""
        key = asked.idempotency_key
        mark = idempotency.fingerprint(request.method, path, self.raw)
        with self.sandbox.work(asked):
            kept = idempotency.recall(self.sandbox, key, mark) if key else None
            if kept is not None:
                return Answer(kept["status"], kept["body"], kept["request_id"], kept=True)
            answer = self._attempt(asked)
            if key and answer.kept:
                idempotency.keep(self.sandbox, key, mark, answer.status, answer.body, str(asked.id))
        return answer

    def _attempt(self, asked: Request) -> Answer:
        try:
            with self.sandbox.store.transaction():
                params, paths = _parameters(self.endpoint, self.raw, asked.publishable)
                self.fail()
                document = self.endpoint.handler(self.sandbox, params, **self.ids)
                shown = expansion.expand(self.sandbox, document, paths)
                return Answer(200, json.dumps(public(shown), separators=(",", ":")), kept=True)
        except StripeError as error:
            return Answer(error.status, _envelope(error, asked.id), kept=error.stored)
        except Exception:
            if current_app.testing:
                raise
            log.exception("%s %s failed inside the sandbox", request.method, request.path)
            broken = StripeError(500, "api_error", "An unknown error occurred in the sandbox; see its log.")
            return Answer(500, _envelope(broken, asked.id), kept=True)


def _decoded() -> dict[str, Any]:
    if (request.content_length or 0) > MAX_BODY:
        raise forms.refused(f"The request is too large: at most {MAX_BODY} bytes are read.")
    raw = forms.decode(request.query_string.decode(errors="replace"))
    if request.method != "GET":
        decode = json_bodies.decode if request.path.startswith("/v2/") else forms.decode
        raw.update(decode(request.get_data(as_text=True)))
    return raw


def _parameters(endpoint: Route, raw: dict[str, Any], publishable: bool) -> tuple[dict[str, Any], list[str]]:
    """The checked values and the paths to expand."""
    raw = dict(raw)
    paths = raw.pop("expand", {})
    if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
        raise forms.refused("Invalid array", "expand")
    own = {name: raw.pop(name) for name in endpoint.browser_params & raw.keys()} if publishable else {}
    if endpoint.method == "GET" and endpoint.segments[0] == "v2" and "page" in raw:
        own["page"] = str(raw.pop("page"))  # in the addresses of v2's list pages, not among its parameters
    params = contract.validate(endpoint.params or contract.NoParams, raw)
    refuse_unsupported(params, endpoint.supports)
    return {**params, **own}, list(paths.values())


def _envelope(error: StripeError, request_id: str | None) -> str:
    body = public(error.body())
    if error.logged:
        body["request_log_url"] = f"{request.host_url}_sandbox/?request={request_id}"
    return json.dumps({"error": body}, separators=(",", ":"))


def _add_headers(response: Response, asked: Request, answer: Answer) -> None:
    headers = response.headers
    headers["Request-Id"] = str(asked.id)
    headers["Stripe-Version"] = API_VERSION
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = "Request-Id, Stripe-Version"
    headers["Cache-Control"] = "no-cache, no-store"
    if asked.idempotency_key:
        headers["Idempotency-Key"] = asked.idempotency_key
    if answer.original:
        headers["Original-Request"] = answer.original
        headers["Idempotent-Replayed"] = "true"
    if answer.status >= 500:  # a kept 500 would only be repeated
        headers["Stripe-Should-Retry"] = "false" if answer.kept else "true"
