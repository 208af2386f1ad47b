"""Answers in JSON: a body, and for what is read again and again an ETag that saves sending it."""

import hashlib
from typing import Any

from flask import request
from pydantic_core import to_json
from werkzeug.wrappers import Response

MEDIA_TYPE = "application/json"
# kept by the asker alone, and asked for anew each time: what is unchanged is not sent
KEPT = "private, no-cache"
TAG_BYTES = 16


def json_answer(shape: Any, status: int = 200, *, media_type: str = MEDIA_TYPE) -> Response:
    """``shape``, a pydantic model or plain values, as JSON."""
    return Response(to_json(shape), status, content_type=media_type)


def readable(shape: Any, *, cache: str = KEPT) -> Response:
    """The same with an ETag; 304 and no body for who has it already (``If-None-Match``)."""
    answer = json_answer(shape)
    answer.set_etag(hashlib.blake2b(answer.get_data(), digest_size=TAG_BYTES).hexdigest())
    answer.headers["Cache-Control"] = cache
    return answer.make_conditional(request.environ)
