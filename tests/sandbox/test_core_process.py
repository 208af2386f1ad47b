"""The sandbox as a process: started, killed, restarted, and in its own way."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import stripe

Start = Callable[..., subprocess.Popen[str]]
PATIENCE = 20


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a sandbox with these arguments; all of them end with the test."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "portal.sandbox", *map(str, arguments)]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_until_up(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/_sandbox/clock"):
                return
        except URLError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing answers on port {port}")


def client(port: int) -> stripe.StripeClient:
    return stripe.StripeClient("sk_test_sandbox", base_addresses={"api": f"http://127.0.0.1:{port}"})


def refused(process: subprocess.Popen[str]) -> str:
    """What a process says that does not start."""
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 1
    return said


def test_what_was_answered_survives_a_kill(start: Start, port: int, tmp_path: Path) -> None:
    data = tmp_path / "sandbox.sqlite"
    first = start("--port", port, "--data", data)
    wait_until_up(port)
    customer = client(port).v1.customers.create({"name": "Ada"}, {"idempotency_key": "k"})
    first.kill()
    first.wait()
    start("--port", port, "--data", data)
    wait_until_up(port)

    assert client(port).v1.customers.retrieve(customer.id).name == "Ada"
    assert client(port).v1.customers.create({"name": "Ada"}, {"idempotency_key": "k"}).id == customer.id


class Receiver(BaseHTTPRequestHandler):
    """Keeps what it gets; redirects what comes to `/moved`."""

    got: ClassVar[list[tuple[bytes, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((body, self.headers["Stripe-Signature"]))
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("Location", "/hook")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quietly."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of a server that receives webhooks."""
    Receiver.got.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def attempts(port: int, count: int) -> dict[str, Any]:
    """What the control page knows of webhooks once there were `count` attempts."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with urlopen(f"http://127.0.0.1:{port}/_sandbox/attempts") as answer:
            seen = json.load(answer)
        if len(seen["attempts"]) >= count:
            return seen
        time.sleep(0.05)
    raise TimeoutError(f"fewer than {count} attempts")


def test_webhooks_arrive_signed_over_http(start: Start, port: int, receiver: str) -> None:
    start("--port", port, "--webhook", f"{receiver}/hook=whsec_a", "--webhook", f"{receiver}/moved=whsec_b")
    wait_until_up(port)
    customer = client(port).v1.customers.create({"name": "Ada"})
    seen = attempts(port, 2)
    (body, signature), _ = Receiver.got
    event = stripe.Webhook.construct_event(body, signature, "whsec_a")

    assert (event.type, event.data.object.id) == ("customer.created", customer.id)
    assert sorted(attempt["status"] for attempt in seen["attempts"]) == [200, 302]
    assert len(seen["pending"]) == 1


def test_it_stops_when_asked(start: Start, port: int, tmp_path: Path) -> None:
    process = start("--port", port, "--data", tmp_path / "sandbox.sqlite")
    wait_until_up(port)
    process.terminate()

    assert process.wait(PATIENCE) in (0, -15)


def test_two_processes_cannot_share_their_data_or_port(start: Start, port: int, tmp_path: Path) -> None:
    data = tmp_path / "sandbox.sqlite"
    start("--port", port, "--data", data)
    wait_until_up(port)
    same_data = start("--port", port, "--data", data)
    same_port = start("--port", port, "--data", tmp_path / "other.sqlite")

    assert f"another sandbox uses {data}. Stop it, or give another --data." in refused(same_data)
    assert f"port {port} is taken. Stop what uses it, or give another --port." in refused(same_port)


def test_a_file_that_is_no_database_is_refused_with_a_way_out(
    start: Start, port: int, tmp_path: Path
) -> None:
    data = tmp_path / "sandbox.sqlite"
    data.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    said = refused(start("--port", port, "--data", data))

    assert "Give another --data, or delete it to start afresh." in said
    assert "Traceback" not in said


def test_a_webhook_without_a_secret_is_refused(start: Start, port: int) -> None:
    process = start("--port", port, "--webhook", "http://localhost:8000/webhooks/stripe")
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert "is not URL=SECRET" in said


@pytest.mark.parametrize("given", ["-1", "0", "99999", "٨٠٨٠", "eighty"])
def test_a_port_that_there_is_not_is_refused(start: Start, given: str) -> None:
    process = start(f"--port={given}")
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert f"'{given}' is no port: give a number from 1 to 65535" in said
    assert "Traceback" not in said


def test_data_in_a_folder_that_is_not_there_is_refused(start: Start, port: int, tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    process = start("--port", port, "--data", folder / "sandbox.sqlite")
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert f"the folder {folder} does not exist: make it, or give another" in said
    assert not folder.exists()


def test_data_that_is_a_folder_is_refused(start: Start, port: int, tmp_path: Path) -> None:
    process = start("--port", port, "--data", tmp_path)
    _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode == 2
    assert f"{tmp_path} is a folder: name a file in it" in said
