"""The table of endpoints held against the SDK: no path, parameter or supported name that Stripe has not."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.sandbox import routes
from portal.sandbox.app import create_sandbox
from portal.sandbox.contract import known_names, reader_of
from portal.sandbox.errors import StripeError
from tests.sandbox import response_schema


@pytest.fixture(scope="module")
def app() -> Flask:
    return create_sandbox()


def every_route() -> list[routes.Route]:
    return [route for known in routes._routes.values() for route in known]


def answer_to_unknown(params: type) -> str:
    """What the reader of a type says to a parameter that no type has."""
    with pytest.raises(StripeError) as caught:
        reader_of(params)({"no_such_thing": "1"}, [])
    return caught.value.message


def address(route: routes.Route) -> str:
    return "/" + "/".join(route.segments)


def test_every_endpoint_is_one_of_the_sdks(app: Flask) -> None:
    """Endpoints that only Stripe.js calls (`publishable`) have no method in the SDK."""
    found = {(method, pattern.pattern) for method, pattern, _, _ in response_schema._endpoints()}
    shapes = {
        (route.method, "/" + "/".join("[^/]+" if part.startswith("{") else part for part in route.segments))
        for route in every_route()
        if not route.publishable
    }

    assert len(shapes) > 80
    assert sorted(shapes - found) == []


def test_every_supported_name_is_a_parameter(app: Flask) -> None:
    wrong = [
        f"{route.method} {address(route)}: {name}"
        for route in every_route()
        if route.params is not None
        for name in route.supports or ()
        if name.split(".")[0] not in known_names(route.params) | route.browser_params
    ]

    assert wrong == []


def test_every_parameter_type_can_be_read(app: Flask) -> None:
    types = {route.params for route in every_route() if route.params is not None}
    unreadable = {
        params.__name__: error
        for params in types
        if (error := answer_to_unknown(params)) != "Received unknown parameter: no_such_thing"
    }

    assert len(types) > 80
    assert unreadable == {}


def test_every_id_in_a_path_is_an_argument_of_its_handler(app: Flask) -> None:
    wrong = [
        f"{route.method} {address(route)}"
        for route in every_route()
        for part in route.segments
        if part.startswith("{") and part[1:-1] not in route.handler.__code__.co_varnames
    ]

    assert wrong == []
