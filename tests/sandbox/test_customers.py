"""Customers over the SDK: address and tax, tax ids, balance, what deletion leaves."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from portal.sandbox.state import Sandbox
from portal.sandbox.tax_ids import SECONDS_TO_VERIFY
from tests.sandbox.recorded import refusal

BERLIN = {"country": "DE", "postal_code": "10115", "city": "Berlin", "line1": "Invalidenstraße 1"}


@pytest.fixture
def customer(client: stripe.StripeClient) -> stripe.Customer:
    return client.v1.customers.create({"name": "Ada GmbH", "email": "ada@example.com", "address": BERLIN})


def test_a_customer_shows_what_was_given(customer: stripe.Customer) -> None:
    assert (customer.name, customer.email, customer.address.city) == ("Ada GmbH", "ada@example.com", "Berlin")
    assert customer.address.line2 is None
    assert (customer.balance, customer.currency, customer.next_invoice_sequence) == (0, None, 1)
    assert len(customer.invoice_prefix) == 8


def test_an_update_replaces_the_address_and_keeps_the_rest(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    after = client.v1.customers.update(customer.id, {"address": {"country": "FR"}, "phone": "+33 1"})

    assert (after.address.country, after.address.city) == ("FR", None)
    assert (after.name, after.phone) == ("Ada GmbH", "+33 1")


def test_an_empty_string_unsets_a_field(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    after = client.v1.customers.update(customer.id, {"name": "", "address": ""})

    assert (after.name, after.address) == (None, None)


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({"email": "nobody"}, "email_invalid", "email"),
        ({"address": {"country": "Germany"}}, "country_code_invalid", "address[country]"),
        ({"invoice_prefix": "lower"}, None, "invoice_prefix"),
        (
            {"invoice_settings": {"default_payment_method": "pm_nope"}},
            "resource_missing",
            "invoice_settings[default_payment_method]",
        ),
        ({"next_invoice_sequence": 0}, None, "next_invoice_sequence"),
        ({"tax_exempt": "perhaps"}, None, "tax_exempt"),
        ({"test_clock": "clock_nope"}, "resource_missing", "test_clock"),
    ],
)
def test_a_customer_that_makes_no_sense_is_refused(
    client: stripe.StripeClient, params: dict[str, Any], code: str | None, param: str
) -> None:
    error = refusal(lambda: client.v1.customers.create(params))

    assert (error.code, error.param) == (code, param)
    assert client.v1.customers.list().data == []


def test_two_customers_cannot_share_an_invoice_prefix(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"invoice_prefix": "ACME01"})

    assert refusal(lambda: client.v1.customers.create({"invoice_prefix": "ACME01"})).param == "invoice_prefix"


@pytest.mark.parametrize(
    ("address", "status", "country", "state"),
    [
        (BERLIN, "supported", "DE", None),
        ({"country": "US", "postal_code": "10001", "state": "NY"}, "supported", "US", "NY"),
        ({"country": "BR"}, "not_collecting", "BR", None),
    ],
)
def test_the_tax_of_a_place_is_known(
    client: stripe.StripeClient, address: dict[str, str], status: str, country: str, state: str | None
) -> None:
    made = client.v1.customers.create(
        {"address": address, "tax": {"validate_location": "immediately"}, "expand": ["tax"]}
    )

    assert (made.tax.automatic_tax, made.tax.location.country, made.tax.location.state) == (
        status,
        country,
        state,
    )


def test_an_address_without_a_place_is_refused_when_checked_at_once(client: stripe.StripeClient) -> None:
    nowhere = {"address": {"country": "US"}}
    error = refusal(
        lambda: client.v1.customers.create({**nowhere, "tax": {"validate_location": "immediately"}})
    )
    later = client.v1.customers.create({**nowhere, "expand": ["tax"]})

    assert error.code == "customer_tax_location_invalid"
    assert later.tax.automatic_tax == "unrecognized_location"
    assert later.tax.location is None


@pytest.mark.parametrize(
    ("type", "value", "final"),
    [
        ("eu_vat", "DE136695976", "verified"),
        ("eu_vat", "DE123456789", "unverified"),
        ("eu_vat", "DE000000000", "verified"),
        ("eu_vat", "111111111", "unverified"),
        ("eu_vat", "222222222", "pending"),
        ("gb_vat", "GB980780684", "verified"),
        ("au_abn", "51824753556", "verified"),
        ("no_vat", "923456783MVA", "unavailable"),
        ("us_ein", "12-3456789", "unavailable"),
    ],
)
def test_a_tax_id_is_verified_later(
    client: stripe.StripeClient,
    sandbox: Sandbox,
    customer: stripe.Customer,
    type: str,
    value: str,
    final: str,
) -> None:
    made = client.v1.customers.tax_ids.create(customer.id, {"type": type, "value": value})
    sandbox.advance(SECONDS_TO_VERIFY + 1)
    after = client.v1.customers.tax_ids.retrieve(customer.id, made.id)
    found = client.v1.tax_ids.retrieve(made.id)
    updates = client.v1.events.list({"type": "customer.tax_id.updated"}).data

    assert made.verification.status == ("unavailable" if final == "unavailable" else "pending")
    assert after.verification.status == final
    assert found == after
    assert len(updates) == (1 if final in ("verified", "unverified") else 0)


def test_a_verified_number_names_its_holder(
    client: stripe.StripeClient, sandbox: Sandbox, customer: stripe.Customer
) -> None:
    made = client.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE136695976"})
    sandbox.advance(SECONDS_TO_VERIFY)
    after = client.v1.customers.tax_ids.retrieve(customer.id, made.id)

    assert (after.country, after.verification.verified_name) == ("DE", "Ada GmbH")


@pytest.mark.parametrize(
    ("type", "value"),
    [
        ("eu_vat", "DE12345"),
        ("eu_vat", "nonsense"),
        ("eu_vat", "US123456789"),
        ("gb_vat", "12"),
        ("us_ein", "1"),
    ],
)
def test_a_malformed_tax_id_is_refused(
    client: stripe.StripeClient, customer: stripe.Customer, type: str, value: str
) -> None:
    error = refusal(lambda: client.v1.customers.tax_ids.create(customer.id, {"type": type, "value": value}))

    assert (error.code, error.param, error.user_message) == (
        "tax_id_invalid",
        "value",
        f"Invalid value for {type}.",
    )


def test_a_customer_may_come_with_its_tax_ids(client: stripe.StripeClient) -> None:
    made = client.v1.customers.create(
        {
            "address": BERLIN,
            "tax_id_data": [{"type": "eu_vat", "value": "DE136695976"}],
            "expand": ["tax_ids"],
        }
    )
    wrong = [{"type": "eu_vat", "value": "DE1"}]
    error = refusal(lambda: client.v1.customers.create({"tax_id_data": wrong}))

    assert [row.value for row in made.tax_ids.data] == ["DE136695976"]
    assert error.param == "tax_id_data[0][value]"
    assert len(client.v1.customers.list().data) == 1


def test_a_tax_id_type_that_is_not_known_here_is_named(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    error = refusal(lambda: client.v1.customers.tax_ids.create(customer.id, {"type": "ad_nrt", "value": "1"}))

    assert "not supported by this sandbox" in error.user_message


def test_tax_ids_are_listed_and_deleted(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    made = client.v1.customers.tax_ids.create(customer.id, {"type": "eu_vat", "value": "DE136695976"})
    listed = client.v1.customers.tax_ids.list(customer.id).data
    client.v1.customers.tax_ids.delete(customer.id, made.id)
    error = refusal(lambda: client.v1.customers.tax_ids.retrieve(customer.id, made.id))

    assert [row.id for row in listed] == [made.id]
    assert error.http_status == 404
    assert client.v1.customers.tax_ids.list(customer.id).data == []


def test_a_customer_has_five_tax_ids_at_most(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    params = {"type": "eu_vat", "value": "DE136695976"}
    for _ in range(5):
        client.v1.customers.tax_ids.create(customer.id, params)

    assert refusal(lambda: client.v1.customers.tax_ids.create(customer.id, params)).http_status == 400


def test_balance_rows_add_up(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    rows = client.v1.customers.balance_transactions
    rows.create(customer.id, {"amount": -500, "currency": "eur", "description": "Goodwill"})
    second = rows.create(customer.id, {"amount": 200, "currency": "eur"})
    after = client.v1.customers.retrieve(customer.id)

    assert (after.balance, after.currency) == (-300, "eur")
    assert (second.type, second.ending_balance) == ("adjustment", -300)
    assert [row.amount for row in rows.list(customer.id).data] == [200, -500]
    assert rows.retrieve(customer.id, second.id).amount == 200


def test_a_balance_has_one_currency(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    rows = client.v1.customers.balance_transactions
    rows.create(customer.id, {"amount": -500, "currency": "eur"})

    assert refusal(lambda: rows.create(customer.id, {"amount": 1, "currency": "usd"})).param == "currency"


def test_a_balance_set_on_the_customer_leaves_a_row(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    client.v1.customers.update(customer.id, {"balance": -1000})
    after = client.v1.customers.update(customer.id, {"balance": -400})
    rows = client.v1.customers.balance_transactions.list(customer.id).data

    assert after.balance == -400
    assert [(row.amount, row.ending_balance) for row in rows] == [(600, -400), (-1000, -1000)]


def test_a_deleted_customer_cannot_be_changed_or_used(
    client: stripe.StripeClient, customer: stripe.Customer
) -> None:
    client.v1.customers.delete(customer.id)
    update = refusal(lambda: client.v1.customers.update(customer.id, {"name": "x"}))
    twice = refusal(lambda: client.v1.customers.delete(customer.id))
    coupon = client.v1.coupons.create({"percent_off": 10})
    promotion = {"type": "coupon", "coupon": coupon.id}
    used = refusal(
        lambda: client.v1.promotion_codes.create({"promotion": promotion, "customer": customer.id})
    )

    assert (update.http_status, twice.http_status) == (404, 404)
    assert (used.http_status, used.code, used.param) == (400, "resource_missing", "customer")
    assert client.v1.customers.list().data == []


def test_customers_are_found_by_email(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    assert [row.id for row in client.v1.customers.list({"email": "ada@example.com"}).data] == [customer.id]
    assert client.v1.customers.list({"email": "ADA@example.com"}).data == []


def test_hidden_members_appear_when_asked_for(client: stripe.StripeClient, customer: stripe.Customer) -> None:
    names = ["subscriptions", "sources", "tax_ids", "invoice_credit_balance"]
    shown = client.v1.customers.retrieve(customer.id, {"expand": names})

    assert [name for name in names if name in customer] == []
    assert shown.subscriptions.data == []
    assert shown.invoice_credit_balance.to_dict() == {}


def test_the_account_and_its_tax_registrations_answer_a_start_check(client: stripe.StripeClient) -> None:
    account = client.v1.accounts.retrieve_current()
    settings = client.v1.tax.settings.retrieve()
    active = client.v1.tax.registrations.list({"status": "active", "limit": 100})

    assert (account.country, account.charges_enabled) == ("US", True)
    assert (settings.status, settings.defaults.tax_behavior) == ("active", "exclusive")
    assert {"US", "IE", "GB"} <= {row.country for row in active.data}


def test_a_tax_registration_can_be_added_and_ended(client: stripe.StripeClient, sandbox: Sandbox) -> None:
    options = {"us": {"state": "TX", "type": "state_sales_tax"}}
    made = client.v1.tax.registrations.create(
        {"country": "US", "country_options": options, "active_from": "now"}
    )
    client.v1.tax.registrations.update(made.id, {"expires_at": "now"})

    assert (made.status, made.country_options.us.state) == ("active", "TX")
    assert client.v1.tax.registrations.retrieve(made.id).status == "expired"
    assert [row.id for row in client.v1.tax.registrations.list({"status": "expired"}).data] == [made.id]


def test_a_payment_method_domain_is_registered_once(client: stripe.StripeClient) -> None:
    domains = client.v1.payment_method_domains
    made = domains.create({"domain_name": "billing.example.com"})
    again = domains.create({"domain_name": "billing.example.com"})
    error = refusal(lambda: domains.create({"domain_name": "https://example.com/"}))

    assert made.id == again.id
    assert domains.validate(made.id).link.status == "active"
    assert [row.id for row in domains.list({"domain_name": "billing.example.com"}).data] == [made.id]
    assert domains.update(made.id, {"enabled": False}).enabled is False
    assert error.param == "domain_name"


def test_tax_settings_can_be_changed(client: stripe.StripeClient) -> None:
    client.v1.tax.settings.update(
        {"defaults": {"tax_behavior": "inclusive"}, "head_office": {"address": {"country": "IE"}}}
    )
    settings = client.v1.tax.settings.retrieve()

    assert settings.defaults.tax_behavior == "inclusive"
    assert (settings.head_office.address.country, settings.head_office.address.city) == ("IE", None)


def test_a_tax_registration_names_its_country_and_does_not_begin_in_the_past(
    client: stripe.StripeClient,
) -> None:
    options = {"us": {"state": "TX", "type": "state_sales_tax"}}
    other = {"country": "CA", "country_options": options, "active_from": "now"}
    past = {"country": "US", "country_options": options, "active_from": 1000}

    assert refusal(lambda: client.v1.tax.registrations.create(other)).param == "country_options[ca]"
    assert refusal(lambda: client.v1.tax.registrations.create(past)).param == "active_from"
