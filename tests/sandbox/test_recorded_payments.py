"""Recorded answers about payments, refunds, setup intents and payment methods, replayed through the SDK."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from portal.sandbox.app import create_sandbox
from portal.sandbox.clock import Clock
from tests.sandbox import response_schema
from tests.sandbox.paying import pay
from tests.sandbox.recorded import assert_refused_as_recorded, covers, expected, given, refusal
from tests.transport import stripe_client


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"email": "a@example.com"})


@pytest.fixture
def visa(client: stripe.StripeClient) -> stripe.PaymentMethod:
    return client.v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})


@pytest.fixture
def at() -> Callable[[int], stripe.StripeClient]:
    """A client of a sandbox whose time stands at a recorded second."""

    def make(second: int) -> stripe.StripeClient:
        application = create_sandbox(clock=Clock(lambda: second))
        application.testing = True
        return stripe_client(
            application, watch=response_schema.EveryAnswer(application.extensions["sandbox"])
        )

    return make


def declined_method(client: stripe.StripeClient) -> str:
    token = {"type": "card", "card": {"token": "tok_visa_chargeDeclined"}}
    return client.v1.payment_methods.create(token).id


@covers("err-card-declined")
def test_a_declined_payment_leaves_the_intent_open_and_a_failed_charge(client: stripe.StripeClient) -> None:
    want = expected("err-card-declined")
    error = refusal(lambda: pay(client, declined_method(client)))
    shown = error.json_body["error"]
    intent = client.v1.payment_intents.retrieve(shown["payment_intent"]["id"])
    charge = client.v1.charges.retrieve(shown["charge"])
    recorded = {key: value for key, value in want["error"].items() if key != "charge"}

    assert error.http_status == want["http_status"]
    assert {key: shown[key] for key in recorded} == recorded
    assert shown["payment_method"]["card"]["last4"] == "0002"
    assert (intent.status, intent.amount_received) == ("requires_payment_method", 0)
    assert intent.payment_method is None
    assert intent.latest_charge == charge.id
    assert charge.status == "failed"
    assert intent.last_payment_error.code == "card_declined"


@covers("err-amount-zero")
def test_an_amount_of_zero_is_refused(client: stripe.StripeClient) -> None:
    params = {"amount": 0, "currency": "usd"}
    assert_refused_as_recorded("err-amount-zero", lambda: client.v1.payment_intents.create(params))


@covers("err-pi-404")
@pytest.mark.parametrize("action", ["retrieve", "confirm"])
def test_an_unknown_payment_intent_is_not_found(client: stripe.StripeClient, action: str) -> None:
    call = getattr(client.v1.payment_intents, action)
    assert_refused_as_recorded("err-pi-404", lambda: call("pi_nope"))


@covers("err-pi-cancel-canceled")
def test_a_cancelled_intent_cannot_be_cancelled_again(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "usd"})
    client.v1.payment_intents.cancel(intent.id)
    assert_refused_as_recorded("err-pi-cancel-canceled", lambda: client.v1.payment_intents.cancel(intent.id))
    embedded = refusal(lambda: client.v1.payment_intents.cancel(intent.id)).error.payment_intent

    assert embedded.id == intent.id


@covers("bal-partial-capture")
def test_a_part_of_what_was_reserved_can_be_captured(client: stripe.StripeClient) -> None:
    asked, want = given("bal-partial-capture"), expected("bal-partial-capture")
    amount, currency = asked["amount"], asked["currency"]
    before = pay(client, "pm_card_visa", amount, currency=currency, capture_method="manual")
    reserved = client.v1.charges.retrieve(str(before.latest_charge))
    after = client.v1.payment_intents.capture(before.id, {"amount_to_capture": asked["amount_to_capture"]})
    charge = client.v1.charges.retrieve(str(after.latest_charge))

    assert {
        "status": before.status,
        "amount_capturable": before.amount_capturable,
        "charge_balance_transaction": reserved.balance_transaction,
    } == want["before"]
    assert {
        "status": after.status,
        "amount": after.amount,
        "amount_received": after.amount_received,
        "amount_capturable": after.amount_capturable,
        "charge_amount_captured": charge.amount_captured,
        "charge_amount_refunded": charge.amount_refunded,
    } == want["after"]


@covers("bal-partial-refund")
def test_a_partial_refund_is_booked_without_a_fee(at: Callable[[int], stripe.StripeClient]) -> None:
    asked, want = given("bal-partial-refund"), expected("bal-partial-refund")
    client = at(want["balance_transaction"]["created"])
    paid = pay(client, "pm_card_visa", 5000, currency=asked["currency"])
    refund = client.v1.refunds.create(
        {"payment_intent": paid.id, "amount": asked["refund_amount"], "expand": ["balance_transaction"]}
    )

    assert {key: refund[key] for key in want["refund"]} == want["refund"]
    assert shown(refund.balance_transaction, want["balance_transaction"]) == want["balance_transaction"]


@covers("bal-fee-950")
def test_a_charges_fee_and_the_day_it_is_available(at: Callable[[int], stripe.StripeClient]) -> None:
    asked = given("bal-fee-950")
    want = expected("bal-fee-950")["balance_transaction"]
    client = at(want["created"])
    paid = pay(client, "pm_card_visa", asked["charge_amount"], currency=asked["currency"])
    charge = client.v1.charges.retrieve(str(paid.latest_charge), {"expand": ["balance_transaction"]})
    booked = shown(charge.balance_transaction, want)
    details = [{key: row[key] for key in want["fee_details"][0]} for row in booked.pop("fee_details")]

    assert booked == {key: value for key, value in want.items() if key != "fee_details"}
    assert details == want["fee_details"]
    assert datetime.fromtimestamp(want["available_on"], UTC).time().isoformat() == "00:00:00"


@covers("life-setup-intent-with-card")
def test_a_setup_intent_with_a_card_waits_to_be_confirmed(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    want = expected("life-setup-intent-with-card")
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    created = client.v1.setup_intents.create({"customer": customer.id, "payment_method": card.id})
    confirmed = client.v1.setup_intents.confirm(created.id)

    assert created.status == want["after_create"]
    assert confirmed.status == want["after_confirm"]
    assert str(confirmed.latest_attempt).startswith(want["latest_attempt_prefix"])


@covers("life-setup-intent-ignores-default-card")
def test_a_setup_intent_does_not_take_the_customers_default_card(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    card = client.v1.payment_methods.attach("pm_card_visa", {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": card.id}})
    created = client.v1.setup_intents.create({"customer": customer.id})
    seen = {"status": created.status, "payment_method": created.payment_method}

    assert seen == expected("life-setup-intent-ignores-default-card")


@covers("err-seti-confirm-succeeded")
def test_a_succeeded_setup_intent_cannot_be_confirmed(client: stripe.StripeClient) -> None:
    done = client.v1.setup_intents.create({"payment_method": "pm_card_visa", "confirm": True})
    assert_refused_as_recorded("err-seti-confirm-succeeded", lambda: client.v1.setup_intents.confirm(done.id))
    embedded = refusal(lambda: client.v1.setup_intents.confirm(done.id)).error.setup_intent

    assert embedded.id == done.id


@covers("err-seti-no-method")
def test_a_setup_intent_without_a_method_cannot_be_confirmed(client: stripe.StripeClient) -> None:
    bare = client.v1.setup_intents.create({})
    assert_refused_as_recorded("err-seti-no-method", lambda: client.v1.setup_intents.confirm(bare.id))


@covers("err-seti-404")
def test_an_unknown_setup_intent_is_not_found(client: stripe.StripeClient) -> None:
    assert_refused_as_recorded(
        "err-seti-404", lambda: client.v1.setup_intents.retrieve("seti_nope000000000000000000")
    )


@covers("err-detach-twice")
def test_a_card_that_is_not_attached_cannot_be_detached(
    client: stripe.StripeClient, visa: stripe.PaymentMethod
) -> None:
    assert_refused_as_recorded("err-detach-twice", lambda: client.v1.payment_methods.detach(visa.id))


@covers("err-deleted-customer-in-param")
@pytest.mark.parametrize("action", ["list", "attach"])
def test_a_deleted_customer_has_no_cards(
    client: stripe.StripeClient, customer: stripe.Customer, visa: stripe.PaymentMethod, action: str
) -> None:
    client.v1.customers.delete(customer.id)
    params: Any = {"customer": customer.id}
    calls = {
        "list": lambda: client.v1.payment_methods.list(params),
        "attach": lambda: client.v1.payment_methods.attach(visa.id, params),
    }
    assert_refused_as_recorded("err-deleted-customer-in-param", calls[action], id=customer.id)


@covers("life-attach-sets-cvc-pass")
def test_attaching_a_card_checks_it_and_may_be_repeated(
    client: stripe.StripeClient, customer: stripe.Customer, visa: stripe.PaymentMethod
) -> None:
    want = expected("life-attach-sets-cvc-pass")
    attached = client.v1.payment_methods.attach(visa.id, {"customer": customer.id})
    again = client.v1.payment_methods.attach(visa.id, {"customer": customer.id})
    detached = client.v1.payment_methods.detach(visa.id)

    assert visa.card.checks.cvc_check == want["cvc_check_before"]
    assert attached.card.checks.cvc_check == want["cvc_check_after_attach"]
    assert again.customer == customer.id
    assert detached.customer == want["customer_after_detach"]


def shown(object: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """The members of an object that were recorded, as plain values."""
    return {key: object.to_dict()[key] for key in wanted}
