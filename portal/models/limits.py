"""What a workspace may use: its limits, the row that holds them when a unit is used, who was told of what."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base, Counted, WorkspaceOwned, now_column
from portal.models.usage import Count, Id

OPEN = "state IN ('held', 'answered')"


class UsageLimit(WorkspaceOwned, Base):
    """What the customer has chosen: a budget, a cap in units or in money, what happens at it, who is told."""

    __tablename__ = "usage_limit"
    __table_args__ = (
        CheckConstraint("cap_units IS NULL OR cap_amount IS NULL", name="one_cap"),
        CheckConstraint("budget >= 0 AND cap_units >= 0 AND cap_amount >= 0", name="not_negative"),
    )

    # for all that is metered, per usage period, in minor units; warns and never stops anything
    budget: Mapped[int | None] = mapped_column(BigInteger)
    # of resolutions per usage period: one of the two, or neither
    cap_units: Mapped[int | None] = mapped_column(BigInteger)
    cap_amount: Mapped[int | None] = mapped_column(BigInteger)  # minor units
    # since when this cap counts; what was allowed on top of an older one does not
    cap_since: Mapped[datetime | None]
    hard: Mapped[bool] = mapped_column(server_default=text("true"))
    at_cap: Mapped[str] = mapped_column(
        server_default=text("'stop'")
    )  # stop | hand_over | ask_approver | next_pack
    approver_id: Mapped[int | None] = mapped_column(BigInteger)  # a login's id
    warn_50: Mapped[bool] = mapped_column(server_default=text("true"))
    warn_80: Mapped[bool] = mapped_column(server_default=text("true"))
    warn_100: Mapped[bool] = mapped_column(server_default=text("true"))
    warn_forecast: Mapped[bool] = mapped_column(server_default=text("true"))
    # logins' ids; null: everybody who may see what is paid
    recipients: Mapped[list[int] | None] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = now_column()


class Allowance(WorkspaceOwned, Base):
    """The row that every reservation updates: what is used and held, and the hard cap that both must keep to.

    ``used`` counts the units of the present period that are billed, or free in a trial; ``held`` the
    reservations without an answer and the units that may still become billable, whatever the period.
    """

    __tablename__ = "allowance"
    # room on its page for the next version of the row, so that an update touches no index
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    period_start: Mapped[datetime | None]
    period_end: Mapped[datetime | None]
    used: Mapped[Count]
    held: Mapped[Count]
    # in units, with a trial's and with what was allowed on top; null while nothing stops anything
    cap: Mapped[int | None] = mapped_column(BigInteger)
    # when usage changed last, and when alerts were last looked for (the portal's clock)
    changed_at: Mapped[datetime | None]
    looked_at: Mapped[datetime | None]


class Reservation(Counted, Base):
    """One unit held for a conversation before the AI answers in it.

    ``held`` → ``answered`` (until the unit is settled) → ``settled``; or ``lapsed``, without an answer in
    time; or ``released``, given back.
    """

    __tablename__ = "reservation"
    __table_args__ = (
        # whatever arrives at once, a conversation holds one unit
        Index(
            "uq_reservation_open",
            "workspace_id",
            "conversation_id",
            unique=True,
            postgresql_where=text(OPEN),
        ),
        # a workspace's that wait for an answer: to be counted, and let go when none came
        Index("ix_reservation_held", "workspace_id", "expires_at", postgresql_where=text("state = 'held'")),
        Index("ix_reservation_prune", "settled_at", postgresql_where=text("settled_at IS NOT NULL")),
    )

    id: Mapped[Id] = mapped_column(primary_key=True)  # R- and ten characters
    conversation_id: Mapped[Id]
    state: Mapped[str] = mapped_column(server_default=text("'held'"))
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]


class UsageAlert(WorkspaceOwned, Base):
    """One thing that people were told of in a period; its row keeps them from being told twice.

    ``name``: ``budget_50`` … ``cap_100``, ``budget_forecast``, ``cap_forecast``, or ``approval_<cap>``: the
    approver was asked for more at that cap.
    """

    __tablename__ = "usage_alert"

    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    # what there was, and of what: minor units for a budget, units for a cap
    reached: Mapped[int] = mapped_column(BigInteger)
    out_of: Mapped[int] = mapped_column(BigInteger)
    mailed: Mapped[int]  # to how many people
    at: Mapped[datetime]


class CapRaise(WorkspaceOwned, Base):
    """So many units more in one period, allowed once, on top of the cap. Rows are only added."""

    __tablename__ = "cap_raise"

    id: Mapped[str] = mapped_column(primary_key=True)  # L- and ten characters
    period_start: Mapped[datetime]
    units: Mapped[int] = mapped_column(BigInteger)
    allowed_by: Mapped[int | None] = mapped_column(BigInteger)
    allowed_at: Mapped[datetime]
