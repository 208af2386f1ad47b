"""What time and a bad card do to invoices: retries, endings, notices, failed debits, forgiven invoices."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START, BillingWorld
from tests.sandbox.recorded import refusal

DAY, HOUR = 86_400, 3600
MONTH = 30 * DAY
CHARGED_AT = START + MONTH + HOUR + 1


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def use_card(world: BillingWorld, customer: stripe.Customer, card: str) -> None:
    method = world.v1.payment_methods.attach(card, {"customer": customer.id})
    settings = {"invoice_settings": {"default_payment_method": method.id}}
    world.v1.customers.update(customer.id, settings)


def behind(
    world: BillingWorld, last_step: str, card: str = "pm_card_chargeCustomerFail"
) -> tuple[stripe.Customer, stripe.Subscription]:
    """A subscription to $99.00 a month whose renewal is going to fail, and what is to follow."""
    world.app.test_client().post("/_sandbox/dunning", json={"last_step": last_step})
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900))
    use_card(world, customer, card)
    return customer, subscription


def fresh(world: BillingWorld, subscription: stripe.Subscription) -> stripe.Subscription:
    return world.v1.subscriptions.retrieve(subscription.id)


def invoices_of(world: BillingWorld, subscription: stripe.Subscription) -> list[tuple[str | None, int]]:
    found = world.v1.invoices.list({"subscription": subscription.id}).data
    return [(invoice.status, invoice.total) for invoice in found]


def test_an_unpaid_subscription_goes_on_with_drafts_and_comes_back_when_the_latest_is_paid(
    world: BillingWorld,
) -> None:
    customer, subscription = behind(world, "unpaid")
    world.sandbox.advance(to=START + MONTH + 16 * DAY)
    unpaid = fresh(world, subscription).status
    world.sandbox.advance(seconds=31 * DAY)
    waiting = invoices_of(world, subscription)
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(seconds=2 * DAY)
    still = fresh(world, subscription).status
    world.v1.invoices.pay(str(fresh(world, subscription).latest_invoice))

    assert unpaid == "unpaid"
    assert waiting == [("draft", 9900), ("open", 9900), ("paid", 9900)]
    assert still == "unpaid"
    assert fresh(world, subscription).status == "active"


def test_a_change_of_an_unpaid_subscription_waits_as_a_draft(world: BillingWorld) -> None:
    _, subscription = behind(world, "unpaid")
    world.sandbox.advance(to=START + MONTH + 16 * DAY)
    item = {"id": subscription["items"].data[0].id, "quantity": 3}
    after = world.v1.subscriptions.update(
        subscription.id, {"items": [item], "proration_behavior": "always_invoice"}
    )

    assert after.status == "unpaid"
    assert world.latest_invoice(subscription).status == "draft"


def test_left_past_due_the_next_renewal_is_charged_again(world: BillingWorld) -> None:
    customer, subscription = behind(world, "past_due")
    world.sandbox.advance(to=START + MONTH + 16 * DAY)
    before = fresh(world, subscription).status
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(to=START + MONTH + 31 * DAY + 2 * HOUR)

    assert before == "past_due"
    assert fresh(world, subscription).status == "active"
    assert invoices_of(world, subscription) == [("paid", 9900), ("open", 9900), ("paid", 9900)]


def test_a_cancelled_subscription_leaves_its_invoice_open_and_uncollected(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel")
    world.sandbox.advance(to=START + MONTH + 16 * DAY)
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(seconds=40 * DAY)
    invoice = world.latest_invoice(subscription)

    assert fresh(world, subscription).status == "canceled"
    assert (invoice.status, invoice.auto_advance, invoice.next_payment_attempt) == ("open", False, None)
    assert "customer.subscription.deleted" in world.event_types()


def test_a_new_card_is_used_by_the_next_retry(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel")
    world.sandbox.advance(to=CHARGED_AT + DAY)
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(to=CHARGED_AT + 3 * DAY)
    invoice = world.latest_invoice(subscription)

    assert (invoice.status, invoice.attempt_count) == ("paid", 2)
    assert fresh(world, subscription).status == "active"


def test_a_card_that_was_refused_for_good_is_not_charged_again(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel", "pm_card_visa")
    world.app.test_client().post("/_sandbox/next-payment", json={"outcome": "lost_card"})
    world.sandbox.advance(to=CHARGED_AT + 3 * DAY)
    invoice = world.latest_invoice(subscription)
    charges = world.v1.charges.list({"customer": customer.id}).data

    assert (invoice.status, invoice.attempt_count) == ("open", 2)
    assert [charge.status for charge in charges] == ["failed", "succeeded"]
    assert world.event_types().count("invoice.payment_failed") == 2


def test_an_update_that_is_not_paid_is_tried_again(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel")
    world.at(START + 15 * DAY)
    item = {"id": subscription["items"].data[0].id, "quantity": 3}
    after = world.v1.subscriptions.update(
        subscription.id, {"items": [item], "proration_behavior": "always_invoice"}
    )
    failed = world.latest_invoice(subscription)
    use_card(world, customer, "pm_card_visa")
    world.sandbox.advance(to=START + 18 * DAY)

    assert (after.status, after["items"].data[0].quantity) == ("past_due", 3)
    assert (failed.status, failed.next_payment_attempt) == ("open", START + 18 * DAY)
    assert world.latest_invoice(subscription).status == "paid"
    assert fresh(world, subscription).status == "active"


def test_an_invoice_that_is_given_up_makes_the_subscription_active(world: BillingWorld) -> None:
    _, subscription = behind(world, "past_due")
    world.sandbox.advance(to=CHARGED_AT + HOUR)
    before = fresh(world, subscription).status
    given_up = world.v1.invoices.mark_uncollectible(str(fresh(world, subscription).latest_invoice))

    assert before == "past_due"
    assert given_up.amount_due == 9900
    assert fresh(world, subscription).status == "active"


def test_a_renewal_is_announced_seven_days_ahead(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    world.sandbox.advance(to=START + 23 * DAY - 1)
    before = world.event_types()
    world.sandbox.advance(seconds=1)
    world.sandbox.advance(seconds=DAY)
    news = list(world.v1.events.list({"type": "invoice.upcoming"}).data)

    assert "invoice.upcoming" not in before
    assert [event.created for event in news] == [START + 23 * DAY]
    shown = news[0].data.object
    assert shown["id"].startswith("upcoming_in_")
    assert (shown["total"], shown["billing_reason"]) == (9900, "upcoming")
    assert shown["parent"]["subscription_details"]["subscription"] == subscription.id


def test_no_renewal_is_announced_where_there_will_be_none(world: BillingWorld) -> None:
    subscription = world.subscribe(world.customer(), world.price(9900))
    world.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    world.sandbox.advance(seconds=MONTH + DAY)

    assert "invoice.upcoming" not in world.event_types()


def test_an_invoice_that_was_sent_is_overdue_after_its_date(world: BillingWorld) -> None:
    sends: Any = {"collection_method": "send_invoice", "days_until_due": 10}
    subscription = world.subscribe(world.customer(None), world.price(9900), **sends)
    world.sandbox.advance(to=START + 10 * DAY)
    before = fresh(world, subscription).status
    types = world.event_types()
    world.v1.invoices.pay(str(fresh(world, subscription).latest_invoice), {"paid_out_of_band": True})

    assert (before, types.count("invoice.overdue")) == ("past_due", 1)
    assert fresh(world, subscription).status == "active"


def test_an_invoice_paid_in_time_is_never_overdue(world: BillingWorld) -> None:
    sends: Any = {"collection_method": "send_invoice", "days_until_due": 10}
    subscription = world.subscribe(world.customer(None), world.price(9900), **sends)
    world.sandbox.advance(to=START + 2 * HOUR)
    world.v1.invoices.pay(str(fresh(world, subscription).latest_invoice), {"paid_out_of_band": True})
    world.sandbox.advance(to=START + 11 * DAY)

    assert "invoice.overdue" not in world.event_types()


def test_a_debit_that_comes_back_after_a_change_makes_the_subscription_past_due(world: BillingWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900))
    use_card(world, customer, "pm_usBankAccount_insufficientFunds")
    world.at(START + 5 * DAY)
    item = {"id": subscription["items"].data[0].id, "quantity": 3}
    after = world.v1.subscriptions.update(
        subscription.id, {"items": [item], "proration_behavior": "always_invoice"}
    )
    invoice = world.latest_invoice(subscription)
    world.sandbox.advance(to=START + 10 * DAY)
    failed = world.latest_invoice(subscription)

    assert (after.status, invoice.status) == ("active", "open")
    assert fresh(world, subscription).status == "past_due"
    assert (failed.status, "invoice.payment_failed" in world.event_types()) == ("open", True)


def test_the_quantity_can_go_back_and_the_invoice_be_voided(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel")
    world.at(START + 15 * DAY)
    item = {"id": subscription["items"].data[0].id, "quantity": 3}
    world.v1.subscriptions.update(subscription.id, {"items": [item], "proration_behavior": "always_invoice"})
    world.v1.subscriptions.update(
        subscription.id, {"items": [{**item, "quantity": 1}], "proration_behavior": "none"}
    )
    world.v1.invoices.void_invoice(str(fresh(world, subscription).latest_invoice))
    use_card(world, customer, "pm_card_visa")
    world.v1.subscriptions.update(
        subscription.id, {"items": [{**item, "quantity": 2}], "proration_behavior": "always_invoice"}
    )
    invoice = world.latest_invoice(subscription)

    # the month that was really paid is credited, not the two seats that nobody paid
    assert [line.amount for line in invoice.lines.data] == [-4950, 9900]


def disputed(world: BillingWorld) -> tuple[stripe.Invoice, stripe.Dispute]:
    """A paid invoice whose charge was disputed on demand."""
    invoice = world.latest_invoice(world.subscribe(world.customer(), world.price(9900)))
    answer = world.app.test_client().post("/_sandbox/disputes", json={"invoice": invoice.id})
    assert answer.json is not None
    return invoice, world.v1.disputes.retrieve(answer.json["id"])


def test_a_dispute_opened_on_demand_takes_the_money_and_leaves_the_invoice_paid(world: BillingWorld) -> None:
    invoice, dispute = disputed(world)
    refused = refusal(lambda: world.v1.refunds.create({"charge": str(dispute.charge)}))

    assert (dispute.status, dispute.amount) == ("needs_response", 9900)
    assert world.v1.invoices.retrieve(invoice.id).status == "paid"
    assert world.v1.charges.retrieve(str(dispute.charge)).disputed is True
    assert [(row.amount, row.fee) for row in dispute.balance_transactions] == [(-9900, 1500)]
    assert refused.code == "charge_disputed"
    assert {"charge.dispute.created", "charge.dispute.funds_withdrawn"} <= set(world.event_types())


@pytest.mark.parametrize(("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost")])
def test_evidence_decides_a_dispute(world: BillingWorld, text: str, status: str) -> None:
    _, dispute = disputed(world)
    decided = world.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})

    assert decided.status == status
    assert ("charge.dispute.funds_reinstated" in world.event_types()) is (status == "won")
    assert "charge.dispute.closed" in world.event_types()
    assert refusal(lambda: world.v1.disputes.close(dispute.id)).http_status == 400


def test_evidence_can_be_kept_before_it_is_submitted(world: BillingWorld) -> None:
    _, dispute = disputed(world)
    evidence = {"product_description": "Seats"}
    kept = world.v1.disputes.update(dispute.id, {"evidence": evidence, "submit": False})
    submitted = world.v1.disputes.update(dispute.id, {"evidence": evidence})

    assert (kept.status, kept.evidence_details.has_evidence) == ("needs_response", True)
    assert (submitted.status, submitted.evidence_details.submission_count) == ("under_review", 1)


def test_the_control_page_shows_open_disputes_and_the_chosen_ending(world: BillingWorld) -> None:
    _, dispute = disputed(world)
    control = world.app.test_client()
    form = {"back": "/_sandbox/", "last_step": "unpaid"}
    chosen = control.post("/_sandbox/dunning", data=form)
    page = control.get("/_sandbox/").text
    closed = control.post(
        "/_sandbox/disputes", data={"back": "/_sandbox/", "dispute": dispute.id, "outcome": "lost"}
    )

    assert (chosen.status_code, closed.status_code) == (303, 303)
    assert dispute.id in page
    assert "<option selected>unpaid</option>" in page
    assert world.v1.disputes.retrieve(dispute.id).status == "lost"


def test_a_dispute_can_be_accepted_or_decided_on_the_control_page(world: BillingWorld) -> None:
    _, first = disputed(world)
    _, second = disputed(world)
    accepted = world.v1.disputes.close(first.id)
    control = world.app.test_client()
    won = control.post("/_sandbox/disputes", json={"dispute": second.id, "outcome": "won"})

    assert accepted.status == "lost"
    assert won.json is not None
    assert won.json["status"] == "won"
    assert (
        control.post("/_sandbox/disputes", json={"dispute": second.id, "outcome": "won"}).status_code == 400
    )
    assert control.post("/_sandbox/disputes", json={"charge": "ch_nope"}).status_code == 400


def test_what_is_tried_between_the_retries_does_not_bring_the_end_nearer(world: BillingWorld) -> None:
    customer, subscription = behind(world, "cancel")
    world.sandbox.advance(to=CHARGED_AT + DAY)
    before = world.latest_invoice(subscription)
    card = world.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    for _click in range(5):
        refusal(lambda: world.v1.invoices.pay(str(before.id), {"payment_method": card.id}))
    after = world.latest_invoice(subscription)

    assert (after.attempt_count, after.next_payment_attempt, after.auto_advance) == (
        1,
        before.next_payment_attempt,
        True,
    )
    assert fresh(world, subscription).status == "past_due"
