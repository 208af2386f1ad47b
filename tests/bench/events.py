"""Signed webhook deliveries, as many as asked for, each with an id of its own and about three kilobytes."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator

from stripe import api_version

BODY_BYTES = 3_000


def deliveries(
    count: int, secret: str, *, type: str, objects: list[str], start: int = 0
) -> Iterator[tuple[str, str]]:
    """(signature, body) of ``count`` events of ``type`` about ``objects`` in turn."""
    now = int(time.time())
    for number in range(start, start + count):
        event = {
            "id": f"evt_bench{number:012d}",
            "object": "event",
            "api_version": api_version,
            "created": now,
            "livemode": False,
            "pending_webhooks": 1,
            "type": type,
            "request": {"id": None, "idempotency_key": None},
            "data": {"object": {"id": objects[number % len(objects)], "object": type.split(".")[0]}},
        }
        event["data"]["object"]["metadata"] = {"fill": "x" * (BODY_BYTES - len(json.dumps(event)))}  # type: ignore[index]
        body = json.dumps(event)
        signed = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
        yield f"t={now},v1={signed}", body
