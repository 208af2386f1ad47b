"""One running portal and one browser per process; a fresh customer, with an own profile, per test."""

from collections.abc import Callable, Generator, Iterator
from typing import cast

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.chromium import launched
from tests.journeys.customer import Customer
from tests.stack import Stack

NewCustomer = Callable[..., Customer]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what lets time pass, while few customers are there who are billed for it.

    Then comes what waits, so that none is left to wait alone when all others have ended.
    """
    items.sort(
        key=lambda item: [item.get_closest_marker(name) is None for name in ("lets_time_pass", "waits")]
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what the portal logged last under a journey that failed."""
    report = yield
    running = cast("dict[str, object]", getattr(item, "funcargs", {})).get("stack")
    if report.failed and isinstance(running, Stack):
        report.sections.append(("the portal's log", running.complaints()))
    return report


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    """A portal that runs until the last journey has ended, and not beside all the tests after it."""
    with Stack() as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture
def new_customer(stack: Stack, browser: Browser) -> Iterator[NewCustomer]:
    """Make customers; arguments are Playwright's for a browser context (viewport, java_script_enabled …)."""
    contexts: list[BrowserContext] = []
    made: list[Customer] = []

    def make(**options: object) -> Customer:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})  # type: ignore[arg-type]
        contexts.append(context)
        made.append(Customer(stack, context))
        return made[-1]

    yield make
    for context in contexts:
        context.close()
    assert [customer.complaints for customer in made if customer.complaints] == []


@pytest.fixture
def customer(new_customer: NewCustomer) -> Customer:
    """Somebody with a desktop browser who has not been here before."""
    return new_customer()
