"""Throwing away what is over and of no further use."""

from datetime import timedelta

from sqlalchemy import delete, func, or_

from portal.config import Settings
from portal.db import unit_of_work
from portal.models import LoginSession, PasskeyChallenge, RateLimit


def forget(settings: Settings) -> int:
    """Delete counters whose window is over, sign-ins that have ended and challenges that nobody answered.

    Returns how many rows.
    """
    now = func.clock_timestamp()
    with unit_of_work() as session:
        counters = session.execute(delete(RateLimit).where(RateLimit.expires_at < now - timedelta(hours=1)))
        sign_ins = session.execute(
            delete(LoginSession).where(
                or_(
                    LoginSession.created_at < now - settings.session_absolute,
                    LoginSession.last_seen_at < now - settings.session_idle,
                )
            )
        )
        challenges = session.execute(delete(PasskeyChallenge).where(PasskeyChallenge.expires_at < now))
        return int(counters.rowcount + sign_ins.rowcount + challenges.rowcount)  # type: ignore[attr-defined]
