"""Passkeys (WebAuthn): keys that a device keeps and that work on our address alone.

Each ceremony has a challenge that is a row here and is deleted when it is answered: an answer counts once.
"""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from portal.config import Settings
from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.models import PasskeyChallenge, User, WebAuthn

REGISTER, SIGN_IN, VERIFY = "register", "sign_in", "verify"
GOOD_FOR = timedelta(minutes=5)
CHALLENGE_BYTES = 32
NAME_MAX = 64
# a login with more is a mistake, and each is sent along when the next is made
MOST = 20


class PasskeyError(PortalError):
    """The browser's answer is not one that lets anybody in or adds a passkey."""

    code = "passkey_refused"

    def __init__(self, *, log: str) -> None:
        super().__init__(
            N_("That passkey was not accepted. Try again, or use another way to show who you are."), log=log
        )


@dataclass(frozen=True)
class Passkey:
    """One passkey of a login, for its list."""

    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    synced: bool


def listing(session: Session, user_id: int) -> list[Passkey]:
    """This login's passkeys, oldest first."""
    rows = session.scalars(select(WebAuthn).where(WebAuthn.user_id == user_id).order_by(WebAuthn.id))
    return [
        Passkey(
            id=row.id,
            name=row.name,
            created_at=row.create_datetime,
            last_used_at=row.lastuse_datetime if row.lastuse_datetime > row.create_datetime else None,
            synced=row.backup_state,
        )
        for row in rows
    ]


def begin_adding(settings: Settings, user_id: int) -> tuple[str, dict[str, Any]]:
    """(challenge, what ``navigator.credentials.create`` takes) for one more passkey of this login."""
    # loaded here: only those who use passkeys need it, and it is large
    import webauthn
    from webauthn.helpers import structs

    challenge = secrets.token_urlsafe(CHALLENGE_BYTES)
    with unit_of_work() as session:
        user = session.get_one(User, user_id)
        if not user.fs_webauthn_user_handle:
            user.fs_webauthn_user_handle = secrets.token_urlsafe(CHALLENGE_BYTES)
        known = _descriptors(session, user_id)
        session.add(_row(challenge, REGISTER, user_id))
    if len(known) >= MOST:
        raise PasskeyError(log=f"registration: {MOST} are enough")
    options = webauthn.generate_registration_options(
        rp_id=_host(settings),
        rp_name=settings.brand_name,
        user_id=user.fs_webauthn_user_handle.encode(),
        user_name=user.email,
        user_display_name=user.name or user.email,
        challenge=challenge.encode(),
        timeout=_milliseconds(GOOD_FOR),
        exclude_credentials=known,
        # found without typing an address, and unlocked by its owner: then it is enough by itself
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.REQUIRED,
            user_verification=structs.UserVerificationRequirement.REQUIRED,
        ),
    )
    return challenge, json.loads(webauthn.options_to_json(options))


def add(settings: Settings, user_id: int, challenge: str, answer: str, name: str) -> None:
    """Keep the passkey that the browser made; raises PasskeyError."""
    import webauthn

    _use_challenge(challenge, REGISTER, user_id)
    with refusing(REGISTER):
        made = webauthn.verify_registration_response(
            credential=answer,
            expected_challenge=challenge.encode(),
            expected_rp_id=_host(settings),
            expected_origin=settings.base_url,
            require_user_verification=True,
        )
    with unit_of_work() as session:
        if _find(session, made.credential_id) is not None:
            raise PasskeyError(log="registration: known already")
        session.add(
            WebAuthn(
                user_id=user_id,
                credential_id=made.credential_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                transports=_transports(answer),
                backup_state=made.credential_backed_up,
                device_type=str(made.credential_device_type.value),
                # as the row's own time: it was not used yet
                lastuse_datetime=func.now(),
                name=name,
                usage="first",
            )
        )


