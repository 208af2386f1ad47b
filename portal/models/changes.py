"""What is agreed beyond the subscription of today: changes at the renewal, discounts of one customer."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import JSON, Base, WorkspaceOwned, now_column


class PlannedChange(WorkspaceOwned, Base):
    """What the subscription is going to be from its renewal on; mirrored at Stripe by a schedule.

    States: ``planned`` → ``done`` (it took effect), ``undone``, ``replaced`` (by a further change),
    ``lapsed`` (the subscription ended first) or ``missed`` (the renewal went by without it). While
    ``mirrored`` is false Stripe does not show it yet (or still shows one that is over). One schedule shows it
    all, so the metered prices that wait for the end of a month of usage stand in the same row.
    """

    __tablename__ = "planned_change"
    __table_args__ = (
        # one wanted state per workspace
        Index(
            "uq_planned_change_live",
            "workspace_id",
            unique=True,
            postgresql_where=text("state = 'planned'"),
        ),
        Index("ix_planned_change_sweep", "mirrored", "updated_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)  # C- and ten characters
    quote_id: Mapped[str]
    state: Mapped[str]
    stripe_subscription_id: Mapped[str]
    selection: Mapped[JSON]
    catalog: Mapped[str]
    # what metered items are from a month of usage on: line key → Stripe's price id; none: what they are now
    rates: Mapped[JSON | None]
    rates_at: Mapped[datetime | None]
    # nothing is planned but those: until the renewal and after it the selection is what is had anyway
    rates_only: Mapped[bool] = mapped_column(server_default=text("false"))
    # [{"member_id", "seat"}]: whom a smaller number of seats takes its seat from
    leavers: Mapped[list[JSON]]
    # [price id, quantity (none: metered)] of every item from then on, as Stripe's schedule is told; none:
    # nothing is planned but metered prices
    phase: Mapped[list[Any] | None] = mapped_column(JSONB)
    effective_at: Mapped[datetime]
    stripe_schedule_id: Mapped[str | None]
    mirrored: Mapped[bool]
    # part of the idempotency keys: one more each time the schedule has to be made anew
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = now_column()
    updated_at: Mapped[datetime] = now_column()
    settled_at: Mapped[datetime | None]


class NegotiatedDiscount(WorkspaceOwned, Base):
    """A discount on one line that support has agreed with a customer; a coupon of its own at Stripe.

    States: ``setting`` (Stripe may not have it yet) → ``on`` → ``ending`` → ``ended``.
    """

    __tablename__ = "negotiated_discount"

    id: Mapped[str] = mapped_column(primary_key=True)  # N- and ten characters
    state: Mapped[str]
    line: Mapped[str]  # seat, copilot …
    percent_off: Mapped[Decimal | None]
    amount_off: Mapped[int | None] = mapped_column(BigInteger)  # minor units a period
    currency: Mapped[str]
    months: Mapped[int | None]
    ends_at: Mapped[datetime | None]  # the first invoice from then on is without it
    stripe_subscription_id: Mapped[str]
    stripe_coupon_id: Mapped[str | None]
    stripe_discount_id: Mapped[str | None]
    created_at: Mapped[datetime] = now_column()
    ended_at: Mapped[datetime | None]
