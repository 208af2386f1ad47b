"""Services that buy: the portal with the sandbox's engine as its Stripe."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from portal.app import create_app
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.jobs import Jobs
from portal.gateways.mail import mail_gateway
from portal.gateways.stripe import StripeGateway
from portal.models import InboxEvent
from portal.services import checkout, inbox
from tests import factories
from tests.database import TestDatabase
from tests.services.buying import Customer
from tests.services.using import Workspace, subscribe
from tests.shop import CALIFORNIA, Shop, ShopClock
from tests.worlds import World


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
def selling(app: Flask, gateways: Gateways, shop: Shop, world: World) -> Gateways:
    """The catalogue is on sale and webhooks arrive."""
    world.step("stock", lambda: shop.stock(gateways))
    shop.listen(app)
    return gateways


@pytest.fixture
def buyer(selling: Gateways, workspace: factories.Account, world: World) -> factories.Account:
    """A company that has given its details and may buy, where no tax is collected."""
    world.step(
        "details",
        lambda: checkout.save_details(selling, workspace.workspace_id, workspace.user_id, CALIFORNIA),
    )
    return workspace


@pytest.fixture
def acme(gateways: Gateways, workspace: factories.Account) -> Workspace:
    """A workspace with a live subscription, ten days into its month, that has no side at Stripe."""
    subscribe(gateways, workspace.workspace_id)
    return Workspace(gateways, workspace.workspace_id)


@pytest.fixture
def customer(
    selling: Gateways, shop: Shop, buyer: factories.Account, run_jobs: Callable[[], list[str]]
) -> Customer:
    """That company's browser."""
    return Customer(selling, shop, buyer, run_jobs)


@pytest.fixture
def open_shop(committing: TestDatabase, tmp_path: Path) -> tuple[Flask, Customer]:  # type: ignore[no-untyped-def]
    """A portal whose rows are there for every thread, with a company that may buy."""
    shop = Shop()
    settings = replace(factories.settings(), database_url=committing.app_url, data_dir=tmp_path)
    gateways = Gateways(settings, shop.gateway, shop.clock, mail_gateway(settings), Jobs(), letters=None)  # type: ignore[arg-type]
    app = create_app(settings, gateways)
    connected: Gateways = app.extensions["portal"]
    shop.stock(connected)
    shop.listen(app)
    account = factories.account(app)
    checkout.save_details(connected, account.workspace_id, account.user_id, CALIFORNIA)
    return app, Customer(connected, shop, account, lambda: work_off(connected))


def work_off(gateways: Gateways) -> list[str]:
    """The worker: every event that waits."""
    with unit_of_work() as session:
        waiting = list(session.scalars(select(InboxEvent.id).where(InboxEvent.state == "received")))
    for event_id in waiting:
        inbox.process(gateways, event_id)
    return waiting
