"""A lost second step, taken off a login by support: what the person could not show is not asked for any more.

Support has made sure who it is by other means before. The address hears of it, every browser is signed out,
and it stands in the history of each workspace that the login belongs to.
"""

from dataclasses import dataclass

from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.models import Member, User
from portal.services import audit, factor_changes, one_time_codes, passkeys, recovery_codes, sign_ins

SUPPORT = "support"


@dataclass(frozen=True)
class Reset:
    """What was taken off: the authenticator app with its recovery codes, and so many passkeys."""

    email: str
    app: bool
    passkeys: int


def reset(gateways: Gateways, email: str, *, with_passkeys: bool) -> Reset:
    """Let the password alone sign this login in; ``with_passkeys``: its passkeys are gone, too.

    Doing it again changes nothing. Raises NotFoundError, ConflictError when there is nothing to take off.
    """
    with unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == email.strip().lower())).first()
        if user is None:
            raise NotFoundError(N_("There is no login with this address."))
        app = one_time_codes.is_on(session, user.id)
        found = len(passkeys.listing(session, user.id)) if with_passkeys else 0
    if not app and not found:
        raise ConflictError(N_("This login has nothing of that kind. Nothing was changed."))
    _note(user.id, user.email, app=app, found=found)
    with unit_of_work() as session:
        one_time_codes.turn_off(session, user.id)
        recovery_codes.forget(session, user.id)
        if with_passkeys:
            passkeys.forget(session, user.id)
        factor_changes.announce(session, gateways, user.id, factor_changes.RESET, left=found)
    sign_ins.end_all(user.id)
    return Reset(user.email, app, found)


def _note(user_id: int, email: str, *, app: bool, found: int) -> None:
    """Put it on record first: no factor is ever gone without a word of who took it."""
    with unit_of_work(system=True) as session:
        workspaces = list(session.scalars(select(Member.workspace_id).where(Member.user_id == user_id)))
    for workspace_id in workspaces:
        with unit_of_work(workspace_id) as session:
            taken: dict[str, object] = {"member": email, "authenticator": app, "passkeys": found}
            audit.record(session, factor_changes.RESET, actor=SUPPORT, before=taken)
