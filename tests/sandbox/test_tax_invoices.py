"""Taxes on invoices: where the customer sits, what it shows, and how cents are rounded line by line."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import BillingWorld
from tests.sandbox.recorded import refusal

GERMAN: Any = {"country": "DE", "city": "Berlin", "line1": "Unter den Linden 1", "postal_code": "10117"}
NEW_YORK: Any = {"country": "US", "state": "NY", "postal_code": "10001"}
TAXED: Any = {"automatic_tax": {"enabled": True}, "payment_behavior": "default_incomplete"}


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


def first_invoice(world: BillingWorld, customer: stripe.Customer, *prices: str) -> stripe.Invoice:
    return world.latest_invoice(world.subscribe(customer, *prices, **TAXED))


def taxes(invoice: stripe.Invoice) -> list[tuple[int, str, int | None]]:
    return [(row.amount, str(row.taxability_reason), row.taxable_amount) for row in invoice.total_taxes or []]


def test_each_line_is_taxed_alone_and_the_sums_add_up(world: BillingWorld) -> None:
    customer = world.customer(None, address=NEW_YORK)
    invoice = first_invoice(world, customer, world.price(9999), world.price(3333), world.price(1))
    by_line = [row.amount for line in invoice.lines.data for row in line.taxes or []]

    # 8.875 %: 887.41, 295.80 and 0.09
    assert by_line == [887, 296, 0]
    assert taxes(invoice) == [(1183, "standard_rated", 13_333)]
    assert (invoice.subtotal, invoice.total_excluding_tax, invoice.total) == (13_333, 13_333, 14_516)
    assert (invoice.automatic_tax.status, invoice.automatic_tax.provider) == ("complete", "stripe")


def test_the_rate_behind_a_tax_can_be_read(world: BillingWorld) -> None:
    invoice = first_invoice(world, world.customer(None, address=GERMAN), world.price(10_000))
    rate = world.v1.tax_rates.retrieve(invoice.total_taxes[0].tax_rate_details.tax_rate)

    assert (rate.display_name, rate.percentage, rate.country, rate.tax_type) == ("VAT", 19, "DE", "vat")
    assert world.v1.tax_rates.list().data == []


def test_two_taxes_of_one_place_are_two_rows(world: BillingWorld) -> None:
    customer = world.customer(None, address={"country": "CA", "state": "QC"})
    invoice = first_invoice(world, customer, world.price(10_000))

    assert taxes(invoice) == [(500, "standard_rated", 10_000), (998, "standard_rated", 10_000)]
    assert invoice.total == 11_498


def test_a_business_elsewhere_in_the_eu_is_not_charged_vat(world: BillingWorld) -> None:
    tax_ids = [{"type": "eu_vat", "value": "DE123456788"}]
    customer = world.customer(None, address=GERMAN, tax_id_data=tax_ids)
    invoice = first_invoice(world, customer, world.price(10_000))

    assert taxes(invoice) == [(0, "reverse_charge", 0)]
    assert invoice.total == 10_000
    assert [(row.type, row.value) for row in invoice.customer_tax_ids or []] == [("eu_vat", "DE123456788")]


@pytest.mark.parametrize(("exempt", "reason"), [("exempt", "customer_exempt"), ("reverse", "reverse_charge")])
def test_a_customer_can_be_exempt(world: BillingWorld, exempt: str, reason: str) -> None:
    customer = world.customer(None, address=GERMAN, tax_exempt=exempt)
    invoice = first_invoice(world, customer, world.price(10_000))

    assert taxes(invoice) == [(0, reason, 0)]
    assert invoice.customer_tax_exempt == exempt


def test_an_inclusive_price_already_holds_its_tax(world: BillingWorld) -> None:
    price = world.price(11_900, tax_behavior="inclusive")
    invoice = first_invoice(world, world.customer(None, address=GERMAN), price)

    assert invoice.total_taxes[0].tax_behavior == "inclusive"
    assert taxes(invoice) == [(1900, "standard_rated", 11_900)]
    assert (invoice.total_excluding_tax, invoice.total) == (10_000, 11_900)


def test_the_shipping_address_comes_first(world: BillingWorld) -> None:
    shipping = {"name": "Depot", "address": {"country": "FR"}}
    customer = world.customer(None, address=GERMAN, shipping=shipping)

    assert first_invoice(world, customer, world.price(10_000)).total == 12_000


def test_without_a_place_nothing_is_sold(world: BillingWorld) -> None:
    customer, price = world.customer(None), world.price(10_000)
    error = refusal(lambda: world.subscribe(customer, price, **TAXED))

    assert (error.http_status, error.code) == (400, "customer_tax_location_invalid")
    assert world.v1.subscriptions.list({"customer": customer.id, "status": "all"}).data == []


def test_a_draft_without_a_place_says_what_it_needs(world: BillingWorld) -> None:
    customer = world.customer(None)
    world.v1.invoice_items.create({"customer": customer.id, "amount": 1000, "currency": "usd"})
    draft = world.v1.invoices.create(
        {
            "customer": customer.id,
            "automatic_tax": {"enabled": True},
            "pending_invoice_items_behavior": "include",
        }
    )
    assert draft.automatic_tax.status == "requires_location_inputs"
    error = refusal(lambda: world.v1.invoices.finalize_invoice(draft.id))
    assert error.code == "customer_tax_location_invalid"

    world.v1.customers.update(customer.id, {"address": GERMAN})
    final = world.v1.invoices.finalize_invoice(draft.id)
    assert (final.status, final.total, final.number) == ("open", 1190, f"{customer.invoice_prefix}-0001")


def test_a_tax_rate_of_ones_own_is_charged_where_automatic_tax_is_off(world: BillingWorld) -> None:
    rate = world.v1.tax_rates.create({"display_name": "Sales tax", "percentage": 8.875, "inclusive": False})
    subscription = world.subscribe(world.customer(), world.price(10_000), default_tax_rates=[rate.id])
    invoice = world.latest_invoice(subscription)

    assert taxes(invoice) == [(888, "not_available", 10_000)]
    assert invoice.total == 10_888
