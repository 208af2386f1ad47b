"""Parameters held against the SDK's types: what is refused, in which words, and what the handlers get."""

from __future__ import annotations

from typing import Any

import pytest
from babel.numbers import list_currencies
from stripe.params import (
    CouponCreateParams,
    CustomerCreateParams,
    CustomerListParams,
    InvoiceCreateParams,
    PaymentIntentCreateParams,
    PriceCreateParams,
    ProductCreateParams,
    SubscriptionCreateParams,
    SubscriptionListParams,
)

from portal.sandbox.contract import validate
from portal.sandbox.currencies import SUPPORTED
from portal.sandbox.errors import StripeError
from portal.sandbox.forms import decode


def read(params: type, form: str) -> dict[str, Any]:
    return validate(params, decode(form))


def refused(params: type, form: str) -> StripeError:
    with pytest.raises(StripeError) as caught:
        read(params, form)
    return caught.value


def test_values_arrive_in_their_types() -> None:
    form = (
        "currency=usd&product=p&active=true&unit_amount_decimal=123.450&recurring[interval]=month"
        "&recurring[interval_count]=3&metadata[0]=zero"
    )

    assert read(PriceCreateParams, form) == {
        "currency": "usd",
        "product": "p",
        "active": True,
        "unit_amount_decimal": "123.450",
        "recurring": {"interval": "month", "interval_count": 3},
        "metadata": {"0": "zero"},
    }


def test_lists_are_read_by_index_and_by_empty_brackets() -> None:
    assert read(ProductCreateParams, "name=x&images[1]=b&images[0]=a")["images"] == ["a", "b"]
    assert read(ProductCreateParams, "name=x&images[]=a&images[]=b")["images"] == ["a", "b"]


def test_a_list_of_hashes_is_read() -> None:
    form = "customer=c&items[0][price]=p&items[0][quantity]=2&items[1][price]=q"

    assert read(SubscriptionCreateParams, form)["items"] == [{"price": "p", "quantity": 2}, {"price": "q"}]


def test_a_percentage_is_what_stripe_answers() -> None:
    assert read(CouponCreateParams, "percent_off=22.5")["percent_off"] == 22.5


@pytest.mark.parametrize(("form", "value"), [("created=5", 5), ("created[gte]=5", {"gte": 5})])
def test_a_range_or_a_moment(form: str, value: Any) -> None:
    assert read(CustomerListParams, form)["created"] == value


@pytest.mark.parametrize("form", ["trial_end=now", "trial_end=1900000000"])
def test_a_word_or_a_number(form: str) -> None:
    value = form.partition("=")[2]

    assert str(read(SubscriptionCreateParams, f"customer=c&{form}")["trial_end"]) == value


def test_an_empty_string_reaches_the_handler_to_unset() -> None:
    assert read(CustomerCreateParams, "name=&address=&metadata[a]=") == {
        "name": "",
        "address": "",
        "metadata": {"a": ""},
    }


@pytest.mark.parametrize(
    ("params", "form", "message", "code", "param"),
    [
        (CustomerCreateParams, "nope=1", "Received unknown parameter: nope", "parameter_unknown", "nope"),
        (
            CustomerCreateParams,
            "api_key=1",
            "Received unknown parameter: api_key",
            "parameter_unknown",
            "api_key",
        ),
        (
            SubscriptionCreateParams,
            "customer=c&items[0][pricee]=p",
            "Received unknown parameter: items[0][pricee]",
            "parameter_unknown",
            "items[0][pricee]",
        ),
        (CustomerListParams, "limit=abc", "Invalid integer: abc", "parameter_invalid_integer", "limit"),
        (CustomerListParams, "limit=٣", "Invalid integer: ٣", "parameter_invalid_integer", "limit"),
        (CustomerListParams, "limit=", "Invalid integer: ", "parameter_invalid_integer", "limit"),
        (
            CustomerListParams,
            "created[gt]=x",
            "Invalid integer: x",
            "parameter_invalid_integer",
            "created[gt]",
        ),
        (ProductCreateParams, "name=x&active=maybe", "Invalid boolean: maybe", None, "active"),
        (CouponCreateParams, "percent_off=much", "Invalid decimal: much", None, "percent_off"),
        (
            PriceCreateParams,
            "product=p",
            "Missing required param: currency.",
            "parameter_missing",
            "currency",
        ),
        (
            PriceCreateParams,
            "currency=usd&recurring[interval_count]=1",
            "Missing required param: recurring[interval].",
            "parameter_missing",
            "recurring[interval]",
        ),
        (
            PriceCreateParams,
            "currency=usd&recurring[interval]=decade",
            "Invalid recurring[interval]: must be one of day, month, week, or year",
            None,
            "recurring[interval]",
        ),
        (
            SubscriptionListParams,
            "status=bogus",
            "Invalid status: must be one of active, past_due, unpaid, canceled, incomplete, "
            "incomplete_expired, trialing, paused, all, or ended",
            None,
            "status",
        ),
        (ProductCreateParams, "name=x&images=a", "Invalid array", None, "images"),
        (CouponCreateParams, "percent_off=٣", "Invalid decimal: ٣", None, "percent_off"),
        (ProductCreateParams, "name=x&images[a]=b", "Invalid array", None, "images"),
        (ProductCreateParams, "name=x&images[²]=b", "Invalid array", None, "images"),
        (ProductCreateParams, f"name=x&images[{'9' * 5000}]=b", "Invalid array", None, "images"),
        (CustomerCreateParams, "invoice_settings=x", "Invalid object", None, "invoice_settings"),
    ],
)
def test_refuses_in_stripes_words(
    params: type, form: str, message: str, code: str | None, param: str
) -> None:
    error = refused(params, form)

    assert (error.status, error.type) == (400, "invalid_request_error")
    assert (error.message, error.code, error.param) == (message, code, param)
    assert error.stored is False


