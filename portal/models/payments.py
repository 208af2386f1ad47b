"""How a workspace pays: the methods that Stripe keeps for it, and what its people asked about them."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column

LIVE = "state IN ('open', 'awaiting', 'processing')"


class PaymentMethod(WorkspaceOwned, Base):
    """Our projection of a payment method of Stripe's. One that was removed keeps its row, with the time.

    All rows of a workspace are written together, so that they share ``synced_at``.
    """

    __tablename__ = "payment_method"

    stripe_id: Mapped[str] = mapped_column(primary_key=True)
    type: Mapped[str]  # card | link | us_bank_account …
    brand: Mapped[str | None]  # of a card; a bank's name for an account
    last4: Mapped[str | None]
    exp_month: Mapped[int | None]
    exp_year: Mapped[int | None]
    email: Mapped[str | None]  # Link's
    fingerprint: Mapped[str | None]  # the same for the same card or account
    customer_default: Mapped[bool] = mapped_column(server_default=text("false"))
    added_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]
    synced_at: Mapped[datetime]


class PaymentAction(WorkspaceOwned, Base):
    """One thing that a person asked for: its id and step are the idempotency key at Stripe.

    Kinds: ``add`` a method, make one the ``default``, ``remove`` one, ``pay`` an invoice. States: ``open``
    (Stripe is being called, or what it did is unknown) → ``awaiting`` (the browser's turn) → ``processing``
    (a debit is on its way) → ``done``; or ``refused`` (a definite no), ``replaced`` (another was begun).
    """

    __tablename__ = "payment_action"
    __table_args__ = (
        # an invoice is paid by one action at a time
        Index(
            "uq_payment_action_paying",
            "workspace_id",
            "stripe_invoice_id",
            unique=True,
            postgresql_where=text(f"kind = 'pay' AND {LIVE}"),
        ),
        # the default is not changed while a method is removed
        Index(
            "uq_payment_action_arranging",
            "workspace_id",
            unique=True,
            postgresql_where=text(f"kind IN ('default', 'remove') AND {LIVE}"),
        ),
        Index("ix_payment_action_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # P- and ten characters
    kind: Mapped[str]
    state: Mapped[str]
    step: Mapped[str]
    # whoever carries it out holds it until then (the database's time); a crash frees it
    claimed_until: Mapped[datetime | None]
    asked_at: Mapped[datetime | None]
    make_default: Mapped[bool] = mapped_column(server_default=text("false"))
    stripe_method_id: Mapped[str | None]
    stripe_invoice_id: Mapped[str | None]
    stripe_intent_id: Mapped[str | None] = mapped_column(index=True)
    error: Mapped[JSON | None]  # {"code", "decline_code", "message"} of the last refusal
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()
