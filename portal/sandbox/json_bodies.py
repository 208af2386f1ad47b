"""API v2's JSON bodies, brought into the shape of decoded forms, which `contract` checks.

Only strings, objects and lists change their shape; a number stays one, so that it is refused where a string
is wanted, as `payload: {"value": 25}` is at Stripe.
"""

from __future__ import annotations

import json
from typing import Any

from portal.sandbox.forms import MAX_DEPTH, MAX_FIELDS, refused


def decode(body: str) -> dict[str, Any]:
    """The parameters of a body; an empty body has none. 400 when it is not a JSON object."""
    if not body.strip():
        return {}
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refused(f"The request body is not valid JSON: {error}") from error
    if not isinstance(given, dict):
        raise refused("The request body must be a JSON object.")
    left = [MAX_FIELDS]
    return {name: _shaped(value, 1, left) for name, value in given.items()}


def _shaped(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if depth > MAX_DEPTH or left[0] < 0:
        raise refused(f"The request body is too large: at most {MAX_FIELDS} values, {MAX_DEPTH} levels deep.")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = {str(index): item for index, item in enumerate(value)}
    if isinstance(value, dict):
        return {name: _shaped(item, depth + 1, left) for name, item in value.items()}
    return value
