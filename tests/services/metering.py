"""A company that uses what it bought, and what its meters add up to at Stripe, the sandbox's engine."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import stripe
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice, MeterEvent, UsageCredit
from portal.services import meter_sending, usage_credits
from tests.services.buying import Customer
from tests.services.using import Workspace, happened
from tests.shop import TWELVE_BY_THE_MONTH, Step, each_time, taken_once

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Metered(Workspace):
    """A customer's workspace with Stripe's side of its usage."""

    customer: Customer

    @classmethod
    def buy(cls, customer: Customer) -> "Metered":
        """Buy seats by the month, with the metered rates that come with them, a day ago."""
        customer.buy(TWELVE_BY_THE_MONTH)
        customer.shop.advance(days=1)
        return cls(customer.gateways, customer.workspace_id, customer)

    @property
    def step(self) -> Step:
        return self.customer.step if self.gateways is self.customer.gateways else each_time

    @taken_once
    def use(self, count: int) -> list[str]:
        """That many conversations become billable; their ids."""
        return self.resolve_many(count)

    @taken_once
    def report(self) -> int:
        """Let the reporter run once."""
        return meter_sending.report(self.gateways)

    def advance(self, **delta: float) -> None:
        """Time passes at Stripe, and what comes of it arrives here."""
        self.customer.shop.advance(**delta)
        self.customer.settle()

    def outbox_states(self) -> list[str]:
        """The states of the outbox's rows, the first written first."""
        return [row.state for row in self.outbox()]

    def counted(self, key: str = "resolution") -> int:
        """What Stripe's meter has of this customer, of whatever time."""
        now = self.gateways.clock.now().replace(second=0, microsecond=0)
        meters = self.gateways.stripe.meters
        return meters.used(
            meters.ids()[key], self.stripe_customer, now - timedelta(days=400), now + timedelta(days=2)
        )

    @property
    def stripe_customer(self) -> str:
        [subscription] = self.customer.shop.subscriptions()
        return str(subscription.customer)

    def invoices(self) -> list[stripe.Invoice]:
        """The customer's invoices at Stripe, newest first."""
        found = self.customer.shop.client.v1.invoices.list({"customer": self.stripe_customer, "limit": 100})
        return found.data

    def change(self, **values: object) -> None:
        """Set columns of all rows of the outbox, as time or a crash would have."""
        with unit_of_work(self.workspace_id) as session:
            for row in session.query(MeterEvent):
                for name, value in values.items():
                    setattr(row, name, value)

    @taken_once
    def free(self) -> None:
        """The claims of dead workers, and waits after failures, are over."""
        self.change(claimed_until=datetime(2000, 1, 1, tzinfo=UTC))
        with unit_of_work(self.workspace_id) as session:
            for row in session.query(UsageCredit):
                row.claimed_until = None

    @taken_once
    def returns(self, conversation_id: str) -> None:
        """The customer comes back to the conversation."""
        self.feed(happened(conversation_id, "reopened", self.gateways.clock.now()))

    @taken_once
    def credit(self) -> None:
        """Let the credits that are owed be carried out."""
        self.free()
        usage_credits.sweep(self.gateways)
        self.customer.settle()

    def credits(self) -> list[UsageCredit]:
        """What was credited, or is to be."""
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(UsageCredit).order_by(UsageCredit.created_at)))

    def billed(self, key: str = "resolution") -> list[int]:
        """The quantities of the key's lines, on the newest invoice first."""
        with unit_of_work(self.workspace_id) as session:
            rows = session.scalars(select(Invoice).order_by(Invoice.issued_at.desc()))
            return [line["quantity"] for row in rows for line in row.lines if line["key"] == key]
