"""Idempotency keys: the first answer to a POST is kept and given again, a 402 or 500 included.

Keys are documents like everything else, so they survive a restart; what the answer belongs to and the answer
itself commit together. A refusal in validation keeps nothing; two requests at once get a 409.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from portal.sandbox.errors import StripeError, invalid

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

KIND = "_idempotency"
MAX_KEY_LENGTH = 255
KEEP_SECONDS = 30 * 24 * 3600


@dataclass
class InFlight:
    """The keys of the requests that are being served now."""

    keys: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    @contextmanager
    def claim(self, key: str | None) -> Iterator[None]:
        """Hold a key for the block; a second holder gets Stripe's 409."""
        if key is None:
            yield
            return
        with self.lock:
            if key in self.keys:
                raise StripeError(
                    409,
                    "idempotency_error",
                    "There is currently another in-progress request using this Stripe-Idempotent-Key (that "
                    "probably means you submitted twice, and the other request is still going through): "
                    f"{key}. If the original request is taking a long time, try again later.",
                    code="idempotency_key_in_use",
                    stored=False,
                )
            self.keys.add(key)
        try:
            yield
        finally:
            with self.lock:
                self.keys.discard(key)


def check_key(key: str | None) -> None:
    """Refuse a key that is too long."""
    if key is not None and len(key) > MAX_KEY_LENGTH:
        error = invalid(f"Idempotency keys can have at most {MAX_KEY_LENGTH} characters.")
        error.stored = False
        raise error


def fingerprint(method: str, path: str, raw: dict[str, Any]) -> str:
    """What makes two requests the same: method, path and parameters, whatever their order."""
    text = json.dumps([method, path, raw], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def recall(sandbox: Sandbox, key: str, mark: str) -> dict[str, Any] | None:
    """The kept answer (`status`, `body`, `request_id`) of this key; 400 when it was for another request."""
    kept = sandbox.store.get(KIND, key)
    if kept is None:
        return None
    if kept["fingerprint"] != mark:
        raise StripeError(
            400,
            "idempotency_error",
            "Keys for idempotent requests can only be used with the same parameters they were first used "
            f"with. Try using a key other than '{key}' if you meant to execute a different request.",
        )
    return kept


def keep(sandbox: Sandbox, key: str, mark: str, status: int, body: str, request_id: str) -> None:
    """Remember the answer under the key, in the transaction that is open."""
    sandbox.store.put(
        KIND,
        {
            "id": key,
            "fingerprint": mark,
            "status": status,
            "body": body,
            "request_id": request_id,
            "created": int(time.time()),
        },
    )


def forget_old(sandbox: Sandbox) -> None:
    """Drop keys older than Stripe promises to keep them, in real time."""
    oldest = int(time.time()) - KEEP_SECONDS
    for kept in sandbox.store.find(KIND, lambda kept: kept["created"] < oldest):
        sandbox.store.delete(KIND, kept["id"])
