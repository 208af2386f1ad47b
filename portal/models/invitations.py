"""Who was asked to come into a workspace, and what became of it."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base, WorkspaceOwned, now_column


class Invitation(WorkspaceOwned, Base):
    """A mailed invitation; its link is signed, and good while the row is open and before its end."""

    __tablename__ = "invitation"
    __table_args__ = (
        # one open invitation per address, whatever two admins do
        Index(
            "uq_invitation_open",
            "workspace_id",
            "email",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    email: Mapped[str]  # in lower case, as logins are
    role: Mapped[str]  # admin | billing | member
    seat: Mapped[str]  # full | lite | none: given when it is accepted, if there is one
    state: Mapped[str]  # open | accepted | revoked; an open one may have expired
    key: Mapped[str]  # random; the link names it, so that no other row can be meant
    invited_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = now_column()
    # by the gateway's clock, as all that expires
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
