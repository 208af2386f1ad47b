"""The door to Stripe: what goes wrong is told apart, and no call is made inside a transaction."""

import pytest
import requests
import stripe as sdk
from sqlalchemy import text

from portal.db import unit_of_work
from portal.errors import NotFoundError, UnavailableError
from portal.gateways.stripe import NETWORK_RETRIES, TIMEOUT_SECONDS, StripeGateway, connect_stripe
from portal.gateways.stripe_errors import (
    SignatureError,
    StripeMisconfiguredError,
    StripeRefusedError,
    StripeUnknownError,
    StripeUnreachableError,
    translate,
)
from portal.gateways.stripe_webhooks import WebhookDoor
from tests import factories
from tests.shop import Shop

EVENT = (
    '{"id": "evt_1", "object": "event", "type": "invoice.paid", "api_version": "v", "created": 1,'
    ' "livemode": false, "data": {"object": {"id": "in_1"}}}'
)


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_an_open_transaction_forbids_every_call(connection: object, shop: Shop) -> None:
    with unit_of_work() as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(RuntimeError, match="while a database transaction is open"):
            shop.gateway.find_promotion_code("X")

    assert shop.faults.calls == []


def test_after_the_transaction_the_call_is_made(connection: object, shop: Shop) -> None:
    with unit_of_work() as session:
        session.execute(text("SELECT 1"))

    assert shop.gateway.find_promotion_code("X") is None


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refuse", StripeRefusedError),
        ("timeout_after", StripeUnknownError),
        ("reset", StripeUnknownError),
        ("error_after", StripeUnknownError),
        ("rate_limit", StripeUnknownError),
        ("refused", StripeUnreachableError),
    ],
)
def test_a_failure_says_whether_something_may_have_been_done(
    shop: Shop, kind: str, error: type[Exception]
) -> None:
    shop.faults.fail(kind, "/v1/customers", times=1 + NETWORK_RETRIES)

    with pytest.raises(error):
        shop.gateway.create_customer({}, key="A-1:create_customer")
    assert set(shop.faults.keys("/v1/customers")) == {"A-1:create_customer"}


def test_nobody_there_is_an_unknown_result_too(shop: Shop) -> None:
    assert issubclass(StripeUnreachableError, StripeUnknownError)
    assert issubclass(StripeUnknownError, UnavailableError)


def test_the_same_key_for_something_else_is_never_taken_for_a_refusal(shop: Shop) -> None:
    shop.gateway.create_customer({"workspace": "1"}, key="same")

    with pytest.raises(StripeUnknownError):
        shop.gateway.create_customer({"workspace": "2"}, key="same")


def test_a_wrong_key_is_for_the_vendor_to_mend() -> None:
    shop = Shop()
    gateway = StripeGateway("sk_live_wrong", base_address="http://sandbox.test", http_client=shop.faults)

    with pytest.raises(StripeMisconfiguredError, match="Authentication"):
        gateway.find_promotion_code("X")


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (requests.exceptions.ConnectTimeout(), StripeUnreachableError),
        (requests.exceptions.ReadTimeout(), StripeUnknownError),
        (requests.exceptions.ConnectionError("NewConnectionError(…)"), StripeUnreachableError),
        (requests.exceptions.ConnectionError("Connection reset by peer"), StripeUnknownError),
    ],
)
def test_only_a_connection_that_never_came_about_counts_as_unreachable(
    cause: Exception, expected: type[Exception]
) -> None:
    error = sdk.APIConnectionError("network")
    error.__cause__ = cause

    assert type(translate(error)) is expected


def test_nothing_of_a_client_secret_is_shown_to_people(shop: Shop) -> None:
    with pytest.raises(NotFoundError) as refused:
        shop.gateway.payment_intent("pi_nope")

    assert refused.value.message == "Stripe does not know this any more."


@pytest.mark.parametrize("crooked", ["?limit=1", "#", "%3F"])
def test_an_id_is_an_id_whatever_it_is_spelled_with(shop: Shop, crooked: str) -> None:
    with pytest.raises(NotFoundError):
        shop.gateway.invoice(crooked)


def test_a_real_nobody_answers_within_the_patience_of_a_page() -> None:
    gateway = connect_stripe(factories.settings())

    with pytest.raises(StripeUnreachableError):
        gateway.find_promotion_code("X")
    assert TIMEOUT_SECONDS * (1 + NETWORK_RETRIES) < 60


def test_a_second_cancel_is_answered_with_the_ended_subscription(shop: Shop) -> None:
    account = shop.client.v1
    account.products.create({"id": "p", "name": "P"})
    price = account.prices.create(
        {"product": "p", "currency": "usd", "unit_amount": 100, "recurring": {"interval": "month"}}
    )
    customer = account.customers.create()
    made = account.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": price.id, "quantity": 1}],
            "payment_behavior": "default_incomplete",
        }
    )
    first = shop.gateway.cancel_subscription(made.id, key="A-1:cancel")
    second = shop.gateway.cancel_subscription(made.id, key="A-2:cancel")

    assert first.status == second.status == "incomplete_expired"


def door(*secrets: str) -> WebhookDoor:
    return WebhookDoor(secrets, livemode=False, api_version="v", account_id="acct_ours")


def test_without_a_secret_nothing_is_accepted() -> None:
    header = sdk.WebhookSignature.generate_signature_header(EVENT, "")
    with pytest.raises(SignatureError):
        door("").read(EVENT.encode(), header)


def test_a_signed_event_is_read() -> None:
    header = sdk.WebhookSignature.generate_signature_header(EVENT, "whsec_1")
    event = door("whsec_0", "whsec_1").read(EVENT.encode(), header)

    assert (event.id, event.type, event.object_id) == ("evt_1", "invoice.paid", "in_1")
    assert door().objection(event) is None


def test_deeply_nested_json_is_refused_and_breaks_nothing() -> None:
    body = "[" * 100_000
    header = sdk.WebhookSignature.generate_signature_header(body, "whsec_1")

    with pytest.raises(SignatureError):
        door("whsec_1").read(body.encode(), header)
