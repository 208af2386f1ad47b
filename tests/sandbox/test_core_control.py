"""The control page and its JSON: time, payments, faults, browsing, reset."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from flask import Flask
from flask.testing import FlaskClient

from portal.sandbox.calendar_steps import after
from portal.sandbox.state import Sandbox
from tests.sandbox.recorded import refusal


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def metered(client: stripe.StripeClient) -> tuple[stripe.billing.Meter, stripe.Customer]:
    """A meter that has counted two events of a customer."""
    meter = client.v1.billing.meters.create(
        {"display_name": "SMS", "event_name": "sms", "default_aggregation": {"formula": "sum"}}
    )
    customer = client.v1.customers.create({})
    for value in ("3", "1.5"):
        payload = {"stripe_customer_id": customer.id, "value": value}
        client.v1.billing.meter_events.create({"event_name": "sms", "payload": payload, "identifier": value})
    return meter, customer


def unix(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_the_clock_moves_by_seconds_and_to_a_moment(browser: FlaskClient) -> None:
    before = browser.get("/_sandbox/clock").json
    moved = browser.post("/_sandbox/clock", json={"advance": 3600}).json
    there = browser.post("/_sandbox/clock", json={"to": before["now"] + 7200}).json

    assert before["offset"] == 0
    assert 3600 <= moved["offset"] <= 3601
    assert there["now"] - before["now"] == 7200


@pytest.mark.parametrize(
    ("start", "step", "end"),
    [
        ("2027-01-31T10:00", "month", "2027-02-28T10:00"),
        ("2028-02-29T10:00", "year", "2029-02-28T10:00"),
        ("2027-12-15T10:00", "month", "2028-01-15T10:00"),
        ("2027-12-31T23:00", "week", "2028-01-07T23:00"),
        ("2027-12-31T23:00", "day", "2028-01-01T23:00"),
    ],
)
def test_steps_keep_the_time_of_day(start: str, step: str, end: str) -> None:
    assert after(unix(start), step) == unix(end)


@pytest.mark.parametrize(
    "wrong",
    [
        {"advance": -1},
        {"advance": "soon"},
        {"to": 5},
        {"step": "decade"},
        {},
        {"advance": 10**12},
        {"date": "x"},
    ],
)
def test_a_time_that_makes_no_sense_is_refused(browser: FlaskClient, wrong: dict[str, Any]) -> None:
    answer = browser.post("/_sandbox/clock", json=wrong)

    assert answer.status_code == 400
    assert answer.json["error"]["message"]
    assert browser.get("/_sandbox/clock").json["offset"] == 0


def test_a_body_that_is_no_json_is_refused(browser: FlaskClient) -> None:
    assert browser.post("/_sandbox/clock", data="{").status_code == 400


def test_a_form_is_sent_back_to_the_page(browser: FlaskClient) -> None:
    answer = browser.post("/_sandbox/clock", data={"step": "day", "back": "/_sandbox/"})
    astray = browser.post("/_sandbox/clock", data={"step": "day", "back": "https://elsewhere.test/x"})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/_sandbox/")
    assert astray.headers["Location"] == "/_sandbox/"


def test_another_site_cannot_press_the_buttons(browser: FlaskClient) -> None:
    answer = browser.post("/_sandbox/reset", headers={"Origin": "https://evil.test"})

    assert answer.status_code == 403


def test_the_outcome_of_the_next_payment_can_be_chosen(browser: FlaskClient) -> None:
    chosen = browser.post("/_sandbox/next-payment", json={"outcome": "insufficient_funds"}).json
    wrong = browser.post("/_sandbox/next-payment", json={"outcome": "explodes"})
    cleared = browser.post("/_sandbox/next-payment", json={"outcome": None}).json

    assert chosen["outcome"] == "insufficient_funds"
    assert wrong.status_code == 400
    assert cleared["outcome"] is None


def test_faults_can_be_ordered_and_run_out(browser: FlaskClient, client: stripe.StripeClient) -> None:
    browser.post("/_sandbox/faults", json={"status": 500, "count": 2})
    statuses = [refusal(client.v1.customers.list).http_status for _ in range(2)]

    assert statuses == [500, 500]
    assert client.v1.customers.list().data == []
    assert browser.get("/_sandbox/faults").json["count"] == 0


@pytest.mark.parametrize("wrong", [{"status": 418}, {"status": 500, "moment": "later"}, {"latency_ms": -1}])
def test_a_fault_that_there_is_not_is_refused(browser: FlaskClient, wrong: dict[str, Any]) -> None:
    assert browser.post("/_sandbox/faults", json=wrong).status_code == 400


def test_a_reset_empties_everything_and_leaves_a_working_account(
    browser: FlaskClient, client: stripe.StripeClient
) -> None:
    client.v1.customers.create({"name": "Ada"}, {"idempotency_key": "k"})
    browser.post("/_sandbox/clock", json={"advance": 3600})
    browser.post("/_sandbox/faults", json={"latency_ms": 1})
    browser.post("/_sandbox/reset")
    again = client.v1.customers.create({"name": "Grace"}, {"idempotency_key": "k"})

    assert [row.id for row in client.v1.customers.list().data] == [again.id]
    assert browser.get("/_sandbox/clock").json["offset"] == 0
    assert browser.get("/_sandbox/faults").json["latency_ms"] == 0
    assert client.v1.tax.registrations.list().data


def test_objects_and_events_can_be_read(browser: FlaskClient, client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"name": "Ada"})

    assert browser.get("/_sandbox/objects").json["customer"] == 1
    assert [row["id"] for row in browser.get("/_sandbox/objects/customer").json] == [customer.id]
    assert browser.get(f"/_sandbox/objects/customer/{customer.id}").json["name"] == "Ada"
    assert browser.get("/_sandbox/objects/customer/cus_nope").status_code == 404
    assert browser.get("/_sandbox/events").json[0]["type"] == "customer.created"


def test_the_pages_show_objects_events_and_escape_what_they_show(
    browser: FlaskClient, client: stripe.StripeClient
) -> None:
    product = client.v1.products.create({"name": "<script>alert(1)</script>"})
    price = client.v1.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    event = client.v1.events.list().data[0]
    pages = {
        path: browser.get(path)
        for path in (
            "/_sandbox/",
            "/_sandbox/browse/product",
            f"/_sandbox/browse/price/{price.id}",
            f"/_sandbox/browse/event/{event.id}",
            "/_sandbox/endpoints",
        )
    }

    assert {page.status_code for page in pages.values()} == {200}
    assert all("<script" not in page.text for page in pages.values())
    assert f'href="/_sandbox/browse/product/{product.id}"' in pages[f"/_sandbox/browse/price/{price.id}"].text
    assert "price.created" in pages["/_sandbox/"].text
    assert "POST /v1/customers" in pages["/_sandbox/endpoints"].text
    assert browser.get("/_sandbox/browse/product/prod_nope").status_code == 404


def test_the_log_address_of_an_error_leads_to_the_page(
    browser: FlaskClient, client: stripe.StripeClient
) -> None:
    error = refusal(lambda: client.v1.prices.retrieve("price_nope"))
    address = error.json_body["error"]["request_log_url"]

    assert browser.get(address.removeprefix("http://sandbox.test")).status_code == 200


@pytest.mark.parametrize(
    ("path", "sent", "said"),
    [
        ("next-payment", "[]", "The body must be a JSON object, as {} with the fields inside."),
        (
            "next-payment",
            "{}",
            'outcome is missing; {"outcome": null} lets payments end by themselves again.',
        ),
        ("next-payment", "", 'outcome is missing; {"outcome": null} lets payments end by themselves again.'),
        ("next-payment", "null", "The body must be a JSON object, as {} with the fields inside."),
        ("faults", '"500"', "The body must be a JSON object, as {} with the fields inside."),
        ("clock", "[" * 100_000, "The body is not JSON: "),
        ("webhooks", "{delay", "The body is not JSON: "),
    ],
)
def test_a_body_without_what_is_needed_is_refused(
    browser: FlaskClient, path: str, sent: str, said: str
) -> None:
    answer = browser.post(f"/_sandbox/{path}", data=sent, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json["error"]["message"].startswith(said)


def test_a_last_step_of_dunning_that_there_is_not_is_refused(browser: FlaskClient) -> None:
    answer = browser.post("/_sandbox/dunning", json={"last_step": "forgive"})

    assert answer.status_code == 400
    assert answer.json["error"]["message"].startswith("last_step must be one of ")


def test_usage_is_told_by_customer_day_and_event(browser: FlaskClient, client: stripe.StripeClient) -> None:
    meter, customer = metered(client)
    (row,) = browser.get("/_sandbox/usage").json
    one = browser.get(f"/_sandbox/usage/{meter.id}/{customer.id}").json

    assert (row["event_name"], row["customer"], row["value"], row["events"]) == ("sms", customer.id, "4.5", 2)
    assert [(day["value"], day["events"]) for day in one["days"]] == [("4.5", 2)]
    assert [event["identifier"] for event in one["events"]] == ["1.5", "3"]
    assert browser.get("/_sandbox/usage/mtr_nope/cus_nope").status_code == 404


def test_the_control_page_shows_usage_and_thin_events(
    browser: FlaskClient, client: stripe.StripeClient, sandbox: Sandbox
) -> None:
    meter, customer = metered(client)
    client.v1.billing.meter_events.create({"event_name": "sms", "payload": {"value": "1"}})
    sandbox.advance(seconds=20)
    page = browser.get("/_sandbox/").text
    detail = browser.get(f"/_sandbox/browse/usage/{meter.id}/{customer.id}")
    events = browser.get("/_sandbox/browse/billing.meter_event").text
    thin = browser.get("/_sandbox/browse/v2.core.event").text

    assert f"/_sandbox/browse/usage/{meter.id}/{customer.id}" in page
    assert "default-src 'none'" in detail.headers["Content-Security-Policy"]
    assert ">4.5<" in detail.text
    assert "3 in all" in events
    assert "v1.billing.meter.error_report_triggered" in thin
