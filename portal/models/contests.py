"""Resolutions that a customer contested, and what was decided."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base, WorkspaceOwned
from portal.models.usage import Id


class Contest(WorkspaceOwned, Base):
    """One resolution, contested once: ``open`` → ``accepted`` (taken back) | ``refused`` (it stays).

    ``reason`` is one of services.contests.REASONS.
    """

    __tablename__ = "contest"
    __table_args__ = (
        # support's list, of all workspaces
        Index("ix_contest_open", "created_at", postgresql_where=text("state = 'open'")),
    )

    conversation_id: Mapped[Id] = mapped_column(primary_key=True)
    episode: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str]
    comment: Mapped[str | None]
    state: Mapped[str]
    by_rule: Mapped[bool]  # the conversation's own events proved it
    created_by: Mapped[int] = mapped_column(BigInteger)  # a login's id
    created_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    answer: Mapped[str | None]  # support's, to the customer
