"""How Stripe.js and its frames are served."""

from __future__ import annotations

import re

import pytest
from flask import Flask

from portal.sandbox.elements import PAGES, STATIC, modules_of


def test_stripe_js_is_one_classic_script(app: Flask) -> None:
    answer = app.test_client().get("/endive/stripe.js")

    assert answer.content_type == "text/javascript; charset=utf-8"
    assert re.search(r"^(import|export) ", answer.text, re.MULTILINE) is None


def test_stripe_js_holds_every_module_that_there_is(app: Flask) -> None:
    script = app.test_client().get("/endive/stripe.js").text
    declared = re.compile(r"^export (?:async )?(?:class|function|const) (\w+)", re.MULTILINE)
    names = [name for path in (STATIC / "stripe").glob("*.js") for name in declared.findall(path.read_text())]

    assert len(names) > 10
    assert [name for name in names if not re.search(rf"(class|function|const) {name}\b", script)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_frame_loads_nothing_inline_and_nothing_from_elsewhere(app: Flask, page: str) -> None:
    answer = app.test_client().get(f"/elements/{page}")
    policy = answer.headers["Content-Security-Policy"]

    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "<style" not in answer.text
    assert re.search(r"<script(?![^>]* src=)", answer.text) is None


@pytest.mark.parametrize("page", PAGES)
def test_a_frames_modules_are_all_there(app: Flask, page: str) -> None:
    client = app.test_client()
    statuses = {
        name: client.get(f"/elements/static/frames/{name}.js", buffered=True).status_code
        for name in modules_of(PAGES[page][0])
    }

    assert set(statuses.values()) == {200}


def test_there_is_no_other_frame(app: Flask) -> None:
    assert app.test_client().get("/elements/nonsense").status_code == 404


def test_a_frame_learns_the_methods_and_the_time_of_the_sandbox(app: Flask) -> None:
    query = {"key": "pk_test_sandbox", "currency": "eur"}
    answer = app.test_client().get("/elements/config", query_string=query).json

    assert answer["payment_method_types"] == ["card", "link", "amazon_pay"]
    assert answer["now"] == app.extensions["sandbox"].now()


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 401), ({"key": "nonsense"}, 401), ({"key": "pk_test_x", "client_secret": "pi_1_secret_2"}, 404)],
)
def test_a_frame_without_a_key_or_with_a_wrong_secret_learns_nothing(
    app: Flask, query: dict[str, str], status: int
) -> None:
    answer = app.test_client().get("/elements/config", query_string=query)

    assert answer.status_code == status
    assert answer.json["error"]["message"]
