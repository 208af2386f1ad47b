"""Recorded lives of subscriptions, their refusals, and tax rates, replayed through the SDK."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import BillingWorld
from tests.sandbox.recorded import assert_refused_as_recorded, covers, expected, given


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def facts(subscription: stripe.Subscription) -> dict[str, Any]:
    """A subscription in the words of the recordings."""
    item = subscription["items"].data[0]
    settings, details = subscription.trial_settings, subscription.cancellation_details
    return {
        **subscription.to_dict(),
        "current_period_start": item.current_period_start,
        "current_period_end": item.current_period_end,
        "quantity": item.quantity,
        "item_quantity": item.quantity,
        "billing_mode_type": subscription.billing_mode.type,
        "items_total_count": subscription["items"].total_count,
        "cancellation_reason": details.reason if details else None,
        "missing_payment_method": settings.end_behavior.missing_payment_method if settings else None,
    }


def assert_recorded(subscription: stripe.Subscription, wanted: dict[str, Any], *left_out: str) -> None:
    shown = facts(subscription)
    fields = {name: value for name, value in wanted.items() if name in shown and name not in left_out}

    assert fields, "nothing was compared"
    assert {name: shown[name] for name in fields} == fields


@covers("life-create-active")
def test_a_subscription_with_a_default_card_is_active_in_the_answer(world: BillingWorld) -> None:
    world.at(given("life-create-active")["created"])
    subscription = world.subscribe(world.customer(), world.price(2000, currency="cad"))
    want = expected("life-create-active")

    assert_recorded(subscription, want)
    assert subscription["items"].url == want["items_url"].replace("<id>", subscription.id)
    assert "current_period_end" not in subscription


@covers("life-undo-cancel-at-period-end")
def test_the_end_of_a_subscription_can_be_planned_and_taken_back(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(2000))
    planned = world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert planned.status == "active"
    assert planned.cancel_at == planned["items"].data[0].current_period_end
    assert (planned.canceled_at, planned.ended_at) == (world.second, None)
    assert planned.cancellation_details.reason == "cancellation_requested"

    kept = world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    assert_recorded(kept, expected("life-undo-cancel-at-period-end"))


@covers("life-add-item", "life-item-quantity", "life-item-delete", "err-sub-items-missing-param")
def test_items_come_and_go_with_the_subscriptions_period(world: BillingWorld) -> None:
    period = given("life-add-item")["subscription_period"]
    world.at(period[0])
    subscription = world.subscribe(world.customer(), world.price(2000, currency="cad"))
    world.at(given("life-add-item")["created"])
    price = world.price(5000, currency="cad")
    added = world.v1.subscription_items.create({"subscription": subscription.id, "price": price})
    want = expected("life-add-item")["item"]
    assert added.id.startswith(want["id_prefix"])
    assert (added.quantity, added.created) == (want["quantity"], want["created"])
    assert [added.current_period_start, added.current_period_end] == period

    changed = world.v1.subscription_items.update(added.id, {"quantity": 3})
    want = expected("life-item-quantity")
    assert (changed.quantity, changed.current_period_start) == (3, want["current_period_start"])
    assert changed.current_period_end == want["current_period_end"]

    listed = world.v1.subscription_items.list({"subscription": subscription.id})
    assert [item.id for item in listed.data] == [subscription["items"].data[0].id, added.id]
    assert "total_count" not in listed

    gone = world.v1.subscription_items.delete(added.id, {"proration_behavior": "none"})
    want = expected("life-item-delete")
    assert sorted(gone.to_dict()) == sorted(want["body_keys_exactly"])
    assert (gone.object, gone.deleted) == (want["object"], want["deleted"])
    assert_refused_as_recorded(
        "err-sub-items-missing-param",
        lambda: world.v1.subscription_items.list({}),  # type: ignore[typeddict-item]
    )


@covers("life-cancel-now", "life-canceled-metadata-ok", "err-sub-cancel-twice", "err-sub-update-canceled")
def test_a_cancelled_subscription_takes_metadata_only(world: BillingWorld) -> None:
    customer = world.customer()
    item = {"price": world.price(2000), "quantity": 5}
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item]})
    world.at(given("life-cancel-now")["at"])
    world.at(max(world.second, subscription.created))
    ended = world.v1.subscriptions.cancel(subscription.id)
    want = {**expected("life-cancel-now"), "canceled_at": world.second, "ended_at": world.second}
    assert_recorded(ended, want, "latest_invoice")
    assert ended.latest_invoice == subscription.latest_invoice

    noted = world.v1.subscriptions.update(subscription.id, {"metadata": {"k": "v"}})
    assert (noted.status, noted.metadata.to_dict()) == ("canceled", {"k": "v"})
    assert_refused_as_recorded(
        "err-sub-cancel-twice", lambda: world.v1.subscriptions.cancel(subscription.id), id=subscription.id
    )
    assert_refused_as_recorded(
        "err-sub-update-canceled",
        lambda: world.v1.subscriptions.update(subscription.id, {"description": "x"}),
    )


@covers("life-trial-end-now")
def test_ending_a_trial_starts_the_paid_period_now(world: BillingWorld) -> None:
    asked, want = given("life-trial-end-now"), expected("life-trial-end-now")
    world.at(asked["trial_start"])
    subscription = world.subscribe(world.customer(), world.price(2000), trial_period_days=7)
    first = subscription.latest_invoice
    assert world.v1.invoices.retrieve(str(first)).total == 0

    world.at(want["billing_cycle_anchor"])
    active = world.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    paid = world.latest_invoice(active)
    assert_recorded(active, want)
    assert active.latest_invoice != first
    assert (paid.status, paid.total) == ("paid", 2000)


@covers("life-3ds-incomplete", "err-sub-error-if-incomplete")
def test_a_card_that_needs_authentication_leaves_the_subscription_incomplete(world: BillingWorld) -> None:
    want = expected("life-3ds-incomplete")
    world.at(given("life-3ds-incomplete")["created"])
    customer = world.customer("pm_card_authenticationRequired")
    price = world.price(2000, currency="cad")
    assert_refused_as_recorded(
        "err-sub-error-if-incomplete",
        lambda: world.subscribe(customer, price, payment_behavior="error_if_incomplete"),
    )
    assert world.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data == []
    assert world.v1.invoices.list({"customer": customer.id}).data == []

    subscription = world.subscribe(customer, price)
    assert_recorded(subscription, want, "latest_invoice")
    assert world.latest_invoice(subscription).status == "open"


@covers("life-trial-without-card", "life-trial-end-pauses")
def test_a_trial_without_a_card_asks_for_one_and_ends_in_a_pause(world: BillingWorld) -> None:
    asked, want = given("life-trial-without-card"), expected("life-trial-without-card")
    world.at(asked["created"])
    settings = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = world.subscribe(
        world.customer(None), world.price(2000), trial_end=asked["trial_end"], trial_settings=settings
    )
    first = subscription.latest_invoice
    assert_recorded(subscription, want, "pending_setup_intent", "latest_invoice")
    assert str(subscription.pending_setup_intent).startswith("seti_")
    assert first is not None

    world.at(1789948582)
    paused = world.v1.subscriptions.update(subscription.id, {"trial_end": "now"})
    assert_recorded(paused, expected("life-trial-end-pauses"))
    assert paused.latest_invoice == first


@covers("err-sub-404")
def test_an_unknown_subscription_is_not_found_on_any_route(world: BillingWorld) -> None:
    subscriptions = world.v1.subscriptions
    for call in (
        lambda: subscriptions.retrieve("sub_nope"),
        lambda: subscriptions.update("sub_nope", {"metadata": {"a": "b"}}),
        lambda: subscriptions.cancel("sub_nope"),
    ):
        assert_refused_as_recorded("err-sub-404", call)


@covers("err-sub-customer-missing-404", "err-sub-missing-items", "err-sub-pending-if-incomplete",
        "err-sub-days-until-due", "err-sub-trial-past")  # fmt: skip
@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("err-sub-customer-missing-404", {"customer": "cus_nope"}),
        ("err-sub-missing-items", {"items": None}),
        ("err-sub-pending-if-incomplete", {"payment_behavior": "pending_if_incomplete"}),
        ("err-sub-days-until-due", {"days_until_due": 5}),
        ("err-sub-trial-past", {"trial_end": 1000}),
    ],
)
def test_what_a_subscription_cannot_be_made_from(
    world: BillingWorld, case: str, changes: dict[str, Any]
) -> None:
    whole = {"customer": world.customer().id, "items": [{"price": world.price(1000)}], **changes}
    params: Any = {name: value for name, value in whole.items() if value is not None}
    assert_refused_as_recorded(case, lambda: world.v1.subscriptions.create(params))


@covers("err-sub-duplicate-price", "err-sub-bad-status-filter")
def test_a_price_stands_on_a_subscription_once(world: BillingWorld) -> None:
    price, customer = world.price(1000), world.customer()
    assert_refused_as_recorded(
        "err-sub-duplicate-price",
        lambda: world.subscribe(customer, price, price),
        price_id=price,
    )
    assert_refused_as_recorded(
        "err-sub-bad-status-filter",
        lambda: world.v1.subscriptions.list({"status": "bogus"}),
    )


@covers("tax-rate-exclusive", "tax-rate-archive-and-filter")
def test_tax_rates_are_kept_and_archived(world: BillingWorld) -> None:
    asked: Any = given("tax-rate-exclusive")
    want = expected("tax-rate-exclusive")
    rate = world.v1.tax_rates.create(asked)
    shown = rate.to_dict()
    assert rate.id.startswith(want["id_prefix"])
    assert {name: shown[name] for name in want if name != "id_prefix"} == {
        name: value for name, value in want.items() if name != "id_prefix"
    }

    world.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": True})
    archived = world.v1.tax_rates.update(rate.id, {"active": False, "description": "archived"})
    listed = world.v1.tax_rates.list({"active": True})
    want = expected("tax-rate-archive-and-filter")
    assert {name: archived[name] for name in want["archived"]} == want["archived"]
    assert [row.display_name for row in listed.data] == want["list_active"]
    assert listed.has_more is want["has_more"]
