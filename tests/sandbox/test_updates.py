"""Updates of running subscriptions: intervals, several debits, added charges, taxes, every behaviour."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY, HOUR = 86_400, 3600
MONTH_END = START + 30 * DAY
YEAR_END = START + 365 * DAY
HALF = START + 15 * DAY
GERMANY = {"line1": "Allee 1", "city": "Berlin", "postal_code": "10115", "country": "DE"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def change(
    world: BillingWorld, subscription: stripe.Subscription, *items: dict[str, Any], **params: Any
) -> stripe.Subscription:
    """Change items, invoiced at once unless told otherwise."""
    wanted: Any = {"items": list(items), "proration_behavior": "always_invoice", **params}
    return world.v1.subscriptions.update(subscription.id, wanted)


def item(subscription: stripe.Subscription, **members: Any) -> dict[str, Any]:
    """The subscription's first item with these changes."""
    return {"id": subscription["items"].data[0].id, **members}


def amounts(world: BillingWorld, subscription: stripe.Subscription) -> list[int]:
    return [line.amount for line in world.latest_invoice(subscription).lines.data]


def owner(subscription: stripe.Subscription) -> stripe.Customer:
    return stripe.Customer.construct_from({"id": str(subscription.customer)}, "")


def test_an_interval_changed_later_keeps_the_anchor_and_its_years(world: BillingWorld) -> None:
    monthly, yearly = world.price(2500), world.price(36_500, "year")
    subscription = world.subscribe(world.customer(), monthly)
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    world.sandbox.advance(to=START + 45 * DAY)
    after = change(world, subscription, item(subscription, price=yearly))
    shown = after["items"].data[0]

    # the year of the anchor has 320 of its 365 days left, at a dollar a day
    assert after.billing_cycle_anchor == START
    assert (shown.current_period_start, shown.current_period_end) == (START, YEAR_END)
    assert amounts(world, subscription) == [-1290, 32_000]
    world.sandbox.advance(to=YEAR_END + 2 * HOUR)
    assert amounts(world, subscription) == [36_500]


def test_a_year_becomes_a_month_in_the_middle(world: BillingWorld) -> None:
    monthly, yearly = world.price(3000), world.price(36_500, "year")
    subscription = world.subscribe(world.customer(), yearly)
    world.sandbox.advance(to=START + 65 * DAY)
    after = change(world, subscription, item(subscription, price=monthly))
    shown = after["items"].data[0]

    # 300 days come back; of the third month, which has 30 days, 26 are left
    assert (shown.current_period_start, shown.current_period_end) == (START + 61 * DAY, START + 91 * DAY)
    assert amounts(world, subscription) == [-30_000, 2600]
    assert world.v1.customers.retrieve(str(subscription.customer)).balance == -27_400


def test_yearly_seats_are_added_beside_monthly_ones(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    world.at(HALF)
    after = change(world, subscription, {"price": world.price(36_500, "year"), "quantity": 2})
    ends = [row.current_period_end for row in after["items"].data]
    first = amounts(world, subscription)
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert ends == [MONTH_END, YEAR_END]
    assert first == [70_000]
    assert amounts(world, subscription) == [3000]


def test_intervals_that_do_not_fit_are_refused(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    weekly = world.price(900, "week")

    assert refusal(lambda: change(world, subscription, {"price": weekly})).param == "items"


def test_time_that_was_billed_in_two_debits_is_credited_in_two_lines(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    world.at(HALF)
    change(world, subscription, billing_cycle_anchor={"type": "now"}, proration_behavior="create_prorations")
    added = world.pending_amounts(owner(subscription))
    change(world, subscription, item(subscription, quantity=2))

    # a month of 31 days from the half of the first: 15 were paid before, 16 wait to be invoiced
    assert added == [1548]
    assert amounts(world, subscription) == [-1500, -1548, 6000]


def test_a_credit_is_a_part_of_what_was_debited_not_of_the_price(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(1000))
    world.at(START + 10 * DAY)
    change(world, subscription, item(subscription, quantity=2), proration_date=START + 10 * DAY)
    first = amounts(world, subscription)
    world.at(START + 20 * DAY)
    change(world, subscription, item(subscription, quantity=3))

    # 13.33 were debited for twenty days, of which ten are left: 6.665, and a tie goes down
    assert first == [-667, 1333]
    assert amounts(world, subscription) == [-667, 1000]


def test_a_change_without_prorations_is_not_credited_later(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    change(world, subscription, item(subscription, quantity=5), proration_behavior="none")
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=2))

    assert amounts(world, subscription) == [-1500, 3000]


def test_a_new_price_without_a_quantity_is_one_and_without_an_id_is_another_item(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    change(world, subscription, item(subscription, quantity=5))
    after = change(world, subscription, item(subscription, price=world.price(4000)))
    more = change(world, subscription, {"price": world.price(500)})

    assert [row.quantity for row in after["items"].data] == [1]
    assert [row.quantity for row in more["items"].data] == [1, 1]


def test_a_charge_added_to_a_change_is_on_its_invoice(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    fee = world.price(2000, interval=None)
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=2), add_invoice_items=[{"price": fee}])

    assert amounts(world, subscription) == [-1500, 3000, 2000]


def test_a_charge_added_without_a_change_waits_for_the_renewal(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    fee = world.price(2000, interval=None)
    change(world, subscription, add_invoice_items=[{"price": fee, "quantity": 2}])
    waiting = world.pending_amounts(owner(subscription))
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)

    assert waiting == [4000]
    assert amounts(world, subscription) == [3000, 4000]


def test_a_restart_takes_up_what_waits(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=2), proration_behavior="create_prorations")
    change(world, subscription, item(subscription, quantity=3), billing_cycle_anchor={"type": "now"})

    assert amounts(world, subscription) == [-3000, 9000, -1500, 3000]
    assert world.pending_amounts(owner(subscription)) == []


def test_a_restart_without_prorations_credits_nothing(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    world.at(HALF)
    wanted = item(subscription, quantity=2)
    change(world, subscription, wanted, billing_cycle_anchor={"type": "now"}, proration_behavior="none")

    assert amounts(world, subscription) == [6000]


def test_prorations_are_taxed_line_by_line(world: BillingWorld) -> None:
    customer = world.customer(address=GERMANY)
    subscription = world.subscribe(customer, world.price(3000), automatic_tax={"enabled": True})
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=3))
    invoice = world.latest_invoice(subscription)

    assert [[tax.amount for tax in line.taxes or []] for line in invoice.lines.data] == [[-285], [855]]
    assert (invoice.total_excluding_tax, invoice.total) == (3000, 3570)


