"""The database or a web process is killed at work: pages come back by themselves within seconds."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from portal.development.postgres import EmbeddedPostgres
from tests.stack import Stack

BACK_SECONDS = 5.0
# a new process has to load everything first
NEW_PROCESS_SECONDS = 10.0
ROUNDS = 5


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


def status(stack: Stack) -> int:
    try:
        return requests.get(f"{stack.url}/readyz", timeout=5).status_code
    except requests.ConnectionError:
        return 0


def seconds_until_ready(stack: Stack) -> float:
    begin = time.monotonic()
    while status(stack) != 200:
        assert time.monotonic() - begin < 60
        time.sleep(0.05)
    return time.monotonic() - begin


def web_workers(stack: Stack) -> list[int]:
    """Numbers of the processes that serve this portal: children of its web server."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().decode()
            parent = (entry / "stat").read_text().rsplit(")", 1)[1].split()[1]
            above = Path(f"/proc/{parent}/cmdline").read_bytes().decode()
        except OSError:
            continue
        if "granian" in line and f"--port\0{stack.port}\0" in above + "\0":
            found.append(int(entry.name))
    return found


def test_pages_come_back_after_the_database_was_killed(stack: Stack) -> None:
    postgres = EmbeddedPostgres(stack.data / "postgres")
    for _ in range(ROUNDS):
        pid = int((postgres.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        while postgres.running():
            time.sleep(0.01)
        without = status(stack)
        postgres.start()

        assert without == 503
        assert seconds_until_ready(stack) < BACK_SECONDS


def test_pages_come_back_after_a_web_process_was_killed(stack: Stack) -> None:
    for _ in range(ROUNDS):
        workers = web_workers(stack)
        assert len(workers) >= 2
        os.kill(workers[0], signal.SIGKILL)

        assert seconds_until_ready(stack) < NEW_PROCESS_SECONDS
        end = time.monotonic() + 10
        while len(web_workers(stack)) < 2 and time.monotonic() < end:
            time.sleep(0.1)
