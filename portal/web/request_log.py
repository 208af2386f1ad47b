"""One line per request, with an id that the person sees when something goes wrong."""

import re
import secrets
import time

import structlog
from flask import Flask, g, request, session
from werkzeug.wrappers import Request, Response

HEADER = "X-Request-Id"
ID = re.compile(r"^[A-Za-z0-9_-]{8,64}$")
ID_BYTES = 9
PATH_LENGTH = 200

log = structlog.get_logger("portal.web")


def request_id() -> str:
    """The present request's id."""
    return str(g.get("request_id", ""))


def name_request(request: Request) -> str:
    """The id of a request, from here on in every line of the log: the one that it came with, or a new one."""
    given = request.headers.get(HEADER, "")
    name = given if ID.match(given) else secrets.token_urlsafe(ID_BYTES)
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=name)
    return name


def tell(
    request: Request,
    response: Response,
    *,
    route: str | None,
    began: float,
    user_id: int | None = None,
    workspace_id: int | None = None,
) -> None:
    """The line of a request. Paths are logged as routes: an address may hold a mailed link's token."""
    log.info(
        "request",
        method=request.method,
        route=route,
        status=response.status_code,
        ms=round((time.perf_counter() - began) * 1000, 1),
        ip=request.remote_addr,
        user_id=user_id,
        workspace_id=workspace_id,
        bytes=response.content_length,
    )


def install(app: Flask) -> None:
    """Log every request of ``app``."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        g.request_id = name_request(request)

    @app.after_request
    def finish(response: Response) -> Response:
        if "request_id" not in g:
            begin()
        response.headers[HEADER] = g.request_id
        tell(
            request,
            response,
            route=request.url_rule.rule if request.url_rule else None,
            began=g.began,
            user_id=session.get("sign_in_user"),
            workspace_id=_workspace_id(),
        )
        return response


def _workspace_id() -> int | None:
    sign_in = g.get("sign_in")
    return sign_in.current.workspace_id if sign_in and sign_in.current else None
