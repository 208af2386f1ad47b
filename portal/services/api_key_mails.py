"""Word to owners and admins of every key that is made, replaced or revoked: a stranger's would be noticed."""

from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import ApiKey
from portal.services import letters, members

LETTER = "api_key_changed"
MADE, ROTATED, REVOKED = "made", "rotated", "revoked"
TOLD = ("owner", "admin")


def announce(
    session: Session, gateways: Gateways, change: str, row: ApiKey, *, by: int, old: ApiKey | None = None
) -> None:
    """Queue the mail about ``change`` of ``row`` in the transaction that makes it; the key is not in it.

    ``old`` is the key whose place ``row`` takes.
    """
    person = members.of_user(session, by)
    facts: dict[str, object] = {
        "change": change,
        "name": row.name,
        "prefix": row.prefix,
        "scopes": list(row.scopes),
        "by": person.email if person else None,
        "old_prefix": old.prefix if old else None,
        "old_ends_at": old.expires_at if old else None,
        "workspace_name": members.workspace_name(session),
    }
    for email in members.with_roles(session, TOLD):
        letters.send(
            session,
            gateways,
            LETTER,
            email,
            dedupe_key=f"api_key.{change}:{row.id}:{email}",
            workspace_id=row.workspace_id,
            facts=facts,
        )
