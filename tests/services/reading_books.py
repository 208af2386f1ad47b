"""Who looks at the books of a company in this process."""

from flask import Flask

from tests.browsing import Browser
from tests.credit_books import Reader
from tests.programs import program
from tests.services.metering import Metered


def reader_of(app: Flask, acme: Metered) -> Reader:
    """A browser that is signed in, a program with a key, and Stripe's own SDK."""
    customer = acme.customer
    app.test_client_class = Browser
    browser, tool = app.test_client(), program(app, customer.account)
    assert isinstance(browser, Browser)
    browser.sign_in(customer.account.email, customer.account.password)
    return Reader(
        api=lambda path: tool.get(path).json,
        page=lambda path: browser.get(path).text,
        stripe=customer.shop.client,
        customer=acme.stripe_customer,
        now=lambda: int(acme.gateways.clock.now().timestamp()),
    )
