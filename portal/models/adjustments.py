"""What happens to an invoice after it is final: money given back, taken back, credited, and corrections."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class Adjustment(WorkspaceOwned, Base):
    """Our projection of a credit note, a refund or a dispute; ``amount`` in minor units, never negative."""

    __tablename__ = "adjustment"

    stripe_id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]  # credit_note | refund | dispute
    stripe_invoice_id: Mapped[str] = mapped_column(index=True)
    status: Mapped[str]  # Stripe's word for that kind
    reason: Mapped[str | None]
    currency: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    # credit note: {"number", "pdf", "tax", "unpaid", "balance", "refunded", "outside", "refunds": [ids]};
    # refund: {"failure"}; dispute: {"answer_by"}
    details: Mapped[JSON]
    occurred_at: Mapped[datetime]
    synced_at: Mapped[datetime]


class Correction(WorkspaceOwned, Base):
    """A customer's correction of whom a paid invoice is made out to. Id and step are the idempotency key.

    States: ``open`` → ``done``, or ``refused`` (nothing was changed), or ``stuck`` (a person must look).
    """

    __tablename__ = "correction"
    __table_args__ = (
        # an invoice has one correction at most
        Index(
            "uq_correction_live",
            "workspace_id",
            "stripe_invoice_id",
            unique=True,
            postgresql_where=text("state IN ('open', 'done', 'stuck')"),
        ),
        Index("ix_correction_sweep", "state", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # K- and ten characters
    stripe_invoice_id: Mapped[str]
    state: Mapped[str]
    step: Mapped[str]  # draft → lines → check → credit → finalize → done; undone by discard
    wanted: Mapped[JSON]  # {"company_name", "address", "purchase_order"} as they shall stand on it
    claimed_until: Mapped[datetime | None]
    replacement_id: Mapped[str | None]
    credit_note_id: Mapped[str | None]
    error: Mapped[JSON | None]  # {"code", "message"}
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()


class DetailsRequest(WorkspaceOwned, Base):
    """A change of country or tax number that the vendor's people carry out."""

    __tablename__ = "details_request"
    __table_args__ = (
        Index(
            "uq_details_request_open", "workspace_id", unique=True, postgresql_where=text("state = 'open'")
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # R- and ten characters
    state: Mapped[str]  # open | done | refused | withdrawn
    wanted: Mapped[JSON]  # {"country", "tax_id_type", "tax_id_value", "address", "reason"}
    before: Mapped[JSON]
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    resolved_at: Mapped[datetime | None]
