"""How a workspace leaves: intents to end the subscription or to keep it, and requests to be deleted."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class Cancellation(WorkspaceOwned, Base):
    """One intent to end the subscription, or to keep it after all. Id and step are the idempotency key.

    Kinds: ``at_period_end``, ``now``, ``keep`` (the planned end is taken back). States: ``open`` (Stripe is
    being asked, or what it did is unknown) → ``done`` or ``refused`` (a definite no).
    """

    __tablename__ = "cancellation"
    __table_args__ = (
        # whatever two tabs do, one is carried out at a time
        Index("uq_cancellation_open", "workspace_id", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_cancellation_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # E- and ten characters
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    # undo_planned (a change that waits for renewal) → ask → done
    step: Mapped[str]
    # whoever carries it out holds it until then (the database's time); a crash frees it
    claimed_until: Mapped[datetime | None]
    stripe_subscription_id: Mapped[str]
    feedback: Mapped[str | None]  # Stripe's word: too_expensive, missing_features …
    comment: Mapped[str | None]
    ends_at: Mapped[datetime | None]  # when access ends (was going to end, for keep)
    error: Mapped[JSON | None]  # {"code", "message"} of the refusal
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()


class DeletionRequest(WorkspaceOwned, Base):
    """A wish that the workspace's personal data be deleted. ``pending`` → ``withdrawn`` or ``done``."""

    __tablename__ = "deletion_request"
    __table_args__ = (
        Index(
            "uq_deletion_request_pending",
            "workspace_id",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_deletion_request_due", "state", "due_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # D- and ten characters
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    requested_at: Mapped[datetime]
    requested_by: Mapped[int | None] = mapped_column(BigInteger)
    due_at: Mapped[datetime]  # not before; and not while the subscription lives or an invoice is open
    settled_at: Mapped[datetime | None]
    settled_by: Mapped[int | None] = mapped_column(BigInteger)
