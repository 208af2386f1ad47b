"""A company that uses what it bought, and what its meters add up to at Stripe, the sandbox's engine."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import stripe

from portal.db import unit_of_work
from portal.models import MeterEvent
from portal.services import meter_sending
from tests.services.buying import Customer
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH

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

    def use(self, count: int) -> list[str]:
        """That many conversations become billable; their ids."""
        return [self.resolve() for _number in range(count)]

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

    def free(self) -> None:
        """The claims of dead workers, and waits after failures, are over."""
        self.change(claimed_until=datetime(2000, 1, 1, tzinfo=UTC))
