"""GET /v1/openapi.json: the API described in OpenAPI 3.1."""

from typing import Any, cast

from flask import Blueprint, Flask, current_app
from werkzeug.wrappers import Response as Answer

from portal.config import Settings
from portal.web import public
from portal.web.api import answers

blueprint = Blueprint("openapi", __name__)

KEY = "key"
EXTENSION = "portal.api.document"
CACHE = "public, max-age=300"


@blueprint.get("/openapi.json")
@public
def page() -> Answer:
    """The document; nobody needs a key to read it."""
    return answers.readable(document(current_app), cache=CACHE)


def document(api: Flask) -> dict[str, Any]:
    """The whole document; made once in a process."""
    if EXTENSION not in api.extensions:
        # the library takes a tenth of the time in which a process starts, and few processes are ever asked
        from portal.web.api.openapi_document import describe

        settings: Settings = api.extensions["settings"]
        api.extensions[EXTENSION] = describe(api, settings)
    return cast(dict[str, Any], api.extensions[EXTENSION])
