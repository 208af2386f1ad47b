"""The invoice's page in a real browser: it takes the payment, and everyone can use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect
from werkzeug.serving import BaseWSGIServer

from tests.sandbox.billing import BillingWorld
from tests.sandbox.shop import CARD, PATIENCE_MS, serve

DECLINED = "4000000000000002"


@pytest.fixture
def world() -> BillingWorld:
    return BillingWorld()


@pytest.fixture
def server(world: BillingWorld) -> Iterator[BaseWSGIServer]:
    running = serve(world.app)
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def page(world: BillingWorld, server: BaseWSGIServer, browser: Chromium) -> Iterator[Page]:
    """The page of an open invoice of $1,188.00; nothing may be written to the console."""
    complaints: list[str] = []
    params = {"payment_behavior": "default_incomplete"}
    item = {"price": world.price(9900), "quantity": 12}
    customer = world.customer(None, name="Nordlicht GmbH")
    subscription = world.v1.subscriptions.create({"customer": customer.id, "items": [item], **params})
    invoice = world.latest_invoice(subscription)
    token = str(invoice.hosted_invoice_url).rpartition("/")[2]
    with browser.new_context(viewport={"width": 800, "height": 900}) as context:
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        opened = context.new_page()
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        opened.goto(f"http://127.0.0.1:{server.server_port}/invoice/{token}")
        yield opened
    assert [text for text in complaints if "402" not in text] == []


def pay(page: Page, number: str) -> None:
    """Type a card and press the button."""
    fields = page.frame_locator("form.pay iframe").first
    for label, value in (("Card number", number), ("Expiration date", "12 / 34"), ("Security code", "123")):
        fields.get_by_label(label).fill(value)
    fields.get_by_label("ZIP").fill("10001")
    page.get_by_role("button", name="Pay $1,188.00").click()


def test_the_customer_pays_on_the_page_after_a_decline(world: BillingWorld, page: Page) -> None:
    pay(page, DECLINED)
    expect(page.get_by_role("alert")).to_contain_text("declined")

    pay(page, CARD)
    expect(page.get_by_role("heading", level=1)).to_have_text("$1,188.00 paid on 21 September 2026")
    expect(page.get_by_text("Visa •••• 4242")).to_be_visible()
    assert world.v1.subscriptions.list().data[0].status == "active"


@pytest.mark.parametrize("width", [390, 800])
def test_everyone_can_read_the_page(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    expect(page.get_by_role("button", name="Pay $1,188.00")).to_be_visible()
    found = Axe().run(page)
    wider = page.evaluate("document.documentElement.scrollWidth > innerWidth")

    assert found.response["violations"] == [], found.generate_report()
    assert not wider
