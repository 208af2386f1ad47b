"""Whatever is sent to whatever address: an answer, and never a failure of ours."""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from flask import Flask
from sqlalchemy import BigInteger, cast, select
from werkzeug.datastructures import MultiDict
from werkzeug.routing import IntegerConverter, Rule
from werkzeug.test import TestResponse

from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import User
from portal.web.incoming import InvoiceId, QuoteId
from portal.web.text_rules import NOT_PLAIN
from tests import factories
from tests.apps import Apps
from tests.browsing import Browser
from tests.factories import PASSWORD

NASTY = {
    "nothing": "",
    "NUL inside": "a\0b",
    "very long": "x" * 5_000,
    "long digits": "9" * 5_000,
    "beyond bigint": str(2**70),
    "negative": "-1",
    "other digits": "١٢٣",
    "other scripts": "株式会社 Müller 👩‍👩‍👧",
    "override": "Acme \u202edtL",
    "quotes": "' OR 1=1 --\"<script>",
    "template": "{{7*7}} %s %(a)s {0}",
    "year one": "0001-01-01T00:00:00+14:00",
    "year 9999": "9999-12-31T23:59:59-14:00",
}
JSON_BODIES = (
    "[]",
    "null",
    "1",
    '"a"',
    "{",
    '{"email": [1]}',
    '{"email": {}, "password": 1, "a": "\\u0000"}',
)
PLACES = {IntegerConverter: "1", QuoteId: "Q-0000000000", InvoiceId: "in_1"}
Kinds = Callable[[int], list[tuple[str, str]]]
SIGN_UP = {"company_name": "Birch & Sons", "email": "ada@birch.example", "password": PASSWORD}
DETAILS = {
    "company_name": "Acme Ltd",
    "email": "ap@acme.example",
    "country": "US",
    "line1": "1 Main Street",
    "line2": "",
    "postal_code": "94105",
    "city": "San Francisco",
    "state": "CA",
    "tax_id_value": "",
    "start": "now",
}
READ = [
    "tier",
    "seats",
    "interval",
    "copilot",
    "resolution",
    "instead_of",
    "changed",
    "waited",
    "redirect_status",
    "ask_stripe",
    "before",
    "welcome",
    "next",
    "theme",
    "promotion_code",
    "email",
    "password",
    "new_password",
    "company_name",
    "country",
    "line1",
    "state",
    "tax_id_value",
    "start",
]


def routes(app: Flask, browser: Browser) -> Iterator[tuple[Rule, str]]:
    """Every route and method; of those that send a guest to sign in, all alike, a guest tries one."""
    as_guest = is_guest(browser)
    for rule in app.url_map.iter_rules():
        public = getattr(app.view_functions[rule.endpoint], "portal_access", "public") == "public"
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            if rule.endpoint != "security.logout" and (
                public or not as_guest or rule.endpoint == "billing.overview"
            ):
                yield rule, method


def filled(rule: Rule, place: str | None = None) -> str:
    """The rule's path with ``place`` for its arguments, or with what has the right form."""
    path = rule.rule
    for name in rule.arguments:
        value = place if place is not None else PLACES.get(type(rule._converters[name]), "sample")
        path = re.sub(rf"<[^<>]*\b{name}>", quote(value, safe=""), path)
    return path


@pytest.fixture
def kinds() -> Kinds:
    """A third of what is nasty for each address, another for the next; ``make soak`` sends everything."""
    return lambda number: list(NASTY.items())[number % 3 :: 3]


@pytest.fixture(params=["guest", "owner"])
def anyone(
    request: pytest.FixtureRequest, selling: Gateways, client: Browser, workspace: factories.Account
) -> Browser:
    """A browser, once nobody's and once an owner's."""
    if request.param == "owner":
        client.sign_in(workspace.email, workspace.password)
    return client


def is_guest(browser: Browser) -> bool:
    return browser.get("/account").status_code == 303


def token(browser: Browser) -> str:
    """The token of a page with a form that this browser is shown."""
    return browser.token("/signup" if is_guest(browser) else "/account")


def failed(what: str, answer: TestResponse) -> list[str]:
    return [f"{what}: {answer.status_code}"] if answer.status_code >= 500 else []


def test_no_name_in_an_address_makes_us_fail(app: Flask, anyone: Browser, kinds: Kinds) -> None:
    found, headers = [], {"X-CSRFToken": token(anyone)}
    for number, (rule, method) in enumerate(routes(app, anyone)):
        for kind, value in kinds(number) if rule.arguments else ():
            answer = anyone.open(filled(rule, value), method=method, headers=headers)
            found += failed(f"{method} {rule.rule} with {kind}", answer)

    assert found == []


