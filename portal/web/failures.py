"""Error pages: what happened, what was not done, what to do, and a reference for support."""

from dataclasses import dataclass

import psycopg
import structlog
from flask import Flask, g, render_template, request
from flask_babel import lazy_gettext as _
from flask_login import AnonymousUserMixin
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException, InternalServerError
from werkzeug.wrappers import Response

from portal.errors import PortalError
from portal.web import db_session
from portal.web.language import translated
from portal.web.request_log import request_id

RETRY_SECONDS = 60
AWAY = (
    OperationalError,
    InterfaceError,
    PoolTimeoutError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
)

log = structlog.get_logger("portal.web")


@dataclass(frozen=True)
class Page:
    """One error page's words."""

    title: object
    body: object


PAGES = {
    400: Page(
        _("We could not read that request"),
        _("Nothing was changed and nothing was charged. Go back, reload the page, and try again."),
    ),
    403: Page(
        _("You may not do that here"),
        _("Nothing was changed. An owner or admin of your workspace can do it, or give you the right to."),
    ),
    404: Page(
        _("There is no such page"),
        _("The address may be mistyped, or what it named is gone or belongs to another workspace."),
    ),
    405: Page(
        _("That address cannot be used that way"), _("Nothing was changed. Start from the overview page.")
    ),
    409: Page(
        _("Something changed meanwhile"), _("Nothing was charged. Reload the page to see the present state.")
    ),
    413: Page(_("That was too much at once"), _("The request was too large, and nothing of it was kept.")),
    429: Page(
        _("Too many attempts"),
        _(
            "To keep accounts and cards safe we pause after several attempts."
            " Nothing was changed; wait a minute."
        ),
    ),
    500: Page(
        _("Something went wrong on our side"),
        _("We have noted it. If you were about to pay, look at your overview before you try again."),
    ),
    503: Page(
        _("We cannot answer right now"),
        _("A part of the system is away for a moment. Nothing new was charged; try again in a minute."),
    ),
}

STALE_FORM = _(
    "This form was open while you signed in or out or went to another workspace, or your browser keeps no"
    " cookies for us."
    " Nothing was changed and nothing was charged. Go back, reload the page, and send it again."
)

BARE = (
    "<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><p>{body}</p><p>{reference}</p>"
)


def install(app: Flask) -> None:
    """Answer every failure of ``app`` with a page."""

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        if error.response is not None or (error.code or 500) < 400:
            return error.get_response()  # type: ignore[return-value]
        status = error.code or 500
        answer = page(status, str(STALE_FORM) if isinstance(error, CSRFError) else None)
        if status in (429, 503):
            answer.headers["Retry-After"] = str(getattr(error, "retry_after", None) or RETRY_SECONDS)
        for name, value in error.get_headers():
            if name == "Allow":
                answer.headers[name] = value
        return answer

    @app.errorhandler(PortalError)
    def explained(error: PortalError) -> Response:
        level = log.warning if error.status >= 500 else log.info
        level("refused", code=error.code, reason=str(error))
        return page(error.status, translated(error.message))

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeoutError)
    def refused_by_database(error: Exception) -> Response:
        # the login's own session is committed after each answer
        db_session.rollback()
        if isinstance(error, DataError):
            # the last resort: a form or a converter should have said so before
            log.error("unstorable", error=f"{type(error).__name__}: {error.orig}")
            return page(400)
        if not is_away(error):
            raise error
        log.error("database_away", error=f"{type(error).__name__}: {error}")
        answer = page(503)
        answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return answer

    @app.errorhandler(InternalServerError)
    def broken(error: InternalServerError) -> Response:
        return page(500)


def is_away(error: Exception) -> bool:
    """Whether the database is gone, full, or kept a statement waiting for too long."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, AWAY)


def page(status: int, message: str | None = None) -> Response:
    """The page for ``status``; ``message`` replaces the usual body."""
    words = PAGES.get(status) or PAGES[400 if status < 500 else 500]
    if status >= 500:
        # whoever is signed in may be what cannot be loaded
        g._login_user = AnonymousUserMixin()
        g.pop("sign_in", None)
    context = {
        "title": words.title,
        "body": message or words.body,
        "reference": request_id(),
        "status": status,
    }
    if request.routing_exception is not None and status == 400:
        # a foreign host name: no address can be built for it
        return Response(BARE.format(**context), status, mimetype="text/html")
    return Response(render_template("errors/error.html", **context), status, mimetype="text/html")
