"""A customer who changes what was bought, as the subscription pages do it."""

from dataclasses import dataclass
from typing import Any

from portal import pricing
from portal.db import unit_of_work
from portal.models import PlannedChange, Quote
from portal.services import changes, invoices, quotes
from tests.services.buying import Customer
from tests.shop import Step, taken_once


@dataclass(frozen=True)
class Changer:
    """A company with a subscription: asks what a change costs, confirms it, looks at what came of it."""

    customer: Customer

    @property
    def step(self) -> Step:
        return self.customer.step

    @property
    def place(self) -> tuple[Any, int, int]:
        customer = self.customer
        return customer.gateways, customer.workspace_id, customer.account.user_id

    def held(self) -> changes.Holding:
        with unit_of_work(self.customer.workspace_id) as session:
            found = changes.holding(session)
        assert found is not None
        return found

    def selection(self, **differently: Any) -> pricing.Selection:
        """What is held, but for what is named."""
        return pricing.Selection(**{**self.held().selection.as_dict(), "usage": {}, **differently})

    @taken_once
    def prepare(self, *, all_now: bool = False, catalog: str | None = None, **differently: Any) -> str:
        leavers = differently.pop("leavers", ())
        wanted = changes.Wanted(self.selection(**differently), catalog, all_now, leavers)
        return changes.prepare(*self.place, wanted)

    @taken_once
    def confirm(self, quote_id: str) -> changes.Confirmation:
        return changes.confirm(*self.place, quote_id)

    @taken_once
    def change(self, **differently: Any) -> str:
        """Quote and confirm, with a card that works; the quote's id."""
        quote_id = self.prepare(**differently)
        self.confirm(quote_id)
        self.customer.settle()
        return quote_id

    def quote(self, quote_id: str) -> Quote:
        with unit_of_work(self.customer.workspace_id) as session:
            return quotes.load(session, quote_id)

    def amounts(self, quote_id: str) -> list[tuple[str, str, int, int]]:
        """Key, side, quantity and amount of every line of the quote."""
        return [
            (str(line["key"]), str(line["side"]), int(str(line["quantity"])), int(str(line["amount"])))
            for line in self.quote(quote_id).lines
        ]

    def state(self, quote_id: str, *, ask_stripe: bool = False) -> str:
        gateways, workspace_id, _ = self.place
        return changes.state(gateways, workspace_id, quote_id, ask_stripe=ask_stripe).name

    def planned(self) -> PlannedChange | None:
        with unit_of_work(self.customer.workspace_id) as session:
            return changes.planned(session)

    def at_stripe(self) -> dict[str, int | None]:
        """Lookup key → quantity of every item that is billed ahead."""
        [subscription] = [each for each in self.customer.shop.subscriptions() if each.status != "canceled"]
        return {
            str(item.price.lookup_key): item.quantity
            for item in subscription["items"].data
            if item.price.recurring and item.price.recurring.usage_type == "licensed"
        }

    def proof(self, quote_id: str) -> list[tuple[str, bool]]:
        """Stage and result of the comparisons with this quote."""
        with unit_of_work(self.customer.workspace_id) as session:
            return [
                (match.stage, match.matched)
                for invoice in invoices.listing(session, limit=100)
                for match in invoices.proof(session, invoice.stripe_id)
                if match.quote_id == quote_id
            ]
