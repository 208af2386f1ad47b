"""How near a period is to its hard cap, for the usage page: one look, which changes and locks nothing."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from portal.models import Subscription
from portal.services import allowances
from portal.services.usage import Period

SEEN = text("""
SELECT a.period_start, a.used, a.held, a.cap, l.at_cap,
  (SELECT count(*) FROM reservation WHERE workspace_id = :workspace AND state = 'held') AS reserved,
  (SELECT count(*) FROM reservation
    WHERE workspace_id = :workspace AND state = 'held' AND expires_at <= :now) AS lapsed
FROM allowance a LEFT JOIN usage_limit l ON l.workspace_id = a.workspace_id
WHERE a.workspace_id = :workspace
""")


@dataclass(frozen=True)
class Cap:
    """Units of resolutions: ``used``, ``pending`` until they are decided, ``held`` for answers on their way.

    ``cap`` is the hard one, None without; ``at_cap`` what happens at it, ``trial`` whether it is the trial's.
    """

    used: int
    pending: int
    held: int
    cap: int | None
    at_cap: str
    trial: bool

    @property
    def accrued(self) -> int:
        """All that counts against the cap."""
        return self.used + self.pending + self.held

    @property
    def reached(self) -> bool:
        """Whether the AI takes nothing more."""
        return self.cap is not None and self.accrued >= self.cap


def read(session: Session, now: datetime, period: Period, subscription: Subscription | None) -> Cap:
    """How the present ``period`` stands, also before anybody has asked for a unit in it."""
    row = session.execute(SEEN, {"workspace": session.info["workspace_id"], "now": now}).first()
    if row is None or row.period_start != period.starts_at:
        used, cap = period.used, allowances.hard_cap(session, period.starts_at, subscription)
    else:
        used, cap = row.used, row.cap
    most = allowances.trial_cap(session, period.starts_at, subscription) if period.trial else None
    trial = most is not None and most == cap
    chosen = row.at_cap if row else None
    return Cap(
        used=used,
        pending=max(row.held - row.reserved, 0) if row else 0,
        held=row.reserved - row.lapsed if row else 0,
        cap=cap,
        at_cap=allowances.what_happens(chosen, trial=period.trial, trial_cap=trial),
        trial=trial,
    )
