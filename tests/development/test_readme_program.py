"""README's program, run as it stands against a portal over HTTP."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.programs import program
from tests.services.buying import Customer
from tests.services.conftest import open_shop  # noqa: F401
from tests.services.using import subscribe

ROOT = Path(__file__).resolve().parent.parent.parent
SECTION = "## Send conversations"


def example() -> str:
    section = (ROOT / "README.md").read_text("utf-8").split(SECTION, 1)[1].split("\n## ", 1)[0]
    [block] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    return str(block)


class Quiet(WSGIRequestHandler):
    """Writes no lines."""

    def log(self, type: str, message: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def served(open_shop: tuple[Flask, Customer]) -> Iterator[tuple[str, Flask, Customer]]:  # noqa: F811
    """A portal at an address, with a company that may buy."""
    app, customer = open_shop
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}/v1", app, customer
    server.shutdown()
    thread.join()
    server.server_close()


def run(address: str, key: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PORTAL_API": address, "PORTAL_API_KEY": key}
    command = [sys.executable, "-I", "-c", example()]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def test_the_program_of_the_readme_sends_a_conversation(served: tuple[str, Flask, Customer]) -> None:
    address, app, customer = served
    subscribe(customer.gateways, customer.workspace_id)
    done = run(address, program(app, customer.account).secret)

    assert done.stderr == ""
    assert re.findall(r"_[0-9a-f]{32}_(\w+) accepted", done.stdout) == ["ai_answered", "customer_confirmed"]
    assert "The AI may answer." in done.stdout
    assert "Resolutions of this period: 1 billed, 0 that may still be." in done.stdout


def test_the_program_shows_what_was_wrong(served: tuple[str, Flask, Customer]) -> None:
    address, _, _ = served
    done = run(address, "bk_0000000000_wrong")

    assert done.returncode == 1
    assert '"code":"unauthorized"' in done.stderr
