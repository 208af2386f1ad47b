"""Local copies of Stripe's objects (projections), and the proof that invoices equal quotes."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class Subscription(WorkspaceOwned, Base):
    """Our projection of a Stripe subscription; ``items`` are what the customer really pays.

    ``items``: [{"key", "stripe_item_id", "stripe_price_id", "lookup_key", "quantity", "unit_amount",
    "interval", "period_start", "period_end"}], metered ones with quantity null.
    """

    __tablename__ = "subscription"
    __table_args__ = (
        # one live subscription per workspace, whatever two tabs do
        Index(
            "uq_subscription_live",
            "workspace_id",
            unique=True,
            postgresql_where=text("status IN ('trialing', 'active', 'past_due', 'unpaid', 'paused')"),
        ),
    )

    stripe_id: Mapped[str] = mapped_column(primary_key=True)
    quote_id: Mapped[str | None]
    attempt_id: Mapped[str | None]
    catalog: Mapped[str | None]
    tier: Mapped[str | None]
    interval: Mapped[str | None]
    seats: Mapped[int | None]
    status: Mapped[str]  # Stripe's word
    access: Mapped[str]  # none | active | payment_pending | limited | ended: ours, from status and payments
    currency: Mapped[str]
    items: Mapped[list[JSON]]
    discounts: Mapped[list[JSON]]
    started_at: Mapped[datetime | None]
    anchor: Mapped[datetime | None]  # the moment from which periods are counted
    trial_end: Mapped[datetime | None]
    cancel_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    renews_at: Mapped[datetime | None]  # end of the seats' period
    usage_period_end: Mapped[datetime | None]
    latest_invoice_id: Mapped[str | None]
    # {"id", "type", "brand", "last4", "exp_month", "exp_year", "email"}
    default_payment_method: Mapped[JSON | None]
    synced_at: Mapped[datetime]


class Invoice(WorkspaceOwned, Base):
    """Our projection of a Stripe invoice, once it has left the draft state."""

    __tablename__ = "invoice"

    stripe_id: Mapped[str] = mapped_column(primary_key=True)
    stripe_subscription_id: Mapped[str | None] = mapped_column(index=True)
    number: Mapped[str | None]
    status: Mapped[str]  # open | paid | void | uncollectible
    billing_reason: Mapped[str | None]
    currency: Mapped[str]
    subtotal: Mapped[int] = mapped_column(BigInteger)  # before every discount
    discount: Mapped[int] = mapped_column(BigInteger)
    tax: Mapped[int] = mapped_column(BigInteger)
    total: Mapped[int] = mapped_column(BigInteger)
    amount_due: Mapped[int] = mapped_column(BigInteger)
    amount_paid: Mapped[int] = mapped_column(BigInteger)
    starting_balance: Mapped[int] = mapped_column(BigInteger)
    ending_balance: Mapped[int | None] = mapped_column(BigInteger)
    # [{"id", "key", "catalog", "tier", "interval", "description", "quantity", "unit_amount", "amount",
    #   "discount", "credits" (not on older ones), "tax", "total", "period_start", "period_end", "proration",
    #   "product",
    #   "discounts": [{"name", "percent_off", "amount_off", "amount", "agreed"}],
    #   "taxes": [{"name", "percentage", "country", "reason", "amount", "taxable"}],
    #   "credited": null or {"invoice", "lines"}: which earlier lines a credit gives back}]
    lines: Mapped[list[JSON]]
    billing: Mapped[JSON]  # name, address, tax ids and custom fields as they stand on the invoice
    hosted_invoice_url: Mapped[str | None]
    invoice_pdf: Mapped[str | None]
    payment: Mapped[
        JSON | None
    ]  # {"type", "brand", "last4", "receipt_url", "state", "error", "attempts", "next_attempt"}
    issued_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    synced_at: Mapped[datetime]

    @property
    def credits(self) -> int:
        """What annual credits paid of it, before tax, in minor units."""
        return sum(int(str(line.get("credits") or 0)) for line in self.lines)


class QuoteMatch(WorkspaceOwned, Base):
    """The proof: one comparison of an invoice with its quote. Rows are only added."""

    __tablename__ = "quote_match"

    stripe_invoice_id: Mapped[str] = mapped_column(primary_key=True)
    stage: Mapped[str] = mapped_column(primary_key=True)  # before_payment | final
    quote_id: Mapped[str]
    matched: Mapped[bool]
    differences: Mapped[list[JSON]]  # [{"what", "quoted", "invoiced", "reason"}], empty when matched
    compared_at: Mapped[datetime] = now_column()


class CatalogPrice(Base):
    """Where a price of our catalogue lives at Stripe; written by ``flask catalog push``."""

    __tablename__ = "catalog_price"

    lookup_key: Mapped[str] = mapped_column(primary_key=True)
    catalog: Mapped[str] = mapped_column(index=True)
    key: Mapped[str]  # seat, copilot, resolution …
    tier: Mapped[str | None]
    interval: Mapped[str]
    stripe_product_id: Mapped[str]
    stripe_price_id: Mapped[str] = mapped_column(unique=True)
    pushed_at: Mapped[datetime] = now_column()


class AuditEntry(WorkspaceOwned, Base):
    """Who did what, from what to what. Rows are only added; the database refuses anything else."""

    __tablename__ = "audit_entry"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    at: Mapped[datetime] = now_column()
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    actor: Mapped[str]  # an e-mail address, "Stripe", "support" or "system"
    action: Mapped[str]  # e.g. quote.confirmed
    before: Mapped[JSON | None]
    after: Mapped[JSON | None]
    quote_id: Mapped[str | None]
    stripe_invoice_id: Mapped[str | None]
    request_id: Mapped[str | None]
