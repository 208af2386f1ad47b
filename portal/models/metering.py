"""What Stripe's meters made of the ledger: their errors, comparisons with it, credits of single units."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column
from portal.models.usage import Id


class MeterError(Base):
    """Events that Stripe accepted and could not use, as it reported them later; one row per report and code.

    ``samples``: [{"identifier", "message"}], the few that Stripe names. ``marked`` is how many of our rows
    are known to be affected and say so; the others are found by what the meter adds up to.
    """

    __tablename__ = "meter_error"

    stripe_event_id: Mapped[str] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(primary_key=True)
    event_name: Mapped[str | None]  # of the meter, while there is one
    errors: Mapped[int] = mapped_column(BigInteger)
    marked: Mapped[int] = mapped_column(BigInteger)
    samples: Mapped[list[JSON]]
    summary: Mapped[str]
    window_start: Mapped[datetime]
    window_end: Mapped[datetime]
    received_at: Mapped[datetime] = now_column()
    examined_at: Mapped[datetime | None]  # when those that it does not name were looked for


class UsageMatch(WorkspaceOwned, Base):
    """The proof: what an invoice bills of a key in a period, held against the ledger, unit for unit.

    States: ``matched``, ``explained`` (by ``parts``, rows of ours: {"waiting": 2 …}; it is looked at again
    until it matches), or ``unexplained``.
    """

    __tablename__ = "usage_match"
    __table_args__ = (Index("ix_usage_match_state", "state", postgresql_where=text("state <> 'matched'")),)

    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    stripe_invoice_id: Mapped[str] = mapped_column(index=True)
    ledger: Mapped[int] = mapped_column(BigInteger)
    invoiced: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    parts: Mapped[JSON]
    compared_at: Mapped[datetime]


class UsageDifference(WorkspaceOwned, Base):
    """Where the nightly reconcile found ledger, meter and outbox to differ; ``explained`` or ``unexplained``.

    ``parts`` names the rows that explain it by their state: {"waiting": 3, "failed": 1, "over_cap": 7 …}.
    A row goes when the next run finds no difference.
    """

    __tablename__ = "usage_difference"

    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    ledger: Mapped[int] = mapped_column(BigInteger)  # what the meter should add up to
    sent: Mapped[int] = mapped_column(BigInteger)  # by our own rows
    stripe: Mapped[int | None] = mapped_column(BigInteger)  # by the meter; null: not asked
    rollup: Mapped[int] = mapped_column(BigInteger)  # what the pages add up to
    state: Mapped[str]
    parts: Mapped[JSON]
    found_at: Mapped[datetime]


class UsageCredit(WorkspaceOwned, Base):
    """A unit that no meter can take back any more: its price, credited on the invoice that billed it.

    One row per unit, named by the ``identifier`` of its meter event. ``open`` → ``done``, or ``stuck``
    (a person must look; ``error`` says why). What was paid is refunded, to where it came from; what annual
    credits paid returns to its ``lot_id``.
    """

    __tablename__ = "usage_credit"
    __table_args__ = (Index("ix_usage_credit_open", "updated_at", postgresql_where=text("state = 'open'")),)

    identifier: Mapped[Id] = mapped_column(primary_key=True)
    key: Mapped[str]
    source: Mapped[Id]  # the ledger's name of the unit
    quantity: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    stripe_invoice_id: Mapped[str | None] = mapped_column(index=True)
    line_id: Mapped[str | None]
    currency: Mapped[str | None]
    amount: Mapped[int | None] = mapped_column(BigInteger)  # before tax, in minor units
    # how much of the line is credited for that: more, where credits paid a part of it
    line_amount: Mapped[int | None] = mapped_column(BigInteger)
    lot_id: Mapped[str | None]
    grant_id: Mapped[str | None]  # of ours, that pays for it; none where the lot had ended
    total: Mapped[int | None] = mapped_column(BigInteger)  # with tax, as Stripe's preview has it
    # of it; the rest lessens what is still to be paid
    refunded: Mapped[int | None] = mapped_column(BigInteger)
    balance: Mapped[int | None] = mapped_column(BigInteger)
    credit_note_id: Mapped[str | None]
    tried_at: Mapped[datetime | None]  # since when Stripe was asked to issue it
    claimed_until: Mapped[datetime | None]
    error: Mapped[JSON | None]  # {"code", "message"}
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()
