"""Codes of an authenticator app (TOTP, RFC 6238): six digits, new every 30 seconds, each good once."""

import base64
import hashlib
import hmac
import re
import secrets
import struct
from urllib.parse import quote, urlencode

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.config import Settings
from portal.models import User
from portal.services.sealing import seal, unseal

METHOD = "authenticator"
SECRET_BYTES = 20
STEP_SECONDS = 30
DIGITS = 6
# a phone's clock may be that many steps off
TOLERANCE = 1
SPACES = re.compile(r"[\s-]")


def new_secret() -> str:
    """A new secret, as apps take it (base 32)."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()


def address(secret: str, *, issuer: str, login: str) -> str:
    """What the picture says to an app: the secret, and whose it is."""
    label = quote(f"{issuer}:{login}", safe="@")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def code_at(secret: str, counter: int) -> str:
    """The code of the ``counter``-th half minute since 1970."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", counter), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def counter_of(secret: str, typed: str, now: float) -> int | None:
    """Which half minute ``typed`` is the code of, if it is one of about now."""
    code = SPACES.sub("", typed)
    present = int(now) // STEP_SECONDS
    found = None
    for counter in range(present - TOLERANCE, present + TOLERANCE + 1):
        if hmac.compare_digest(code_at(secret, counter).encode(), code.encode()):
            found = counter
    return found


def is_on(session: Session, user_id: int) -> bool:
    """Whether this login asks for a code."""
    method = session.scalar(select(User.tf_primary_method).where(User.id == user_id))
    return method == METHOD


def turn_on(session: Session, settings: Settings, user_id: int, secret: str, typed: str) -> bool:
    """Ask this login for codes from now on, if ``typed`` shows that its app has the secret."""
    counter = counter_of(secret, typed, _now(session))
    if counter is None:
        return False
    values = {
        "tf_primary_method": METHOD,
        "tf_totp_secret": seal(settings, secret),
        "totp_last_counter": counter,
    }
    session.execute(update(User).where(User.id == user_id).values(values))
    return True


def turn_off(session: Session, user_id: int) -> None:
    """Forget the app. The last counter stays: no code counts twice, whatever happens in between."""
    values = {"tf_primary_method": None, "tf_totp_secret": None}
    session.execute(update(User).where(User.id == user_id).values(values))


def use(session: Session, settings: Settings, user_id: int, typed: str) -> bool:
    """Whether ``typed`` is this login's code of now and was not used before; it is used up by asking."""
    sealed = session.scalar(
        select(User.tf_totp_secret).where(User.id == user_id, User.tf_primary_method == METHOD)
    )
    secret = unseal(settings, sealed) if sealed else None
    counter = counter_of(secret, typed, _now(session)) if secret else None
    if counter is None:
        return False
    # two at once: the database lets one of them through
    used = session.execute(
        update(User)
        .where(User.id == user_id, func.coalesce(User.totp_last_counter, -1) < counter)
        .values(totp_last_counter=counter)
    )
    return bool(used.rowcount)  # type: ignore[attr-defined]


def _now(session: Session) -> float:
    return float(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0)
