"""The express button when the portal refuses: the wallet hears of it, and a card still pays."""

from playwright.sync_api import Route, expect

from tests.journeys.customer import Customer
from tests.journeys.test_link import CODE, link_email

__all__ = ["link_email"]

# what Stripe.js tells its frames
LISTEN = """
const post = MessagePort.prototype.postMessage;
MessagePort.prototype.postMessage = function (said, ...more) {
  (window.told ??= []).push(said?.method);
  return post.call(this, said, ...more);
};
"""


def test_a_refused_express_payment_tells_the_wallet_and_leaves_the_card_form_to_pay_with(
    customer: Customer, link_email: str
) -> None:
    page = customer.page
    customer.answers.add(429)
    page.add_init_script(LISTEN)
    customer.ready_to_pay()

    def refuse(route: Route) -> None:
        route.fulfill(status=429, body="")

    page.route("**/checkout/*/confirm", refuse)
    dialog = customer.open_express_dialog()
    dialog.get_by_label("Email").fill(link_email)
    dialog.get_by_role("button", name="Continue").click()
    dialog.get_by_label("Your one-time code").fill(CODE)
    dialog.get_by_role("button", name="Pay $13,980.00").click()

    expect(page.locator("#pay-problem")).to_contain_text("Too many attempts")
    assert "failed" in page.evaluate("window.told")
    assert customer.subscriptions() == []
    page.unroute("**/checkout/*/confirm", refuse)
    customer.pay_by_card()
    customer.expect_live()
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
