"""A person at a browser: signs up, chooses, pays; what they see is for the test to judge."""

import re
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Any

from playwright.sync_api import BrowserContext, ConsoleMessage, FrameLocator, Page, expect

from tests.journeys.shortcut import Shortcut, link_in
from tests.stack import Stack

PASSWORD = "four quiet words here"
# each a query of /pricing
ADVANCED_YEAR = "tier=advanced&seats=12&interval=year&copilot=5"
ESSENTIAL_MONTH = "tier=essential&seats=2&interval=month"
VISA = "4242 4242 4242 4242"
PATIENCE_MS = 30_000
# between two looks at a page that is waited for; each look keeps browser and server busy
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 500, 2_000
ANSWER = re.compile(r"responded with a status of (\d+) ")


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
        # Chromium writes every refusal to the console; these are answers that people may well get
        self.answers = {402, 409, 422}
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.page = context.new_page()

    def _hear(self, message: ConsoleMessage) -> None:
        answer = ANSWER.search(message.text)
        if message.type == "error" and not (answer and int(answer.group(1)) in self.answers):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def visit(self, path: str, page: Page | None = None) -> None:
        (page or self.page).goto(path if "://" in path else self.stack.url + path)

    def sign_up(self, *, start: str | None = None) -> None:
        """From a fresh browser to signed in, through the link in the mail; ``start`` is the page before."""
        self.fill_sign_up(start=start)
        self.visit(self.mailed_link("Confirm"))
        if "/login" in self.page.url:
            self.sign_in()

    def fill_sign_up(self, *, start: str | None = None) -> None:
        """From a fresh browser to the page that says that a mail is on its way."""
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

    def mailed_link(self, subject: str) -> str:
        """The first link of the newest mail about ``subject``."""
        return link_in(self.stack, self.email, subject)

    def sign_in(self, password: str = PASSWORD) -> None:
        """Fill in the form of /login, which is open, and be let in."""
        page = self.page
        page.get_by_label("E-mail").fill(self.email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_have_count(0)

    def sign_out(self) -> None:
        """Through the menu of the account."""
        self.page.get_by_role("button", name=self.company).click()
        self.page.get_by_role("button", name="Sign out", exact=True).click()
        expect(self.page.get_by_role("heading", name="Sign in")).to_be_visible()

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

    def arrive(self) -> None:
        """Be signed in as a new company's owner, without the pages for it."""
        Shortcut(self.stack, self.context.request).sign_up(self.company, self.email, PASSWORD)

    def ready_to_pay(
        self,
        choice: str = ADVANCED_YEAR,
        address: Address = CALIFORNIA,
        *,
        tax_id: str = "",
        start: str = "now",
    ) -> str:
        """Arrive and look at the binding quote; returns its id. ``start`` is "now" or "trial"."""
        self.arrive()
        return self.look_at_quote(choice, address, tax_id=tax_id, start=start)

    def look_at_quote(
        self,
        choice: str = ADVANCED_YEAR,
        address: Address = CALIFORNIA,
        *,
        tax_id: str = "",
        start: str = "now",
    ) -> str:
        """Look at a new binding quote, without the page for the details; returns its id."""
        self.visit(self._new_quote(choice, address, tax_id, start))
        return self.quote_id

    def _new_quote(
        self, choice: str, address: Address = CALIFORNIA, tax_id: str = "", start: str = "now"
    ) -> str:
        """The address of a new binding quote."""
        details = {"company_name": self.company, "email": self.email, "tax_id_value": tax_id, "start": start}
        return Shortcut(self.stack, self.context.request).quote(choice, **details, **asdict(address))

    def payment_form(self, page: Page | None = None) -> FrameLocator:
        return (page or self.page).frame_locator("iframe[src*='/elements/payment']")

    def fill_card(self, number: str = VISA, page: Page | None = None) -> None:
        form = self.payment_form(page)
        form.get_by_label("Card number").fill(number)
        form.get_by_label("Expiration date").fill("12 / 30")
        form.get_by_label("Security code").fill("123")

    def choose_method(self, name: str, page: Page | None = None) -> None:
        """Open "Card", "Link", "US bank account" or "Amazon Pay" in the payment form."""
        self.payment_form(page).get_by_text(name, exact=True).click()

    def fill_account(self, number: str) -> None:
        """The American bank account with this number; the name and e-mail are known."""
        self.choose_method("US bank account")
        form = self.payment_form()
        form.get_by_label("Routing number").fill("110000000")
        form.get_by_label("Account number").fill(number)

    def open_express_dialog(self) -> FrameLocator:
        """Press the express button; returns Link's dialog."""
        buttons = self.page.frame_locator("iframe[src*='/elements/express-checkout']")
        buttons.get_by_role("button", name="Pay with Link").click()
        return self.page.frame_locator("dialog iframe")

    def press_pay(self, page: Page | None = None) -> None:
        (page or self.page).locator("#pay-button").click()

    def pay_by_card(self, number: str = VISA) -> None:
        self.fill_card(number)
        self.press_pay()

    def expect_live(self, page: Page | None = None) -> None:
        """The overview says that the purchase is done."""
        expect((page or self.page).get_by_text("You are live")).to_be_visible()

    def await_words(self, words: str, *, seconds: float = PATIENCE_MS / 1000) -> None:
        """Reload the page, as somebody who waits does, until it says ``words``."""
        end, pause = time.monotonic() + seconds, FIRST_PAUSE_MS
        while time.monotonic() < end:
            if self.page.get_by_text(words).count():
                break
            self.page.wait_for_timeout(pause)
            self.page.reload()
            pause = min(2 * pause, LONGEST_PAUSE_MS)
        expect(self.page.get_by_text(words).first).to_be_visible()

    def buy(self, choice: str = ADVANCED_YEAR, card: str = VISA) -> str:
        """Arrive and pay by card; returns the quote's id."""
        quote = self.ready_to_pay(choice)
        self.pay_by_card(card)
        self.expect_live()
        return quote

    def arrive_as_subscriber(self, choice: str = ADVANCED_YEAR) -> str:
        """Arrive and buy without the pages for either; returns the quote's id."""
        self.arrive()
        return self.subscribe(choice)

    def subscribe(self, choice: str = ADVANCED_YEAR) -> str:
        """Buy without the pages for it, and look at the overview that follows; returns the quote's id."""
        quote = self._new_quote(choice)
        self.visit(Shortcut(self.stack, self.context.request).buy(quote))
        self.expect_live()
        return quote.rsplit("/", 1)[-1]

    def subscriptions(self) -> list[dict[str, Any]]:
        """What Stripe holds for this person's company: its subscriptions that are not over."""
        found = [
            one
            for customer in self._at_stripe()
            for one in self.stack.stripe.v1.subscriptions.list({"customer": customer, "status": "all"}).data
        ]
        return [one.to_dict() for one in found if one.status not in ("canceled", "incomplete_expired")]

    def charges(self) -> list[dict[str, Any]]:
        """What was charged to this person's company and not refused, newest first."""
        found = [
            one
            for customer in self._at_stripe()
            for one in self.stack.stripe.v1.charges.list({"customer": customer, "limit": 100}).data
        ]
        return [one.to_dict() for one in found if one.status != "failed"]

    def _at_stripe(self) -> list[str]:
        return [one.id for one in self.stack.stripe.v1.customers.list({"email": self.email}).data]
