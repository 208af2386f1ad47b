"""Whatever is changed, and however often: the preview says what the invoice then comes to, line by line."""

from __future__ import annotations

from typing import Any

import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.billing import BillingWorld
from tests.sandbox.schedules import current

DAY = 86_400
SETTLED = 2 * 3600  # a renewal is a draft for an hour
EXAMPLES = 25
GERMANY = {"line1": "Allee 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}
SEAT_MONTHLY, SEAT_YEARLY, TIER_MONTHLY, ADD_ON = "seat", "seat_year", "tier", "add_on"

quantities = st.integers(1, 40)
steps = st.one_of(
    st.tuples(st.just("seats"), quantities),
    st.tuples(st.just("price"), st.sampled_from([SEAT_MONTHLY, SEAT_YEARLY, TIER_MONTHLY])),
    st.tuples(st.just("add-on"), st.integers(0, 5)),
    st.tuples(st.just("discount"), st.sampled_from([0, 10, 33])),
    st.tuples(st.just("decline"), quantities),
    st.tuples(st.just("silently"), quantities),
    st.tuples(st.just("later"), quantities),
    st.tuples(st.just("wait"), st.integers(1, 40 * DAY)),
)


class Walk:
    """One customer whose subscription is changed again and again, each change previewed before."""

    def __init__(self, taxed: bool) -> None:
        self.world = BillingWorld()
        self.v1 = self.world.v1
        self.customer = self.world.customer(**({"address": GERMANY} if taxed else {}))
        self.prices = {
            SEAT_MONTHLY: self.world.price(2900),
            SEAT_YEARLY: self.world.price(29_988, "year"),
            TIER_MONTHLY: self.world.price(9950),
            ADD_ON: self.world.price(1333),
        }
        self.coupons = {
            percent: self.v1.coupons.create({"percent_off": percent, "duration": "forever"}).id
            for percent in (10, 33)
        }
        wanted: Any = {
            "customer": self.customer.id,
            "items": [{"price": self.prices[SEAT_MONTHLY], "quantity": 3}],
            "automatic_tax": {"enabled": taxed},
        }
        self.id = self.v1.subscriptions.create(wanted).id

    @property
    def items(self) -> list[Any]:
        return self.v1.subscriptions.retrieve(self.id)["items"].data

    def take(self, kind: str, value: Any) -> None:
        """One step of the walk."""
        if kind == "wait":
            self.world.sandbox.advance(seconds=value)
            return
        if kind == "later":
            self.schedule(value)
            return
        seat, *rest = self.items
        changes: dict[str, Any] = {
            "seats": lambda: [{"id": seat.id, "quantity": value}],
            "price": lambda: [{"id": seat.id, "price": self.prices[value], "quantity": seat.quantity}],
            "add-on": lambda: self._add_on(rest, value),
            "discount": lambda: [
                {
                    "id": seat.id,
                    "quantity": seat.quantity + 1,
                    "discounts": [{"coupon": self.coupons[value]}] if value else "",
                }
            ],
            "decline": lambda: [{"id": seat.id, "quantity": value}],
            "silently": lambda: [{"id": seat.id, "quantity": value}],
        }[kind]()
        if kind == "silently":
            self.update(changes, proration_behavior="none")
        elif changes:
            self.change(changes, declined=kind == "decline")

    def _add_on(self, rest: list[Any], quantity: int) -> list[dict[str, Any]]:
        if rest:
            return [{"id": rest[0].id, **({"quantity": quantity} if quantity else {"deleted": True})}]
        return [{"price": self.prices[ADD_ON], "quantity": quantity}] if quantity else []

    def update(self, items: list[dict[str, Any]], **params: Any) -> stripe.Subscription:
        wanted: Any = {"items": items, **params}
        return self.v1.subscriptions.update(self.id, wanted)

    def schedule(self, quantity: int) -> None:
        """Have another number of seats from the next period on, or no longer."""
        attached = self.v1.subscriptions.retrieve(self.id).schedule
        if attached:
            self.v1.subscription_schedules.release(str(attached))
            return
        made = self.v1.subscription_schedules.create({"from_subscription": self.id})
        here = current(made)
        seat, *rest = here["items"]
        following = {"items": [{**seat, "quantity": quantity}, *rest], "proration_behavior": "none"}
        wanted: Any = {"phases": [here, {**following, "duration": {"interval": "month"}}]}
        self.v1.subscription_schedules.update(made.id, wanted)

    def change(self, items: list[dict[str, Any]], *, declined: bool) -> None:
        """Preview a change, ask for it with payment first, and compare."""
        how: dict[str, Any] = {
            "proration_behavior": "always_invoice",
            "proration_date": self.world.sandbox.clock.now(),
        }
        before = self.v1.subscriptions.retrieve(self.id)
        wanted: Any = {"subscription": self.id, "subscription_details": {"items": items, **how}}
        preview = self.v1.invoices.create_preview(wanted)
        if declined:
            self.world.app.test_client().post("/_sandbox/next-payment", json={"outcome": "card_declined"})
        after = self.update(items, payment_behavior="pending_if_incomplete", **how)
        self.world.app.test_client().post("/_sandbox/next-payment", json={"outcome": None})
        if after.latest_invoice == before.latest_invoice:  # nothing that is billed had changed
            return
        invoice = self.v1.invoices.retrieve(str(after.latest_invoice))
        assert summary(preview) == summary(invoice)
        if after.pending_update is not None:
            assert quantities_of(after) == quantities_of(before)
            self.v1.invoices.void_invoice(invoice.id)
        settled = self.v1.customers.retrieve(self.customer.id).balance
        assert settled == (invoice.ending_balance if invoice.status == "paid" else preview.starting_balance)


def summary(invoice: stripe.Invoice) -> Any:
    """What must be equal: every line with its tax and period, and the sums."""
    lines = [
        (
            line.amount,
            line.quantity,
            line.description,
            (line.period.start, line.period.end),
            [tax.amount for tax in line.taxes or []],
        )
        for line in invoice.lines.data
    ]
    return lines, invoice.subtotal, invoice.total, invoice.amount_due, invoice.starting_balance


def quantities_of(subscription: stripe.Subscription) -> list[Any]:
    return [(item.price.id, item.quantity) for item in subscription["items"].data]


@settings(max_examples=EXAMPLES, deadline=None)
@given(taxed=st.booleans(), path=st.lists(steps, min_size=1, max_size=7))
def test_a_preview_is_the_invoice_to_the_cent(taxed: bool, path: list[tuple[str, Any]]) -> None:
    walk = Walk(taxed)
    for kind, value in path:
        walk.take(kind, value)

    upcoming = walk.v1.invoices.create_preview({"subscription": walk.id})
    walk.world.sandbox.advance(to=upcoming.created + SETTLED)
    renewal = walk.v1.invoices.retrieve(last_of(walk))

    assert summary(upcoming) == summary(renewal)


def last_of(walk: Walk) -> str:
    """The id of the subscription's latest invoice."""
    return str(walk.v1.subscriptions.retrieve(walk.id).latest_invoice)
