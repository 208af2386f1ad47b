"""axe finds nothing on any page, in light and dark, in the payment frames too."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from playwright.sync_api import Frame, ViewportSize, expect

from tests.journeys.changing import (
    ADVANCED_MONTH,
    expect_done,
    look_at_change,
    look_at_prices,
    press_confirm,
    seeded,
)
from tests.journeys.conftest import NewCustomer
from tests.journeys.customer import ADVANCED_YEAR, Customer
from tests.journeys.test_signing_in import enter_password, turn_on

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# each frame is looked at by itself
RUN = """only => axe.run(document, {iframes: false, resultTypes: ['violations'], runOnly: only})
    .then(found => found.violations.flatMap(rule => rule.nodes.map(node => `${rule.id}: ${node.html}`)))"""
# the best practices are about whole pages
FRAME_RULES = [rule for rule in RULES if rule != "best-practice"]
# a page that is open changes with its width by its styles alone
SIZES: Sequence[ViewportSize] = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})
# all that the choice of colours can change
COLOUR_RULES = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


class Inspector:
    """Looks at one page after the other, at each of ``sizes``, and keeps what axe says."""

    def __init__(self, customer: Customer, sizes: Sequence[ViewportSize] = ()) -> None:
        self.customer = customer
        self.found: dict[str, list[str]] = {}
        self._sizes = sizes
        self._seen: set[tuple[str, int, str]] = set()

    def look(self, name: str) -> None:
        """Look at the page that is open, with its frames, in light and in dark; the last size stays."""
        self.customer.page.wait_for_load_state()
        for size in self._sizes:
            self.customer.page.set_viewport_size(size)
            self._look_in_both_schemes(f"{name}, {size['width']} wide")
        if not self._sizes:
            self._look_in_both_schemes(name)

    def _look_in_both_schemes(self, name: str) -> None:
        page = self.customer.page
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        for frame in page.frames:
            self._examine(name, "light", frame, RULES if frame == page.main_frame else FRAME_RULES)
        page.emulate_media(color_scheme="dark")
        for frame in page.frames:
            self._examine(name, "dark", frame, COLOUR_RULES)

    def visit(self, path: str) -> None:
        self.customer.visit(path)
        self.look(path)

    def _examine(self, name: str, scheme: str, frame: Frame, rules: object) -> None:
        if frame.parent_frame and self._known(scheme, frame):
            return
        if not frame.evaluate("typeof axe === 'object'"):
            frame.evaluate(AXE)
        problems: Any = frame.evaluate(RUN, rules)
        if problems:
            self.found[f"{name}, {scheme}, {frame.url}"] = problems

    def _known(self, scheme: str, frame: Frame) -> bool:
        """Whether the same document was examined before: most of a payment form stays from look to look."""
        width, content = frame.evaluate("[innerWidth, document.documentElement.outerHTML]")
        known = (scheme, width, content) in self._seen
        self._seen.add((scheme, width, content))
        return known


@pytest.fixture
def inspector(new_customer: NewCustomer) -> Inspector:
    return Inspector(new_customer())


def test_the_pages_of_a_guest_are_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    inspector.visit(f"/pricing?{ADVANCED_YEAR}&resolution=500")
    inspector.visit("/pricing?tier=advanced&seats=3&copilot=9")
    inspector.visit("/login")
    inspector.visit("/reset")
    inspector.visit("/confirm")
    inspector.visit("/signup")
    page.get_by_role("button", name="Create account").click()
    expect(page.locator("#error-summary")).to_be_visible()
    inspector.look("/signup with errors")
    customer.fill_sign_up()
    inspector.look("the mail is on its way")
    customer.stack.mail(customer.email, "Confirm")
    inspector.visit("/development/mail")
    page.get_by_role("main").get_by_role("link", name="Confirm your e-mail address").first.click()
    expect(page.get_by_role("link", name="All mails")).to_be_visible()
    inspector.look("a mail")
    customer.answers.add(404)
    inspector.visit("/no-such-page")

    assert inspector.found == {}


def test_the_pages_of_the_checkout_are_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive()
    inspector.visit(f"/checkout?{ADVANCED_YEAR}")
    page.get_by_role("button", name="Show the exact price").click()
    expect(page.locator("#error-summary")).to_be_visible()
    inspector.look("details with errors")
    customer.look_at_quote()
    expect(customer.payment_form().get_by_label("Card number")).to_be_visible()
    inspector.look("quote")
    for method in ("Link", "US bank account", "Amazon Pay", "Card"):
        customer.choose_method(method)
        inspector.look(f"quote, {method}")
    dialog = customer.open_express_dialog()
    expect(dialog.get_by_label("Email")).to_be_visible()
    inspector.look("Link's dialog")
    dialog.get_by_role("button", name="Close").click()
    # while it is open, what is typed into the page behind it is lost
    expect(page.locator("dialog")).to_have_count(0)
    page.get_by_label("Promotion code").fill("NOSUCHCODE")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#promotion_code-error")).to_be_visible()
    inspector.look("quote with a refused code")
    replaced = customer.look_at_quote()
    customer.look_at_quote()
    inspector.visit(f"/checkout/{replaced}")
    customer.look_at_quote()
    customer.pay_by_card("4000 0000 0000 0002")
    expect(page.locator("#pay-problem")).to_be_visible()
    inspector.look("quote with a refused card")

    assert inspector.found == {}


def test_the_pages_after_paying_are_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive()
    inspector.visit("/billing")
    inspector.visit("/billing/invoices")
    customer.stack.sandbox("webhooks", delay=60)
    customer.look_at_quote()
    customer.pay_by_card("4000 0027 6000 3184")
    bank = page.frame_locator("iframe[src*='/elements/challenge']")
    expect(bank.get_by_role("button", name="Complete authentication")).to_be_visible()
    inspector.look("3-D Secure")
    page.route("**/state*", lambda route: route.abort())
    bank.get_by_role("button", name="Complete authentication").click()
    expect(page.get_by_role("heading", name="Confirming your payment")).to_be_visible()
    inspector.look("waiting")
    page.unroute("**/state*")
    customer.stack.sandbox("webhooks", delay=0)
    customer.complaints.clear()  # the requests that were held back
    customer.expect_live()
    inspector.look("overview after paying")
    inspector.visit("/billing/invoices")
    page.get_by_role("main").get_by_role("link", name="-0001").click()
    expect(page.get_by_text("matched to the cent")).to_be_visible()
    inspector.look("invoice")
    for path in ("/account", "/account/password", "/account/email"):
        inspector.visit(path)

    assert inspector.found == {}


def test_the_pages_of_a_change_are_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive_as_subscriber(ADVANCED_MONTH)
    inspector.visit("/billing/subscription")
    inspector.visit("/billing/subscription?seats=0")
    look_at_change(customer, "seats=14&when=now&proactive_support=0")
    inspector.look("quote of a change")
    customer.stack.sandbox("next-payment", outcome="insufficient_funds")
    page.locator("#pay-button").click()
    expect(customer.payment_form().get_by_label("Card number")).to_be_visible()
    inspector.look("quote of a change with a refused card")
    look_at_change(customer, "seats=10")
    page.locator("#pay-button").click()
    expect(page.get_by_role("heading", name="The change is planned")).to_be_visible()
    inspector.look("a planned change")
    inspector.visit("/billing")
    inspector.visit("/billing/subscription")

    assert inspector.found == {}


def test_the_pages_of_another_price_list_are_accessible_wide_and_narrow(customer: Customer) -> None:
    page, inspector = customer.page, Inspector(customer, SIZES)
    seeded(customer)
    inspector.visit("/billing/subscription")
    inspector.visit("/billing/subscription/prices")
    look_at_change(customer, "seats=9")
    press_confirm(page)
    expect_done(page)
    inspector.look("a change that is done")
    look_at_prices(customer)
    inspector.look("quote of a move")
    press_confirm(page)
    expect_done(page)
    inspector.look("a move that is done")
    inspector.visit("/billing/subscription")

    assert inspector.found == {}


def test_the_pages_of_signing_in_are_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.arrive()
    inspector.visit("/account/two-step")
    inspector.visit("/account/two-step/app")
    turn_on(customer)
    inspector.look("recovery codes")
    for path in ("/account", "/account/two-step", "/account/two-step/off", "/account/browsers"):
        inspector.visit(path)
    for path in (
        "/account/passkeys",
        "/account/passkeys/new",
        "/account/verify",
        "/account/verify?with=code",
    ):
        inspector.visit(path)
    customer.context.clear_cookies()
    enter_password(customer)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.locator("#error-summary")).to_be_visible()
    inspector.look("second step with errors")
    page.get_by_role("link", name="Use a recovery code").click()
    expect(page.get_by_label("Recovery code")).to_be_visible()
    inspector.look("recovery code")

    assert inspector.found == {}


def test_a_wallets_sheet_is_accessible(inspector: Inspector) -> None:
    customer, page = inspector.customer, inspector.customer.page
    customer.ready_to_pay()
    buttons = page.frame_locator("iframe[src*='/elements/express-checkout']")
    buttons.get_by_role("button", name="Apple Pay").click()
    expect(page.frame_locator("dialog iframe").get_by_label("4242")).to_be_visible()
    inspector.look("Apple Pay's sheet")

    assert inspector.found == {}
