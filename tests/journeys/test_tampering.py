"""Nothing that a browser sends changes what is charged: confirming carries the quote's id, nothing else."""

import json

from playwright.sync_api import Request, expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ESSENTIAL_MONTH, Customer


def test_confirming_sends_the_quotes_id_only(customer: Customer) -> None:
    sent: list[Request] = []
    customer.page.on("request", lambda request: sent.append(request) if request.method == "POST" else None)
    quote = customer.ready_to_pay()
    customer.pay_by_card()
    customer.expect_live()

    confirmed = [request for request in sent if request.url.endswith("/confirm") and quote in request.url]
    assert [request.post_data for request in confirmed] == ["{}"]


def test_amounts_put_into_the_request_change_nothing(customer: Customer) -> None:
    forged = {"amount": 1, "amount_due": 1, "total": 1, "seats": 1, "discount": 99}
    customer.ready_to_pay()
    customer.page.route("**/checkout/*/confirm", lambda route: route.continue_(post_data=json.dumps(forged)))
    customer.pay_by_card()

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_an_amount_changed_in_the_page_is_refused_and_nothing_is_charged(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    page.add_init_script(
        "document.addEventListener('readystatechange', () => {"
        " const form = document.querySelector('form[data-amount]'); if (form) form.dataset.amount = '100'; })"
    )
    customer.answers.add(400)
    customer.look_at_quote()
    customer.pay_by_card()

    expect(page.locator("#pay-problem")).to_contain_text("Nothing is charged twice.")
    assert customer.charges() == []


def test_another_workspaces_quote_does_not_exist(customer: Customer, new_customer: NewCustomer) -> None:
    quote = customer.ready_to_pay(ESSENTIAL_MONTH)
    stranger = new_customer()
    stranger.arrive()
    answer = stranger.context.request.get(f"{stranger.stack.url}/checkout/{quote}")

    assert answer.status == 404
