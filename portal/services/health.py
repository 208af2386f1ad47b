"""How the parts are doing."""

import threading
import time
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways

STRIPE_ANSWER_GOOD_FOR = 30.0
WORKER_BEAT_SECONDS = 60

# jobs that are due and not taken; heartbeats of living workers; events and mails that wait
WORK = text(
    "SELECT (SELECT coalesce(extract(epoch FROM now() - min(coalesce(j.scheduled_at, e.at))), 0)"
    "          FROM procrastinate_jobs j"
    "          JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred'"
    "         WHERE j.status = 'todo' AND coalesce(j.scheduled_at, now()) <= now()) AS lag,"
    "       (SELECT count(*) FROM procrastinate_workers"
    "         WHERE last_heartbeat > now() - make_interval(secs => :beat)) AS workers,"
    "       (SELECT count(*) FROM inbox_event WHERE state = 'received') AS inbox,"
    "       (SELECT count(*) FROM mail WHERE sent_at IS NULL) AS mails"
)


class _Watch:
    """What Stripe last said. It is asked in the background: a probe must not wait for a neighbour."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = float("-inf")
        self.state = "unknown"

    def look(self, gateways: Gateways) -> str:
        with self._lock:
            if time.monotonic() - self._asked > STRIPE_ANSWER_GOOD_FOR:
                self._asked = time.monotonic()
                threading.Thread(target=self._ask, args=(gateways,), daemon=True).start()
        return self.state

    def _ask(self, gateways: Gateways) -> None:
        try:
            gateways.stripe.events_since(int(time.time()), ())
        except PortalError:
            self.state = "away"
        else:
            self.state = "ok"


_watch = _Watch()


def report(gateways: Gateways) -> dict[str, Any]:
    """{"database": "ok" | "away", "worker": {…} | None, "stripe": "ok" | "away" | "unknown"}."""
    try:
        with unit_of_work(system=True) as session:
            row = session.execute(WORK, {"beat": WORKER_BEAT_SECONDS}).one()
    except SQLAlchemyError:
        return {"database": "away", "worker": None, "stripe": "unknown"}
    worker = {
        "running": row.workers,
        "lag_seconds": round(float(row.lag), 1),
        "events_waiting": row.inbox,
        "mails_waiting": row.mails,
    }
    return {"database": "ok", "worker": worker, "stripe": _watch.look(gateways)}
