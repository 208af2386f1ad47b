"""``python -m portal.development`` as a person meets it: it starts, stops, recovers, or says why not."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.stack import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
UP_SECONDS = 150.0


class Start:
    """One folder and two ports, started and stopped as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.sandbox_port = free_ports(2)
        self.process: subprocess.Popen[str] | None = None

    def run(self, *arguments: str, **environment: str) -> "subprocess.Popen[str]":
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "STRIPE_"))
        }
        own = {
            "PORTAL_DATA_DIR": str(self.folder),
            "PORTAL_PORT": str(self.port),
            "PORTAL_SANDBOX_PORT": str(self.sandbox_port),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "portal.development", *arguments],
            cwd=ROOT,
            env={**kept, **own, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def up(self) -> None:
        """Start, and wait until it says that it runs."""
        self.process = self.run()
        assert self.process.stdout
        for line in self.process.stdout:
            if "Ctrl-C stops everything" in line:
                return
        raise AssertionError(self.process.communicate()[1])

    def refused(self, **environment: str) -> tuple[int, str]:
        """Try to start; the exit status and what it says."""
        process = self.run(**environment)
        _, said = process.communicate(timeout=UP_SECONDS)
        return process.returncode, said

    def command(self, *arguments: str) -> str:
        """What a command of flask says that has the settings of what runs."""
        said, complaint = self.run("flask", *arguments).communicate(timeout=UP_SECONDS)
        return said or complaint

    def end(self, number: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(number)
        self.process.communicate(timeout=UP_SECONDS)
        return self.process.returncode

    def left(self) -> list[str]:
        """The command lines of all processes that belong to this folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                about = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in about and line and entry.name != str(os.getpid()):
                found.append(line.replace(b"\0", b" ").decode())
        return found

    def report(self) -> dict[str, Any]:
        """What /readyz says."""
        connection = HTTPConnection("localhost", self.port, timeout=10)
        connection.request("GET", "/readyz")
        said: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return said

    def open_to_others(self) -> list[str]:
        """What another user of the machine could read of mails, logs and the sandbox's state."""
        private = [self.folder / "mail", self.folder / "logs", *self.folder.glob("sandbox.sqlite*")]
        assert len(private) >= 3
        return [path.name for path in private if path.stat().st_mode & 0o077]

    def ask(self, path: str) -> int:
        connection = HTTPConnection("localhost", self.port, timeout=10)
        connection.request("GET", path)
        status = connection.getresponse().status
        connection.close()
        return status


@pytest.fixture
def start() -> Iterator[Start]:
    """A start in a folder that everybody may enter."""
    # a space, since home folders have them
    folder = ROOT / ".data" / "tests" / f"s {os.getpid()}-{time.time_ns() % 10**6}"
    made = Start(folder)
    yield made
    if made.process and made.process.poll() is None:
        made.end(signal.SIGTERM)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def test_it_comes_up_survives_being_killed_keeps_its_data_and_leaves_nothing(start: Start) -> None:
    start.up()
    assert start.report()["worker"]["running"] == 1
    assert start.open_to_others() == []
    assert (start.ask("/healthz"), start.ask("/readyz"), start.ask("/pricing")) == (200, 200, 200)
    secret = (start.folder / "secret_key").read_text()

    start.end(signal.SIGKILL)
    end = time.monotonic() + UP_SECONDS
    while [line for line in start.left() if "postgres" not in line] and time.monotonic() < end:
        time.sleep(0.1)
    assert [line for line in start.left() if "postgres" not in line] == []

    start.up()
    assert start.ask("/readyz") == 200
    assert (start.folder / "secret_key").read_text() == secret
    assert "seats of 2023-05" in start.command("demo", "seed", "--catalog", "2023-05")

    assert start.end(signal.SIGINT) == 0
    assert start.left() == []


def test_a_taken_port_is_named_with_another_to_choose(start: Start) -> None:
    with socket.create_server(("127.0.0.1", start.port)):
        status, said = start.refused()

    assert status == 2
    another = f"PORTAL_PORT={start.port + 100} make run"
    assert said.strip() == f"Port {start.port} is taken. Stop what uses it, or choose another: {another}"


def test_a_folder_that_cannot_be_written_is_named(start: Start) -> None:
    start.folder.parent.mkdir(parents=True, exist_ok=True)
    start.folder.write_text("a file in the way")
    status, said = start.refused()

    assert status == 2
    assert f"The folder {start.folder} cannot be written" in said
    assert len(said.strip().splitlines()) == 1


def test_a_second_start_in_the_same_folder_says_that_one_runs(start: Start) -> None:
    start.folder.mkdir(parents=True)
    with (start.folder / "start.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        status, said = start.refused()

    assert status == 2
    assert "The portal already runs from" in said


def test_wrong_settings_are_all_named_before_anything_starts(start: Start) -> None:
    status, said = start.refused(STRIPE_SECRET_KEY="sk_test_real", PORTAL_SMTP_PORT="x")

    assert status == 2
    assert "STRIPE_PUBLISHABLE_KEY is not set" in said
    assert "PORTAL_SMTP_PORT must be a port" in said
    assert start.left() == []


def test_a_database_of_ones_own_needs_its_owner_too(start: Start) -> None:
    status, said = start.refused(PORTAL_DATABASE_URL="postgresql://portal_app@localhost/portal")

    assert status == 2
    assert "set PORTAL_MIGRATION_URL too" in said


def test_real_keys_beside_a_sandbox_are_refused_before_anything_starts(start: Start) -> None:
    status, said = start.refused(STRIPE_SECRET_KEY="sk_test_real", PORTAL_SANDBOX_URL="http://localhost:1")

    assert status == 2
    assert "STRIPE_SECRET_KEY and PORTAL_SANDBOX_URL are both set" in said
    assert start.left() == []


@pytest.mark.parametrize("owner", ["", "postgresql://portal_owner@localhost:1/portal"])
def test_a_database_that_is_away_or_half_named_is_one_sentence(start: Start, owner: str) -> None:
    status, said = start.refused(
        PORTAL_DATABASE_URL="postgresql://portal_app@localhost:1/portal", PORTAL_MIGRATION_URL=owner
    )

    assert status == 2
    assert len(said.strip().splitlines()) == 1
    assert ("the server is away" if owner else "set PORTAL_MIGRATION_URL too") in said
