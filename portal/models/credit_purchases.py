"""Annual credits as they are bought: each purchase, what was given back of it, and what buys by itself."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class CreditPurchase(WorkspaceOwned, Base):
    """One pack that is or was to be bought, by a person or by itself.

    Kinds: ``purchase``, ``renewal`` (of a pack that ended), ``top_up``, ``swap`` (for seats).
    States: ``open`` (quoted) → ``paying`` (confirmed) → ``paid`` (its lot is there) → ``granted`` (Stripe's
    grant too); from both of these ``refunding`` → ``refunded``, or ``disputed``; ``void``: it came to
    nothing.
    """

    __tablename__ = "credit_purchase"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "quote_id"], ["quote.workspace_id", "quote.id"]),
        CheckConstraint("units > 0 AND amount >= 0", name="not_negative"),
        # an invoice buys one pack, a pack is renewed once
        UniqueConstraint("workspace_id", "stripe_invoice_id"),
        UniqueConstraint("workspace_id", "renewal_of"),
        Index("ix_credit_purchase_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # C- and ten characters
    kind: Mapped[str]
    state: Mapped[str]
    units: Mapped[int] = mapped_column(BigInteger)
    catalog: Mapped[str]
    price_id: Mapped[str]  # Stripe's, by which the customer's resolutions are billed
    unit_amount: Mapped[Decimal] = mapped_column(Numeric)  # of that price, in minor units
    percent_off: Mapped[Decimal] = mapped_column(Numeric)
    amount: Mapped[int] = mapped_column(BigInteger)  # what the pack costs before tax
    currency: Mapped[str]
    quote_id: Mapped[str | None]
    stripe_invoice_id: Mapped[str | None]
    renewal_of: Mapped[str | None]  # the purchase that this one follows
    # whether another is bought by itself when this one ends
    renews: Mapped[bool] = mapped_column(server_default=text("false"))
    paid_at: Mapped[datetime | None]
    granted_at: Mapped[datetime | None]
    # the making of the grant: who is at it (the database's time), when Stripe was asked last (the gateway's)
    # unless it refused, and how often it did, each time under another key
    claimed_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    refusals: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[JSON | None]  # {"code", "message"} of the last refusal
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()


class CreditRefund(WorkspaceOwned, Base):
    """What is taken back of a pack, and what of its price is given back for that.

    Kinds: ``unused`` (all of it, by the customer), ``pro_rata`` (what is left, by support), ``chargeback``
    (a bank took the money back), ``by_hand`` (the money was given back at Stripe; the second is
    ``by_hand_2``; ``credit_note_id`` names what it follows). States: ``open`` → ``done``; or ``stuck``: a
    person has to look. Steps: ``grant`` → ``note`` → ``rest`` (a swap's) → ``finished``. Amounts in minor
    units; ``total``, with tax, is ``refunded`` plus ``balance``.
    """

    __tablename__ = "credit_refund"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace_id", "purchase_id"], ["credit_purchase.workspace_id", "credit_purchase.id"]
        ),
        # one at a time, and each kind once
        UniqueConstraint("workspace_id", "purchase_id", "kind"),
        Index(
            "uq_credit_refund_open",
            "workspace_id",
            "purchase_id",
            unique=True,
            postgresql_where=text("state = 'open'"),
        ),
        Index("ix_credit_refund_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # B- and ten characters
    purchase_id: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    step: Mapped[str]
    units: Mapped[int] = mapped_column(BigInteger)
    # so many were used in the open month: another grant goes on paying for them
    kept_units: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    reason: Mapped[str | None]
    line_id: Mapped[str | None]
    amount: Mapped[int | None] = mapped_column(BigInteger)  # before tax
    total: Mapped[int | None] = mapped_column(BigInteger)
    refunded: Mapped[int | None] = mapped_column(BigInteger)
    balance: Mapped[int | None] = mapped_column(BigInteger)
    currency: Mapped[str]
    credit_note_id: Mapped[str | None]
    claimed_until: Mapped[datetime | None]
    tried_at: Mapped[datetime | None]
    error: Mapped[JSON | None]
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()


class CreditTopUp(WorkspaceOwned, Base):
    """What a workspace lets be bought by itself: which pack, at which balance, and how much of it a month."""

    __tablename__ = "credit_top_up"
    __table_args__ = (
        CheckConstraint("below >= 0 AND units > 0", name="not_negative"),
        CheckConstraint("most_times > 0 AND most_amount > 0 AND pause_hours > 0", name="limited"),
    )

    enabled: Mapped[bool] = mapped_column(server_default=text("false"))
    below: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    # limits of a month of usage, in purchases and in minor units with tax
    most_times: Mapped[int]
    most_amount: Mapped[int] = mapped_column(BigInteger)
    pause_hours: Mapped[int]  # after each
    paused_until: Mapped[datetime | None]
    blocked: Mapped[str | None]  # why the last one was not made, until one is
    updated_by: Mapped[int | None] = mapped_column(BigInteger)
    updated_at: Mapped[datetime] = now_column()
