"""What an account needs: made by one command, and named by another when it is missing."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.config import Settings
from portal.gateways import Gateways
from portal.services import catalogs, stripe_setup
from tests.shop import THIN_WEBHOOK_URL, WEBHOOK_URL, Shop


def problems(gateways: Gateways) -> list[str]:
    return [finding.text for finding in stripe_setup.check(gateways) if finding.problem]


def without_endpoint(shop: Shop) -> None:
    for endpoint in shop.client.v1.webhook_endpoints.list().data:
        shop.client.v1.webhook_endpoints.delete(endpoint.id)
    for destination in shop.client.v2.core.event_destinations.list().data:
        shop.client.v2.core.event_destinations.delete(destination.id)


def test_a_fresh_account_misses_prices_and_endpoint(gateways: Gateways, shop: Shop) -> None:
    without_endpoint(shop)
    found = problems(gateways)

    assert "Price 2026-11:seat:advanced:month is not at Stripe; run flask catalog push." in found
    assert f"No webhook endpoint sends to {WEBHOOK_URL}; run flask stripe setup." in found
    assert any(f"sends the errors of meters to {THIN_WEBHOOK_URL}" in line for line in found)


def test_after_push_and_setup_nothing_is_missing(gateways: Gateways, shop: Shop) -> None:
    without_endpoint(shop)
    catalogs.push(gateways)
    done = stripe_setup.setup(gateways)

    assert any("Set STRIPE_WEBHOOK_SECRET=whsec_" in line for line in done)
    assert any("Set STRIPE_THIN_WEBHOOK_SECRET=whsec_" in line for line in done)
    assert problems(gateways) == []


def test_setup_makes_the_meters_of_all_catalogues(gateways: Gateways, shop: Shop) -> None:
    done = stripe_setup.setup(gateways)

    assert sorted(done) == [
        "Meter bulk_email made.",
        "Meter phone_minute made.",
        "Meter proactive_message made.",
        "Meter resolution made.",
        "Meter sms made.",
        "Meter whatsapp made.",
    ]


def test_setting_up_twice_changes_nothing(gateways: Gateways, shop: Shop) -> None:
    stripe_setup.setup(gateways)
    endpoints = len(shop.client.v1.webhook_endpoints.list().data)
    done = stripe_setup.setup(gateways)

    assert done == ["Everything was there already."]
    assert len(shop.client.v1.webhook_endpoints.list().data) == endpoints


def test_an_endpoint_that_sends_too_little_is_named_and_mended(gateways: Gateways, shop: Shop) -> None:
    catalogs.push(gateways)
    [endpoint] = shop.client.v1.webhook_endpoints.list().data
    shop.client.v1.webhook_endpoints.update(endpoint.id, {"enabled_events": ["invoice.paid"]})
    before = problems(gateways)
    stripe_setup.setup(gateways)

    assert len(before) == 1
    assert "customer.subscription.created" in before[0]
    assert problems(gateways) == []


def test_a_destination_for_meter_errors_that_is_disabled_is_named_and_mended(
    gateways: Gateways, shop: Shop
) -> None:
    catalogs.push(gateways)
    [destination] = shop.client.v2.core.event_destinations.list().data
    shop.client.v2.core.event_destinations.disable(destination.id)
    before = problems(gateways)
    stripe_setup.setup(gateways)

    assert before == [
        f"Event destination {destination.id} is disabled or sends too little; run flask stripe setup."
    ]
    assert problems(gateways) == []


def test_a_domain_for_wallets_is_registered_outside_this_machine(
    gateways: Gateways, shop: Shop, settings: Settings
) -> None:
    catalogs.push(gateways)
    public = replace(gateways, settings=replace(settings, base_url="https://billing.example.com"))
    before = problems(public)
    done = stripe_setup.setup(public)

    assert any("billing.example.com is not registered" in text for text in before)
    assert "Domain billing.example.com registered for Link, Apple Pay and Google Pay." in done
    assert problems(public) == []


def test_a_wrong_key_is_a_finding_and_not_a_crash(gateways: Gateways, shop: Shop) -> None:
    shop.faults.fail("refused", "*", method="*", times=1000)

    assert all("could not be asked" in text for text in problems(gateways))


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["catalog", "push"], 0, "29 prices made, 0 there already."),
        (["stripe", "check"], 1, "is not at Stripe; run flask catalog push."),
        (["stripe", "setup"], 0, "Meter resolution made."),
        (["inbox", "list"], 0, ""),
        (["inbox", "replay", "evt_nope"], 2, "There is no event evt_nope in the inbox."),
        (["incidents", "list"], 0, ""),
        (["incidents", "resolve", "7"], 0, "There is no open incident 7."),
        (["catalog", "promotion", "X"], 2, "Give --percent-off or --amount-off"),
        (["catalog", "promotion", "TEN", "--amount-off", "1000"], 2, "Run flask catalog push first"),
    ],
)
def test_commands_say_what_they_did(app: Flask, command: list[str], status: int, said: str) -> None:
    done = app.test_cli_runner().invoke(args=command)

    assert said in done.output
    assert done.exit_code == status
