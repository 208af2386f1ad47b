"""Codes for when the app is gone: shown once, kept as hashes, each good once."""

import re
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal.config import Settings
from portal.models import RecoveryCode

COUNT = 10
# no vowels, so that no code is a word, and none of 0 O 1 I L that look alike
ALPHABET = "23456789bcdfghjkmnpqrstvwxz"
GROUP = 4
GROUPS = 4
SEPARATORS = re.compile(r"[\s-]")
# the first group finds the row, the other three (57 bits) are hashed as passwords are
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# still argon2, and little enough for a suite of many codes
HASHER_IN_TESTS = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


def renew(session: Session, settings: Settings, user_id: int) -> list[str]:
    """New codes in place of the old ones, in the form in which they are shown, this once."""
    forget(session, user_id)
    selectors: set[str] = set()
    while len(selectors) < COUNT:
        selectors.add(_random(GROUP))
    hasher = HASHER_IN_TESTS if settings.environment == "test" else HASHER
    codes = []
    for selector in sorted(selectors):
        rest = _random(GROUP * (GROUPS - 1))
        session.add(RecoveryCode(user_id=user_id, selector=selector, hash=hasher.hash(rest)))
        codes.append(_grouped(selector + rest))
    return codes


def use(session: Session, user_id: int, typed: str) -> bool:
    """Whether ``typed`` is one of this login's codes; it is used up by that."""
    code = SEPARATORS.sub("", typed).lower()
    selector, rest = code[:GROUP], code[GROUP:]
    known = session.scalar(
        select(RecoveryCode.hash)
        .where(RecoveryCode.user_id == user_id, RecoveryCode.selector == selector)
        .with_for_update()
    )
    if known is None:
        return False
    try:
        HASHER.verify(known, rest)
    except VerificationError:
        return False
    session.execute(
        delete(RecoveryCode).where(RecoveryCode.user_id == user_id, RecoveryCode.selector == selector)
    )
    return True


def left(session: Session, user_id: int) -> int:
    """How many codes this login has not used."""
    mine = select(func.count()).select_from(RecoveryCode).where(RecoveryCode.user_id == user_id)
    return session.scalar(mine) or 0


def forget(session: Session, user_id: int) -> None:
    """None of this login's codes is good any more."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _grouped(code: str) -> str:
    return "-".join(code[start : start + GROUP] for start in range(0, len(code), GROUP))
