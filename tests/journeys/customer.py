"""A person at a browser: signs up, chooses, pays; what they see is for the test to judge."""

import re
import secrets
from dataclasses import dataclass

from playwright.sync_api import BrowserContext, ConsoleMessage, FrameLocator, Page, expect

from tests.stack import Stack

PASSWORD = "four quiet words here"
ADVANCED_YEAR = "/pricing?tier=advanced&seats=12&interval=year&copilot=5"
VISA = "4242 4242 4242 4242"
PATIENCE_MS = 20_000
LINK = re.compile(r"https?://[^\s\"<>]+")


@dataclass(frozen=True)
class Address:
    line1: str
    city: str
    postal_code: str
    country: str
    state: str = ""


# a state in which the sandbox's seller collects no tax on software
CALIFORNIA = Address("510 Townsend St", "San Francisco", "94103", "US", "CA")
BERLIN = Address("Torstraße 1", "Berlin", "10119", "DE")


class Customer:
    """One person with one browser profile. ``complaints`` gathers script errors and blocked resources."""

    def __init__(self, stack: Stack, context: BrowserContext) -> None:
        self.stack = stack
        self.context = context
        self.email = f"ada-{secrets.token_hex(5)}@example.com"
        self.company = "Ada & Sons"
        self.complaints: list[str] = []
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.page = context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        # a refused card is an answer with status 402, which Chromium writes to the console
        if message.type == "error" and "402 (" not in message.text:
            self.complaints.append(message.text)

    def visit(self, path: str, page: Page | None = None) -> None:
        (page or self.page).goto(path if "://" in path else self.stack.url + path)

    def sign_up(self, *, start: str | None = None) -> None:
        """From a fresh browser to signed in, through the link in the mail; ``start`` is the page before."""
        page = self.page
        if start:
            self.visit(start)
            page.get_by_role("link", name="Start").or_(page.get_by_role("button", name="Start")).first.click()
        else:
            self.visit("/signup")
        if "/login" in page.url:
            page.get_by_role("link", name="Create an account").click()
        page.get_by_label("Company name").fill(self.company)
        page.get_by_label("Work e-mail").fill(self.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Create account").click()
        expect(page.get_by_text(self.email).first).to_be_visible()
        self.visit(self.mailed_link("Confirm"))
        if "/login" in page.url:
            self.sign_in()

    def mailed_link(self, subject: str) -> str:
        """The first link of the newest mail about ``subject``."""
        body = self.stack.mail(self.email, subject).get_body(("plain",))
        found = LINK.search(str(body.get_content()) if body else "")
        assert found, f"the mail about {subject} holds no link"
        return found.group(0)

    def sign_in(self) -> None:
        page = self.page
        page.get_by_label("E-mail").fill(self.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign in")).to_have_count(0)

    def fill_details(self, address: Address = CALIFORNIA, *, tax_id: str = "") -> None:
        """The first step of /checkout, up to but without its button."""
        page = self.page
        page.get_by_label("Country").first.select_option(address.country)
        page.get_by_label("Street").fill(address.line1)
        page.get_by_label("Town or city").fill(address.city)
        page.get_by_label("Postal code").fill(address.postal_code)
        if address.state:
            page.get_by_label("State").fill(address.state)
        if tax_id:
            page.get_by_label("Tax number").fill(tax_id)

    def get_quote(self, address: Address = CALIFORNIA, *, tax_id: str = "") -> str:
        """Fill in the details, go on, and return the id of the quote that is shown."""
        self.fill_details(address, tax_id=tax_id)
        self.page.get_by_role("button", name="Show the exact price").click()
        self.page.wait_for_url(re.compile("/checkout/Q-"))
        return self.quote_id

    @property
    def quote_id(self) -> str:
        found = re.search(r"/checkout/(Q-\w+)", self.page.url)
        assert found, f"{self.page.url} shows no quote"
        return found.group(1)

    def ready_to_pay(self, start: str = ADVANCED_YEAR) -> str:
        """From a fresh browser to the binding quote with the payment form; returns the quote's id."""
        self.sign_up(start=start)
        return self.get_quote()

    def payment_form(self, page: Page | None = None) -> FrameLocator:
        return (page or self.page).frame_locator("iframe[src*='/elements/payment']")

    def fill_card(self, number: str = VISA, page: Page | None = None) -> None:
        form = self.payment_form(page)
        form.get_by_label("Card number").fill(number)
        form.get_by_label("Expiration date").fill("12 / 30")
        form.get_by_label("Security code").fill("123")

    def press_pay(self, page: Page | None = None) -> None:
        (page or self.page).locator("#pay-button").click()

    def pay_by_card(self, number: str = VISA) -> None:
        self.fill_card(number)
        self.press_pay()

    def expect_live(self, page: Page | None = None) -> None:
        """The overview says that the purchase is done."""
        shown = page or self.page
        shown.wait_for_url(re.compile("/billing"))
        expect(shown.get_by_text("You are live")).to_be_visible()

    def subscriptions(self) -> list[dict[str, object]]:
        """What Stripe holds for this person's company: its subscriptions that are not over."""
        found = self.stack.stripe.v1.subscriptions.list({"status": "all", "limit": 100})
        mine = [one for one in found.data if self.email == self._email_of(str(one.customer))]
        return [one.to_dict() for one in mine if one.status not in ("canceled", "incomplete_expired")]

    def _email_of(self, stripe_customer: str) -> str | None:
        return self.stack.stripe.v1.customers.retrieve(stripe_customer).email
