"""A second step, recovery codes, passkeys, a sign-in that has grown old, and a wallet's button."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import CDPSession, expect

from tests.journeys.customer import PASSWORD, Customer
from tests.one_time_codes import code, next_code

# a phone or laptop that asks its owner for a fingerprint, and is given it
AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def device(customer: Customer) -> Iterator[CDPSession]:
    """Chromium's own authenticator, in the customer's browser."""
    session = customer.context.new_cdp_session(customer.page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})
    yield session
    session.detach()


def turn_on(customer: Customer) -> tuple[str, list[str]]:
    """Set two-step sign-in up as the account's page leads to it; the secret and the recovery codes."""
    page = customer.page
    customer.visit("/account")
    page.get_by_role("link", name="Set up two-step sign-in").click()
    page.get_by_role("link", name="Set up two-step sign-in").click()
    page.get_by_text("Enter it by hand instead").click()
    secret = page.locator("#app-secret").inner_text().replace(" ", "")
    page.get_by_label("Code", exact=True).fill(code(secret))
    page.get_by_role("button", name="Turn two-step sign-in on").click()
    expect(page.get_by_text("Your ten recovery codes")).to_be_visible()
    return secret, page.locator(".recovery-codes code").all_inner_texts()


def enter_password(customer: Customer) -> None:
    page = customer.page
    customer.visit("/login")
    page.get_by_label("E-mail").fill(customer.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_two_steps_ask_for_the_apps_code_and_a_recovery_code_stands_in_for_it(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    secret, codes = turn_on(customer)
    with page.expect_download() as saving:
        page.get_by_role("link", name="Save as a file").click()
    saved = Path(saving.value.path()).read_text()
    page.get_by_role("link", name="I have kept them").click()
    customer.sign_out()
    enter_password(customer)
    page.get_by_label("Code", exact=True).fill("123456")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#code-error")).to_contain_text("That code is not right")
    page.get_by_label("Code", exact=True).fill(next_code(secret))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("Nothing bought yet")).to_be_visible()
    customer.sign_out()
    enter_password(customer)
    page.get_by_role("link", name="Use a recovery code").click()
    page.get_by_label("Recovery code").fill(codes[0])
    page.get_by_role("button", name="Sign in", exact=True).click()
    customer.visit("/account")

    assert saved.split() == ["Billing", *codes]
    expect(page.get_by_text("On, 9 recovery codes left")).to_be_visible()
    customer.stack.mail(customer.email, "A recovery code was used to sign in")


def test_a_passkey_is_added_signs_in_without_a_code_and_is_removed(
    customer: Customer, device: CDPSession
) -> None:
    page = customer.page
    customer.arrive()
    turn_on(customer)
    customer.visit("/account/passkeys")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Office laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("The passkey Office laptop was added.")).to_be_visible()
    customer.sign_out()
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Nothing bought yet")).to_be_visible()
    customer.visit("/account/verify?next=/account/passkeys")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("Thank you. Go on where you were.")).to_be_visible()
    expect(page.get_by_text("last used")).to_be_visible()
    page.get_by_role("link", name="Remove Office laptop").click()
    page.get_by_role("button", name="Remove the passkey").click()
    expect(page.get_by_text("The passkey Office laptop was removed.")).to_be_visible()
    customer.sign_out()
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_text("That passkey was not accepted.")).to_be_visible()


def test_a_device_without_a_passkey_is_said_and_lets_nobody_in(
    customer: Customer, device: CDPSession
) -> None:
    page = customer.page
    customer.visit("/login")
    page.get_by_role("button", name="Sign in with a passkey").click()

    expect(page.get_by_text("Your device did not go on")).to_be_visible()


def grow_old(customer: Customer) -> None:
    """Let everybody's last proof be two hours ago."""
    socket = customer.stack.data / "postgres"
    with psycopg.connect(host=str(socket), user="portal_app", dbname="portal") as database:
        database.execute(
            "UPDATE login_session SET verified_at = now() - interval '2 hours'"
            " WHERE user_id = (SELECT id FROM user_account WHERE email = %s)",
            [customer.email],
        )


def test_paying_asks_an_old_sign_in_for_the_password_and_leads_back_to_the_quote(customer: Customer) -> None:
    page = customer.page
    customer.answers.add(401)
    quote = customer.ready_to_pay()
    grow_old(customer)
    customer.pay_by_card()
    expect(page.get_by_role("heading", name="Show that it is you")).to_be_visible()
    assert customer.charges() == []
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Thank you. Go on where you were.")).to_be_visible()
    assert customer.quote_id == quote
    customer.pay_by_card()

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]


def test_apple_pay_buys_and_a_declined_card_of_the_wallet_charges_nothing(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay()
    buttons = page.frame_locator("iframe[src*='/elements/express-checkout']")
    sheet = page.frame_locator("dialog iframe")
    buttons.get_by_role("button", name="Apple Pay").click()
    sheet.get_by_label("•••• 0002").check()
    sheet.get_by_role("button", name="Pay with Apple Pay").click()
    expect(page.locator("#pay-problem")).to_contain_text("You were not charged.")
    buttons.get_by_role("button", name="Apple Pay").click()
    expect(sheet.get_by_text("$13,980.00")).to_be_visible()
    sheet.get_by_role("button", name="Pay with Apple Pay").click()

    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_398_000]
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
