"""Annual credits as they are held: lots, and the ledger of what became of their units."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKeyConstraint, Identity, Index, Numeric, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base, WorkspaceOwned, now_column


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

    Kinds: ``bought`` (+), ``drawn`` (−), ``given_back`` (+), ``lapsed`` (−), ``returned`` (−, its price was).
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
