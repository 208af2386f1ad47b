"""Annual credits as they are held: lots, and the ledger of what became of their units."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class CreditLot(WorkspaceOwned, Base):
    """The units of one paid purchase, usable from ``starts_at`` to before ``expires_at``, whole months."""

    __tablename__ = "credit_lot"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "purchase_id"], ["credit_purchase.workspace_id", "credit_purchase.id"]
        ),
        UniqueConstraint("workspace_id", "purchase_id"),
        UniqueConstraint("workspace_id", "stripe_credit_grant_id"),
        Index(None, "workspace_id", "expires_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # T- and ten characters
    purchase_id: Mapped[str]
    units: Mapped[int] = mapped_column(BigInteger)
    unit_amount: Mapped[Decimal] = mapped_column(Numeric)  # of a resolution by use, in minor units
    price_id: Mapped[str]  # Stripe's, that the grant pays for
    starts_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    stripe_credit_grant_id: Mapped[str | None]  # until it is made
    grant_value: Mapped[int | None] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None]  # refunded | disputed | lapsed …
    created_at: Mapped[datetime] = now_column()


class CreditEntry(WorkspaceOwned, Base):
    """One movement of a lot's units. Rows are only added.

    Kinds: ``bought`` (+), ``drawn`` (−), ``given_back`` (+; − where a voided invoice gives a unit back that
    had come back before), ``lapsed`` (−), ``returned`` (−, its price was).
    """

    __tablename__ = "credit_entry"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "lot_id"], ["credit_lot.workspace_id", "credit_lot.id"]),
        UniqueConstraint("workspace_id", "lot_id", "kind", "source"),
        Index(None, "workspace_id", "period_start", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    lot_id: Mapped[str]
    kind: Mapped[str]
    quantity: Mapped[int] = mapped_column(BigInteger)
    period_start: Mapped[datetime | None]
    at: Mapped[datetime]
    source: Mapped[str] = mapped_column(Text(collation="C"))
    created_at: Mapped[datetime] = now_column()


class CreditSum(WorkspaceOwned, Base):
    """What a lot's entries of a kind and month add up to; the database writes it with each entry.

    ``of_unit`` are those of billed units that came back. An entry of no month stands under the epoch.
    """

    __tablename__ = "credit_sum"

    lot_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    of_unit: Mapped[bool] = mapped_column(primary_key=True)
    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    quantity: Mapped[int] = mapped_column(BigInteger)
    entries: Mapped[int] = mapped_column(BigInteger)


class CreditGrant(WorkspaceOwned, Base):
    """A grant at Stripe for a lot beside its first one, as it is wanted and as it was made.

    Kinds: ``returned`` (billed units that came back), ``repriced`` (all that is left, at another price; the
    grants before it end), ``replaced`` (the same at the same price, after an invoice was voided),
    ``restored`` (what a chargeback took, after the dispute was won). States: ``open`` → ``made`` → ``done``;
    or ``dropped``: nothing is left for it to pay.
    """

    __tablename__ = "credit_grant"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "lot_id"], ["credit_lot.workspace_id", "credit_lot.id"]),
        UniqueConstraint("workspace_id", "lot_id", "kind", "source"),
        UniqueConstraint("workspace_id", "stripe_credit_grant_id"),
        Index("ix_credit_grant_unfinished", "updated_at", postgresql_where=text("state IN ('open', 'made')")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # G- and ten characters
    lot_id: Mapped[str]
    kind: Mapped[str]
    source: Mapped[str] = mapped_column(Text(collation="C"))  # what it is for, once
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    units: Mapped[int] = mapped_column(BigInteger)
    price_id: Mapped[str]  # Stripe's, that the grant pays for
    unit_amount: Mapped[Decimal] = mapped_column(Numeric)  # of it, in minor units
    since: Mapped[datetime | None]  # repriced: the first month that is billed at this price
    value: Mapped[int | None] = mapped_column(BigInteger)  # what was asked for, in minor units
    stripe_credit_grant_id: Mapped[str | None]
    tried_at: Mapped[datetime | None]  # when Stripe was asked last to make it, unless it refused
    refusals: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[JSON | None]  # {"code", "message"} of the last refusal
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()
