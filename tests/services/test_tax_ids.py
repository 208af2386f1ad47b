"""Tax numbers: which a country knows, and what is wrong with one before Stripe is asked."""

from typing import Any

import pytest

from portal.services import tax_ids
from tests.shop import Shop


@pytest.mark.parametrize("kind", tax_ids.OTHERS, ids=lambda kind: kind.type)
def test_every_example_is_a_good_number(kind: tax_ids.Kind) -> None:
    assert tax_ids.problem(kind.country, kind.type, tax_ids.normal(kind.type, kind.example)) is None


@pytest.mark.parametrize(
    ("country", "value"),
    [("DE", "DE123456789"), ("FR", "FR40303265045"), ("GR", "EL123456789"), ("AT", "ATU12345678")],
)
def test_a_number_of_the_right_shape_passes(country: str, value: str) -> None:
    assert tax_ids.problem(country, "eu_vat", value) is None


@pytest.mark.parametrize(
    ("country", "type", "value", "said"),
    [
        ("DE", "eu_vat", "FR40303265045", "The number starts with the country's letters, as in DE136695976."),
        (
            "DE",
            "eu_vat",
            "DE12",
            "This is not how a tax number of that country looks. VAT number: as in DE136695976.",
        ),
        (
            "DE",
            "gb_vat",
            "GB980780684",
            "This kind of tax number is not used in that country.",
        ),
        ("US", "us_ein", "12", "This is not how a tax number of that country looks. EIN: as in 91-1144442."),
    ],
)
def test_what_is_wrong_is_said_with_an_example(country: str, type: str, value: str, said: str) -> None:
    assert tax_ids.problem(country, type, value) == said


def test_blanks_and_dots_are_how_people_write() -> None:
    assert tax_ids.normal("eu_vat", " de 123.456-789 ") == "DE123456789"


@pytest.mark.parametrize("kind", tax_ids.OTHERS, ids=lambda kind: kind.type)
def test_stripe_takes_every_example(kind: tax_ids.Kind, shop: Shop) -> None:
    customer = shop.client.v1.customers.create({})
    value = tax_ids.normal(kind.type, kind.example)
    params: Any = {"type": kind.type, "value": value}
    made = shop.client.v1.customers.tax_ids.create(customer.id, params)

    assert (made.type, made.value) == (kind.type, value)


@pytest.mark.parametrize("country", ["IN", "BR", "JP", "MX", "TH"])
def test_companies_of_large_countries_can_give_their_number(country: str) -> None:
    assert len(tax_ids.kinds(country)) == 1


def test_a_country_whose_numbers_cannot_be_checked_is_told_what_to_do() -> None:
    assert tax_ids.kinds("GL") == []
    assert tax_ids.problem("GL", "", "123") == (
        "We cannot check tax numbers of this country yet. Leave this empty and write to support."
    )
