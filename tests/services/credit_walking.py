"""A company that buys credits, uses, returns and renews them in any order, and what must be so after it."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import update

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import Attempt, CreditPurchase, CreditRefund, UsageCredit
from portal.services import (
    credit_disputes,
    credit_further_grants,
    credit_ledger,
    credit_purchase_sweeping,
    credit_reconcile,
    credit_refunds,
    credit_renewals,
    credit_top_ups,
    leaving,
    meter_countering,
    payment_methods,
    payment_sweeping,
    swaps,
    sweeping,
    usage_credits,
    usage_matches,
    usage_moves,
)
from portal.services.credit_top_ups import Choice
from tests.credit_books import Books, Reader
from tests.faults import Killed
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered

NOW = timedelta(0)
# how many of those who come back do so in another month, maybe
LATE = 0.2
GOOD, BAD = "pm_card_visa", "pm_card_chargeCustomerFail"
TOP_UP = Choice(enabled=True, below=30, units=100, most_times=2, most_amount=50_000, pause_hours=24)
KINDS = ("kill_before", "kill_after", "timeout_before", "timeout_after", "error_after", "reset", "rate_limit")
# everything that is asked of Stripe on the way from a click to the money and back
PATHS = (
    "/finalize", "/pay", "/v1/billing/credit_grants", "/void", "/expire", "/v1/credit_notes", "/v1/invoices",
    "/v1/invoiceitems", "/v1/subscriptions/*", "/v1/prices", "/v2/billing/meter_event_stream",
    "/v1/billing/meter_event_adjustments",
)  # fmt: skip
# what happens, and how often
WEIGHTS = {
    "use": 14, "come_back": 4, "days": 6, "month": 7, "buy": 4, "decline": 1, "give_back": 2, "support": 1,
    "renews": 2, "top_up": 1, "swap": 2, "hire": 2, "leave": 1,
}  # fmt: skip
# what a customer is told in the course of things
REFUSED = (PortalError, Killed)


@dataclass
class CreditWalk:
    """One company's way; ``seen`` counts what happened, ``trail`` says it for whoever has to follow.

    ``trouble``: how often something at Stripe fails, or a process dies at it, while a step is taken.
    """

    acme: Metered
    reader: Reader
    chance: random.Random
    trouble: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)
    trail: list[str] = field(default_factory=list)
    # conversations, each with when it was
    living: list[tuple[str, datetime]] = field(default_factory=list)

    @property
    def buyer(self) -> CreditBuyer:
        return CreditBuyer(self.acme.customer)

    @property
    def place(self) -> tuple[Any, int, int]:
        return self.acme.gateways, self.acme.workspace_id, self.acme.customer.account.user_id

    def story(self) -> str:
        return "\n".join(self.trail)

    def step(self) -> None:
        """Do something, and see that everything is as it must be."""
        name = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        self.trail.append(f"{self.acme.gateways.clock.now():%Y-%m-%d %H:%M} {name}")
        if self.chance.random() < self.trouble:
            self.break_something()
        try:
            getattr(self, name)()
        except REFUSED as refusal:
            name = type(refusal).__name__
            self.trail.append(f"  {name}: {refusal}")
        self.seen[name] = self.seen.get(name, 0) + 1
        self.acme.customer.shop.faults.mend()
        self.come_to_rest()
        self.check()

    def break_something(self) -> None:
        """The next call of some kind fails, once or until the step is over."""
        kind, path = self.chance.choice(KINDS), self.chance.choice(PATHS)
        times = self.chance.choice((1, 1, 3, 99))
        self.trail.append(f"  trouble: {kind} at {path}, {times} times")
        self.acme.customer.shop.faults.fail(kind, path, times=times)

    # --- what happens --------------------------------------------------------------------------------

    def use(self) -> None:
        count = self.chance.choice((1, 2, 5, 12, 30))
        self.trail.append(f"  {count} units")
        now = self.acme.gateways.clock.now()
        self.living += [(name, now) for name in self.acme.use(count)]

    def come_back(self) -> None:
        """A customer comes back to a conversation of this month, or of any time before."""
        began = self.acme.periods()[-1].starts_at
        late = self.chance.random() < LATE
        found = [each for each in self.living if late or each[1] >= began]
        if found:
            chosen = self.chance.choice(found)
            self.living.remove(chosen)
            self.acme.returns(chosen[0])

    def days(self) -> None:
        self.acme.customer.shop.advance(
            days=self.chance.choice((0, 1, 3, 10)), hours=self.chance.randint(0, 23)
        )

    def month(self) -> None:
        """The month ends, and everybody has heard of it."""
        self.come_to_rest()
        until = self.acme.periods()[-1].ends_at + timedelta(hours=2) - self.acme.gateways.clock.now()
        self.acme.customer.shop.advance(seconds=int(until.total_seconds()))

    def buy(self) -> None:
        """A pack from the stored card, or from a new one."""
        quote_id = self.buyer.prepare(self.chance.choice((100, 100, 150, 600)))
        stored = self._default() if self.chance.random() < 0.5 else None
        payment = self.buyer.pay(quote_id, stored)
        if payment.name == "collect":
            self.acme.customer.shop.pay(payment.client_secret or "")

    def decline(self) -> None:
        """A pack that nobody pays for, unless the balance does."""
        payment = self.buyer.pay(self.buyer.prepare(100))
        if payment.name == "collect":
            self.acme.customer.shop.advance(hours=25)

    def give_back(self) -> None:
        """The newest pack is returned, if nothing of it was used and it is young enough."""
        held = [each for each in self.buyer.purchases() if each.state in ("paid", "granted")]
        if held:
            credit_refunds.return_unused(*self.place, held[-1].id)

    def support(self) -> None:
        """Support takes back what is left of a pack."""
        held = [each for each in self.buyer.purchases() if each.state in ("paid", "granted")]
        if held:
            chosen = self.chance.choice(held)
            credit_refunds.return_rest(*self.place[:2], chosen.id, reason="asked for it")

    def renews(self) -> None:
        held = [each for each in self.buyer.purchases() if each.state in ("paid", "granted")]
        if held:
            chosen = self.chance.choice(held)
            credit_renewals.choose(*self.place, chosen.id, renews=self.chance.random() < 0.7)

    def top_up(self) -> None:
        credit_top_ups.choose(*self.place, replace(TOP_UP, enabled=self.chance.random() < 0.5))

    def swap(self) -> None:
        """Seats become resolutions, with something to pay or something that stays."""
        changer = Changer(self.acme.customer)
        quote_id = swaps.prepare(
            *changer.place, dropped=self.chance.randint(1, 2), units=self.chance.choice((None, 100, 150))
        )
        changer.confirm(quote_id)

    def hire(self) -> None:
        """More seats, so that there are some to swap."""
        changer = Changer(self.acme.customer)
        quote_id = changer.prepare(seats=changer.held().selection.seats + self.chance.randint(1, 3))
        changer.confirm(quote_id)

    def leave(self) -> None:
        """The subscription ends at once; some time later there is another one."""
        self.come_to_rest()
        leaving.ask(*self.place, leaving.NOW)
        self.acme.customer.shop.advance(days=self.chance.choice((0, 12, 40)), hours=2)
        self.come_to_rest()
        self.check()
        self.acme.customer.buy(pricing.Selection("advanced", self.chance.randint(4, 12), "month"))

    def _default(self) -> str | None:
        with unit_of_work(self.acme.workspace_id) as session:
            return payment_methods.default_id(session)

    # --- how it stands -------------------------------------------------------------------------------

    def come_to_rest(self) -> None:
        """All webhooks are worked on, and sweepers have finished what was left, as within minutes."""
        acme = self.acme
        acme.customer.settle()
        for sweep in self._sweepers():
            self._let_claims_run_out()
            with suppress(StripeUnknownError):
                sweep()
        acme.customer.settle()

    def _sweepers(self) -> list[Callable[[], object]]:
        found = self.acme.gateways
        return [
            lambda: sweeping.sweep_attempts(found, left_behind_after=NOW),
            lambda: payment_sweeping.sweep(found),
            lambda: credit_purchase_sweeping.sweep(found, left_behind_after=NOW),
            lambda: credit_disputes.sweep(found),
            lambda: credit_refunds.sweep(found),
            lambda: credit_ledger.sweep(found),
            lambda: credit_renewals.sweep(found),
            lambda: credit_top_ups.sweep(found),
            self.acme.customer.settle,
            lambda: credit_purchase_sweeping.sweep(found, left_behind_after=NOW),
            self.acme.report,
            lambda: meter_countering.cancel(found),
            lambda: usage_moves.sweep(found),
            lambda: usage_credits.sweep(found),
            lambda: credit_further_grants.sweep(found),
            lambda: usage_matches.sweep(found),
            self.acme.report,
            self.acme.customer.settle,
        ]

    def _let_claims_run_out(self) -> None:
        self.acme.free()
        with unit_of_work(self.acme.workspace_id) as session:
            for table in (Attempt, CreditPurchase, CreditRefund, UsageCredit):
                session.execute(update(table).values(claimed_until=None))

    def check(self) -> None:
        """Every unit and every cent is somewhere, on all sides alike, and nobody had to be told."""
        try:
            Books(self.reader).agree()
            differing = credit_reconcile.run(self.acme.gateways)
            assert differing == 0, f"{differing} lots differ by the nightly comparison"
            incidents = self.acme.customer.incidents()
            assert incidents == [], incidents
            assert self.acme.balanced()
        except AssertionError as error:
            raise AssertionError(f"{self.story()}\n{error}") from error
