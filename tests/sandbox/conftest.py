"""A fresh sandbox per test and the official SDK talking to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, expect

from portal.sandbox.app import create_sandbox
from portal.sandbox.state import Sandbox
from tests.chromium import launched
from tests.sandbox import response_schema
from tests.sandbox.shop import PATIENCE_MS, Buyer, Running, Shop
from tests.shop import without_state
from tests.transport import stripe_client


@pytest.fixture
def app() -> Flask:
    """A sandbox in memory; an exception inside it fails the test."""
    application = create_sandbox(app=without_state())
    application.testing = True
    return application


@pytest.fixture
def sandbox(app: Flask) -> Sandbox:
    """The state behind the SDK client."""
    return app.extensions["sandbox"]


@pytest.fixture
def client(app: Flask) -> stripe.StripeClient:
    """The SDK's client; every answer, and every event behind it, is held against the SDK's classes."""
    return stripe_client(app, watch=response_schema.EveryAnswer(app.extensions["sandbox"]))


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    """A shop around the sandbox's Stripe.js, both on ports of their own."""
    with Running() as running:
        yield running


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with launched() as running:
        yield running


@pytest.fixture(scope="module")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """A browser profile; sharing it spares each page the loading of the frames' modules."""
    with browser.new_context(viewport={"width": 800, "height": 900}) as context:
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield context


@pytest.fixture
def buyer(shop: Shop, profile: BrowserContext) -> Iterator[Buyer]:
    """Somebody in the shop; script errors and blocked resources fail the test."""
    somebody = Buyer(shop, profile.new_page())
    yield somebody
    somebody.page.close()
    assert somebody.complaints == []
