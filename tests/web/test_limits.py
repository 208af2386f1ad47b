"""How often is often enough: per login, per person signed in, per workspace, per network address."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.app import create_app
from portal.config import Settings
from portal.gateways import Gateways
from tests import factories
from tests.browsing import Browser

WRONG = {"password": "not this one", "new_password": "quite another password"}


@pytest.fixture
def counting(settings: Settings, gateways: Gateways) -> Flask:
    """A portal that counts."""
    app = create_app(replace(settings, limits_enabled=True), gateways)
    app.test_client_class = Browser
    return app


def guest(app: Flask) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def person(app: Flask, address: str) -> Browser:
    """The owner of a new company, who asks from ``address``."""
    account = factories.account(app)
    browser = guest(app)
    browser.environ_base["REMOTE_ADDR"] = address
    browser.sign_in(account.email, account.password)
    return browser


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/account/password", WRONG),
        ("/account/verify", {"password": "not this one"}),
        ("/account/email", {"email": "not an address"}),
    ],
)
def test_one_person_s_tries_do_not_use_up_another_s(counting: Flask, path: str, data: dict[str, str]) -> None:
    busy, other = person(counting, "10.0.0.1"), person(counting, "10.0.0.2")
    tries = {"csrf_token": busy.token(path), **data}
    statuses = [busy.post(path, data=tries).status_code for _ in range(7)]

    assert statuses[-1] == 429
    assert other.submit(path, data).status_code == 200


def test_one_person_is_counted_from_all_addresses_together(counting: Flask) -> None:
    browser = person(counting, "10.0.0.1")
    data = {"csrf_token": browser.token("/account/password"), **WRONG}
    statuses = []
    for number in range(7):
        browser.environ_base["REMOTE_ADDR"] = f"10.0.1.{number}"
        statuses.append(browser.post("/account/password", data=data).status_code)

    assert statuses == [200] * 6 + [429]


@pytest.mark.parametrize("path", ["/login", "/reset", "/confirm", "/signup"])
def test_what_is_sent_without_an_address_counts_for_its_network_address_only(
    counting: Flask, path: str
) -> None:
    empty, other = guest(counting), guest(counting)
    other.environ_base["REMOTE_ADDR"] = "10.0.0.2"
    token = empty.token(path)
    statuses = [empty.post(path, data={"csrf_token": token}).status_code for _ in range(7)]

    assert statuses[-1] == 429
    assert other.submit(path).status_code == 200


@pytest.mark.parametrize("path", ["state?ask_stripe=1", "done?waited=4", "state"])
def test_stripe_is_asked_about_a_purchase_so_often_and_no_more(counting: Flask, path: str) -> None:
    busy, other = person(counting, "10.0.0.1"), person(counting, "10.0.0.1")
    address = f"/checkout/Q-0000000000/{path}"
    statuses = [busy.get(address).status_code for _ in range(121)]

    assert statuses == [404] * 120 + [429]
    assert other.get(address).status_code == 404


def test_wishes_that_write_to_support_are_counted_per_workspace(counting: Flask) -> None:
    busy, other = person(counting, "10.0.0.1"), person(counting, "10.0.0.1")
    data = {"csrf_token": busy.token("/account")}
    paths = ["/billing/leaving/deletion", "/billing/leaving/deletion/withdraw"]
    statuses = [busy.post(paths[number % 2], data=data).status_code for number in range(14)]

    assert statuses == [303] * 12 + [429] * 2
    assert other.submit(paths[0], page="/account").status_code == 303
