"""The document of /v1 is whole and right, and /developers/api shows all of it to everybody."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from openapi_pydantic import OpenAPI

from portal.app import create_app
from portal.config import Settings
from portal.gateways import Gateways
from portal.web import api_reference
from portal.web.api import events, keys, openapi_document, operations, reservations, usage
from portal.web.api.problems import KINDS
from tests.browsing import Browser
from tests.web.reading import words


@pytest.fixture
def document(client: Browser) -> dict[str, Any]:
    answer = client.get("/v1/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json)


def test_the_document_is_openapi_3_1_and_needs_no_key(client: Browser, document: dict[str, Any]) -> None:
    answer = client.get("/v1/openapi.json")
    again = client.get("/v1/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})

    assert document["openapi"].startswith("3.1.")
    assert OpenAPI.model_validate(document).paths is not None
    assert document["servers"] == [{"url": "http://localhost/v1"}]
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert again.status_code == 304


def test_every_route_is_in_the_document_and_guarded(app: Flask, document: dict[str, Any]) -> None:
    api = app.extensions["portal.api"]
    routes = {
        (openapi_document.path_of(rule), method.lower(), rule.endpoint)
        for rule in api.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.endpoint != "openapi.page"
    }
    told = {(path, method) for path, item in document["paths"].items() for method in item}

    assert {(path, method) for path, method, _ in routes} == told
    for _, _, endpoint in routes:
        view = api.view_functions[endpoint]
        assert getattr(view, keys.MARK), endpoint
        assert isinstance(getattr(view, operations.MARK), operations.Operation), endpoint


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(shape: object) -> list[str]:
        if isinstance(shape, dict):
            own = [shape["$ref"]] if "$ref" in shape else []
            return own + [each for value in shape.values() for each in references(value)]
        return [each for value in shape for each in references(value)] if isinstance(shape, list) else []

    found = set(references(document))

    assert len(found) > 10
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [each["operationId"] for item in document["paths"].values() for each in item.values()]

    assert len(names) == len(set(names))


def test_the_page_shows_every_operation_field_and_problem(client: Browser, document: dict[str, Any]) -> None:
    page = client.get("/developers/api")
    said = words(page)

    assert page.status_code == 200
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f"{method.upper()} {path}" in said
            assert operation["summary"] in said
            assert f'id="{operation["operationId"]}"' in page.text
    for code, kind in KINDS.items():
        assert f'id="{code}"' in page.text
        assert str(kind.remedy) in said
    for schema in document["components"]["schemas"].values():
        for field in schema.get("properties", {}).values():
            description = field.get("description", "")
            assert description in said or schema["title"] in ("Problem", "Fault"), description


def test_the_page_says_how_often_a_key_may_ask(settings: Settings, gateways: Gateways) -> None:
    limited = replace(settings, limits_enabled=True, limit_api="100 per second; 3000 per minute")
    page = create_app(limited, gateways).test_client().get("/developers/api")

    assert "at most: 100 requests in a second, 3000 requests in 60 seconds." in words(page)


def test_the_page_has_no_script_of_somebody_else(client: Browser) -> None:
    page = client.get("/developers/api")

    assert page.text.count("<script") == 1
    assert 'src="/assets/' in page.text


def test_a_sample_body_is_taken_in_as_it_stands(app: Flask, document: dict[str, Any]) -> None:
    samples = {each.id: each.sample for each in api_reference._operations(document) if each.sample}

    assert events.ConversationEvent.model_validate_json(samples["sendEvents"])
    assert usage.ChannelUsage.model_validate_json(samples["sendUsage"])
    assert reservations.ReservationRequest.model_validate_json(samples["holdUnit"])
    assert json.loads(samples["holdUnit"]) == {"conversation_id": "conv_4711"}
