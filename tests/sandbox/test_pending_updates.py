"""Changes that wait for their payment: nothing changes before the invoice is paid."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

MONTH_END = START + 30 * 86_400
HALF = START + 15 * 86_400
DECLINES = "pm_card_chargeCustomerFail"


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def seats(
    world: BillingWorld, quantity: int = 4, **params: object
) -> tuple[stripe.Customer, stripe.Subscription]:
    """A customer who pays $30.00 a month for each seat, since the start."""
    customer = world.customer()
    item = {"price": world.price(3000), "quantity": quantity}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item], **params})
    return customer, subscription


def use_card(world: BillingWorld, customer: stripe.Customer, card: str) -> None:
    """Make another card the customer's default."""
    method = world.v1.payment_methods.attach(card, {"customer": customer.id})
    settings = {"invoice_settings": {"default_payment_method": method.id}}
    world.v1.customers.update(customer.id, settings)


def ask(
    world: BillingWorld, subscription: stripe.Subscription, quantity: int, **params: object
) -> stripe.Subscription:
    """Ask for so many seats, only when paid."""
    item = {"id": subscription["items"].data[0].id, "quantity": quantity}
    wanted = {
        "items": [item],
        "payment_behavior": "pending_if_incomplete",
        "proration_behavior": "always_invoice",
        **params,
    }
    return world.v1.subscriptions.update(subscription.id, wanted)


def quantity_of(world: BillingWorld, subscription: stripe.Subscription) -> int | None:
    return world.v1.subscriptions.retrieve(subscription.id)["items"].data[0].quantity


def test_a_paid_change_happens_at_once_and_is_never_pending(world: BillingWorld) -> None:
    _, subscription = seats(world)
    world.at(HALF)
    after = ask(world, subscription, 6)
    invoice = world.latest_invoice(subscription)

    assert after.pending_update is None
    assert after["items"].data[0].quantity == 6
    assert [line.amount for line in invoice.lines.data] == [-6000, 9000]
    assert (invoice.status, invoice.amount_paid) == ("paid", 3000)
    assert "customer.subscription.pending_update_applied" not in world.event_types()


