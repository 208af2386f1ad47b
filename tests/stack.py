"""The whole portal as a person starts it: ``python -m portal.development``, in a folder of its own."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import stripe

from portal.development.start import FLASK, environment_of_running

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
STOP_SECONDS = 30.0
MAIL_SECONDS = 60.0
# the portal looks at the sandbox's clock once a second
CLOCK_SECONDS = 1.1
ROUTINE = re.compile(r'"level": "(info|debug)"(?!.*"status": [45])')
UP = "The portal runs at"
# every browser of a run comes from one address, so the limits per address would end it
WITHOUT_LIMITS = {"PORTAL_LIMITS": "no"}


class StackError(RuntimeError):
    """The portal did not start, or did not do in time what a person would wait for."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all held open until the last is found."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Stack:
    """A running portal with its sandbox; ``with Stack() as stack`` starts and stops it."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        # short and open on the way down: PostgreSQL has its socket in it, and as root runs as another user
        self.folder = Path(tempfile.mkdtemp(prefix="portal-"))
        self.folder.chmod(0o755)
        self.port, self.sandbox_port = free_ports(2)
        self.url = f"http://localhost:{self.port}"
        self.sandbox_url = f"http://localhost:{self.sandbox_port}"
        self._settings = {**WITHOUT_LIMITS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None
        # what was read stays read: a mail is looked for many times, among those of all other customers
        self._mails: dict[str, tuple[str, EmailMessage]] = {}
        self.start_seconds = 0.0

    def __enter__(self) -> "Stack":
        self.start_seconds = self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def data(self) -> Path:
        """The folder that holds database, sandbox, mails and logs."""
        return self.folder / "data"

    def start(self) -> float:
        """Start it and wait until it says that it runs; returns the seconds that took."""
        begin = time.monotonic()
        output = self.folder / "output.log"
        with output.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "portal.development"],
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while UP not in output.read_text():
            if self._process.poll() is not None or time.monotonic() - begin > START_SECONDS:
                raise StackError(f"The portal did not start:\n{output.read_text()}")
            time.sleep(0.05)
        return time.monotonic() - begin

    def _environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PORTAL_", "STRIPE_"))}
        return {
            **kept,
            "PORTAL_DATA_DIR": str(self.data),
            "PORTAL_PORT": str(self.port),
            "PORTAL_SANDBOX_PORT": str(self.sandbox_port),
            **self._settings,
        }

    def command(self, *arguments: str) -> str:
        """What ``flask …`` says, with the settings of what runs."""
        done = subprocess.run(
            [*FLASK, *arguments],
            cwd=ROOT,
            env=environment_of_running(self._environment()),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=False,
        )
        if done.returncode:
            raise StackError(done.stdout + done.stderr)
        return done.stdout

    def stop(self) -> None:
        """What Ctrl-C does."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(STOP_SECONDS)

    @cached_property
    def stripe(self) -> stripe.StripeClient:
        """Stripe's own SDK on the sandbox, for what the vendor's people do at their dashboard."""
        return stripe.StripeClient("sk_test_sandbox", base_addresses={"api": self.sandbox_url})

    def sandbox(self, path: str, **body: Any) -> dict[str, Any]:
        """Ask or turn a control of the sandbox, e.g. ``sandbox("clock", advance=86400)``."""
        url = f"{self.sandbox_url}/_sandbox/{path}"
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return cast(dict[str, Any], json.loads(answer.read()))

    def advance(self, seconds: int) -> None:
        """Let simulated time pass, and all that is due in it happen; wait until the portal has noticed."""
        self.sandbox("clock", advance=seconds)
        time.sleep(CLOCK_SECONDS)

    def complaints(self, most: int = 40) -> str:
        """The last lines of all logs that are warnings or worse, or failed requests."""
        files = (self.data / "logs").glob("*")
        lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return "\n".join([line for line in lines if not ROUTINE.search(line)][-most:])

    def mails(self, recipient: str) -> list[EmailMessage]:
        """What was sent to ``recipient``, oldest first."""
        for file in sorted((self.data / "mail").glob("[0-9]*.eml")):
            if file.name not in self._mails:
                mail = cast(EmailMessage, message_from_bytes(file.read_bytes(), policy=default))
                self._mails[file.name] = (str(mail["To"]), mail)
        return [mail for _, (to, mail) in sorted(self._mails.items()) if recipient in to]

    def mail(self, recipient: str, words: str) -> EmailMessage:
        """The newest mail to ``recipient`` with ``words`` in its subject; waits for it."""
        end = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < end:
            found = [mail for mail in self.mails(recipient) if words in str(mail["Subject"])]
            if found:
                return found[-1]
            time.sleep(0.1)
        subjects = [str(mail["Subject"]) for mail in self.mails(recipient)]
        raise StackError(f"No mail to {recipient} about {words!r}; there are {subjects}.")