def begin_asking(settings: Settings, purpose: str, user_id: int | None = None) -> tuple[str, dict[str, Any]]:
    """(challenge, what ``navigator.credentials.get`` takes). Without ``user_id`` any passkey may answer."""
    import webauthn
    from webauthn.helpers import structs

    challenge = secrets.token_urlsafe(CHALLENGE_BYTES)
    with unit_of_work() as session:
        session.add(_row(challenge, purpose, user_id))
        allowed = None if user_id is None else _descriptors(session, user_id)
    options = webauthn.generate_authentication_options(
        rp_id=_host(settings),
        challenge=challenge.encode(),
        timeout=_milliseconds(GOOD_FOR),
        allow_credentials=allowed,
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return challenge, json.loads(webauthn.options_to_json(options))


def whose(
    settings: Settings, purpose: str, challenge: str, answer: str, *, user_id: int | None = None
) -> int:
    """The login whose passkey signed ``challenge``, ``user_id`` if it is given; raises PasskeyError."""
    import webauthn

    _use_challenge(challenge, purpose, user_id)
    with unit_of_work() as session:
        row = _answering(session, answer)
        if row is None or (user_id is not None and row.user_id != user_id):
            raise PasskeyError(log=f"{purpose}: unknown or somebody else's")
        with refusing(purpose):
            done = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge.encode(),
                expected_rp_id=_host(settings),
                expected_origin=settings.base_url,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count or 0,
                require_user_verification=True,
            )
        row.sign_count = done.new_sign_count
        row.backup_state = done.credential_backed_up
        row.lastuse_datetime = func.clock_timestamp()
        return int(row.user_id)


def remove(session: Session, user_id: int, passkey_id: int) -> str | None:
    """Forget one of this login's passkeys; returns its name, None if there is none such."""
    mine = delete(WebAuthn).where(WebAuthn.user_id == user_id, WebAuthn.id == passkey_id)
    name: str | None = session.scalar(mine.returning(WebAuthn.name))
    return name


def forget(session: Session, user_id: int) -> None:
    """None of this login's passkeys is good any more."""
    session.execute(delete(WebAuthn).where(WebAuthn.user_id == user_id))


def _host(settings: Settings) -> str:
    return urlsplit(settings.base_url).hostname or ""


def _milliseconds(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)


def _row(challenge: str, purpose: str, user_id: int | None) -> PasskeyChallenge:
    expires_at = func.clock_timestamp() + GOOD_FOR
    return PasskeyChallenge(challenge=challenge, purpose=purpose, user_id=user_id, expires_at=expires_at)


def _use_challenge(challenge: str, purpose: str, user_id: int | None) -> None:
    """Delete it, committed before the answer is judged: a wrong answer uses it up, too."""
    mine = PasskeyChallenge.user_id.is_(None) if user_id is None else PasskeyChallenge.user_id == user_id
    with unit_of_work() as session:
        used = session.execute(
            delete(PasskeyChallenge).where(
                PasskeyChallenge.challenge == challenge,
                PasskeyChallenge.purpose == purpose,
                PasskeyChallenge.expires_at > func.clock_timestamp(),
                mine,
            )
        )
        if not used.rowcount:  # type: ignore[attr-defined]
            raise PasskeyError(log=f"{purpose}: no such challenge, or it was used or is over")


@contextmanager
def refusing(purpose: str) -> Iterator[None]:
    """What the library says about an answer that is wrong or no answer at all, as a PasskeyError."""
    from webauthn.helpers.exceptions import WebAuthnException

    try:
        yield
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise PasskeyError(log=f"{purpose}: {type(error).__name__}: {error}") from error


def _answering(session: Session, answer: str) -> WebAuthn | None:
    """The row of the passkey that the browser's answer names."""
    from webauthn.helpers import base64url_to_bytes

    try:
        return _find(session, base64url_to_bytes(json.loads(answer)["id"]))
    except (ValueError, KeyError, TypeError):
        return None


def _find(session: Session, credential_id: bytes) -> WebAuthn | None:
    mine = select(WebAuthn).where(WebAuthn.credential_id == credential_id).with_for_update()
    return session.scalars(mine).one_or_none()


def _descriptors(session: Session, user_id: int) -> list[Any]:
    from webauthn.helpers import structs

    known = {each.value for each in structs.AuthenticatorTransport}
    rows = session.scalars(select(WebAuthn).where(WebAuthn.user_id == user_id).order_by(WebAuthn.id))
    return [
        structs.PublicKeyCredentialDescriptor(
            id=row.credential_id,
            transports=[
                structs.AuthenticatorTransport(each) for each in row.transports or () if each in known
            ],
        )
        for row in rows
    ]


def _transports(answer: str) -> list[str]:
    given = json.loads(answer).get("response", {}).get("transports") or []
    return [each for each in given if isinstance(each, str) and each.isascii() and each.isalnum()][:8]
