"""The recorded cases: answers of real Stripe that the sandbox must give too.

`recorded.json` holds them with their ids; a test says with `@covers(id, …)` which ones it replays, and
`test_recorded_coverage.py` adds them up.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import stripe

Function = TypeVar("Function", bound=Callable[..., Any])

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(Path(__file__).with_name("recorded.json").read_text())["cases"]
}
covered: set[str] = set()


def covers(*ids: str) -> Callable[[Function], Function]:
    """Say that a test replays these cases; an unknown id is an error."""
    unknown = set(ids) - CASES.keys()
    if unknown:
        raise KeyError(f"no recorded case {sorted(unknown)}")
    covered.update(ids)
    return lambda function: function


def given(id: str) -> dict[str, Any]:
    """What was asked in the recording."""
    return CASES[id]["given"]


def expected(id: str) -> dict[str, Any]:
    """What real Stripe answered."""
    return CASES[id]["expect"]


def refusal(call: Callable[[], Any]) -> stripe.StripeError:
    """The error that a call must end in."""
    try:
        answer = call()
    except stripe.StripeError as error:
        return error
    raise AssertionError(f"accepted: {answer}")


def assert_refused_as_recorded(case: str, call: Callable[[], Any], **placeholders: str) -> None:
    """The call must fail with the recorded status, type, code, param, message and absent keys.

    `placeholders` fill `<name>` in the recorded texts, such as the id of an object made by the test.
    """
    want = expected(case)
    error = refusal(call)
    shown = error.json_body["error"]
    text = json.dumps(want["error"])
    for name, value in placeholders.items():
        text = text.replace(f"<{name.replace('_', ' ')}>", value)
    recorded = json.loads(text)

    assert error.http_status == want["http_status"]
    assert {key: shown.get(key) for key in recorded} == recorded
    assert [key for key in want["absent_keys"] if key in shown] == []
    if "request_log_url_present" in want:
        assert ("request_log_url" in shown) is want["request_log_url_present"]
