"""README's production start, run as it is written, on a PostgreSQL of its own and the sandbox for Stripe."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from portal.development.postgres import EmbeddedPostgres
from tests.stack import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
SECTION = "## Run it on real Stripe and a real PostgreSQL"
READY_SECONDS = 150.0


def blocks() -> list[str]:
    """The blocks of commands of the section."""
    section = (ROOT / "README.md").read_text("utf-8").split(SECTION, 1)[1].split("\n### ", 1)[0]
    return re.findall(r"```\n(.*?)```", section, re.DOTALL)


def replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"README no longer says {old}"
    return text.replace(old, new)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    made = ROOT / ".data" / "tests" / f"readme-{os.getpid()}"
    made.mkdir(parents=True)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    """An empty server without any of the roles."""
    made = EmbeddedPostgres(folder / "postgres")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sandbox() -> Iterator[str]:
    """The address of a sandbox that nobody has set up."""
    [port] = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.sandbox", "--port", str(port)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    yield f"http://localhost:{port}"
    process.terminate()
    process.wait()


def script(folder: Path, postgres: EmbeddedPostgres, port: int) -> str:
    """Both blocks with our addresses, the printed secret taken over, and what serves side by side."""
    prepare, serve = blocks()
    host = quote(str(postgres.data))
    prepare = re.sub(r"@db\.example\.com/(\w+)", rf"@/\1?host={host}", prepare)
    prepare = replaced(prepare, "sk_test_…", "sk_test_sandbox")
    prepare = replaced(prepare, "pk_test_…", "pk_test_sandbox")
    prepare = replaced(prepare, "wsgi stripe setup ", f"wsgi stripe setup | tee {folder}/setup ")
    told = f"$(sed -n 's/.*STRIPE_WEBHOOK_SECRET=//p' {folder}/setup)"
    prepare = replaced(prepare, "STRIPE_WEBHOOK_SECRET=whsec_…", f"STRIPE_WEBHOOK_SECRET={told}")
    serve = replaced(serve, "--port 8000", f"--port {port}").replace("\\\n", " ")
    apart = [line.split("#")[0] + " &" for line in serve.strip().splitlines()]
    return "\n".join(
        ["set -euo pipefail", prepare, "unset PORTAL_MIGRATION_URL SUPERUSER_URL", *apart, "wait"]
    )


def ready(port: int) -> dict[str, Any] | None:
    """What /readyz says to the proxy, if anything answers."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {"Host": "billing.example.com", "X-Forwarded-Proto": "https"}
    try:
        connection.request("GET", "/readyz", headers=headers)
        answer = connection.getresponse()
        return dict(json.loads(answer.read())) if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def test_the_production_start_works_as_the_readme_says(
    folder: Path, postgres: EmbeddedPostgres, sandbox: str
) -> None:
    [port] = free_ports(1)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "STRIPE_"))}
    programs = os.pathsep.join([str(postgres.programs), str(Path(sys.executable).parent), kept["PATH"]])
    output = folder / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", script(folder, postgres, port)],
            cwd=ROOT,
            env={**kept, "PATH": programs, "PORTAL_SANDBOX_URL": sandbox},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    report: dict[str, Any] = {}
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and process.poll() is None:
        report = ready(port) or {}
        if report and report["worker"]["running"]:
            break
        time.sleep(0.2)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait(30)
    said = output.read_text()

    assert report, said
    assert report["worker"]["running"] == 1, said
    assert "The database fits this version, and row-level security holds." in said
    assert "missing" not in said
