"""How a company comes to have a workspace."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from portal.db import enter_workspace
from portal.models import BillingDetails, Member, Subscription, User, Workspace
from portal.models.base import JSON


def open_workspace(
    session: Session, user: User, company_name: str, *, draft_selection: JSON | None = None
) -> int:
    """Make ``user``'s company a workspace with that person as its owner; returns the workspace's id.

    Written in ``session``'s transaction, which has entered the new workspace afterwards.
    """
    session.flush()
    workspace = Workspace(name=company_name)
    session.add(workspace)
    session.flush()
    enter_workspace(session, workspace.id, user.id)
    session.add(Member(user_id=user.id, role="owner", seat="none"))
    session.add(BillingDetails(company_name=company_name, email=user.email, draft_selection=draft_selection))
    session.flush()
    return workspace.id


def begun_purchase(session: Session) -> JSON | None:
    """The selection that sign-up carried along, while the entered workspace has bought nothing yet."""
    draft = session.scalars(
        select(BillingDetails.draft_selection).where(~exists(select(Subscription.stripe_id)))
    )
    return draft.one_or_none()