def test_no_query_makes_us_fail(app: Flask, anyone: Browser, kinds: Kinds) -> None:
    found = []
    for number, (rule, method) in enumerate(routes(app, anyone)):
        for kind, value in kinds(number) if method == "GET" else ():
            query = MultiDict((name, value) for name in [*READ, *READ])
            found += failed(f"{rule.rule} with {kind}", anyone.get(filled(rule), query_string=query))

    assert found == []


def test_no_form_makes_us_fail(app: Flask, anyone: Browser, kinds: Kinds) -> None:
    found, form_token = [], token(anyone)
    for number, (rule, method) in enumerate(routes(app, anyone)):
        for kind, value in kinds(number) if method == "POST" else ():
            data = {"csrf_token": form_token, **{name: [value, value] for name in READ}}
            found += failed(f"{rule.rule} with {kind}", anyone.post(filled(rule), data=data))

    assert found == []


def test_no_json_makes_us_fail(app: Flask, anyone: Browser) -> None:
    found, headers = [], {"X-CSRFToken": token(anyone)}
    for rule, method in routes(app, anyone):
        for body in JSON_BODIES if method == "POST" else ():
            answer = anyone.post(filled(rule), data=body, content_type="application/json", headers=headers)
            found += failed(f"{rule.rule} with {body}", answer)

    assert found == []


@pytest.mark.parametrize("wrong", ["company_name", "email", "password", "next"])
def test_no_single_field_of_signing_up_makes_us_fail(client: Browser, wrong: str) -> None:
    found, form_token = [], client.token("/signup")
    for number, (kind, value) in enumerate(NASTY.items()):
        data = {**SIGN_UP, "email": f"ada{number}@birch.example", "csrf_token": form_token, wrong: value}
        found += failed(f"{wrong} with {kind}", client.post("/signup", data=data))

    assert found == []


@pytest.mark.parametrize("wrong", DETAILS)
def test_no_single_field_of_the_details_makes_us_fail(buyer: Browser, wrong: str) -> None:
    found, address = [], "/checkout?tier=advanced&interval=year&seats=12"
    form_token = buyer.token(address)
    for kind, value in NASTY.items():
        data = {**DETAILS, "csrf_token": form_token, wrong: value}
        found += failed(f"{wrong} with {kind}", buyer.post(address, data=data))

    assert found == []


@pytest.mark.parametrize(
    "path",
    [
        "/checkout/%00",
        "/checkout/Q-%00/state",
        "/checkout/Q-0000000000?instead_of=%00",
        "/billing/invoices/%00",
    ],
)
def test_a_control_character_in_an_address_is_a_bad_request(signed_in: Browser, path: str) -> None:
    answer = signed_in.get(path)

    assert answer.status_code == 400
    assert "We could not read that request" in answer.text


@pytest.mark.parametrize("path", ["/checkout/Q-0000000000x", "/checkout/sample", "/billing/invoices/sub_1"])
def test_a_name_that_nothing_of_ours_has_is_no_address(signed_in: Browser, path: str) -> None:
    assert signed_in.get(path).status_code == 404


@pytest.mark.parametrize("name", ["a\0b", "a\x7fb", "Birch \u202esnoS", "Birch \u2066Sons"])
def test_an_unreadable_company_name_is_refused_for_known_and_unknown_alike(
    client: Browser, workspace: factories.Account, name: str
) -> None:
    data = {**SIGN_UP, "company_name": name}
    known = client.submit("/signup", {**data, "email": workspace.email})
    unknown = client.submit("/signup", data)

    assert known.status_code == unknown.status_code
    assert known.status_code == 400 or str(NOT_PLAIN) in known.text
    with unit_of_work() as session:
        assert session.scalars(select(User.email)).all() == [workspace.email]


@pytest.mark.parametrize("email", ["owner@acme.example", "nobody@acme.example"])
def test_a_password_too_long_to_be_one_is_refused(client: Browser, app: Flask, email: str) -> None:
    factories.account(app, email="owner@acme.example")
    answer = client.submit("/login", {"email": email, "password": "x" * 5_000})

    assert answer.status_code == 200
    assert "do not belong together" in answer.text


def test_what_the_database_cannot_store_is_a_bad_request_at_last(
    settings: Settings, gateways: Gateways
) -> None:
    app = Apps().app(settings, gateways)

    @app.get("/unstorable")
    def unstorable() -> str:
        with unit_of_work() as session:
            return str(session.scalar(select(cast(2**70, BigInteger))))

    assert app.test_client().get("/unstorable").status_code == 400
