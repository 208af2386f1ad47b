"""The neighbour under contract: the sandbox's engine, or an account's test mode."""

import os
from collections.abc import Callable

import pytest
import stripe as sdk

from portal.gateways import Gateways
from portal.gateways.clock import Clock, SystemClock
from portal.gateways.stripe import StripeGateway
from portal.services import catalogs, checkout
from tests import factories
from tests.services.buying import Customer
from tests.shop import CALIFORNIA, Shop

AGAINST_STRIPE = "PORTAL_CONTRACT_AGAINST_STRIPE"


class TestMode(Shop):
    """Stripe itself: nothing can be injected, no clock turned; what a browser does is done by the API."""

    __test__ = False

    def __init__(self, key: str) -> None:
        self.client = sdk.StripeClient(key, max_network_retries=2)
        self.gateway = StripeGateway(key)
        self.clock = SystemClock()  # type: ignore[assignment]


@pytest.fixture
def shop() -> Shop:
    """Stripe's side."""
    return TestMode(os.environ["STRIPE_SECRET_KEY"]) if os.environ.get(AGAINST_STRIPE) else Shop()


@pytest.fixture
def stripe(shop: Shop) -> StripeGateway:
    """The door to it."""
    return shop.gateway


@pytest.fixture
def clock(shop: Shop) -> Clock:
    """Its time."""
    return shop.clock


@pytest.fixture
def customer(
    gateways: Gateways, shop: Shop, workspace: factories.Account, run_jobs: Callable[[], list[str]]
) -> Customer:
    """A company that may buy; the catalogue is on sale."""
    catalogs.push(gateways)
    checkout.save_details(gateways, workspace.workspace_id, workspace.user_id, CALIFORNIA)
    return Customer(gateways, shop, workspace, run_jobs)
