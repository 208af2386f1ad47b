"""What Stripe's meters answer at once, upon which the reporter builds."""

import time
from typing import Any

import pytest
import stripe as sdk

from portal.services.ids import new_id
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH

DAY = 86_400


def send(customer: Customer, **params: Any) -> sdk.billing.MeterEvent:
    """One resolution of the newest customer, or of whoever ``params`` name."""
    if "payload" not in params:
        customer.prepare(TWELVE_BY_THE_MONTH)  # makes the customer at Stripe
        buyer = customer.shop.client.v1.customers.list({"limit": 1}).data[0]
        params["payload"] = {"stripe_customer_id": buyer.id, "value": "1"}
    return customer.shop.client.v1.billing.meter_events.create({"event_name": "resolution", **params})  # type: ignore[typeddict-item]


def test_a_known_identifier_is_refused_in_words_and_without_a_code(customer: Customer) -> None:
    identifier = new_id("M")
    payload = dict(send(customer, identifier=identifier).payload.to_dict())
    with pytest.raises(sdk.InvalidRequestError) as caught:
        send(customer, identifier=identifier, payload=payload)

    assert (caught.value.http_status, caught.value.code) == (400, None)
    assert f"An event already exists with identifier {identifier}" in str(caught.value.user_message)


@pytest.mark.parametrize("seconds", [-36 * DAY, 3600])
def test_a_time_out_of_reach_is_refused(customer: Customer, seconds: int) -> None:
    with pytest.raises(sdk.InvalidRequestError) as caught:
        send(customer, timestamp=int(time.time()) + seconds)

    assert caught.value.http_status == 400


def test_an_event_name_without_a_meter_is_refused(customer: Customer) -> None:
    with pytest.raises(sdk.InvalidRequestError) as caught:
        send(customer, event_name="no_such_meter")

    assert "No active meter found for event name" in str(caught.value.user_message)


def test_an_unknown_customer_is_accepted_and_told_later(customer: Customer) -> None:
    payload = {"stripe_customer_id": "cus_nobody", "value": "1"}

    assert send(customer, payload=payload).object == "billing.meter_event"


def test_an_event_can_be_cancelled(customer: Customer) -> None:
    identifier = new_id("M")
    send(customer, identifier=identifier)
    adjustment = customer.shop.client.v1.billing.meter_event_adjustments.create(
        {"event_name": "resolution", "type": "cancel", "cancel": {"identifier": identifier}}
    )

    assert adjustment.status in ("pending", "complete")
