"""A pack through its year: bought, drawn by the month's invoice, and told of before what is left lapses."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, expect

from tests.journeys.customer import ESSENTIAL_MONTH, Customer
from tests.journeys.pictures import pictures
from tests.journeys.test_accessibility import Inspector
from tests.journeys.test_credits import expect_bought
from tests.journeys.using import DAY, HOUR, await_reported, make_key, resolve
from tests.stack import Stack

LAPSES = re.compile(r"^About 9\d resolutions lapse on .+, for which you paid \$\d\d\.\d\d$")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A portal of its own: a year of everybody's invoices would take too long."""
    with Stack() as running:
        yield running


def cell(customer: Customer, label: str) -> Locator:
    """A cell of the pack's row on /credits, which is open."""
    row = customer.page.get_by_role("row").filter(has_text="Pack of 100")
    return row.locator(f"td[data-label='{label}']")


def expect_used(customer: Customer, *, open_month: str, final: str, left: str) -> None:
    expect(cell(customer, "Used in the open month")).to_have_text(open_month)
    expect(cell(customer, "Used in final invoices")).to_have_text(final)
    expect(cell(customer, "Left")).to_have_text(re.compile(f"^{left} ?worth"))


def paid_by_credits(customer: Customer) -> tuple[int, int]:
    """Of the subscription's last invoice at Stripe: what grants paid, and its total; in cents."""
    [subscription] = customer.subscriptions()
    invoice = customer.stack.stripe.v1.invoices.retrieve(subscription["latest_invoice"])
    return sum(part.amount for part in invoice.total_pretax_credit_amounts or []), invoice.total


def buy_and_use(customer: Customer) -> None:
    """From the advisor to a pack, of which three resolutions are used."""
    page = customer.page
    customer.arrive_as_subscriber(ESSENTIAL_MONTH)
    customer.stack.advance(HOUR)
    customer.visit("/developers")
    key = make_key(customer)
    customer.visit("/credits?units=100")
    page.get_by_role("link", name=re.compile("^Buy 100")).click()
    page.get_by_role("button", name="Show the binding price").click()
    customer.press_pay()
    expect_bought(customer, "100")
    resolve(customer, key, "conv-1", "conv-2", "conv-3")
    await_reported(customer, "conv-1", "conv-2", "conv-3")


@pytest.mark.waits
def test_a_pack_pays_the_months_invoice_and_what_lapses_is_told_before(customer: Customer) -> None:
    page, stack, inspector = customer.page, customer.stack, Inspector(customer)
    buy_and_use(customer)
    customer.visit("/credits")
    expect(page.get_by_role("heading", name="97 resolutions left, worth $96.03")).to_be_visible()
    expect_used(customer, open_month="3", final="0", left="97")

    stack.advance(32 * DAY)
    customer.visit("/billing/invoices")
    customer.await_words("-0003")
    page.get_by_role("main").get_by_role("link", name="-0003").click()
    expect(page.get_by_role("listitem").filter(has_text="Paid by annual credits")).to_contain_text("−$2.97")
    expect(page.get_by_role("row").filter(has_text="Annual credits")).to_contain_text("−$2.97")
    expect(page.get_by_text("Rounding")).to_have_count(0)
    inspector.look("an invoice that a pack paid in part")
    pictures(customer, "credit-invoice")
    assert paid_by_credits(customer) == (297, 7800)
    customer.visit("/credits")
    expect_used(customer, open_month="0", final="3", left="97")
    day = cell(customer, "From – to").inner_text().rpartition("–")[2].strip()
    end = datetime.strptime(day, "%d %B %Y").replace(tzinfo=UTC)

    stack.advance(int(end.timestamp()) - stack.sandbox("clock")["now"] - 50 * DAY)
    mail = stack.mail(customer.email, f"97 resolutions end on {day}").get_body(("plain",))
    assert mail
    assert "for which you paid $96.03 before tax" in mail.get_content()
    customer.visit(customer.mailed_link("resolutions end on"))
    expect(page.get_by_text(LAPSES)).to_contain_text(day)
    inspector.look("credits that will lapse")
    pictures(customer, "credit-lapse")

    assert inspector.found == {}
    assert customer.complaints == []
