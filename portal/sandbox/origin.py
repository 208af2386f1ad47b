"""The address under which the sandbox is reached from outside, for the links it writes into documents."""

from __future__ import annotations

from flask import has_request_context, request

from portal.sandbox.state import Sandbox

KIND = "_origin"


def origin(sandbox: Sandbox) -> str:
    """`http://host:port`: the current request's, or that of the last request when only time has passed."""
    if not has_request_context():
        known = sandbox.store.get(KIND, "last")
        return known["address"] if known else ""
    address = request.host_url.rstrip("/")
    sandbox.store.put(KIND, {"id": "last", "address": address})
    return address
