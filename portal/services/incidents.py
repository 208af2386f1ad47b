"""What a person at the vendor must look at: a row and a mail, once per cause."""

from datetime import datetime

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import new_key
from portal.gateways import Gateways
from portal.models import Incident
from portal.services import letters

log = structlog.get_logger()


def report(
    session: Session,
    gateways: Gateways,
    kind: str,
    *,
    dedupe_key: str,
    summary: str,
    details: dict[str, object],
    workspace_id: int | None = None,
) -> bool:
    """Write the incident and mail it to support, in the caller's transaction; False if it is known already.

    ``dedupe_key`` names the cause: the same one is reported once, whatever repeats it.
    """
    incident_id = new_key(session, Incident)
    statement = (
        insert(Incident)
        .values(
            id=incident_id,
            kind=kind,
            dedupe_key=dedupe_key,
            summary=summary,
            details=details,
            workspace_id=workspace_id,
        )
        # by no key and returning nothing: an incident of no workspace cannot be read back
        .on_conflict_do_nothing()
        .execution_options(preserve_rowcount=True)
    )
    if not session.execute(statement).rowcount:  # type: ignore[attr-defined]
        return False
    log.error("incident", kind=kind, incident=incident_id, workspace=workspace_id, summary=summary)
    letters.send(
        session,
        gateways,
        "incident",
        gateways.settings.support_email,
        dedupe_key=f"incident:{dedupe_key}",
        workspace_id=workspace_id,
        facts={"kind": kind, "incident_id": incident_id, "summary": summary, "details": details},
    )
    return True


def unresolved(session: Session) -> list[Incident]:
    """Open incidents of all workspaces, newest first; ``session`` is the system's."""
    return list(
        session.scalars(select(Incident).where(Incident.resolved_at.is_(None)).order_by(Incident.id.desc()))
    )


def resolve(session: Session, incident_id: int) -> datetime | None:
    """Close an incident; the time, or nothing when it is unknown or closed. ``session`` is the system's."""
    return session.scalar(
        update(Incident)
        .where(Incident.id == incident_id, Incident.resolved_at.is_(None))
        .values(resolved_at=func.now())
        .returning(Incident.resolved_at)
    )
