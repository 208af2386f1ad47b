"""One API request from its bytes to its answer.

Key, version, endpoint, injected faults, parameters, idempotency key, then the handler inside lock and
transaction, expansion, and the answer. Errors leave in Stripe's envelope.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from flask import Response, current_app, request

from portal.sandbox import contract, expansion, forms, idempotency
from portal.sandbox.authentication import api_key, check_version, is_publishable, refuse_publishable
from portal.sandbox.errors import StripeError
from portal.sandbox.events import API_VERSION, public
from portal.sandbox.faults import Faults
from portal.sandbox.routes import Route, find, refuse_unsupported, route
from portal.sandbox.state import Request, Sandbox, random_text, sandbox

__all__ = ["route", "serve"]

MAX_BODY = 1_000_000
log = logging.getLogger(__name__)


def serve(path: str) -> Response:
    """Answer one request to `/v1/…`."""
    current = sandbox()
    key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
    asked = Request(id=f"req_{random_text(14)}", idempotency_key=key)
    try:
        status, body, asked = _answer(current, f"/v1/{path}", asked)
    except StripeError as error:
        status, body = error.status, _envelope(error, asked.id)
    response = Response(body, status, content_type="application/json")
    _add_headers(response, asked)
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


def _answer(current: Sandbox, path: str, asked: Request) -> tuple[int, str, Request]:
    raw = _decoded()
    publishable = is_publishable(api_key(request, raw.pop("key", None)))
    check_version(request.headers.get("Stripe-Version") or raw.pop("_stripe_version", None))
    endpoint, ids = find(request.method, path)
    if publishable and not endpoint.publishable:
        raise refuse_publishable()
    faults: Faults = current_app.extensions["faults"]
    fault = faults.take()
    fault.before()
    idempotency.check_key(asked.idempotency_key)
    asked = Request(asked.id, asked.idempotency_key, publishable)
    in_flight: idempotency.InFlight = current_app.extensions["in_flight"]
    claimed = f"{request.method} {asked.idempotency_key}" if asked.idempotency_key else None
    with in_flight.claim(claimed):
        fault.wait()
        work = _Work(current, endpoint, ids, raw, fault.during)
        status, body, request_id = work.run(path, asked)
        fault.after()
    return status, body, Request(request_id, asked.idempotency_key, publishable)


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

    def run(self, path: str, asked: Request) -> tuple[int, str, str | None]:
        """Status, body and the id of the request that did the work (an earlier one for a replay)."""
        key = asked.idempotency_key
        print_ = idempotency.fingerprint(request.method, path, self.raw)
        with self.sandbox.work(asked):
            kept = idempotency.recall(self.sandbox, key, print_) if key else None
            if kept is not None:
                return kept["status"], kept["body"], kept["request_id"]
            status, body, stored = self._attempt(asked)
            if key and stored:
                idempotency.keep(self.sandbox, key, print_, status, body, str(asked.id))
        return status, body, asked.id

    def _attempt(self, asked: Request) -> tuple[int, str, bool]:
        try:
            with self.sandbox.store.transaction():
                params, paths = _parameters(self.endpoint, self.raw, asked.publishable)
                self.fail()
                document = self.endpoint.handler(self.sandbox, params, **self.ids)
                shown = expansion.expand(self.sandbox, document, paths)
                return 200, json.dumps(public(shown), separators=(",", ":")), True
        except StripeError as error:
            return error.status, _envelope(error, asked.id), error.stored
        except Exception:
            if current_app.testing:
                raise
            log.exception("%s %s failed inside the sandbox", request.method, request.path)
            error = StripeError(500, "api_error", "An unknown error occurred in the sandbox; see its log.")
            return 500, _envelope(error, asked.id), True


def _decoded() -> dict[str, Any]:
    if (request.content_length or 0) > MAX_BODY:
        raise forms.refused(f"The request is too large: at most {MAX_BODY} bytes are read.")
    raw = forms.decode(request.query_string.decode())
    if request.method != "GET":
        raw.update(forms.decode(request.get_data(as_text=True)))
    return raw


def _parameters(endpoint: Route, raw: dict[str, Any], publishable: bool) -> tuple[dict[str, Any], list[str]]:
    """The checked values and the paths to expand."""
    raw = dict(raw)
    paths = raw.pop("expand", {})
    if not isinstance(paths, dict) or not all(isinstance(path, str) for path in paths.values()):
        raise forms.refused("Invalid array", "expand")
    own = {name: raw.pop(name) for name in endpoint.browser_params & raw.keys()} if publishable else {}
    params = contract.validate(endpoint.params or contract.NoParams, raw)
    refuse_unsupported(params, endpoint.supports)
    return {**params, **own}, list(paths.values())


def _envelope(error: StripeError, request_id: str | None) -> str:
    body = public(error.body())
    if error.logged:
        body["request_log_url"] = f"{request.host_url}_sandbox/?request={request_id}"
    return json.dumps({"error": body}, separators=(",", ":"))


def _add_headers(response: Response, asked: Request) -> None:
    headers = response.headers
    headers["Request-Id"] = str(asked.id)
    headers["Stripe-Version"] = API_VERSION
    headers["Access-Control-Allow-Origin"] = "*"
    headers["Access-Control-Expose-Headers"] = "Request-Id, Stripe-Version"
    headers["Cache-Control"] = "no-cache, no-store"
    if asked.idempotency_key:
        headers["Idempotency-Key"] = asked.idempotency_key
