"""One line per request, with an id that the person sees when something goes wrong."""

import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request, session

HEADER = "X-Request-Id"
ID = re.compile(r"^[A-Za-z0-9_-]{8,64}$")
ID_BYTES = 9
PATH_LENGTH = 200

log = structlog.get_logger("portal.web")


def request_id() -> str:
    """The present request's id."""
    return str(g.get("request_id", ""))


def install(app: Flask) -> None:
    """Log every request of ``app``. Paths are logged as routes: an address may hold a mailed link's token."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if ID.match(given) else secrets.token_urlsafe(ID_BYTES)
        g.began = time.perf_counter()
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=g.request_id)

    @app.after_request
    def finish(response: Response) -> Response:
        if "request_id" not in g:
            begin()
        response.headers[HEADER] = g.request_id
        log.info(
            "request",
            method=request.method,
            route=request.url_rule.rule if request.url_rule else None,
            status=response.status_code,
            ms=round((time.perf_counter() - g.began) * 1000, 1),
            ip=request.remote_addr,
            user_id=session.get("sign_in_user"),
            workspace_id=_workspace_id(),
            bytes=response.content_length,
        )
        return response


def _workspace_id() -> int | None:
    sign_in = g.get("sign_in")
    return sign_in.current.workspace_id if sign_in and sign_in.current else None
