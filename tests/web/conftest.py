"""Pages that sell: a test that asks for the shop has the sandbox's engine as its Stripe."""

from collections.abc import Callable

import pytest
from flask import Flask

from portal.config import Settings
from portal.gateways import Gateways
from portal.gateways.clock import Clock, SystemClock
from portal.gateways.stripe import StripeGateway, connect_stripe
from portal.services import checkout
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import CALIFORNIA, Shop
from tests.worlds import World


@pytest.fixture
def shop() -> Shop:
    """Stripe's side."""
    return Shop()


@pytest.fixture
def stripe(request: pytest.FixtureRequest, settings: Settings) -> StripeGateway:
    """The door to the shop where there is one, else to a Stripe that is away."""
    if "shop" in request.fixturenames:
        door: StripeGateway = request.getfixturevalue("shop").gateway
        return door
    return connect_stripe(settings)


@pytest.fixture
def clock(request: pytest.FixtureRequest) -> Clock:
    """The shop's time where there is one."""
    if "shop" in request.fixturenames:
        time: Clock = request.getfixturevalue("shop").clock
        return time
    return SystemClock()


@pytest.fixture
def selling(app: Flask, gateways: Gateways, shop: Shop, world: World) -> Gateways:
    """The catalogue is on sale and webhooks arrive."""
    world.step("stock", lambda: shop.stock(gateways))
    shop.listen(app)
    return gateways


@pytest.fixture
def buyer(selling: Gateways, signed_in: Browser, workspace: factories.Account, world: World) -> Browser:
    """The browser of a company that has given its details and may buy, where no tax is collected."""
    world.step(
        "details",
        lambda: checkout.save_details(selling, workspace.workspace_id, workspace.user_id, CALIFORNIA),
    )
    return signed_in


@pytest.fixture
def customer(
    selling: Gateways,
    shop: Shop,
    buyer: Browser,
    workspace: factories.Account,
    run_jobs: Callable[[], list[str]],
) -> Customer:
    """The same company's steps, where a test is not about the pages that lead there."""
    return Customer(selling, shop, workspace, run_jobs)
