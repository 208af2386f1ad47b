"""What must be so after each step of a walk: quotes, invoices, seats, plans, and our copy of Stripe."""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from portal import pricing
from portal.db import unit_of_work
from portal.models import Invoice, Member, Subscription
from portal.services import change_states, invoices, quotes, seats
from tests.services.changing import Changer


@dataclass
class Standing:
    """A company that changes what it has; ``trail`` says what it did, for whoever has to follow."""

    changer: Changer
    trail: list[str] = field(default_factory=list, kw_only=True)
    used: Counter[str] = field(default_factory=Counter, kw_only=True)

    @property
    def customer(self) -> Any:
        return self.changer.customer

    def story(self) -> str:
        return "\n".join(self.trail)

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
        assert all(each["quantity"] is None or each["quantity"] > 0 for each in row.items), self.story()
        assert all(Decimal(each["unit_amount"] or 0) >= 0 for each in row.items), self.story()
        assert row.status == subscription.status, self.story()
        assert (row.cancel_at and int(row.cancel_at.timestamp())) == subscription.cancel_at, self.story()
        assert {each["id"] for each in row.discounts} == set(subscription.discounts), self.story()
        assert subscription.pending_update is None, self.story()
        # a year that a debit did not pay may have hidden a renewal, which is a person's to bill
        assert set(self.customer.incidents()) <= {"period_unbilled"}, self.story()
        self.check_plan(subscription)
        self.check_seats(row)
        self.check_invoices()

    def check_plan(self, subscription: Any) -> None:
        """The schedule at Stripe is what is planned here, and nothing is planned where there is none."""
        plan, end = self.changer.held().plan, subscription.cancel_at
        shown = plan is not None and (end is None or int(plan.effective_at.timestamp()) < end)
        assert shown == (subscription.schedule is not None), self.story()
        if plan is None or not shown:
            return
        schedule = self.customer.shop.client.v1.subscription_schedules.retrieve(str(subscription.schedule))
        [*_, before, last] = schedule.phases
        theirs = {item.price: getattr(item, "quantity", None) for item in last["items"]}
        if plan.rates_only:
            licensed = {each.item.price: each.item.quantity for each in self.changer.held().items.values()}
            assert theirs == licensed | dict.fromkeys(plan.rates.values()), self.story()
        else:
            assert theirs == dict(plan.phase or []), self.story()
        rates = self.changer.held().next_rates
        if rates is not None and rates.at < plan.effective_at:
            counted = {item.price for item in before["items"] if getattr(item, "quantity", None) is None}
            assert counted == set(rates.prices.values()), self.story()
        assert last.start_date == int(plan.effective_at.timestamp()), self.story()
        assert schedule.default_settings.default_payment_method == subscription.default_payment_method
        coupons = [self.coupon_of(each) for each in subscription.discounts]
        assert [self.coupon_of(each.discount) for each in last.discounts or []] == coupons, self.story()

    def coupon_of(self, discount_id: object) -> object:
        row = self.customer.subscription()
        return next((each["coupon"] for each in row.discounts if each["id"] == discount_id), discount_id)

    def check_seats(self, row: Subscription) -> None:
        """Seats that are given are paid for, and nobody sits on one that is not."""
        [seat] = [each for each in row.items if each["key"] == "seat"]
        with unit_of_work(self.customer.workspace_id) as session:
            held_back = change_states.held_back(session, change_states.live(session))
            counted = select(Member.seat, func.count()).where(seats.HERE).group_by(Member.seat)
            sitting = dict(session.execute(counted).all())
            usage = seats.usage(session)
        paid = int(str(seat["quantity"]))
        if held_back is not None:
            paid = min(paid, int(str(held_back["seats"])))
        assert row.seats == paid >= 1, self.story()
        assert sitting.get(seats.FULL, 0) <= row.seats == usage.bought, self.story()
        assert sitting.get(seats.LITE, 0) <= usage.lite_included, self.story()

    def check_invoices(self) -> None:
        with unit_of_work(self.customer.workspace_id) as session:
            stored: list[Invoice] = invoices.listing(session, limit=1000)
            last = quotes.latest(session, quotes.CHANGE)
        for invoice in stored:
            lines = sum(line["amount"] - line["discount"] + line["tax"] for line in invoice.lines)
            assert lines == invoice.total, self.story()
            never = [invoice.discount, invoice.amount_due, invoice.amount_paid]
            never += [line["discount"] for line in invoice.lines]
            never += [line["amount"] for line in invoice.lines if not line["proration"]]
            never += [line["quantity"] or 0 for line in invoice.lines]
            assert min(never) >= 0, self.story()
            # only what is given back makes an invoice less than nothing
            assert invoice.total >= 0 or any(line["amount"] < 0 for line in invoice.lines), self.story()
        billed = self.billed(stored)
        assert all(billed[key] <= self.used[key] for key in billed), self.story()
        if last is not None:
            sums = [each["amount"] for each in (last.terms or {})["recurring"].values() if each]
            assert min([last.amount_due, last.discount, *sums]) >= 0, self.story()

    def billed(self, stored: list[Invoice]) -> Counter[str]:
        """How much of each kind of usage has been invoiced."""
        found: Counter[str] = Counter()
        for invoice in stored:
            for line in invoice.lines if invoice.status != "void" else ():
                if line["key"] in pricing.current_catalog().usage:
                    found[line["key"]] += line["quantity"] or 0
        return found

    def check_usage(self) -> None:
        """All that was used is invoiced once, when nothing of it is open any more."""
        with unit_of_work(self.customer.workspace_id) as session:
            billed = self.billed(invoices.listing(session, limit=1000))
        assert +billed == +self.used, self.story()
