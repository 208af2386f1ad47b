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
