"""A customer keeps the prices it has, until it chooses to move; what was agreed shows where it belongs."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal

import pytest
from flask import Flask
from sqlalchemy import select

from portal import pricing
from portal.db import unit_of_work
from portal.errors import ConflictError
from portal.gateways import Gateways
from portal.models import AuditEntry
from portal.services import changes, demo, invoices, negotiated_discounts
from tests.factories import Account
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.shop import TWELVE_BY_THE_MONTH, Shop


def of_may_2023(selling: Gateways, shop: Shop, run_jobs: Callable[[], list[str]]) -> Changer:
    """Eight seats of the catalogue of May 2023, at 74 dollars a month."""
    made = shop.step("demo", lambda: demo.seed(selling, "2023-05", password_hash="-"))
    account = Account(made.workspace_id, None, made.email)  # type: ignore[arg-type]
    shop.advance(days=10)
    changer = Changer(Customer(selling, shop, account, run_jobs))
    changer.customer.settle()
    return changer


@pytest.fixture
def old(selling: Gateways, shop: Shop, run_jobs) -> Changer:  # type: ignore[no-untyped-def]
    """One of May 2023."""
    return of_may_2023(selling, shop, run_jobs)


@pytest.fixture
def changer(customer: Customer) -> Changer:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=10)
    return Changer(customer)


def test_seats_of_an_old_catalogue_are_added_at_their_own_price(old: Changer) -> None:
    quote_id = old.change(seats=10)
    quote = old.quote(quote_id)

    assert {line["unit_amount"] for line in quote.lines} == {"7400"}
    assert quote.terms["recurring"]["now"]["amount"] == 74_000
    assert old.at_stripe() == {"2023-05:seat:pro:month": 10}
    assert old.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_what_the_own_catalogue_does_not_sell_is_not_sold_at_list_prices(old: Changer) -> None:
    with pytest.raises(pricing.PricingError):
        old.prepare(add_ons={"copilot": 2})
    with pytest.raises(pricing.PricingError):
        old.prepare(tier="advanced")


def test_moving_to_the_current_catalogue_is_a_quote_of_its_own_and_brings_usage_prices_with_the_next_month(
    old: Changer,
) -> None:
    quote_id = old.change(tier="advanced", catalog="2026-11")
    quote = old.quote(quote_id)
    row = old.customer.subscription()
    old.customer.shop.advance(
        seconds=int((row.usage_period_end - old.customer.gateways.clock.now()).total_seconds())
    )
    old.customer.settle()
    then = old.customer.subscription()

    assert (quote.terms["catalog_before"], quote.terms["catalog"]) == ("2023-05", "2026-11")
    assert quote.terms["recurring"]["before"]["amount"] == 59_200
    assert quote.terms["recurring"]["now"]["amount"] == 79_200
    assert (row.catalog, row.tier, row.seats) == ("2026-11", "advanced", 8)
    assert {item["lookup_key"] for item in then.items if item["metered"]} == {
        f"2026-11:{key}:month" for key in ("resolution", "sms", "whatsapp", "phone_minute", "bulk_email")
    }
    assert old.proof(quote_id) == [("before_payment", True), ("final", True)]


def test_a_move_can_be_taken_back_on_the_same_day_and_not_on_the_next(old: Changer) -> None:
    clock = old.customer.gateways.clock
    # so that an hour later is the same day
    old.customer.shop.advance(seconds=86_400 - int(clock.now().timestamp()) % 86_400 + 60)
    old.change(tier="advanced", catalog="2026-11")
    old.customer.shop.advance(hours=1)
    back = old.change(tier="pro", catalog="2023-05")
    there = old.customer.subscription().catalog
    old.change(tier="advanced", catalog="2026-11")
    old.customer.shop.advance(hours=24)
    with pytest.raises(changes.CatalogNotOfferedError):
        old.prepare(tier="pro", catalog="2023-05")

    assert there == "2023-05"
    assert old.quote(back).total < 0
    assert old.proof(back) == [("before_payment", True), ("final", True)]


def agree(changer: Changer, line: str, **terms: object):  # type: ignore[no-untyped-def]
    gateways, workspace_id, _ = changer.place
    return negotiated_discounts.agree(gateways, workspace_id, line, **terms)  # type: ignore[arg-type]


def test_an_agreed_discount_is_on_its_line_in_the_quote_and_on_the_invoice(changer: Changer) -> None:
    made = agree(changer, "seat", percent_off=Decimal("12.5"))
    quote_id = changer.change(seats=20)
    quote = changer.quote(quote_id)
    changer.customer.shop.advance(days=22)
    changer.customer.settle()
    with unit_of_work(changer.customer.workspace_id) as session:
        [renewal, *_] = invoices.listing(session)
        actors = list(session.scalars(select(AuditEntry.actor).where(AuditEntry.action == "discount.agreed")))

    assert made.state == "on"
    assert quote.terms["recurring"]["before"]["amount"] == 146_200 - 14_850
    assert "line_percent" in [reason["rule"] for reason in quote.lines[1]["trace"]]
    assert changer.proof(quote_id) == [("before_payment", True), ("final", True)]
    assert [(line["key"], line["discount"]) for line in renewal.lines if line["discount"]] == [
        ("seat", 24_750)
    ]
    assert actors == ["support"]


def test_an_agreed_amount_ends_on_its_day(changer: Changer) -> None:
    renews_at = changer.held().renews_at
    second = date(renews_at.year + renews_at.month // 12, renews_at.month % 12 + 1, 28)
    made = agree(changer, "copilot", amount_off=1_000, until=second)
    with pytest.raises(ConflictError):
        agree(changer, "copilot", amount_off=1_000, until=renews_at.date())

    assert made.ends_at > renews_at
    assert made.ends_at <= renews_at + timedelta(days=62)
    with pytest.raises(ConflictError):
        agree(changer, "other", amount_off=1_000)


def test_a_second_agreement_takes_the_place_of_the_first_and_survives_a_planned_change(
    changer: Changer,
) -> None:
    agree(changer, "seat", percent_off=Decimal(10))
    changer.change(seats=8)
    second = agree(changer, "seat", percent_off=Decimal(20))
    changer.customer.shop.advance(days=22)
    changer.customer.settle()
    gateways, workspace_id, _ = changer.place
    with unit_of_work(workspace_id) as session:
        states = {row.id: row.state for row in negotiated_discounts.listing(session)}
    ended = negotiated_discounts.end(gateways, workspace_id, second.id)

    assert states[second.id] == "on"
    assert sorted(states.values()) == ["ended", "on"]
    assert changer.customer.shop.charges()[0].amount == 8 * 7_920 + 17_500 + 9_900
    assert ended.state == "ended"
    assert changer.customer.subscription().discounts == []


def test_the_commands_of_support_and_of_demonstrations(app: Flask, changer: Changer) -> None:
    runner = app.test_cli_runner()
    place = str(changer.customer.workspace_id)
    made = runner.invoke(args=["support", "discount", "set", place, "seat", "--percent-off", "10"])
    listed = runner.invoke(args=["support", "discount", "list", place])
    ended = runner.invoke(args=["support", "discount", "end", place, made.output.split()[0]])
    wrong = runner.invoke(args=["support", "discount", "set", place, "seat"])
    seeded = runner.invoke(args=["demo", "seed", "--catalog", "2023-11"])

    assert made.exit_code == 0, made.output
    assert "on       seat  10 % off" in listed.output
    assert "ended" in ended.output
    assert wrong.exit_code == 2
    assert "pays for 8 essential seats of 2023-11." in seeded.output, seeded.output
