"""A customer who changes everything in any order, and what must be so after each step."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from portal import pricing
from portal.db import unit_of_work
from portal.models import Invoice
from portal.services import changes, invoices, negotiated_discounts, planned_changes, sweeping
from tests.services.changing import Changer
from tests.services.test_attempts import let_claims_run_out

NOW = timedelta(0)
CURRENT = "2026-11"
GOOD, BAD, ASKING = "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"
# what a customer is told in the course of things
REFUSALS = (
    changes.NothingToChangeError,
    changes.NotPlannedError,
    changes.QuoteExpiredError,
    changes.QuoteChangedError,
    changes.UnpaidInvoiceError,
    changes.CatalogNotOfferedError,
    changes.PaymentUnderWayError,
)


@dataclass
class Walk:
    """One customer's way; ``seen`` counts what happened, ``trail`` says it for whoever has to follow."""

    changer: Changer
    chance: random.Random
    seen: dict[str, int] = field(default_factory=dict)
    trail: list[str] = field(default_factory=list)

    def step(self) -> None:
        """Do something, and see that everything is as it must be."""
        name = self.chance.choices(
            ("change", "decline", "authenticate", "undo", "time", "discount"), (10, 2, 2, 2, 5, 2)
        )[0]
        try:
            getattr(self, name)()
        except REFUSALS as refusal:
            name = type(refusal).__name__
            self.trail.append(f"  refused: {name}")
        except pricing.PricingError as refusal:
            name = "not sold"
            self.trail.append(f"  not sold: {refusal}")
        self.seen[name] = self.seen.get(name, 0) + 1
        self.come_to_rest()
        self.check()

    # --- what a customer does --------------------------------------------------------------------

    def wanted(self) -> changes.Wanted:
        held = self.changer.held()
        moves = held.catalog != CURRENT and self.chance.random() < 0.2
        catalog = pricing.catalog(CURRENT if moves else held.catalog)
        seats = max(1, held.wanted.seats + self.chance.choice((-5, -2, -1, 0, 0, 1, 1, 3, 8)))
        add_ons = dict(held.wanted.add_ons)
        for key, add_on in catalog.add_ons.items():
            if self.chance.random() < 0.4:
                add_ons[key] = self.chance.randint(0, seats if add_on.per == "seat" else 1)
            add_ons[key] = min(add_ons.get(key, 0), seats)
        own = [held.wanted.tier] * 2 if held.wanted.tier in catalog.tiers else []
        tier = self.chance.choice((*own, *catalog.tiers))
        interval = held.wanted.interval
        if self.chance.random() < 0.15:
            interval = self.chance.choice(pricing.INTERVALS)
        return changes.Wanted(
            pricing.Selection(tier, seats, interval, add_ons),
            CURRENT if moves else None,
            self.chance.random() < 0.25,
        )

    def quote(self) -> str:
        wanted = self.wanted()
        self.trail.append(f"change {wanted.selection.as_dict()} all_now={wanted.all_now}")
        quote_id = changes.prepare(*self.changer.place, wanted)
        if self.chance.random() < 0.3:
            self.customer.shop.advance(minutes=self.chance.randint(1, 20))
        return quote_id

    def change(self) -> None:
        quote_id = self.quote()
        confirmation = self.changer.confirm(quote_id)
        assert confirmation.collect == "nothing", self.story()
        self.customer.settle()
        assert self.changer.state(quote_id) in ("done", "planned"), self.story()
        self.proven(quote_id)

    def decline(self) -> None:
        """The card is refused; another one pays, or nobody does."""
        self.unpaid(BAD)

    def authenticate(self) -> None:
        """The bank asks; the customer answers, or walks away."""
        self.unpaid(ASKING)

    def unpaid(self, method: str) -> None:
        before = self.changer.at_stripe()
        planned = self.changer.planned()
        self.pays_with(method)
        try:
            quote_id = self.quote()
            confirmation = self.changer.confirm(quote_id)
            self.customer.settle()
            if confirmation.collect == "nothing":
                self.proven(quote_id)
                return
            assert self.changer.at_stripe() == before, self.story()
            if self.chance.random() < 0.5:
                self.trail.append("  paid in the end")
                self.customer.shop.pay(confirmation.client_secret or "")
                self.customer.settle()
                assert self.changer.state(quote_id) == "done", self.story()
                self.proven(quote_id)
                return
            self.trail.append("  never paid")
            self.customer.shop.advance(hours=23, minutes=10)
            self.come_to_rest()
            assert self.changer.state(quote_id) in ("expired", "abandoned"), self.story()
            if planned is None and self.changer.planned() is None:
                assert self.changer.at_stripe() == before, self.story()
        finally:
            self.pays_with(GOOD)

    def undo(self) -> None:
        self.trail.append("undo")
        changes.undo(*self.changer.place)
        assert self.changer.planned() is None, self.story()

    def time(self) -> None:
        days = self.chance.choice((1, 3, 10, 10, 20, 32))
        self.trail.append(f"{days} days")
        self.customer.shop.advance(days=days, hours=self.chance.randint(0, 23))

    def discount(self) -> None:
        gateways, workspace_id, _ = self.changer.place
        with unit_of_work(workspace_id) as session:
            on = [row for row in negotiated_discounts.listing(session) if row.state == "on"]
        if on and self.chance.random() < 0.4:
            self.trail.append("discount ends")
            negotiated_discounts.end(gateways, workspace_id, on[0].id)
            return
        line = self.chance.choice(list(self.changer.held().items))
        terms: dict[str, Any] = {"percent_off": Decimal(self.chance.choice(("10", "12.5", "33.3")))}
        if self.chance.random() < 0.3:
            terms = {"amount_off": self.chance.choice((100, 1_234, 50_000))}
        self.trail.append(f"discount {line} {terms}")
        negotiated_discounts.agree(gateways, workspace_id, line, **terms)

    # --- what must be so ---------------------------------------------------------------------------

    @property
    def customer(self) -> Any:
        return self.changer.customer

    def story(self) -> str:
        return "\n".join(self.trail)

    def pays_with(self, method: str) -> None:
        v1 = self.customer.shop.client.v1
        [subscription] = self.customer.shop.subscriptions()
        attached = v1.payment_methods.attach(method, {"customer": subscription.customer})
        v1.subscriptions.update(subscription.id, {"default_payment_method": attached.id})
        self.customer.settle()

    def come_to_rest(self) -> None:
        """All webhooks are worked on, and sweepers have finished what was left."""
        self.customer.settle()
        let_claims_run_out(self.customer)
        sweeping.sweep_attempts(self.customer.gateways, left_behind_after=NOW)
        planned_changes.sweep(self.customer.gateways, left_behind_after=NOW)
        self.customer.settle()

    def proven(self, quote_id: str) -> None:
        """What was charged is what was quoted, to the cent."""
        quote = self.changer.quote(quote_id)
        if not quote.lines:
            return
        attempt = self.customer.attempt(quote_id)
        with unit_of_work(self.customer.workspace_id) as session:
            invoice = invoices.get(session, attempt.stripe_invoice_id)
        assert (invoice.total, invoice.amount_due) == (quote.total, quote.amount_due), self.story()
        assert self.changer.proof(quote_id) == [("before_payment", True), ("final", True)], self.story()

    def check(self) -> None:
        [subscription] = self.customer.shop.subscriptions()
        row = self.customer.subscription()
        theirs = {
            item.id: (item.price.id, getattr(item, "quantity", None)) for item in subscription["items"].data
        }
        ours = {each["stripe_item_id"]: (each["stripe_price_id"], each["quantity"]) for each in row.items}
        assert ours == theirs, self.story()
        [seat] = [each for each in row.items if each["key"] == "seat"]
        assert row.seats == seat["quantity"] >= 1, self.story()
        assert all(each["quantity"] is None or each["quantity"] > 0 for each in row.items), self.story()
        assert subscription.pending_update is None, self.story()
        assert (self.changer.planned() is None) == (subscription.schedule is None), self.story()
        assert self.customer.incidents() == [], self.story()
        self.check_invoices()

    def check_invoices(self) -> None:
        with unit_of_work(self.customer.workspace_id) as session:
            stored: list[Invoice] = invoices.listing(session, limit=1000)
        for invoice in stored:
            lines = sum(line["amount"] - line["discount"] + line["tax"] for line in invoice.lines)
            assert lines == invoice.total, self.story()
            assert min(invoice.amount_due, invoice.amount_paid) >= 0, self.story()
