"""Signing up, in and out, a new password, a new address."""

from playwright.sync_api import expect

from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import PASSWORD, Customer

NEW_PASSWORD = "five other quiet words here"


def test_signing_up_leads_through_the_mail_to_the_overview(customer: Customer) -> None:
    page = customer.page
    customer.sign_up()
    customer.visit("/billing")

    expect(page.get_by_role("heading", name=customer.company)).to_be_visible()
    expect(page.get_by_text("Nothing bought yet")).to_be_visible()


def test_a_password_that_everybody_knows_is_refused_beside_its_field(customer: Customer) -> None:
    page = customer.page
    customer.visit("/signup")
    page.get_by_label("Company name").fill(customer.company)
    page.get_by_label("Work e-mail").fill(customer.email)
    page.get_by_label("Password").fill("password1")
    page.get_by_role("button", name="Create account").click()

    expect(page.locator("#password-error")).to_be_visible()
    expect(page.get_by_label("Company name")).to_have_value(customer.company)
    assert customer.stack.mails(customer.email) == []


def test_an_address_that_is_known_is_answered_like_a_new_one_and_told_by_mail(
    customer: Customer, new_customer: NewCustomer
) -> None:
    customer.arrive()
    somebody = new_customer()
    somebody.email = customer.email
    somebody.fill_sign_up()

    told = customer.stack.mail(customer.email, "You have an account already").get_body(("plain",))

    assert told
    assert "It has an account already, so none was made." in told.get_content()


def test_signing_out_ends_this_browsers_sign_in_and_signing_in_brings_back(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    customer.visit("/billing")
    customer.sign_out()
    customer.visit("/billing")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    customer.sign_in()
    expect(page.get_by_text("Nothing bought yet")).to_be_visible()


def test_a_wrong_password_is_said_without_telling_whether_the_address_is_known(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    customer.context.clear_cookies()
    answers = []
    for email in (customer.email, f"nobody-{customer.email}"):
        customer.visit("/login")
        page.get_by_label("E-mail").fill(email)
        page.get_by_label("Password").fill("not the right one at all")
        page.get_by_role("button", name="Sign in", exact=True).click()
        answers.append(page.locator("#error-summary").inner_text())

    assert "do not belong together" in answers[0]
    assert answers[0] == answers[1]


def test_a_forgotten_password_is_replaced_through_the_mail_and_other_browsers_are_signed_out(
    customer: Customer, new_customer: NewCustomer
) -> None:
    page = customer.page
    customer.arrive()
    elsewhere = new_customer()
    elsewhere.email = customer.email
    elsewhere.visit("/login")
    elsewhere.page.get_by_role("link", name="Forgot your password?").click()
    elsewhere.page.get_by_label("E-mail").fill(customer.email)
    elsewhere.page.get_by_role("button", name="Send the link").click()
    elsewhere.visit(elsewhere.mailed_link("Set a new password"))
    elsewhere.page.get_by_label("New password").fill(NEW_PASSWORD)
    elsewhere.page.get_by_role("button", name="Set the password").click()
    elsewhere.visit("/login")
    elsewhere.sign_in(NEW_PASSWORD)
    expect(elsewhere.page.get_by_text("Nothing bought yet")).to_be_visible()
    customer.visit("/billing")

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    customer.stack.mail(customer.email, "Your password was changed")


def test_changing_the_password_needs_the_present_one(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    customer.visit("/account")
    page.get_by_role("link", name="Change your password").click()
    page.get_by_label("Present password").fill("not the right one at all")
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change the password").click()
    expect(page.locator("#password-error")).to_have_text("That is not your present password.")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change the password").click()

    expect(page.get_by_text("Your new password is set.")).to_be_visible()
    customer.sign_out()
    customer.sign_in(NEW_PASSWORD)


def test_a_new_address_counts_once_its_link_was_followed(customer: Customer) -> None:
    page, old = customer.page, customer.email
    customer.arrive()
    customer.visit("/account")
    page.get_by_role("link", name="Change your e-mail address").click()
    customer.email = f"new-{old}"
    page.get_by_label("New e-mail").fill(customer.email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text(f"We have sent a link to {customer.email}.")).to_be_visible()
    customer.visit("/account")
    expect(page.get_by_role("main").get_by_text(old)).to_be_visible()
    customer.visit(customer.mailed_link("Confirm your new e-mail address"))
    customer.visit("/account")

    expect(page.get_by_role("main").get_by_text(customer.email)).to_be_visible()
    customer.sign_out()
    customer.sign_in()


def test_signing_out_everywhere_else_leaves_this_browser_alone(
    customer: Customer, new_customer: NewCustomer
) -> None:
    customer.arrive()
    other = new_customer()
    other.email = customer.email
    other.visit("/login")
    other.sign_in()
    customer.visit("/account/browsers")
    customer.page.get_by_role("button", name="Sign out everywhere else").click()
    customer.visit("/billing")
    other.visit("/billing")

    expect(customer.page.get_by_text("Nothing bought yet")).to_be_visible()
    expect(other.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_chosen_colours_stay(customer: Customer) -> None:
    page = customer.page
    customer.visit("/pricing")
    page.get_by_role("button", name="Dark").click()
    customer.visit("/login")

    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
