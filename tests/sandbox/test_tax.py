"""Where a customer sits and which tax ids it has decide the tax."""

from decimal import Decimal

import pytest

from portal.sandbox import tax


def rates(address, tax_ids=(), exempt="none"):
    return [
        (each.kind, str(each.percentage), each.reason) for each in tax.taxes_for(address, tax_ids, exempt)
    ]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ({"country": "DE"}, [("vat", "19", "standard_rated")]),
        ({"country": "FI"}, [("vat", "25.5", "standard_rated")]),
        ({"country": "GB"}, [("vat", "20", "standard_rated")]),
        ({"country": "US", "postal_code": "10001"}, [("sales_tax", "8.875", "standard_rated")]),
        (
            {"country": "US", "postal_code": "98101", "state": "Washington"},
            [("sales_tax", "10.35", "standard_rated")],
        ),
        ({"country": "US", "postal_code": "94103", "state": "CA"}, [("sales_tax", "0", "product_exempt")]),
        ({"country": "US", "postal_code": "97201", "state": "OR"}, [("sales_tax", "0", "not_collecting")]),
        (
            {"country": "CA", "state": "QC"},
            [("gst", "5", "standard_rated"), ("qst", "9.975", "standard_rated")],
        ),
        ({"country": "CA", "postal_code": "M5V 2T6"}, [("hst", "13", "standard_rated")]),
        ({"country": "BR"}, [(None, "0", "not_collecting")]),
    ],
)
def test_the_place_decides_the_rate(address, expected):
    assert rates(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        None,
        {},
        {"country": ""},
        {"country": "US"},
        {"country": "US", "postal_code": "1000"},
        {"country": "CA"},
    ],
)
def test_a_place_that_cannot_be_taxed_is_named_as_such(address):
    with pytest.raises(tax.LocationUnknown):
        tax.taxes_for(address, (), "none")


def test_a_business_in_the_eu_with_a_vat_number_accounts_for_the_tax_itself():
    assert rates({"country": "DE"}, [("eu_vat", "DE123456788")]) == [("vat", "0", "reverse_charge")]
    assert rates({"country": "GR"}, [("eu_vat", "EL123456783")]) == [("vat", "0", "reverse_charge")]


def test_a_tax_id_of_another_kind_changes_nothing():
    assert rates({"country": "DE"}, [("us_ein", "12-3456789")]) == [("vat", "19", "standard_rated")]
    assert rates({"country": "US", "postal_code": "10001"}, [("eu_vat", "DE123456788")]) == [
        ("sales_tax", "8.875", "standard_rated")
    ]


def test_exempt_and_reverse_customers_pay_no_tax():
    assert rates({"country": "DE"}, exempt="exempt") == [("vat", "0", "customer_exempt")]
    assert rates({"country": "DE"}, exempt="reverse") == [("vat", "0", "reverse_charge")]


@pytest.mark.parametrize(
    ("taxable", "percentage", "behavior", "amount"),
    [
        (133_820, "8.875", "exclusive", 11_877),
        (50, "5", "exclusive", 3),
        (49, "5", "exclusive", 2),
        (11_900, "19", "inclusive", 1_900),
        (-1_000, "19", "exclusive", -190),
    ],
)
def test_the_amount_is_rounded_half_up(taxable, percentage, behavior, amount):
    rate = tax.Tax("vat", "VAT", Decimal(percentage), "DE", None, "standard_rated")

    assert tax.amount(taxable, rate, behavior) == amount
