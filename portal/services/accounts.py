"""How a company comes to have a workspace."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from portal.db import enter_workspace, new_key
from portal.models import BillingDetails, Member, Subscription, User, Workspace
from portal.models.base import JSON
from portal.services import subscriptions


def open_workspace(
    session: Session, user: User, company_name: str, *, draft_selection: JSON | None = None
) -> int:
    """Make ``user``'s company a workspace with that person as its owner; returns the workspace's id.

    Written in ``session``'s transaction, which has entered the new workspace afterwards.
    """
    session.flush()
    # entered before it is written: nobody writes a workspace from outside
    workspace_id = new_key(session, Workspace)
    enter_workspace(session, workspace_id, user.id)
    session.add(Workspace(id=workspace_id, name=company_name))
    session.flush()
    session.add(Member(user_id=user.id, role="owner", seat="none"))
    session.add(BillingDetails(company_name=company_name, email=user.email, draft_selection=draft_selection))
    session.flush()
    return workspace_id


def begun_purchase(session: Session) -> JSON | None:
    """The selection that sign-up carried along, while the entered workspace has bought nothing yet.

    A purchase that was begun and given up leaves a subscription without access, which does not count.
    """
    bought = exists(select(Subscription.stripe_id).where(Subscription.access != subscriptions.NONE))
    draft = session.scalars(select(BillingDetails.draft_selection).where(~bought))
    return draft.one_or_none()
