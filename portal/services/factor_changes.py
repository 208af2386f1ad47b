"""What follows when somebody changes how they sign in: a mail, an entry in the history."""

import secrets

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import User
from portal.services import audit, letters

LETTER = "factor_changed"

APP_ON = "authenticator.added"
APP_OFF = "authenticator.removed"
CODES_NEW = "recovery_codes.renewed"
CODE_USED = "recovery_code.used"
PASSKEY_ADDED = "passkey.added"
PASSKEY_REMOVED = "passkey.removed"
EMAIL_CHANGED = "email.changed"
RESET = "factors.reset"


def announce(
    session: Session,
    gateways: Gateways,
    user_id: int,
    change: str,
    *,
    workspace_id: int | None = None,
    name: str | None = None,
    left: int | None = None,
    email: str | None = None,
) -> None:
    """Mail the login's address about ``change``, and write it down in the workspace that is entered.

    ``name`` is the passkey's, ``left`` how many recovery codes are unused (of a reset: how many passkeys are
    gone), ``email`` the address to write to if it is not the login's any more.
    """
    email = email or session.scalar(select(User.email).where(User.id == user_id)) or ""
    if workspace_id is not None:
        audit.record(session, change, user_id=user_id, after={"name": name} if name else None)
    letters.send(
        session,
        gateways,
        LETTER,
        email,
        # each change is one of its own
        dedupe_key=f"{change}:{user_id}:{secrets.token_hex(8)}",
        workspace_id=workspace_id,
        facts={"change": change, "name": name, "left": left},
    )
