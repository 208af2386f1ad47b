"""What time it is: the database's, or the sandbox's when there is one."""

import json
import threading
import time
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from sqlalchemy import text

from portal.db import SessionLocal

DATABASE_TIME_GOOD_FOR = 60.0
SANDBOX_TIME_GOOD_FOR = 1.0
SANDBOX_TIMEOUT = 2.0
# everything that is due on the way is done before it answers
TURN_TIMEOUT = 300.0


class Clock(Protocol):
    """The only source of "now" in services."""

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        ...


class SystemClock:
    """The database's time, so that a machine with a wrong clock changes nothing.

    Asked once a minute; in between this process's monotonic clock carries it on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        known = self._known
        if known is None or time.monotonic() - known[1] > DATABASE_TIME_GOOD_FOR:
            with self._lock:
                self._known = known = self._ask()
        at, mark = known
        return datetime.fromtimestamp(at.timestamp() + time.monotonic() - mark, UTC)

    @staticmethod
    def _ask() -> tuple[datetime, float]:
        with SessionLocal() as session, session.begin():
            at: datetime = session.execute(text("SELECT clock_timestamp()")).scalar_one()
            return at, time.monotonic()


class SandboxClock:
    """The sandbox's time, which its control page can advance; remembered for a second.

    Should the sandbox not answer, the last known distance to this machine's time is kept.
    """

    def __init__(self, base_url: str) -> None:
        self._url = urlsplit(base_url)
        self._offset = 0.0
        self._asked = float("-inf")

    def now(self) -> datetime:
        if time.monotonic() - self._asked > SANDBOX_TIME_GOOD_FOR:
            self._asked = time.monotonic()
            self._offset = self._ask()
        return datetime.fromtimestamp(time.time() + self._offset, UTC)

    def turn(self, to: datetime) -> None:
        """Let the sandbox's time pass until ``to``, with all that is due on the way; for demonstrations.

        Raises OSError or HTTPException if it does not answer, ValueError if it refuses to go back.
        """
        connection = self._connection(TURN_TIMEOUT)
        try:
            body = json.dumps({"to": int(to.timestamp())})
            connection.request("POST", "/_sandbox/clock", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            said = answer.read().decode(errors="replace")
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"The sandbox's clock was not turned: {said}")
        self._asked = float("-inf")

    def _ask(self) -> float:
        connection = self._connection(SANDBOX_TIMEOUT)
        try:
            connection.request("GET", "/_sandbox/clock")
            return float(json.loads(connection.getresponse().read())["now"]) - int(time.time())
        except (OSError, HTTPException, ValueError, KeyError):
            return self._offset
        finally:
            connection.close()

    def _connection(self, timeout: float) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(self._url.netloc, timeout=timeout)
