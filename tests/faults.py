"""What can go wrong between the portal and Stripe: a transport that fails before or after the work.

It stands round the transport that calls the sandbox's engine in this process, so that everything but the
fault is real: SDK, retries, idempotency keys.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any
from urllib.parse import urlsplit

import requests
import stripe

from tests.transport import CaseInsensitiveHeaders, WsgiTransport

Answer = tuple[str, int, Mapping[str, str]]


class Killed(BaseException):
    """The process is gone at this point; nothing catches it."""


@dataclass
class Call:
    """One request that the SDK made, and how it ended (None: without an answer)."""

    method: str
    path: str
    key: str | None
    status: int | None = None


@dataclass
class Fault:
    """What happens to the next ``times`` requests of ``method`` whose path ends with ``path``."""

    kind: str
    method: str
    path: str
    times: int
    seconds: float = 0.0
    action: Callable[[], None] | None = None


@dataclass
class Faults(stripe.HTTPClient):
    """The SDK's HTTP client with faults. ``calls`` is everything that was asked, in order.

    Kinds: ``timeout_before`` and ``timeout_after`` the work was done, ``reset`` (the connection breaks after
    the work), ``refused`` (nobody there), ``error_before`` and ``error_after`` (500), ``rate_limit`` (429),
    ``refuse`` (400), ``kill_before`` and ``kill_after``, ``slow``, ``first`` (``action`` runs before the
    work) and ``then`` (between work and answer). A path is the whole one, or its end; ``*`` stands for all.
    """

    application: Any
    calls: list[Call] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    name = "faults"

    def __post_init__(self) -> None:
        super().__init__()
        self._inner = WsgiTransport(self.application)

    def fail(
        self,
        kind: str,
        path: str,
        *,
        method: str = "POST",
        times: int = 1,
        seconds: float = 0.0,
        action: Callable[[], None] | None = None,
    ) -> None:
        """Let the next ``times`` requests to ``path`` fail in that way."""
        self.faults.append(Fault(kind, method, path, times, seconds, action))

    def mend(self) -> None:
        """From now on everything works."""
        self.faults.clear()

    def keys(self, path: str, method: str = "POST") -> list[str | None]:
        """The idempotency keys of all requests to ``path``, in order."""
        return [call.key for call in self.calls if call.method == method and call.path.endswith(path)]

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **options: Any
    ) -> Answer:
        call = Call(method.upper(), urlsplit(url).path, dict(headers or {}).get("Idempotency-Key"))
        self.calls.append(call)
        fault = self._next(call)
        if fault is None:
            return self._work(call, method, url, headers, post_data)
        self._before(fault)
        if fault.kind == "rate_limit":
            return self._answer(call, 429, "Request rate limit exceeded.")
        if fault.kind == "refuse":
            return self._answer(call, 400, "This cannot be done.", type="invalid_request_error")
        if fault.kind == "error_before":
            return self._answer(call, 500, "An unknown error occurred.")
        answer = self._work(call, method, url, headers, post_data)
        call.status = None
        self._after(fault)
        if fault.kind == "error_after":
            return self._answer(call, 500, "An unknown error occurred.")
        call.status = answer[1]
        return answer

    def _next(self, call: Call) -> Fault | None:
        for fault in self.faults:
            fits = fnmatch(call.path, fault.path if fault.path.startswith("/v1") else "*" + fault.path)
            if fault.times and fits and fault.method in (call.method, "*"):
                fault.times -= 1
                return fault
        return None

    def _before(self, fault: Fault) -> None:
        if fault.kind == "kill_before":
            raise Killed
        if fault.kind == "timeout_before":
            raise _no_answer(requests.exceptions.ReadTimeout("read timed out"))
        if fault.kind == "refused":
            raise _no_answer(requests.exceptions.ConnectionError("NewConnectionError: connection refused"))
        if fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault.kind == "first" and fault.action is not None:
            fault.action()

    def _after(self, fault: Fault) -> None:
        if fault.kind == "then" and fault.action is not None:
            fault.action()
        if fault.kind == "kill_after":
            raise Killed
        if fault.kind == "timeout_after":
            raise _no_answer(requests.exceptions.ReadTimeout("read timed out"))
        if fault.kind == "reset":
            raise _no_answer(requests.exceptions.ConnectionError("connection reset by peer"))

    def _work(
        self, call: Call, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any
    ) -> Answer:
        answer = self._inner.request(method, url, headers, post_data)
        call.status = answer[1]
        return answer

    def _answer(self, call: Call, status: int, message: str, type: str = "api_error") -> Answer:
        call.status = status
        body = json.dumps({"error": {"type": type, "message": message}})
        return body, status, CaseInsensitiveHeaders({"Request-Id": "req_fault"})

    def _sleep_time_seconds(self, num_retries: int) -> float:
        """Tests do not wait between retries."""
        return 0.0

    def close(self) -> None:
        """Nothing to close."""


def _no_answer(cause: Exception) -> stripe.APIConnectionError:
    """The SDK's error for a request without an answer, as its own client raises it."""
    error = stripe.APIConnectionError(str(cause), should_retry=True)
    error.__cause__ = cause
    return error
