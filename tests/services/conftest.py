"""Services that buy: the portal with the sandbox's engine as its Stripe."""

from collections.abc import Callable

import pytest
from flask import Flask

from portal.gateways import Gateways
from portal.gateways.stripe import StripeGateway
from portal.services import catalogs, checkout
from tests import factories
from tests.services.buying import Customer
from tests.shop import CALIFORNIA, Shop, ShopClock


@pytest.fixture
def shop() -> Shop:
    """Stripe's side."""
    return Shop()


@pytest.fixture
def stripe(shop: Shop) -> StripeGateway:
    """The door to it, through the faults."""
    return shop.gateway


@pytest.fixture
def clock(shop: Shop) -> ShopClock:
    """Its time."""
    return shop.clock


@pytest.fixture
def selling(app: Flask, gateways: Gateways, shop: Shop) -> Gateways:
    """The catalogue is on sale and webhooks arrive."""
    catalogs.push(gateways)
    shop.listen(app)
    return gateways


@pytest.fixture
def buyer(selling: Gateways, workspace: factories.Account) -> factories.Account:
    """A company that has given its details and may buy, where no tax is collected."""
    checkout.save_details(selling, workspace.workspace_id, workspace.user_id, CALIFORNIA)
    return workspace


@pytest.fixture
def customer(
    selling: Gateways, shop: Shop, buyer: factories.Account, run_jobs: Callable[[], list[str]]
) -> Customer:
    """That company's browser."""
    return Customer(selling, shop, buyer, run_jobs)
