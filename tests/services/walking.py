"""A customer who changes everything in any order, and what must be so after each step."""

import random
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import select

from portal import pricing
from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.models import Member, User
from portal.services import (
    change_catalogs,
    change_states,
    changes,
    leaving,
    negotiated_discounts,
    planned_changes,
    seats,
    sweeping,
)
from tests.services.test_attempts import let_claims_run_out
from tests.services.walk_checks import Standing

NOW = timedelta(0)
CURRENT = "2026-11"
GOOD, BAD, ASKING = "pm_card_visa", "pm_card_chargeCustomerFail", "pm_card_authenticationRequired"
GOOD_ACCOUNT, BAD_ACCOUNT = "000123456789", "000222222227"
CREW = 16
# what a customer is told in the course of things
REFUSALS = (
    changes.NothingToChangeError,
    changes.NotPlannedError,
    changes.QuoteExpiredError,
    changes.QuoteChangedError,
    changes.UnpaidInvoiceError,
    changes.CatalogNotOfferedError,
    changes.PaymentUnderWayError,
    changes.RenewalNearError,
    changes.SubscriptionEndsError,
)


@dataclass
class Walk(Standing):
    """One customer's way; ``seen`` counts what happened, ``trail`` says it for whoever has to follow."""

    chance: random.Random
    seen: dict[str, int] = field(default_factory=dict)
    crew: list[int] = field(default_factory=list)

    def step(self) -> None:
        """Do something, and see that everything is as it must be."""
        if not self.crew:
            self.hire()
        name = self.chance.choices(
            ("change", "decline", "authenticate", "debit", "undo", "time", "discount", "sit", "leave", "use"),
            (10, 2, 2, 2, 2, 5, 2, 4, 1, 6),
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
        moves = self.moves_to(held)
        catalog = pricing.catalog(moves or held.catalog)
        seats = max(1, held.wanted.seats + self.chance.choice((-5, -2, -1, 0, 0, 1, 1, 3, 8)))
        add_ons = {key: count for key, count in held.wanted.add_ons.items() if key in catalog.add_ons}
        for key, add_on in catalog.add_ons.items():
            if self.chance.random() < 0.4:
                add_ons[key] = self.chance.randint(0, seats if add_on.per == "seat" else 1)
            add_ons[key] = min(add_ons.get(key, 0), seats)
        own = [held.wanted.tier] * 2 if held.wanted.tier in catalog.tiers else []
        tier = self.chance.choice((*own, *catalog.tiers))
        interval = held.wanted.interval
        if self.chance.random() < 0.15 or interval not in catalog.intervals:
            interval = self.chance.choice(catalog.intervals if moves else pricing.INTERVALS)
        return changes.Wanted(
            pricing.Selection(tier, seats, interval, add_ons),
            moves,
            self.chance.random() < 0.25,
        )

    def moves_to(self, held: changes.Holding) -> str | None:
        """The prices of now, or back on the same day to those that were left for them."""
        if held.catalog != CURRENT:
            return CURRENT if self.chance.random() < 0.2 else None
        gateways, workspace_id, _ = self.changer.place
        with unit_of_work(workspace_id) as session:
            left = change_catalogs.came_from(session, held, gateways.clock.now())
        return left if left is not None and self.chance.random() < 0.5 else None

    def quote(self) -> str:
        wanted = self.wanted()
        to = f" to {wanted.catalog}" if wanted.catalog else ""
        self.trail.append(f"change {wanted.selection.as_dict()}{to} all_now={wanted.all_now}")
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
            self.wait_for_nothing(quote_id)
            self.come_to_rest()
            assert self.changer.state(quote_id) in ("expired", "abandoned"), self.story()
            if planned is None and self.changer.planned() is None:
                assert self.changer.at_stripe() == before, self.story()
        finally:
            self.pays_with(GOOD)

    def wait_for_nothing(self, quote_id: str) -> None:
        """A day without a payment; sweepers look at an unpaid change before a renewal with a plan."""
        now, waits = self.customer.gateways.clock.now(), timedelta(hours=23, minutes=10)
        planned = self.changer.planned()
        last_look = change_states.QUIET_BEFORE_RENEWAL - timedelta(minutes=10)
        if planned is not None and now < planned.effective_at - last_look < now + waits:
            soon = planned.effective_at - last_look - now
            self.customer.shop.advance(seconds=int(soon.total_seconds()))
            let_claims_run_out(self.customer)
            attempt = self.customer.attempt(quote_id)
            sweeping.resume(self.customer.gateways, self.customer.workspace_id, attempt.id)
            waits -= soon
        self.customer.shop.advance(seconds=int(waits.total_seconds()))

    def debit(self) -> None:
        """A bank account pays, which takes days; meanwhile less is planned, or nothing is done."""
        account = self.chance.choice((GOOD_ACCOUNT, BAD_ACCOUNT))
        self.pays_from(account)
        try:
            quote_id = self.quote()
            self.changer.confirm(quote_id)
            self.customer.settle()
        finally:
            self.pays_with(GOOD)
        if self.changer.state(quote_id) != "processing":
            self.proven(quote_id)
            return
        self.trail.append(f"  by debit from {account}")
        self.check()
        if self.chance.random() < 0.5:
            self.fewer()
        for _day in range(12):
            self.days(1)
            if self.changer.state(quote_id) != "processing":
                break
        self.trail.append(f"  {self.changer.state(quote_id)}")
        # Stripe lets what has paid be the default again
        self.pays_with(GOOD)
        assert self.changer.state(quote_id) == ("done" if account == GOOD_ACCOUNT else "failed"), self.story()
        if account == GOOD_ACCOUNT:
            self.proven(quote_id)
        else:
            self.nothing_unpaid()

    def nothing_unpaid(self) -> None:
        """Nothing that a debit did not pay for comes with what is planned."""
        held = self.changer.held()
        tiers = tuple(pricing.catalog(held.catalog).tiers)
        now, _later = pricing.split(held.selection, held.wanted, tiers=tiers)
        assert pricing.same(now, held.selection), self.story()

    def fewer(self) -> None:
        """Give something up for the renewal, whatever is under way."""
        held = self.changer.held()
        seats_left = max(1, held.wanted.seats - self.chance.randint(1, 4))
        add_ons = {key: min(count, seats_left) for key, count in held.wanted.add_ons.items()}
        wanted = pricing.Selection(held.wanted.tier, seats_left, held.wanted.interval, add_ons)
        if pricing.split(held.selection, wanted, tiers=tuple(pricing.catalog(held.catalog).tiers))[
            0
        ] != pricing.plain(held.selection):
            return
        self.trail.append(f"  meanwhile fewer: {wanted.as_dict()}")
        try:
            quote_id = changes.prepare(*self.changer.place, changes.Wanted(wanted))
        except changes.NothingToChangeError:
            return
        self.changer.confirm(quote_id)
        self.customer.settle()
        assert self.changer.state(quote_id) == "planned", self.story()
        self.check()

    def days(self, count: int) -> None:
        for _day in range(count):
            self.customer.shop.advance(days=1)
            self.come_to_rest()
            self.check()

    def sit(self) -> None:
        """Somebody gives people seats, as many as there are or too many."""
        chosen = self.chance.sample(self.crew, self.chance.randint(1, CREW))
        seat = self.chance.choice((seats.FULL, seats.FULL, seats.LITE, seats.NONE))
        self.trail.append(f"{len(chosen)} people: {seat}")
        _gateways, workspace_id, user_id = self.changer.place
        try:
            with unit_of_work(workspace_id) as session:
                seats.assign(session, chosen, seat, by=user_id or self.owner())
        except ConflictError as refusal:
            self.trail.append(f"  refused: {type(refusal).__name__}")

    def leave(self) -> None:
        """The end is asked for, and taken back."""
        self.trail.append("ends, and goes on after all")
        leaving.ask(*self.changer.place, leaving.AT_PERIOD_END)
        self.come_to_rest()
        self.check()
        assert self.customer.subscription().cancel_at is not None, self.story()
        leaving.ask(*self.changer.place, leaving.KEEP)

    def use(self) -> None:
        """Something is used that is sold now."""
        [subscription] = self.customer.shop.subscriptions()
        for key in self.chance.choices(sorted(self.changer.held().metered), k=2):
            count = self.chance.choice((1, 40, 700))
            self.trail.append(f"{count} {key}")
            payload = {"stripe_customer_id": str(subscription.customer), "value": str(count)}
            create = self.customer.shop.client.v1.billing.meter_events.create
            create({"event_name": key, "payload": payload})
            self.used[key] += count

    def finish(self) -> None:
        """It ends at once, and all that was used is on an invoice."""
        leaving.ask(*self.changer.place, leaving.NOW)
        self.customer.shop.advance(hours=2)
        self.come_to_rest()
        self.check_usage()

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

    # --- how the company stands ---------------------------------------------------------------------------

    def pays_with(self, method: str) -> None:
        v1 = self.customer.shop.client.v1
        [subscription] = self.customer.shop.subscriptions()
        attached = v1.payment_methods.attach(method, {"customer": subscription.customer})
        v1.subscriptions.update(subscription.id, {"default_payment_method": attached.id})
        self.customer.settle()

    def pays_from(self, account: str) -> None:
        """The company's bank account pays from now on."""
        made = self.customer.shop.client.v1.payment_methods.create(
            {
                "type": "us_bank_account",
                "us_bank_account": {
                    "account_holder_type": "company",
                    "account_number": account,
                    "routing_number": "110000000",
                },
                "billing_details": {"name": "Acme Inc", "email": "billing@acme.example"},
            }
        )
        self.pays_with(str(made.id))

    def hire(self) -> None:
        """People who can sit on seats."""
        with unit_of_work(self.customer.workspace_id) as session:
            for number in range(CREW):
                mark = f"crew{number}-{self.customer.workspace_id}"
                user = User(
                    email=f"{mark}@acme.example", password="-", active=True, fs_uniquifier=f"walk-{mark}"
                )
                session.add(user)
                session.flush()
                member = Member(user_id=user.id, role="member", seat=seats.NONE)
                session.add(member)
                session.flush()
                self.crew.append(member.id)

    def owner(self) -> int:
        with unit_of_work(self.customer.workspace_id) as session:
            return session.scalars(select(Member.user_id).where(seats.HERE, Member.role == "owner")).one()

    def come_to_rest(self) -> None:
        """All webhooks are worked on, and sweepers have finished what was left."""
        self.customer.settle()
        let_claims_run_out(self.customer)
        sweeping.sweep_attempts(self.customer.gateways, left_behind_after=NOW)
        planned_changes.sweep(self.customer.gateways, left_behind_after=NOW)
        negotiated_discounts.sweep(self.customer.gateways, left_behind_after=NOW)
        self.customer.settle()
