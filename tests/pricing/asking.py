"""Ways to ask the pricing program: in this process, or as the program that others run."""

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portal.pricing.program import main

ROOT = Path(__file__).resolve().parents[2]

# the examples of the documentation
QUOTE: dict[str, Any] = {
    "op": "quote",
    "catalog": "2026-11",
    "currency": "usd",
    "interval": "month",
    "tier": "advanced",
    "seats": 12,
    "add_ons": {"copilot": 5, "proactive_support": 1},
    "discounts": [{"line": "seat", "percent_off": "10"}, {"line": None, "amount_off": 500}],
    "usage": {"resolution": 500, "sms": 1200},
}
PRORATE: dict[str, Any] = {
    "op": "prorate",
    "before": {"unit_amount": "1000", "quantity": 1},
    "after": {"unit_amount": "1800", "quantity": 1},
    "period_start": 1790021304,
    "period_end": 1792613304,
    "at": 1792606824,
}
RATE: dict[str, Any] = {
    "op": "rate",
    "mode": "graduated",
    "bands": [
        {"up_to": 1000, "unit_amount": "4.0", "flat_amount": 0},
        {"up_to": None, "unit_amount": "2.5"},
    ],
    "included": 0,
    "quantity": 1200,
}
RESOLVE: dict[str, Any] = {
    "op": "resolve",
    "events": [{"type": "ai_answered", "at": 1_790_000_000}, {"type": "customer_asked", "at": 1_790_000_060}],
    "now": 1_790_086_400,
}
DRAW: dict[str, Any] = {
    "op": "draw",
    "lots": [
        {"id": "2026", "units": 600, "starts_at": 1_793_000_000, "expires_at": 1_825_000_000},
        {"id": "2027", "units": 1_200, "starts_at": 1_824_000_000, "expires_at": 1_856_000_000},
    ],
    "uses": [{"at": 1_830_000_000, "units": 50}, {"at": 1_800_000_000, "units": 640}],
    "now": 1_831_000_000,
}
PACK: dict[str, Any] = {"op": "pack", "catalog": "2026-11", "units": 599}


@dataclass(frozen=True)
class Answer:
    """What the program printed, read back as JSON, and its exit status."""

    content: dict[str, Any]
    status: int

    @property
    def error(self) -> tuple[int, str | None]:
        """The exit status and the param of a refusal that has the documented shape."""
        assert set(self.content) == {"error"}
        assert set(self.content["error"]) == {"message", "param"}
        assert self.content["error"]["message"].endswith(".")
        return self.status, self.content["error"]["param"]


def ask(document: object) -> Answer:
    """Ask with a JSON document, or with raw bytes."""
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    printed = io.StringIO()
    status = main([], io.BytesIO(raw), printed)
    assert printed.getvalue().count("\n") == 1
    return Answer(json.loads(printed.getvalue()), status)


def ask_program(raw: bytes | None, *arguments: str) -> Answer:
    """Run ``python -m portal.pricing`` with these bytes on standard input, or with standard input closed."""
    command = [sys.executable, "-m", "portal.pricing", *arguments]
    if raw is None:
        command = ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command]
    done = subprocess.run(command, input=raw, capture_output=True, cwd=ROOT, timeout=60, check=False)
    assert done.stderr == b""
    return Answer(json.loads(done.stdout), done.returncode)
