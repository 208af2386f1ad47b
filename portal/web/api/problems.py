"""What went wrong, as RFC 9457 has it: ``application/problem+json`` for every error, whoever raised it.

``type`` is where /developers/api explains it, ``code`` the same for programs, ``instance`` the request's id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from portal.errors import N_, PortalError
from portal.web.api.answers import json_answer
from portal.web.failures import RETRY_SECONDS, is_away
from portal.web.request_log import request_id

MEDIA_TYPE = "application/problem+json"
REFERENCE = "/developers/api"
MOST_ERRORS = 20

log = structlog.get_logger("portal.web")


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its status, its title, and what to do about it."""

    status: int
    title: str
    remedy: str


KINDS = {
    "malformed": Kind(400, N_("The request could not be read"), N_("Send JSON in UTF-8.")),
    "unauthorized": Kind(
        401,
        N_("No key that is good"),
        N_("Send Authorization: Bearer and a key of your workspace that was not revoked and has not ended."),
    ),
    "forbidden": Kind(
        403, N_("The key may not do that"), N_("Make a key with the scope that the operation names.")
    ),
    "not_found": Kind(404, N_("There is no such thing"), N_("Compare the address with this page.")),
    "method_not_allowed": Kind(405, N_("Not this method"), N_("Use one that the header Allow names.")),
    "conflict": Kind(
        409, N_("It does not fit the present state"), N_("Read the state again, and decide anew.")
    ),
    "too_large": Kind(413, N_("The body is too large"), N_("Send smaller batches, of at most one MiB.")),
    "unsupported_media_type": Kind(
        415, N_("Not this type of content"), N_("Send Content-Type: application/json.")
    ),
    "invalid": Kind(422, N_("The content is not right"), N_("Mend what errors names, and send it again.")),
    "too_many_requests": Kind(
        429, N_("Too many requests"), N_("Wait for as many seconds as Retry-After says.")
    ),
    "internal": Kind(
        500,
        N_("Something failed on our side"),
        N_("Send it again: what was taken in before is answered as a duplicate."),
    ),
    "unavailable": Kind(
        503,
        N_("Not available at this moment"),
        N_("Send it again after as many seconds as Retry-After says."),
    ),
}
BY_STATUS = {kind.status: code for code, kind in KINDS.items()}


class Fault(BaseModel):
    """What is wrong with one part of a request."""

    model_config = ConfigDict(json_schema_mode="serialization")

    field: str = Field(description=N_("Where it is: a name, or names and positions joined by dots."))
    message: str = Field(description=N_("What is wrong with it."))


class Problem(BaseModel):
    """An error. Fields may be added; programs decide by code."""

    model_config = ConfigDict(json_schema_mode="serialization")

    type: str = Field(description=N_("An address that explains this kind of problem."))
    title: str = Field(description=N_("The kind of problem in words."))
    status: int = Field(description=N_("The HTTP status."))
    code: str = Field(description=N_("The kind of problem for programs; it never changes."))
    detail: str = Field(description=N_("What happened this time."))
    instance: str = Field(description=N_("The id of the request. Support finds it by this."))
    errors: list[Fault] | None = Field(
        default=None, description=N_("What is wrong with the request, part by part.")
    )
    reason: str | None = Field(
        default=None, description=N_("Why exactly, as a code, where one kind has several reasons.")
    )
    at_cap: str | None = Field(
        default=None,
        description=N_("What to do instead of answering: stop, hand_over, ask_approver or next_pack."),
    )
    results: list[dict[str, str | None]] | None = Field(
        default=None, description=N_("Of a batch of which nothing was taken in: one result for each.")
    )


class ApiError(Exception):
    """A refusal of this API: the code of a kind of problem, what happened, and what goes along with it."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
        self.errors, self.headers, self.more = errors, headers or {}, more or {}


def faults(errors: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """What pydantic found, in our shape; the first twenty."""
    return [
        Fault(field=".".join(map(str, error["loc"])) or "body", message=str(error["msg"]))
        for error in errors[:MOST_ERRORS]
    ]


def install(app: Flask, base_url: str) -> None:
    """Answer every failure of ``app`` with a problem."""

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        refusal = _as_refusal(error)
        answer = _problem(base_url, refusal)
        if isinstance(error, HTTPException):
            _keep_allow(error, answer)
        return answer


def _as_refusal(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, PortalError):
        log.info("refused", code=error.code, reason=str(error))
        return _of_status(error.status, str(error.message), code=error.code)
    if is_away(error):
        log.error("database_away", error=f"{type(error).__name__}: {error}")
        return _of_status(503, "A part of the system is away for a moment. Nothing was changed.")
    if isinstance(error, DataError):
        # the last resort: a model should have said so before
        log.error("unstorable", error=f"{type(error).__name__}: {error.orig}")
        return ApiError("invalid", "It holds characters or numbers that cannot be stored.")
    log.exception("api_failed")
    return ApiError("internal", "It was noted. The request can be sent again.")


def _of_http(error: HTTPException) -> ApiError:
    status = error.code or 500
    details = {
        404: "There is no such address.",
        405: "This address does not take that method.",
        413: "The body is larger than what is read.",
    }
    return _of_status(status, details.get(status) or error.description or HTTPStatus(status).phrase)


def _of_status(status: int, detail: str, *, code: str | None = None) -> ApiError:
    kind = BY_STATUS.get(status) or ("malformed" if status < 500 else "internal")
    headers = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    more = {"reason": code} if code else {}
    return ApiError(kind, detail, headers=headers, more=more)


def _problem(base_url: str, refusal: ApiError) -> Response:
    kind = KINDS[refusal.code]
    body = Problem(
        type=f"{base_url}{REFERENCE}#{refusal.code}",
        title=str(kind.title),
        status=kind.status,
        code=refusal.code,
        detail=refusal.detail,
        instance=request_id(),
        errors=list(refusal.errors) or None,
        **refusal.more,
    )
    # what a result has no reason for stays null in it
    shape = {name: value for name, value in body.model_dump().items() if value is not None}
    answer = json_answer(shape, kind.status, media_type=MEDIA_TYPE)
    answer.headers.update(refusal.headers)
    return answer


def _keep_allow(error: HTTPException, answer: Response) -> None:
    for name, value in error.get_headers():
        if name == "Allow":
            answer.headers[name] = value
