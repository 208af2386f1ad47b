"""Usage: conversation events, the units that they make, the ledger with its rollup, periods, and the outbox.

These are the tables that grow: a million resolutions a week over 25,000 workspaces. Each of their keys is led
by the workspace, so that they can be spread by it (Citus), and none has a foreign key, which would lock the
workspace's row for each event. They are not partitioned by time: an event counts once and a unit is billed
once for good, and a unique guard of a partitioned table must contain the time that it is partitioned by, so
it would hold within one partition only. What keeps writing and reading cheap instead: ids and units go to the
end of their workspace's part of an index, the ledger is kept period by period, indexes for the sweepers hold
only what is not settled, and pages read ``usage_day``, a few rows a day, whatever the ledger's size.
"""

from datetime import date, datetime
from typing import Annotated

from sqlalchemy import BigInteger, Identity, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base, Counted, WorkspaceOwned, now_column

# ids that customers choose are compared byte by byte, whatever language the database speaks
Id = Annotated[str, mapped_column(Text(collation="C"))]
Count = Annotated[int, mapped_column(BigInteger, server_default=text("0"))]


class ConversationEvent(Counted, Base):
    """One thing that happened in a conversation, as it was sent under an id of the sender's. Only added.

    ``type``: ai_answered, ai_greeted, customer_confirmed, customer_asked, human_requested, human_replied,
    reopened (``pricing.outcomes.EVENT_TYPES``).
    """

    __tablename__ = "conversation_event"
    __table_args__ = (Index(None, "workspace_id", "conversation_id"),)

    id: Mapped[Id] = mapped_column(primary_key=True)
    conversation_id: Mapped[Id]
    type: Mapped[Id]
    occurred_at: Mapped[datetime]
    channel: Mapped[Id]
    test: Mapped[bool] = mapped_column(server_default=text("false"))
    received_at: Mapped[datetime]


class Resolution(Counted, Base):
    """The unit: what one episode of a conversation came to, derived anew whenever an event of it arrives.

    States: ``open`` (no real answer) | ``pending`` (until ``matures_at``) | ``billable`` | ``not_billable`` |
    ``reversed``. ``because`` is a code of ``pricing.outcomes``. What the ledger has of it is in ``counts``
    (it stands there as billable now) and ``times`` (how often it became billable: a late event may take it
    back and another bring it again); ``period_start`` and ``charge`` say where it stands, or stood last, and
    ``counted_at``, ``counted_as`` and ``counted_on`` at which instant, as which kind and on which channel:
    what is derived may become another once that is billed. ``taken_back_at`` is the instant at which the
    ledger has its reversal, which may be another than ``reversed_at``, when the customer came back: it lies
    in the month that the reversal is booked in. A unit of a month is one that counts or was taken back.
    """

    __tablename__ = "resolution"
    __table_args__ = (
        # the sweeper's: what is due, of all workspaces
        Index("ix_resolution_due", "matures_at", postgresql_where=text("state = 'pending'")),
        # the pages': what is pending, and a period's units in the order of their becoming billable
        Index(
            "ix_resolution_pending", "workspace_id", "matures_at", postgresql_where=text("state = 'pending'")
        ),
        Index(
            "ix_resolution_period",
            *("workspace_id", "period_start", "counted_at", "conversation_id", "episode"),
            postgresql_where=text("period_start IS NOT NULL"),
        ),
        Index(
            "ix_resolution_taken_back",
            *("workspace_id", "taken_back_at", "conversation_id", "episode"),
            postgresql_where=text("taken_back_at IS NOT NULL"),
        ),
        Index(
            "ix_resolution_not_billable",
            *("workspace_id", "answered_at", "conversation_id", "episode"),
            postgresql_where=text("state = 'not_billable'"),
        ),
        Index(
            "ix_resolution_contested",
            *("workspace_id", "period_start", "counted_at", "conversation_id", "episode"),
            postgresql_where=text("contest IS NOT NULL"),
        ),
    )

    conversation_id: Mapped[Id] = mapped_column(primary_key=True)
    episode: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # from 1
    state: Mapped[Id]
    kind: Mapped[Id | None]  # confirmed | assumed, from billable on
    because: Mapped[Id]
    channel: Mapped[Id]  # the last answer's
    answered_at: Mapped[datetime | None]  # the last real answer that counts
    matures_at: Mapped[datetime | None]
    billable_at: Mapped[datetime | None]
    reversed_at: Mapped[datetime | None]
    taken_back_at: Mapped[datetime | None]
    period_start: Mapped[datetime | None]
    counted_at: Mapped[datetime | None]
    counted_as: Mapped[Id | None]  # confirmed | assumed
    counted_on: Mapped[Id | None]
    charge: Mapped[Id | None]  # meter | trial | over_cap; none: it never stood in the ledger
    counts: Mapped[bool] = mapped_column(server_default=text("false"))
    times: Mapped[int] = mapped_column(server_default=text("0"))
    contest: Mapped[Id | None]  # open | accepted | refused


