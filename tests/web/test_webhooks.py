"""The door for Stripe's deliveries keeps to the rules of every page, though it is no page."""

import json
import re
from dataclasses import replace

import pytest
import stripe
import structlog
from flask import Flask
from sqlalchemy import func, select

from portal.app import create_app
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import InboxEvent
from tests.browsing import Browser
from tests.web.test_incoming import JSON_BODIES

DOOR = "/webhooks/stripe"
EVENT = {
    "id": "evt_1",
    "object": "event",
    "type": "product.created",
    "api_version": "2026-10-28.endive",
    "created": 1_790_000_000,
    "livemode": False,
    "data": {"object": {"id": "prod_1"}},
}


def signed(settings: Settings, body: str) -> dict[str, str]:
    [secret] = settings.stripe_webhook_secrets
    return {"Stripe-Signature": stripe.WebhookSignature.generate_signature_header(body, secret)}


def stored() -> int:
    with unit_of_work() as session:
        return session.scalar(select(func.count()).select_from(InboxEvent)) or 0


@pytest.mark.parametrize("genuine", [True, False])
def test_every_answer_carries_the_security_headers_and_an_id(
    client: Browser, settings: Settings, genuine: bool
) -> None:
    body = json.dumps(EVENT)
    answer = client.post(DOOR, data=body, headers=signed(settings, body) if genuine else {})

    assert answer.status_code == (200 if genuine else 400)
    assert stored() == genuine
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
    assert re.fullmatch(r"[\w-]{8,64}", answer.headers["X-Request-Id"])


def test_a_delivery_leaves_one_line_under_the_id_that_it_came_with(
    client: Browser, settings: Settings
) -> None:
    body = json.dumps(EVENT)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        client.post(DOOR, data=body, headers={**signed(settings, body), "X-Request-Id": "req_of_stripe"})
    [line] = lines

    assert (line["event"], line["method"], line["route"], line["status"]) == ("request", "POST", DOOR, 200)
    assert line["request_id"] == "req_of_stripe"


def test_other_methods_and_addresses_are_not_its(client: Browser) -> None:
    wrong = client.get(DOOR)

    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert client.post(DOOR + "/").status_code == 404
    assert client.post(DOOR + "/more").status_code == 404


def test_a_foreign_host_is_refused(client: Browser, settings: Settings) -> None:
    body = json.dumps(EVENT)
    answer = client.post(DOOR, data=body, headers={**signed(settings, body), "Host": "evil.example"})

    assert answer.status_code == 400
    assert stored() == 0


@pytest.mark.parametrize("body", [*JSON_BODIES, "", "\0"])
def test_nothing_that_is_signed_makes_it_fail(client: Browser, settings: Settings, body: str) -> None:
    assert client.post(DOOR, data=body, headers=signed(settings, body)).status_code == 400


def test_what_breaks_is_logged_and_answered_so_that_stripe_sends_it_again(
    client: Browser, settings: Settings, gateways: Gateways
) -> None:
    body = json.dumps(EVENT)
    gateways.stripe.webhooks = None  # type: ignore[assignment]
    with structlog.testing.capture_logs() as lines:
        answer = client.post(DOOR, data=body, headers=signed(settings, body))

    assert answer.status_code == 500
    assert [line["event"] for line in lines] == ["webhook_failed", "request"]


def test_behind_a_proxy_the_address_is_that_of_the_sender(
    app: Flask, settings: Settings, gateways: Gateways
) -> None:
    behind = create_app(replace(settings, proxies=1), gateways)
    with structlog.testing.capture_logs() as lines:
        behind.test_client().post(DOOR, headers={"X-Forwarded-For": "192.0.2.7"})

    assert lines[-1]["ip"] == "192.0.2.7"
