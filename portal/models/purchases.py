"""What a customer asked for and was promised (Quote), and the doing of it (Attempt)."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class Quote(WorkspaceOwned, Base):
    """A binding price. Immutable but for its end: confirmed, replaced or expired.

    Amounts are minor units of ``currency``. ``lines`` are pricing.Line dicts with Stripe's tax added;
    ``digest`` is the SHA-256 of all that binds (selection, catalogue, lines, amounts, dates).
    """

    __tablename__ = "quote"
    # programs list them from the newest on
    __table_args__ = (Index(None, "workspace_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)  # Q- and ten characters
    kind: Mapped[str]  # first_purchase, change (later: credits, swap)
    selection: Mapped[JSON]
    catalog: Mapped[str]
    currency: Mapped[str]
    lines: Mapped[list[JSON]]
    usage: Mapped[JSON]
    subtotal: Mapped[int] = mapped_column(BigInteger)
    discount: Mapped[int] = mapped_column(BigInteger)
    tax: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    amount_due: Mapped[int] = mapped_column(BigInteger)  # total after the customer's balance
    tax_status: Mapped[JSON]  # {"state": "exact|none|reverse_charge|…", "reason": …, "rates": […]}
    promotion: Mapped[JSON | None]  # {"code", "promotion_code", "coupon", "percent_off"|"amount_off", …}
    trial_days: Mapped[int] = mapped_column(server_default=text("0"))
    billing: Mapped[JSON]  # address and tax id that the tax was reckoned with
    preview: Mapped[JSON]  # Stripe's side of the comparison, as stored evidence
    proration_date: Mapped[int | None] = mapped_column(BigInteger)
    # of a change: what is had before, now and later, what it costs a period, and what it was reckoned from
    terms: Mapped[JSON | None]
    digest: Mapped[str]
    created_at: Mapped[datetime]
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    expires_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    replaced_at: Mapped[datetime | None]


class Attempt(WorkspaceOwned, Base):
    """One intent to carry out a quote. Its id and step are the idempotency key at Stripe.

    States: ``open`` (Stripe is being called, or what it did is unknown) → ``awaiting_payment`` (the client
    secret is out) → ``processing`` (a debit is on its way) → ``succeeded``; or ``refused`` (a definite no),
    ``abandoned`` (replaced, expired, or cancelled by the customer), ``failed`` (paid late and failed).
    """

    __tablename__ = "attempt"
    __table_args__ = (
        ForeignKeyConstraint(["workspace_id", "quote_id"], ["quote.workspace_id", "quote.id"]),
        # at most one first purchase is in the air per workspace
        Index(
            "uq_attempt_live",
            "workspace_id",
            "kind",
            unique=True,
            postgresql_where=text("state IN ('open', 'awaiting_payment', 'processing')"),
        ),
        Index("ix_attempt_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # A- and ten characters
    quote_id: Mapped[str]
    kind: Mapped[str]
    state: Mapped[str]
    # where it stands: create_subscription → compare → collect → done;
    # undone by void_invoice → cancel_subscription
    step: Mapped[str]
    # whoever carries the attempt out holds it until then (the database's time); a crash frees it
    claimed_until: Mapped[datetime | None]
    # when a waiting page last had Stripe asked (the database's time)
    asked_at: Mapped[datetime | None]
    collect: Mapped[str | None]  # payment | setup | nothing: what the browser has to confirm
    stripe_subscription_id: Mapped[str | None]
    stripe_invoice_id: Mapped[str | None]
    stripe_intent_id: Mapped[str | None] = mapped_column(index=True)
    intent_status: Mapped[str | None]  # Stripe's word: requires_action, processing …
    error: Mapped[JSON | None]  # {"code", "message", "decline_code"} of the last refusal
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()
