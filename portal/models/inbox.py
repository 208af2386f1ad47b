"""What comes in and goes out: webhooks, mails, incidents.

Mails and incidents may belong to a workspace or to none; they are delivered and settled by the system role.
"""

from datetime import datetime

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, Isolated, now_column


class InboxEvent(Base):
    """A received Stripe event, stored before anything is done about it; the event's id is the key.

    States: ``received`` → ``done`` | ``ignored`` (nothing of ours) | ``parked`` (given up, with the reason;
    can be replayed) | ``refused`` (foreign account, wrong mode or version).
    """

    __tablename__ = "inbox_event"
    __table_args__ = (Index("ix_inbox_event_sweep", "state", "next_try_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]
    source: Mapped[str]  # webhook | poller
    api_version: Mapped[str | None]
    livemode: Mapped[bool]
    object_id: Mapped[str | None] = mapped_column(index=True)
    created: Mapped[int] = mapped_column(BigInteger)  # Stripe's time, unix seconds
    payload: Mapped[JSON]
    state: Mapped[str] = mapped_column(server_default=text("'received'"))
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    outcome: Mapped[str | None]  # one line for the developer: what was done, or why not
    workspace_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    received_at: Mapped[datetime] = now_column()
    next_try_at: Mapped[datetime] = now_column()
    handled_at: Mapped[datetime | None]


class PollCursor(Base):
    """How far the poller that replays missed events has read."""

    __tablename__ = "poll_cursor"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = now_column()


class Mail(Isolated, Base):
    """A mail to be sent: a row in the transaction that wants it, then a job, then a sweeper.

    Its bodies hold live links and are emptied once it is sent.
    """

    __tablename__ = "mail"
    __table_args__ = (Index("ix_mail_sweep", "sent_at", "next_try_at"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str]
    dedupe_key: Mapped[str | None] = mapped_column(unique=True)
    recipient: Mapped[str]
    subject: Mapped[str]
    text_body: Mapped[str]
    html_body: Mapped[str | None]
    workspace_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    next_try_at: Mapped[datetime] = now_column()
    tries: Mapped[int] = mapped_column(server_default=text("0"))
    sent_at: Mapped[datetime | None]
    error: Mapped[str | None]


class Incident(Isolated, Base):
    """Something that a person at the vendor should look at; one row per ``dedupe_key``."""

    __tablename__ = "incident"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    kind: Mapped[str]
    dedupe_key: Mapped[str] = mapped_column(unique=True)
    workspace_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    summary: Mapped[str]
    details: Mapped[JSON]
    created_at: Mapped[datetime] = now_column()
    resolved_at: Mapped[datetime | None]


class RateLimit(Base):
    """A counter of Flask-Limiter's; the table is UNLOGGED: it may be lost, it must be fast."""

    __tablename__ = "rate_limit"
    __table_args__ = ({"prefixes": ["UNLOGGED"]},)

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
