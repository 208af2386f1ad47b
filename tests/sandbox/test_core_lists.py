"""List pages over the SDK: order, cursors, limits, filters."""

from __future__ import annotations

import pytest
import stripe

from tests.sandbox.recorded import refusal


@pytest.fixture
def made(client: stripe.StripeClient) -> list[str]:
    """Five customers, oldest first."""
    return [client.v1.customers.create({"name": str(number)}).id for number in range(5)]


def ids(page: stripe.ListObject) -> list[str]:
    return [row.id for row in page.data]


def test_the_newest_come_first(client: stripe.StripeClient, made: list[str]) -> None:
    page = client.v1.customers.list()

    assert ids(page) == made[::-1]
    assert (page.has_more, page.url) == (False, "/v1/customers")
    assert "total_count" not in page


def test_pages_follow_each_other_without_gap_or_overlap(client: stripe.StripeClient, made: list[str]) -> None:
    rows = list(client.v1.customers.list({"limit": 2}).auto_paging_iter())

    assert [row.id for row in rows] == made[::-1]


def test_a_page_before_a_cursor_is_newest_first_too(client: stripe.StripeClient, made: list[str]) -> None:
    page = client.v1.customers.list({"limit": 2, "ending_before": made[0]})
    head = client.v1.customers.list({"limit": 2, "ending_before": made[3]})

    assert (ids(page), page.has_more) == ([made[2], made[1]], True)
    assert (ids(head), head.has_more) == ([made[4]], False)


def test_a_deleted_object_is_still_a_cursor(client: stripe.StripeClient, made: list[str]) -> None:
    product = [client.v1.products.create({"name": str(number)}).id for number in range(3)]
    client.v1.products.delete(product[1])
    client.v1.customers.delete(made[2])

    assert ids(client.v1.products.list({"starting_after": product[1]})) == [product[0]]
    assert ids(client.v1.customers.list({"starting_after": made[2]})) == [made[1], made[0]]
    assert ids(client.v1.customers.list({"ending_before": made[2]})) == [made[4], made[3]]


def test_both_cursors_at_once_are_refused_without_code(client: stripe.StripeClient, made: list[str]) -> None:
    error = refusal(
        lambda: client.v1.customers.list({"starting_after": made[0], "ending_before": made[1]})
    ).json_body["error"]

    assert error["type"] == "invalid_request_error"
    assert "code" not in error
    assert "param" not in error


def test_a_limit_above_a_hundred_gives_a_hundred(client: stripe.StripeClient) -> None:
    for number in range(101):
        client.v1.products.create({"name": str(number)})
    page = client.v1.products.list({"limit": 101})

    assert (len(page.data), page.has_more) == (100, True)


def test_ten_rows_unless_told(client: stripe.StripeClient) -> None:
    for number in range(11):
        client.v1.products.create({"name": str(number)})

    assert len(client.v1.products.list().data) == 10


def test_created_filters_by_range(client: stripe.StripeClient, made: list[str]) -> None:
    created = client.v1.customers.retrieve(made[0]).created

    assert len(client.v1.customers.list({"created": {"gte": created - 1, "lt": created + 60}}).data) == 5
    assert client.v1.customers.list({"created": {"gt": created + 60}}).data == []
    assert client.v1.customers.list({"created": 1}).data == []


def test_filters_that_name_unknown_ids_give_nothing(client: stripe.StripeClient) -> None:
    client.v1.products.create({"name": "Seat"})

    assert client.v1.products.list({"ids": ["prod_nope"]}).data == []
    assert client.v1.prices.list({"product": "prod_nope"}).data == []


def test_a_negative_limit_is_refused(client: stripe.StripeClient, made: list[str]) -> None:
    error = refusal(lambda: client.v1.customers.list({"limit": -1}))

    assert (error.http_status, error.code, error.param) == (400, "parameter_invalid_integer", "limit")
    assert error.user_message == "Invalid non-negative integer"
