"""What a customer does with a subscription that is there: go to the form, to the quote, and confirm."""

import re

from playwright.sync_api import Page, expect

from tests.journeys.customer import Customer

ADVANCED_MONTH = "tier=advanced&seats=12&interval=month&copilot=5&proactive_support=1"
CHANGE_QUOTE = re.compile("/billing/subscription/Q-")
AMOUNT = re.compile(r"Pay \$([\d,.]+) now")


def look_at_change(customer: Customer, query: str, page: Page | None = None) -> str:
    """The form with ``query`` chosen, then its binding quote; returns the quote's id."""
    page = page or customer.page
    customer.visit(f"/billing/subscription?{query}", page)
    page.get_by_role("button", name="Show the exact price").click()
    page.wait_for_url(CHANGE_QUOTE)
    return page.url.rsplit("/", 1)[-1]


def seeded(customer: Customer, catalog: str = "2023-05", *options: str) -> None:
    """Be signed in as a company that has paid since the days of an older price list: eight seats."""
    said = customer.stack.command("demo", "seed", "--catalog", catalog, *options)
    login, password, workspace = (
        re.search(rf"{name} +(\S+)", said) for name in ("Login:", "Password:", "Workspace")
    )
    assert login, said
    assert password, said
    assert workspace, said
    customer.email = login.group(1)
    customer.company = f"Demo {catalog}"
    customer.visit("/login")
    customer.sign_in(password.group(1))
    return workspace.group(1)


def look_at_prices(customer: Customer) -> str:
    """The move to the current prices as it is offered, then its binding quote; returns the quote's id."""
    customer.visit("/billing/subscription/prices")
    customer.page.get_by_role("button", name="Show the exact price").click()
    customer.page.wait_for_url(CHANGE_QUOTE)
    return customer.page.url.rsplit("/", 1)[-1]


def quoted_amount(page: Page) -> int:
    """The cents that the button names."""
    found = AMOUNT.fullmatch((page.locator("#pay-button").text_content() or "").strip())
    assert found, "the button names no amount"
    return int(re.sub(r"[,.]", "", found.group(1)))


def press_confirm(page: Page) -> None:
    page.locator("#pay-button").click()


def expect_done(page: Page) -> None:
    """The page after confirming says that the change is done."""
    expect(page.get_by_role("heading", name="The change is done")).to_be_visible()


def expect_proof(page: Page, quote: str) -> None:
    expect(page.get_by_text(f"Quote {quote} matched to the cent")).to_be_visible()


def quantities(customer: Customer) -> dict[str, int]:
    """What Stripe bills: lookup key → quantity, of what is paid for in advance."""
    [subscription] = customer.subscriptions()
    items = subscription["items"]["data"]
    return {
        item["price"]["lookup_key"].split(":", 1)[1]: item["quantity"]
        for item in items
        if item.get("quantity") is not None
    }