class UsageEntry(Counted, Base):
    """The ledger: one unit, one sending of channel units, or what takes either back. Rows are only added.

    ``kind``: ``billable`` (+1) and ``reversal`` (−1) of a resolution, ``usage`` of another key,
    ``correction`` (±) of where either stands; ``carried`` (±): what Stripe had billed before it was
    corrected, and gives back with a later month. ``source``: ``<conversation_id>#<episode>``, with ``~n`` at
    the end from the second time that the unit becomes billable; for other keys the id under which the usage
    was sent. The key begins with the period, so that a month is read in one piece.
    """

    __tablename__ = "usage_entry"
    __table_args__ = (
        # a unit counts once, whatever is sent, retried or raced
        UniqueConstraint("workspace_id", "key", "source", "kind"),
    )

    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[Id]  # the catalogue's usage: resolution, sms, whatsapp, phone_minute …
    source: Mapped[Id]
    kind: Mapped[Id]
    basis: Mapped[Id | None]  # of a resolution: confirmed | assumed
    quantity: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]  # the instant that it belongs to, always within the period
    channel: Mapped[Id]
    charge: Mapped[Id]  # meter | trial | over_cap | credited
    # of other keys, as they were sent: when, and how much (seconds of a call), to know a repetition by
    occurred_at: Mapped[datetime | None]
    sent_quantity: Mapped[int | None] = mapped_column(BigInteger)
    note: Mapped[Id | None]  # a code of services.outcomes: why it is not where one would look for it
    created_at: Mapped[datetime] = now_column()


class UsageDay(Counted, Base):
    """The rollup that pages read: a key's units of one day (UTC) and channel; written with the ledger.

    ``quantity`` = all entries' sum, ``charged`` = the sum of those with charge ``meter``. Of resolutions,
    ``confirmed`` + ``assumed`` became billable on that day, as it stands by now, and ``reversed`` (≥ 0) were
    taken back on it: each is the length of the list of such units. With what is carried they make the
    quantity.
    """

    __tablename__ = "usage_day"
    # its rows are written often and never change their key: room on the page keeps updates off the indexes
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    period_start: Mapped[datetime] = mapped_column(primary_key=True)
    key: Mapped[Id] = mapped_column(primary_key=True)
    channel: Mapped[Id] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    quantity: Mapped[Count]
    charged: Mapped[Count]
    confirmed: Mapped[Count]
    assumed: Mapped[Count]
    reversed: Mapped[Count]


class UsagePeriod(WorkspaceOwned, Base):
    """One month of usage of a subscription, [starts_at, ends_at): an instant belongs to exactly one.

    ``open`` → ``closed`` when the invoice that bills it is final, or without one when nothing of it can be
    billed any more; what becomes billable later goes to the open period. ``used``: resolutions, net.
    """

    __tablename__ = "usage_period"
    __table_args__ = (
        Index("ix_usage_period_ending", "ends_at", postgresql_where=text("state = 'open'")),
        {"postgresql_with": {"fillfactor": 70}},
    )

    starts_at: Mapped[datetime] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime]
    stripe_subscription_id: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=text("'open'"))
    trial: Mapped[bool] = mapped_column(server_default=text("false"))
    stripe_invoice_id: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    used: Mapped[Count]


class MeterEvent(Counted, Base):
    """The outbox to Stripe's meters, written in the commit of the ledger entry that it is about.

    States: ``waiting`` → ``sending`` → ``sent``; ``dropped`` (taken back before it was sent); ``cancelling``
    → ``cancelled`` (taken back within Stripe's day); ``crediting`` → ``credited`` (owed as a credit note);
    ``failed`` (a definite no, or refused later). The times are those by which Stripe reckons. The identifier
    is ``<workspace>-<sha256 of source>``, so that a row is found by what Stripe reports.
    """

    __tablename__ = "meter_event"
    __table_args__ = (
        Index(
            "ix_meter_event_due", "at", postgresql_where=text("state IN ('waiting', 'sending', 'cancelling')")
        ),
        Index("ix_meter_event_unsettled", "at", postgresql_where=text("state IN ('crediting', 'failed')")),
    )

    identifier: Mapped[Id] = mapped_column(primary_key=True)
    key: Mapped[Id]
    event_name: Mapped[Id]  # of Stripe's meter
    stripe_customer_id: Mapped[Id]
    quantity: Mapped[int] = mapped_column(BigInteger)  # negative: takes back what was sent
    at: Mapped[datetime]  # Stripe's timestamp
    period_start: Mapped[datetime]
    entry_id: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[Id] = mapped_column(server_default=text("'waiting'"))
    first_tried_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    claimed_until: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    error: Mapped[str | None]
    cancel_tried_at: Mapped[datetime | None]  # since when Stripe was asked to let it not count
    cancelled_at: Mapped[datetime | None]
    resent_as: Mapped[Id | None]  # the row that was sent in its stead, when Stripe could not use this one
