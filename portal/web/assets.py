"""Style sheets, scripts and images under addresses that carry a hash of their content.

All of ``static/`` shares one hash, so that a script's relative imports get it too; what has the hash in its
address may be kept for a year. The style sheets are sent as one, which saves a phone three round trips.
"""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Blueprint, Response, current_app, request, send_from_directory, url_for

from portal.web import public

blueprint = Blueprint("assets", __name__)

YEAR = 365 * 24 * 3600
HASH_LENGTH = 12
STYLE_SHEETS = ("tokens", "base", "components", "pages", "invoices", "usage")
STYLE_SHEET = "css/portal.css"
COMPRESSED = {"text/css", "text/javascript", "image/svg+xml"}
COMPRESSION_LEVEL = 9


def _folder() -> Path:
    return Path(str(current_app.static_folder))


def _read_version(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:HASH_LENGTH]


_known_version = lru_cache(_read_version)


def current_hash() -> str:
    """The hash of all of ``static/``; read once per process, or at every call while debugging."""
    return _read_version(_folder()) if current_app.debug else _known_version(_folder())


@blueprint.app_template_global()
def asset(name: str) -> str:
    """The address of ``static/<name>``; it changes whenever any asset does."""
    return url_for("assets.file", version=current_hash(), name=name)


@lru_cache(maxsize=64)
def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, COMPRESSION_LEVEL, mtime=0)


def _style_sheet() -> Response:
    sheets = [(_folder() / "css" / f"{name}.css").read_text("utf-8") for name in STYLE_SHEETS]
    return Response("\n".join(sheets), mimetype="text/css")


def _compress(response: Response) -> None:
    if response.mimetype not in COMPRESSED or response.status_code != 200:
        return
    response.vary.add("Accept-Encoding")
    if "gzip" in request.accept_encodings:
        response.direct_passthrough = False
        response.set_data(_gzipped(response.get_data()))
        response.headers["Content-Encoding"] = "gzip"


@blueprint.get("/assets/<version>/<path:name>")
@public
def file(version: str, name: str) -> Response:
    """Answer a file of ``static/``. An address with an older hash still works, but is not kept."""
    response = _style_sheet() if name == STYLE_SHEET else send_from_directory(_folder(), name)
    fresh = version == current_hash()
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if fresh else "no-cache"
    _compress(response)
    return response
