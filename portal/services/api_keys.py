"""Keys that a workspace's programs come in with: shown once, kept as a hash, each with what it may do.

A key is 256 bits of chance, so a fast hash of it is enough (OWASP ASVS 5.0, 11.4). It is judged anew with
every request: one that was revoked is worth nothing from the next request on.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from portal.db import run_alone
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.models import ApiKey, User
from portal.services import api_key_mails, audit, seats
from portal.services.ids import new_id

WRITE, READ = "events:write", "read"
SCOPES = (WRITE, READ)
# known to the scanners of repositories by it, and to our own log
MARK = "bk_"
SECRET_BYTES = 32
NAME_MAX = 64
# a workspace with more has lost sight of them
MOST = 20
# how long a key that another one replaces may go on
OVERLAPS = (timedelta(0), timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=30))
# what is over is shown for so long
REMEMBERED = timedelta(days=90)

HERE = ApiKey.workspace_id == func.app_workspace_id()

# one trip: whose it is, that it was used, and how often within each window. The counters' table is unlogged,
# so nothing waits for the disk but the note of the use, once a minute.
ADMIT = """
WITH found AS (
  SELECT id, workspace_id, scopes, last_used_at FROM api_key
  WHERE hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s)
), used AS (
  UPDATE api_key k SET last_used_at = %(now)s FROM found
  WHERE k.id = found.id AND (k.last_used_at IS NULL OR k.last_used_at < %(now)s - interval '1 minute')
), counted AS (
  INSERT INTO rate_limit AS r (key, count, expires_at)
  SELECT 'api:' || found.id || ':' || seconds, 1, clock_timestamp() + make_interval(secs => seconds)
  FROM found, unnest(%(windows)s::int[]) AS seconds
  ON CONFLICT (key) DO UPDATE SET
    count = CASE WHEN r.expires_at <= clock_timestamp() THEN 1 ELSE r.count + 1 END,
    expires_at = CASE WHEN r.expires_at <= clock_timestamp() THEN excluded.expires_at ELSE r.expires_at END
  RETURNING split_part(key, ':', 3)::int AS seconds, count, expires_at
)
SELECT id, workspace_id, scopes,
  ARRAY(SELECT count FROM counted ORDER BY seconds),
  ARRAY(SELECT ceil(extract(epoch FROM expires_at - clock_timestamp()))::int FROM counted ORDER BY seconds)
FROM found
"""


class TooManyKeysError(ConflictError):
    """The workspace has as many keys as it may."""

    code = "too_many_keys"


class AlreadyMadeError(ConflictError):
    """The form was sent before: its key is there, and was shown."""

    code = "already_made"


class KeyOverError(ConflictError):
    """The key was revoked, has ended or was replaced meanwhile."""

    code = "key_over"


@dataclass(frozen=True)
class Made:
    """A new key's row, and the key itself: to be shown now and never again."""

    row: ApiKey
    secret: str

    def __repr__(self) -> str:
        return f"Made({self.row.prefix})"


@dataclass(frozen=True)
class Window:
    """At most ``most`` requests in ``seconds``."""

    seconds: int
    most: int


@dataclass(frozen=True)
class Use:
    """How one window stands after this request; ``left`` is below 0 when it was one too many."""

    window: Window
    left: int
    starts_anew_in: int  # seconds


@dataclass(frozen=True)
class Caller:
    """Who asks, what the key may do, and how often it has asked."""

    key_id: str
    workspace_id: int
    scopes: frozenset[str]
    uses: tuple[Use, ...]


def make(
    session: Session,
    gateways: Gateways,
    *,
    name: str,
    scopes: Sequence[str],
    by: int,
    key_id: str | None = None,
) -> Made:
    """A new key of the entered workspace; ``scopes`` out of SCOPES, at least one.

    ``key_id``: the id that the form was given, so that sending it twice makes one key. Raises
    AlreadyMadeError, TooManyKeysError.
    """
    if not scopes or not set(scopes) <= set(SCOPES):
        raise ValueError(f"{scopes} are no scopes")
    seats.lock(session)
    now = gateways.clock.now()
    if key_id is not None and session.get(ApiKey, key_id) is not None:
        raise AlreadyMadeError(
            N_("This key was made before, and is shown only once. If you do not have it, revoke it.")
        )
    if _count_live(session, now) >= MOST:
        raise TooManyKeysError(
            N_("A workspace has at most %(most)s keys. Revoke one that nothing uses first.", most=MOST)
        )
    made = _new(session, key_id or new_id("K"), name, scopes, by=by, now=now)
    audit.record(session, "api_key.made", user_id=by, after=_facts(made.row))
    api_key_mails.announce(session, gateways, api_key_mails.MADE, made.row, by=by)
    return made