def test_a_declined_change_waits_and_leaves_the_subscription_as_it_was(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    after = ask(world, subscription, 6)

    assert (after.status, after["items"].data[0].quantity) == ("active", 4)
    assert after.pending_update is not None
    assert after.pending_update.expires_at == HALF + 23 * 3600
    assert [item.quantity for item in after.pending_update.subscription_items or []] == [6]
    assert world.latest_invoice(subscription).status == "open"
    assert world.latest_invoice(subscription).next_payment_attempt is None
    assert "invoice.payment_failed" in world.event_types()


def test_the_news_name_what_changed_and_when(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    ask(world, subscription, 5)
    use_card(world, customer, DECLINES)
    waiting = ask(world, subscription, 7)
    use_card(world, customer, "pm_card_visa")
    world.v1.invoices.pay(str(waiting.latest_invoice))
    news = world.v1.events.list({"type": "customer.subscription.updated"}).data
    changed = [set(event.to_dict()["data"]["previous_attributes"]) for event in reversed(news)]

    assert changed[-3:] == [
        {"items", "latest_invoice"},
        {"latest_invoice", "pending_update"},
        {"items", "pending_update"},
    ]


def test_paying_the_invoice_makes_the_change(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    waiting = ask(world, subscription, 6)
    card = world.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    world.at(HALF + 3600)
    world.v1.invoices.pay(str(waiting.latest_invoice), {"payment_method": card.id})
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert after.pending_update is None
    assert after["items"].data[0].quantity == 6
    assert after["items"].data[0].current_period_end == MONTH_END
    assert world.event_types()[-1] == "customer.subscription.pending_update_applied"


def test_three_d_secure_can_be_passed_with_the_invoices_secret(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, "pm_card_authenticationRequired")
    waiting = ask(world, subscription, 5, expand=["latest_invoice.confirmation_secret"])
    assert waiting.pending_update is not None
    assert isinstance(waiting.latest_invoice, stripe.Invoice)
    assert waiting.latest_invoice.confirmation_secret is not None
    secret = waiting.latest_invoice.confirmation_secret.client_secret
    world.app.test_client().post(
        f"/redirect/challenge/{secret.split('_secret_')[0]}/decide",
        data={"client_secret": secret, "outcome": "pass"},
    )

    assert quantity_of(world, subscription) == 5


@pytest.mark.parametrize("way", ["void", "wait", "cancel at the end instead"])
def test_a_change_that_nobody_pays_is_forgotten(world: BillingWorld, way: str) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    waiting = ask(world, subscription, 6)
    if way == "void":
        world.v1.invoices.void_invoice(str(waiting.latest_invoice))
    elif way == "wait":
        world.sandbox.advance(to=HALF + 23 * 3600)
    else:
        world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert (after.status, after.pending_update, after["items"].data[0].quantity) == ("active", None, 4)
    assert world.v1.invoices.retrieve(str(waiting.latest_invoice)).status == "void"
    assert "customer.subscription.pending_update_expired" in world.event_types()


def test_it_expires_with_the_period_where_that_ends_sooner(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(MONTH_END - 3600)
    waiting = ask(world, subscription, 100)
    assert waiting.pending_update is not None
    expires_at = waiting.pending_update.expires_at
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(to=MONTH_END + 7200)
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert expires_at == MONTH_END
    assert (after.pending_update, after["items"].data[0].quantity) == (None, 4)
    assert world.latest_invoice(subscription).total == 12000


def test_a_new_wish_takes_the_place_of_the_one_before(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    first = ask(world, subscription, 6)
    second = ask(world, subscription, 5)
    assert second.pending_update is not None

    assert world.v1.invoices.retrieve(str(first.latest_invoice)).status == "void"
    assert [item.quantity for item in second.pending_update.subscription_items or []] == [5]
    assert world.latest_invoice(subscription).total == 1500


def test_an_item_can_be_added_and_another_removed_when_paid(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    seat = subscription["items"].data[0].id
    use_card(world, customer, DECLINES)
    world.at(HALF)
    items = [{"id": seat, "deleted": True}, {"price": world.price(9000), "quantity": 2}]
    waiting = ask(world, subscription, 0, items=items)
    assert waiting.pending_update is not None
    before = [item.quantity for item in waiting["items"].data]
    use_card(world, customer, "pm_card_visa")
    world.v1.invoices.pay(str(waiting.latest_invoice))
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert before == [4]
    assert [(item.quantity, item.price.unit_amount) for item in after["items"].data] == [(2, 9000)]
    assert world.latest_invoice(subscription).total == 3000


def test_a_new_interval_and_a_new_anchor_wait_as_well(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    seat = subscription["items"].data[0].id
    use_card(world, customer, DECLINES)
    world.at(HALF)
    items = [{"id": seat, "price": world.price(30_000, "year"), "quantity": 4}]
    waiting = ask(world, subscription, 0, items=items, billing_cycle_anchor={"type": "now"})
    assert waiting.pending_update is not None
    use_card(world, customer, "pm_card_visa")
    world.at(HALF + 3600)
    world.v1.invoices.pay(str(waiting.latest_invoice))
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert (waiting.billing_cycle_anchor, waiting.pending_update.billing_cycle_anchor) == (START, HALF)
    assert after.billing_cycle_anchor == HALF
    assert after["items"].data[0].current_period_end == HALF + 365 * 86_400
    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [-6000, 120_000]


def test_time_paid_for_by_a_pending_update_is_credited_later(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    waiting = ask(world, subscription, 6)
    use_card(world, customer, "pm_card_visa")
    world.v1.invoices.pay(str(waiting.latest_invoice))
    world.at(START + 24 * 86_400)
    ask(world, subscription, 2)
    credit, debit = world.latest_invoice(subscription).lines.data
    parent = credit.parent
    assert parent is not None
    assert parent.subscription_item_details is not None
    details = parent.subscription_item_details.proration_details
    assert details is not None
    assert details.credited_items is not None

    # 90.00 were debited for fifteen days, of which six are left
    assert (credit.amount, debit.amount) == (-3600, 1200)
    assert details.credited_items.invoice == waiting.latest_invoice


def test_metadata_and_discounts_wait_with_the_change(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    coupon = world.v1.coupons.create({"percent_off": 10, "duration": "forever"})
    use_card(world, customer, DECLINES)
    world.at(HALF)
    extra = {"metadata": {"attempt": "A-1"}, "discounts": [{"coupon": coupon.id}]}
    waiting = ask(world, subscription, 6, **extra)
    assert waiting.pending_update is not None
    before = (waiting.metadata.to_dict(), waiting.discounts)
    use_card(world, customer, "pm_card_visa")
    world.v1.invoices.pay(str(waiting.latest_invoice))
    after = world.v1.subscriptions.retrieve(subscription.id)

    assert before == ({}, [])
    assert after.metadata.to_dict() == {"attempt": "A-1"}
    assert len(after.discounts) == 1
    assert waiting.pending_update.metadata is not None


def test_other_changes_do_not_disturb_what_waits(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    ask(world, subscription, 6)
    after = world.v1.subscriptions.update(subscription.id, {"metadata": {"note": "kept"}})

    assert after.pending_update is not None
    assert after.metadata.to_dict() == {"note": "kept"}


def test_cancelling_the_subscription_ends_what_waits(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    waiting = ask(world, subscription, 6)
    after = world.v1.subscriptions.cancel(subscription.id)

    assert (after.status, after.pending_update) == ("canceled", None)
    assert world.v1.invoices.retrieve(str(waiting.latest_invoice)).status == "void"


def test_the_failed_invoice_takes_back_what_it_credited(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    world.at(HALF)
    waiting = ask(world, subscription, 6)
    world.v1.invoices.void_invoice(str(waiting.latest_invoice))
    use_card(world, customer, "pm_card_visa")
    ask(world, subscription, 5)

    assert [line.amount for line in world.latest_invoice(subscription).lines.data] == [-6000, 7500]


def test_a_subscription_item_can_be_changed_in_the_same_way(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, DECLINES)
    item = world.v1.subscription_items.update(
        subscription["items"].data[0].id,
        {
            "quantity": 6,
            "payment_behavior": "pending_if_incomplete",
            "proration_behavior": "always_invoice",
        },
    )

    assert item.quantity == 4
    assert world.v1.subscriptions.retrieve(subscription.id).pending_update is not None


def test_only_what_pending_updates_support_can_be_passed(world: BillingWorld) -> None:
    _, subscription = seats(world)
    error = refusal(lambda: ask(world, subscription, 6, description="Seats"))

    assert (error.http_status, error.param) == (400, "description")
    assert quantity_of(world, subscription) == 4


def test_invoices_that_are_sent_cannot_wait(world: BillingWorld) -> None:
    _, subscription = seats(world, collection_method="send_invoice", days_until_due=30)

    assert refusal(lambda: ask(world, subscription, 6)).param == "payment_behavior"


def test_a_bank_debit_cannot_wait(world: BillingWorld) -> None:
    customer, subscription = seats(world)
    use_card(world, customer, "pm_usBankAccount_success")

    assert "us_bank_account" in str(refusal(lambda: ask(world, subscription, 6)))
    assert quantity_of(world, subscription) == 4
