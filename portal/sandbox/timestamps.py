"""Times as API v2 writes them: RFC 3339, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from portal.sandbox.errors import invalid


def written(second: int) -> str:
    """`2026-10-01T20:42:50.000Z`."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def read(text: str, param: str) -> int:
    """The second that a request names, parts of it left out; 400 for what is no RFC 3339 time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or "T" not in text.upper():
        raise invalid(
            f"Invalid timestamp: {text} must be an RFC 3339 timestamp.", param, code="invalid_fields"
        )
    return int(moment.timestamp() // 1)