def listing(session: Session, now: datetime) -> list[ApiKey]:
    """The workspace's keys, newest first; those that were over 90 days ago are left out."""
    recent = now - REMEMBERED
    kept = [or_(column.is_(None), column > recent) for column in (ApiKey.revoked_at, ApiKey.expires_at)]
    statement = select(ApiKey).where(HERE, *kept).order_by(ApiKey.created_at.desc(), ApiKey.id)
    return list(session.scalars(statement))


def makers(session: Session, rows: Sequence[ApiKey]) -> dict[int, str]:
    """The addresses of those who made the keys, by their logins."""
    wanted = {row.created_by for row in rows}
    found = session.execute(select(User.id, User.email).where(User.id.in_(wanted)))
    return {row.id: row.email for row in found}


def get(session: Session, key_id: str) -> ApiKey:
    """One key of the entered workspace. Raises NotFoundError."""
    found = session.scalars(select(ApiKey).where(HERE, ApiKey.id == key_id)).first()
    if found is None:
        raise NotFoundError(N_("There is no such key."))
    return found


def is_live(row: ApiKey, now: datetime) -> bool:
    """Whether a program can still come in with it."""
    return row.revoked_at is None and (row.expires_at is None or row.expires_at > now)


def rotate(session: Session, gateways: Gateways, key_id: str, *, overlap: timedelta, by: int) -> Made:
    """A new key that may do the same; the old one ends after ``overlap``, one of OVERLAPS.

    Raises NotFoundError, and KeyOverError for a key that is over or was replaced before.
    """
    if overlap not in OVERLAPS:
        raise ValueError(f"{overlap} is no overlap")
    old, now = _live(session, gateways, key_id), gateways.clock.now()
    if old.replaced_by is not None:
        raise KeyOverError(N_("It was replaced meanwhile. Look at the list again."))
    made = _new(session, new_id("K"), old.name, old.scopes, by=by, now=now)
    old.expires_at, old.replaced_by = now + overlap, made.row.id
    after = {**_facts(made.row), "ends_at": old.expires_at.isoformat()}
    audit.record(session, "api_key.rotated", user_id=by, before={"prefix": old.prefix}, after=after)
    api_key_mails.announce(session, gateways, api_key_mails.ROTATED, made.row, by=by, old=old)
    return made


def revoke(session: Session, gateways: Gateways, key_id: str, *, by: int) -> ApiKey:
    """End a key at once. Raises NotFoundError, and KeyOverError when it was over before."""
    row = _live(session, gateways, key_id)
    row.revoked_at = gateways.clock.now()
    audit.record(session, "api_key.revoked", user_id=by, before=_facts(row))
    api_key_mails.announce(session, gateways, api_key_mails.REVOKED, row, by=by)
    return row


def admit(secret: str, now: datetime, windows: Sequence[Window] = ()) -> Caller | None:
    """Whose key it is, if it is one and still good; the use is noted and counted in each of ``windows``.

    ``windows`` stand in the order of their seconds. A transaction of its own, outside every workspace.
    """
    if not secret.startswith(MARK):
        return None
    parameters = {"hash": digest(secret), "now": now, "windows": [each.seconds for each in windows]}
    row = run_alone(ADMIT, parameters)
    if row is None:
        return None
    key_id, workspace_id, scopes, counts, seconds = row
    uses = [
        Use(window, window.most - count, starts)
        for window, count, starts in zip(windows, counts, seconds, strict=True)
    ]
    return Caller(key_id, workspace_id, frozenset(scopes), tuple(uses))


def digest(secret: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _new(session: Session, key_id: str, name: str, scopes: Sequence[str], *, by: int, now: datetime) -> Made:
    prefix = MARK + key_id.removeprefix("K-")
    secret = f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    row = ApiKey(
        id=key_id,
        workspace_id=session.info["workspace_id"],
        name=name,
        prefix=prefix,
        hash=digest(secret),
        scopes=[scope for scope in SCOPES if scope in scopes],
        created_by=by,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return Made(row, secret)


def _live(session: Session, gateways: Gateways, key_id: str) -> ApiKey:
    """The key, locked, so that of two who act at once the second is told."""
    statement = select(ApiKey).where(HERE, ApiKey.id == key_id).with_for_update()
    row = session.scalars(statement).first()
    if row is None:
        raise NotFoundError(N_("There is no such key."))
    if not is_live(row, gateways.clock.now()):
        raise KeyOverError(N_("This key is over: it was revoked, or has ended. Nothing was changed."))
    return row


def _count_live(session: Session, now: datetime) -> int:
    good = or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    statement = select(func.count()).where(HERE, ApiKey.revoked_at.is_(None), good)
    return session.scalars(statement).one()


def _facts(row: ApiKey) -> dict[str, object]:
    return {"name": row.name, "prefix": row.prefix, "scopes": ", ".join(row.scopes)}