def test_a_credit_gives_back_the_tax_that_was_charged_wherever_the_customer_is_now(
    world: BillingWorld,
) -> None:
    customer = world.customer(address=GERMANY)
    subscription = world.subscribe(customer, world.price(3000), automatic_tax={"enabled": True})
    world.v1.customers.update(customer.id, {"address": {**GERMANY, "city": "Wien", "country": "AT"}})
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=3))
    invoice = world.latest_invoice(subscription)

    # 19 % of 15.00 come back, and 20 % of 45.00 are charged
    assert [[tax.amount for tax in line.taxes or []] for line in invoice.lines.data] == [[-285], [900]]
    assert invoice.total == 3000 + 615


def test_a_discounted_period_is_credited_at_its_discounted_price(world: BillingWorld) -> None:
    coupon = world.v1.coupons.create({"percent_off": 20, "duration": "once"})
    subscription = world.subscribe(world.customer(), world.price(3000), discounts=[{"coupon": coupon.id}])
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=2))

    assert amounts(world, subscription) == [-1200, 3000]


def test_an_amount_off_the_whole_is_shared_by_the_items(world: BillingWorld) -> None:
    coupon = world.v1.coupons.create({"amount_off": 800, "currency": "usd", "duration": "forever"})
    subscription = world.subscribe(
        world.customer(), world.price(3000), world.price(1000), discounts=[{"coupon": coupon.id}]
    )
    first = world.latest_invoice(subscription).total
    world.at(HALF)
    change(world, subscription, item(subscription, quantity=2))

    # of the 8.00, 6.00 were taken off the first item; beside two of it, 6.85 are
    assert first == 3200
    assert amounts(world, subscription) == [-1200, 2657]


def test_discounts_of_an_item_are_replaced_or_cleared(world: BillingWorld) -> None:
    ten, half = (
        world.v1.coupons.create({"percent_off": percent, "duration": "forever"}) for percent in (10, 50)
    )
    subscription = world.subscribe(world.customer(), world.price(3000))
    first = change(world, subscription, item(subscription, discounts=[{"coupon": ten.id}]))
    kept = change(world, subscription, item(subscription, metadata={"role": "seat"}))
    replaced = change(world, subscription, item(subscription, discounts=[{"coupon": half.id}]))
    world.sandbox.advance(to=MONTH_END + 2 * HOUR)
    renewed = world.latest_invoice(subscription).total
    cleared = change(world, subscription, item(subscription, discounts=""))

    counts = [len(each["items"].data[0].discounts) for each in (first, kept, replaced, cleared)]
    assert counts == [1, 1, 1, 0]
    assert kept["items"].data[0].discounts == first["items"].data[0].discounts
    assert renewed == 1500


def test_an_error_if_incomplete_changes_nothing(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    card = world.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": str(subscription.customer)}
    )
    settings = {"invoice_settings": {"default_payment_method": card.id}}
    world.v1.customers.update(str(subscription.customer), settings)
    wanted = item(subscription, quantity=3)
    error = refusal(lambda: change(world, subscription, wanted, payment_behavior="error_if_incomplete"))
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert (error.http_status, error.code) == (402, "card_declined")
    assert (after.status, after["items"].data[0].quantity) == ("active", 1)
    assert len(world.v1.invoices.list({"subscription": subscription.id}).data) == 1


def test_a_default_incomplete_change_waits_for_its_customer_but_counts_at_once(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    wanted = item(subscription, quantity=3)
    after = change(world, subscription, wanted, payment_behavior="default_incomplete")
    invoice = world.latest_invoice(subscription)
    world.v1.invoices.pay(invoice.id)

    assert (after.status, after["items"].data[0].quantity, invoice.status) == ("past_due", 3, "open")
    assert world.v1.subscriptions.retrieve(subscription.id).status == "active"


def test_an_end_with_the_period_moves_with_it(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    after = change(world, subscription, item(subscription, price=world.price(30_000, "year")))

    assert after.cancel_at == YEAR_END


def test_a_moment_outside_the_period_is_refused(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(3000))
    wanted = item(subscription, quantity=2)

    assert refusal(lambda: change(world, subscription, wanted, proration_date=START - 1)).http_status == 400
    assert (
        refusal(lambda: change(world, subscription, wanted, proration_date=MONTH_END + 1)).http_status == 400
    )
