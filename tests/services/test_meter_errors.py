"""What Stripe accepted and could not use: told by thin events, marked, shown, and sent again by command."""

import json

import pytest
import stripe
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import InboxEvent, MeterError
from portal.services import meter_errors, polling
from portal.services.polling import PATIENCE
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.metering import Metered

THIN = "/webhooks/stripe/thin"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def fail(acme: Metered, count: int) -> None:
    """Units that reach Stripe under a customer that it does not know; the report arrives."""
    acme.use(count)
    acme.change(stripe_customer_id="cus_gone")
    acme.report()
    acme.advance(seconds=15)


def reports(acme: Metered) -> list[MeterError]:
    with unit_of_work() as session:
        return list(session.scalars(select(MeterError)))


def test_a_report_marks_its_rows_and_tells_support_once(acme: Metered) -> None:
    fail(acme, 2)
    [report] = reports(acme)

    assert (report.code, report.event_name) == ("meter_event_customer_not_found", "resolution")
    assert (report.errors, report.marked) == (2, 2)
    assert [(row.state, row.error) for row in acme.outbox()] == [
        ("failed", "meter_event_customer_not_found: Customer with ID cus_gone not found.")
    ] * 2
    assert acme.customer.incidents() == ["meter_errors"]


def test_a_report_that_comes_twice_changes_nothing(acme: Metered) -> None:
    fail(acme, 1)
    with unit_of_work() as session:
        [event] = session.scalars(select(InboxEvent).where(InboxEvent.type.like("%meter%")))
    meter_errors.take_in(acme.gateways, event.id)

    assert (event.state, event.outcome) == ("done", "1 events could not be used, 1 marked")
    assert len(reports(acme)) == 1
    assert acme.customer.incidents() == ["meter_errors"]


def test_once_the_cause_is_mended_it_is_sent_again_and_counts_once(acme: Metered, app: Flask) -> None:
    fail(acme, 2)
    listed = app.test_cli_runner().invoke(args=["usage", "errors"])
    done = app.test_cli_runner().invoke(args=["usage", "resend"])
    again = app.test_cli_runner().invoke(args=["usage", "resend"])
    acme.report()

    assert "2 of 2 marked" in listed.output
    assert f"workspace {acme.workspace_id}  resolution  2 failed" in listed.output
    assert (done.output, again.output) == (
        "2 rows wait to be sent again.\n",
        "0 rows wait to be sent again.\n",
    )
    assert acme.outbox_states().count("sent") == 2
    assert acme.counted() == 2


def test_only_what_is_asked_for_is_sent_again(acme: Metered) -> None:
    fail(acme, 1)

    assert meter_errors.resend(acme.gateways, code="no_meter") == 0
    assert meter_errors.resend(acme.gateways, workspace_id=acme.workspace_id + 1) == 0
    assert meter_errors.resend(acme.gateways, workspace_id=acme.workspace_id) == 1


def test_what_a_report_does_not_name_is_found_by_the_meters_sum(acme: Metered) -> None:
    fail(acme, 8)
    named = acme.outbox_states().count("failed")
    early = meter_errors.examine(acme.gateways)
    acme.customer.shop.advance(hours=2)
    found = meter_errors.examine(acme.gateways)
    [report] = reports(acme)

    assert (named, early, found) == (5, 0, 3)
    assert (acme.outbox_states(), report.marked) == (["failed"] * 8, 8)
    assert meter_errors.examine(acme.gateways) == 0


def test_after_the_month_closed_it_is_sent_again_in_the_open_one(acme: Metered) -> None:
    fail(acme, 1)
    acme.advance(days=33)
    meter_errors.resend(acme.gateways)
    acme.report()
    [first, second] = acme.periods()[:2]
    sums = {first.starts_at: 0, second.starts_at: 0}
    for entry in acme.entries():
        sums[entry.period_start] += entry.quantity

    assert acme.counted() == 1
    assert list(sums.values()) == [0, 1]


def test_a_report_whose_delivery_got_lost_is_found_by_asking(acme: Metered) -> None:
    polling.poll(acme.gateways)
    acme.customer.shop.post_thin = lambda _body, _headers: 200
    fail(acme, 1)
    kept = polling.poll(acme.gateways, patience=PATIENCE * 0)

    assert (kept, reports(acme)) == (1, [])


def test_only_what_stripe_signed_with_its_own_secret_comes_in(
    acme: Metered, client: Browser, app: Flask
) -> None:
    body = json.dumps(
        {
            "id": "evt_1",
            "object": "v2.core.event",
            "type": "v1.billing.meter.no_meter_found",
            "created": "2026-11-26T04:00:00.000Z",
            "livemode": False,
        }
    )

    def post(path: str, secret: str) -> int:
        header = stripe.WebhookSignature.generate_signature_header(body, secret)
        return client.post(path, data=body, headers={"Stripe-Signature": header}).status_code

    shop = acme.customer.shop
    [thin] = shop.gateway.thin_webhooks._secrets

    assert post(THIN, shop.webhook_secret) == 400
    assert post(THIN, "whsec_forged") == 400
    assert post("/webhooks/stripe", shop.webhook_secret) == 400
    assert post(THIN, thin) == 200
