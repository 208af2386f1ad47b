"""Tax: shown to the cent before paying, and why; tax numbers are answered beside their field."""

from playwright.sync_api import expect

from tests.journeys.customer import ADVANCED_YEAR, BERLIN, Address, Customer

PARIS = Address("12 rue de Rivoli", "Paris", "75001", "FR")
FRENCH_NUMBER = "FR40303265045"
# Stripe's test number that no register knows
UNKNOWN_NUMBER = "DE111111111"


def test_a_company_in_germany_pays_nineteen_per_cent(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay(address=BERLIN)

    expect(page.get_by_text("$2,656.20").first).to_be_visible()
    expect(page.get_by_role("button", name="Pay $16,636.20 now")).to_be_visible()
    page.get_by_text("why?").last.click()
    expect(page.get_by_text("19%").first).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    assert [one["amount"] for one in customer.charges()] == [1_663_620]


def test_reverse_charge_takes_the_tax_away_from_a_company_with_a_number_elsewhere_in_the_union(
    customer: Customer,
) -> None:
    page = customer.page
    customer.arrive()
    customer.visit(f"/checkout?{ADVANCED_YEAR}")
    customer.get_quote(PARIS, tax_id=FRENCH_NUMBER)

    expect(page.get_by_text("Tax: none, reverse charge").first).to_be_visible()
    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
    customer.pay_by_card()
    customer.expect_live()
    page.get_by_role("main").get_by_role("link", name="-0001").first.click()
    expect(page.get_by_text(FRENCH_NUMBER)).to_be_visible()


def test_a_tax_number_of_wrong_form_is_refused_beside_its_field_and_can_be_mended(customer: Customer) -> None:
    page = customer.page
    customer.arrive()
    customer.visit(f"/checkout?{ADVANCED_YEAR}")
    customer.fill_details(PARIS, tax_id="FR12")
    page.get_by_role("button", name="Show the exact price").click()

    error = page.locator("#tax_id_value-error")
    expect(error).to_contain_text("as in FR40303265045.")
    expect(page.get_by_label("Tax number")).to_have_value("FR12")
    expect(page.get_by_label("Tax number")).to_have_attribute("aria-invalid", "true")
    page.get_by_role("alert").get_by_role("link").click()
    expect(page.get_by_label("Tax number")).to_be_focused()
    customer.get_quote(PARIS, tax_id=FRENCH_NUMBER)
    expect(page.get_by_text("Tax: none, reverse charge").first).to_be_visible()


def test_a_number_that_the_register_does_not_know_is_said_before_paying(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay(address=BERLIN, tax_id=UNKNOWN_NUMBER)
    expect(page.locator(".tax-id")).to_contain_text(UNKNOWN_NUMBER)

    customer.stack.advance(60)

    expect(page.locator(".tax-id-info, .tax-id-caution")).to_be_visible()
    customer.await_words("the official register does not know it")


def test_no_tax_is_charged_where_none_is_collected_and_the_page_says_why(customer: Customer) -> None:
    page = customer.page
    customer.ready_to_pay(address=Address("Av. Paulista 1", "São Paulo", "01310-100", "BR"))

    expect(page.get_by_text("Tax: none", exact=True).first).to_be_visible()
    expect(page.get_by_role("button", name="Pay $13,980.00 now")).to_be_visible()
