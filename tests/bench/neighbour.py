"""A Stripe that answers at once: what the sandbox said of one invoice and subscription, for any id.

Served like the portal: ``granian --interface wsgi tests.bench.neighbour:app``.
"""

import json
import os
import re
import urllib.request

from flask import Flask, Response, request

SANDBOX = os.environ["NEIGHBOUR_SANDBOX"]
ORIGINALS = json.loads(os.environ["NEIGHBOUR_ORIGINALS"])  # {"in": id, "sub": id}
ID = re.compile(r"/(in|sub)_\w+")

app = Flask(__name__)
_known: dict[str, str] = {}


def _original(path: str, authorization: str) -> str:
    if path not in _known:
        wanted = urllib.request.Request(SANDBOX + path, headers={"Authorization": authorization})
        with urllib.request.urlopen(wanted, timeout=10) as answer:
            _known[path] = answer.read().decode()
    return _known[path]


@app.get("/<path:path>")
def answer(path: str) -> Response:
    found = ID.search(request.full_path)
    asked = found.group(0)[1:] if found else ""
    original = ORIGINALS[found.group(1)] if found else ""
    where = request.full_path.rstrip("?").replace(asked, original) if asked else request.full_path.rstrip("?")
    body = _original(where, request.headers.get("Authorization", ""))
    return Response(body.replace(original, asked) if asked else body, mimetype="application/json")
