"""A fresh sandbox per test and the official SDK talking to it."""

from __future__ import annotations

import pytest
import stripe
from flask import Flask

from portal.sandbox.app import create_sandbox
from portal.sandbox.state import Sandbox
from tests.sandbox import response_schema
from tests.transport import stripe_client


@pytest.fixture
def app() -> Flask:
    """A sandbox in memory; an exception inside it fails the test."""
    application = create_sandbox()
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
