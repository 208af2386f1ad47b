"""Link: a card given once, and from then on a code instead of a card."""

import secrets
import urllib.request
from urllib.parse import urlencode

import pytest
from playwright.sync_api import FrameLocator, expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import VISA, Customer
from tests.stack import Stack

CODE = "123456"


@pytest.fixture
def link_email(stack: Stack) -> str:
    """The address of somebody for whom Link keeps a card since some purchase elsewhere."""
    email = f"linked-{secrets.token_hex(5)}@example.com"
    card = {"number": VISA, "exp_month": "12", "exp_year": "2030", "cvc": "123"}
    form = {"session": "elsewhere", "email": email, "phone": "2015550123"}
    form |= {f"payment_method_data[card][{name}]": value for name, value in card.items()}
    body = urlencode({**form, "payment_method_data[type]": "card"}).encode()
    urllib.request.urlopen(f"{stack.sandbox_url}/elements/link/signup", body, timeout=30).close()
    return email


def sign_in_to_link(customer: Customer, email: str, code: str = CODE) -> FrameLocator:
    """Open Link in the payment form and give the e-mail address and the code; returns the form."""
    customer.choose_method("Link")
    form = customer.payment_form()
    form.get_by_label("Email").fill(email)
    form.get_by_role("button", name="Continue with Link").click()
    form.get_by_label("Your one-time code").fill(code)
    return form


def test_a_card_saved_with_link_pays_for_another_company_with_a_code_instead_of_a_card(
    new_customer: NewCustomer,
) -> None:
    first = new_customer()
    first.ready_to_pay()
    first.fill_card()
    form = first.payment_form()
    form.get_by_label("Save my information for faster checkout with Link").check()
    form.get_by_label("Mobile number").fill("201 555 0123")
    first.press_pay()
    first.expect_live()

    second = new_customer()
    second.ready_to_pay()
    form = sign_in_to_link(second, first.email)
    expect(form.get_by_text("Visa •••• 4242")).to_be_visible()
    second.press_pay()
    second.expect_live()
    expect(second.page.get_by_text(f"Link ({first.email})")).to_be_visible()
    assert [one["amount"] for one in second.charges()] == [1_398_000]


def test_somebody_whom_link_knows_is_asked_for_the_code_at_once(customer: Customer, link_email: str) -> None:
    customer.email = link_email
    customer.ready_to_pay()
    form = customer.payment_form()
    form.get_by_label("Your one-time code").fill(CODE)

    expect(form.get_by_text("Visa •••• 4242")).to_be_visible()
    customer.press_pay()
    customer.expect_live()


def test_the_express_button_pays_with_the_remembered_card(customer: Customer, link_email: str) -> None:
    page = customer.page
    customer.ready_to_pay()
    dialog = customer.open_express_dialog()
    dialog.get_by_label("Email").fill(link_email)
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_label("Your one-time code").fill(CODE)
    dialog.get_by_role("button", name="Pay $13,980.00").click()

    customer.expect_live()
    expect(page.get_by_text(f"Link ({link_email})")).to_be_visible()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_a_wrong_code_is_said_and_the_next_one_counts(customer: Customer, link_email: str) -> None:
    customer.ready_to_pay()
    customer.answers.add(400)
    form = sign_in_to_link(customer, link_email, "000001")
    expect(form.get_by_text("The code you entered is incorrect.")).to_be_visible()
    form.get_by_label("Your one-time code").fill(CODE)

    expect(form.get_by_text("Visa •••• 4242")).to_be_visible()
    assert customer.subscriptions() == []


def test_closing_the_express_dialog_charges_nothing_and_leaves_the_card_form(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    dialog = customer.open_express_dialog()
    dialog.get_by_role("button", name="Close").click()
    expect(page.locator("dialog")).to_have_count(0)

    assert customer.subscriptions() == []
    customer.pay_by_card()
    customer.expect_live()
