"""Lists, a page at a time: where the next page goes on stands in a sealed cursor.

A page is asked for by the key of the last row of the one before, so that the thousandth costs what the first
does, and what is added meanwhile moves nothing.
"""

from typing import Any
from urllib.parse import urlencode

from flask import current_app, request
from itsdangerous import BadData, URLSafeSerializer
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.wrappers import Response

from portal.config import Settings
from portal.errors import N_
from portal.web.api.keys import caller
from portal.web.api.problems import ApiError, Fault

PER_PAGE = 25
MOST_PER_PAGE = 100
CURSOR_LENGTH = 512


class Paged(BaseModel):
    """The part of a list that is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=PER_PAGE, ge=1, le=MOST_PER_PAGE, description=N_("How many to a page."))
    cursor: str | None = Field(
        default=None,
        max_length=CURSOR_LENGTH,
        description=N_("What next_cursor of the page before says; leave it out for the first page."),
    )


def after(wanted: Paged) -> list[Any] | None:
    """The key of the row to go on after; nothing for the first page. Raises ApiError for a foreign cursor."""
    if wanted.cursor is None:
        return None
    try:
        return list(_serializer().loads(wanted.cursor))
    except (BadData, TypeError, ValueError):
        fault = Fault(field="cursor", message="It is none that this list gave out.")
        raise ApiError("invalid", "The cursor is not right.", errors=[fault]) from None


def next_cursor(key: list[Any] | None) -> str | None:
    """The cursor of the page after the row ``key``; nothing after the last page."""
    return None if key is None else str(_serializer().dumps(key))


def link(answer: Response, cursor: str | None) -> Response:
    """Say in ``Link`` where the next page is (RFC 8288)."""
    if cursor is not None:
        asked = urlencode(request.args.to_dict() | {"cursor": cursor})
        answer.headers["Link"] = f'<{request.base_url}?{asked}>; rel="next"'
    return answer


def _serializer() -> URLSafeSerializer:
    """For this list of this workspace only."""
    settings: Settings = current_app.extensions["settings"]
    keys = [*reversed(settings.previous_secret_keys), settings.secret_key]
    return URLSafeSerializer(keys, salt=f"api cursor:{request.endpoint}:{caller().workspace_id}")