def test_a_required_value_cannot_be_empty() -> None:
    error = refused(ProductCreateParams, "name=")

    assert error.code == "parameter_invalid_empty"
    assert error.message.startswith("You passed an empty string for 'name'.")


@pytest.mark.parametrize(
    "form",
    [
        "&".join(f"metadata[k{number}]=v" for number in range(51)),
        f"metadata[{'k' * 41}]=v",
        f"metadata[k]={'v' * 501}",
    ],
)
def test_metadata_has_limits(form: str) -> None:
    assert "etadata" in refused(CustomerCreateParams, form).message


def test_a_name_that_is_both_a_value_and_a_hash_is_refused() -> None:
    with pytest.raises(StripeError, match="both a value and a hash"):
        decode("a=1&a[b]=2")


@pytest.mark.parametrize(
    ("params", "form", "param"),
    [
        (PriceCreateParams, "product=p&currency=zzz&unit_amount=1", "currency"),
        (PriceCreateParams, "currency=usd&currency_options[zzz][unit_amount]=1", "currency_options"),
        (PaymentIntentCreateParams, "amount=100&currency=zzz", "currency"),
        (InvoiceCreateParams, "customer=c&currency=zzz", "currency"),
    ],
)
def test_a_currency_that_stripe_does_not_take_is_refused(params: type, form: str, param: str) -> None:
    error = refused(params, form)

    assert error.message.startswith(
        "Invalid currency: zzz. Stripe currently supports these currencies: usd, aed, afn, all, amd, "
    )
    assert error.message.endswith(", zar, zmw")
    assert error.param == param


def test_every_supported_currency_is_one_of_iso_4217() -> None:
    known = {code.lower() for code in list_currencies()}

    assert len(SUPPORTED) > 135
    assert set(SUPPORTED) - known == set()


def test_a_currency_may_come_in_capitals() -> None:
    assert read(PaymentIntentCreateParams, "amount=100&currency=USD") == {"amount": 100, "currency": "USD"}


@pytest.mark.parametrize(
    ("params", "form", "param"),
    [
        (PriceCreateParams, "currency=usd&unit_amount=99999999999999", "unit_amount"),
        (PriceCreateParams, "currency=usd&unit_amount=100000000", "unit_amount"),
        (PriceCreateParams, "currency=usd&unit_amount_decimal=99999999.5", "unit_amount_decimal"),
        (PriceCreateParams, "currency=usd&tiers[0][flat_amount]=100000000", "tiers[0][flat_amount]"),
        (CouponCreateParams, "currency=usd&amount_off=100000000", "amount_off"),
        (PaymentIntentCreateParams, "currency=usd&amount=-100000000", "amount"),
    ],
)
def test_an_amount_has_eight_digits_at_most(params: type, form: str, param: str) -> None:
    error = refused(params, form)

    assert (error.message, error.code, error.param) == (
        "Amount must be no more than $999,999.99",
        "amount_too_large",
        param,
    )


def test_the_largest_amount_is_read() -> None:
    assert read(PriceCreateParams, "currency=usd&unit_amount=99999999")["unit_amount"] == 99_999_999


def test_a_name_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(StripeError) as caught:
        decode("a" + "[b]" * 2000 + "=1")
    error = caught.value

    assert (error.status, error.param) == (400, "a")
    assert error.message == "Invalid parameter: a is nested deeper than 20 levels."
