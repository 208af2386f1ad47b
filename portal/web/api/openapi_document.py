"""The API described in OpenAPI 3.1, made from the routes and their pydantic models."""

import re
from collections.abc import Iterator
from typing import Any, cast

from flask import Flask
from openapi_pydantic import (
    Components,
    Header,
    Info,
    MediaType,
    OpenAPI,
    Parameter,
    PathItem,
    Reference,
    RequestBody,
    Response,
    Schema,
    SecurityScheme,
    Server,
)
from openapi_pydantic import Operation as Described
from openapi_pydantic.util import PydanticSchema, construct_open_api_with_schema_class
from pydantic import BaseModel
from werkzeug.routing import Rule

from portal.config import Settings
from portal.errors import N_
from portal.web.api import keys, operations, problems
from portal.web.api.bodies import MOST_AT_ONCE
from portal.web.api.openapi import KEY
from portal.web.api.operations import Operation

VERSION = "1.0"
PLACE = re.compile(r"<(?:\w+:)?(\w+)>")
# of which every answer but the document's own has one
EVERYWHERE = ("unauthorized", "forbidden", "too_many_requests", "internal", "unavailable")
WITH_QUERY = ("invalid",)
WITH_BODY = ("malformed", "too_large", "unsupported_media_type", "invalid")

INTRODUCTION = N_(
    "Send what happens in your conversations, and read what it came to. Every request carries a key of your"
    " workspace. Times are RFC 3339 with a zone; amounts are whole numbers of the currency's minor unit."
    " Sending the same thing again changes nothing, so after a failure send the request once more."
)
HEADERS = {
    "RateLimit-Limit": N_("How often the key may ask in the window that is nearest to its end."),
    "RateLimit-Remaining": N_("How often it may still ask in that window."),
    "RateLimit-Reset": N_("In how many seconds the window begins anew."),
    "ETag": N_("Send it as If-None-Match, and what is unchanged is answered by 304 without a body."),
    "Link": N_("Where the next page is, as rel=next."),
    "Retry-After": N_("After how many seconds to send the request again."),
}
NUMBERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Retry-After")
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def describe(api: Flask, settings: Settings) -> dict[str, Any]:
    """The document of all routes of ``api`` that say what they are."""
    paths: dict[str, PathItem] = {}
    for rule, method, view, operation in described(api):
        item = paths.setdefault(path_of(rule), PathItem())
        setattr(item, method, _operation(rule, view, operation))
    shape = OpenAPI(
        info=Info(title=f"{settings.brand_name} API", version=VERSION, description=INTRODUCTION),
        servers=[Server(url=f"{settings.base_url}/v1")],
        paths=paths,
        components=Components(
            securitySchemes={KEY: SecurityScheme(type="http", scheme="bearer", bearerFormat="bk_…")},
            responses=_problem_responses(),
            headers=_headers(),
        ),
    )
    whole = construct_open_api_with_schema_class(shape)
    return whole.model_dump(mode="json", by_alias=True, exclude_none=True)


def described(api: Flask) -> Iterator[tuple[Rule, str, Any, Operation]]:
    """(rule, method, view, operation) of every route that says what it is."""
    for rule in api.url_map.iter_rules():
        view = api.view_functions[rule.endpoint]
        operation = getattr(view, operations.MARK, None)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}) if operation else ():
            yield rule, method.lower(), view, cast(Operation, operation)


def _operation(rule: Rule, view: Any, operation: Operation) -> Described:
    scopes: tuple[str, ...] = getattr(view, keys.MARK)
    codes = dict.fromkeys(
        (
            *EVERYWHERE,
            *(WITH_QUERY if operation.query else ()),
            *(WITH_BODY if operation.body else ()),
            *operation.problems,
        )
    )
    answers = {str(status): _success(operation) for status in operation.statuses}
    refusals = {str(problems.KINDS[code].status): _response(code) for code in codes}
    return Described(
        operationId=operation.id,
        summary=operation.summary,
        description=operation.description,
        parameters=[*_path_parameters(rule), *_parameters(operation.query)] or None,
        requestBody=_body(operation) if operation.body else None,
        responses=answers | refusals,
        # any one of the scopes is enough
        security=[{KEY: [scope]} for scope in scopes],
    )


def _success(operation: Operation) -> Response:
    named = (*LIMITS, *(("ETag",) if operation.tagged else ()), *(("Link",) if operation.query else ()))
    return Response(
        description=operation.summary,
        headers={name: _header_reference(name) for name in named},
        content={"application/json": MediaType(schema=PydanticSchema(schema_class=operation.answers))},
    )


def _body(operation: Operation) -> RequestBody:
    one = PydanticSchema(schema_class=cast(type[BaseModel], operation.body))
    many = Schema(type="array", items=one, minItems=1, maxItems=MOST_AT_ONCE)
    schema = Schema(oneOf=[one, many]) if operation.batch else one
    return RequestBody(required=True, content={"application/json": MediaType(schema=schema)})


def path_of(rule: Rule) -> str:
    """The rule as OpenAPI writes it, with ``{name}`` for what varies."""
    return PLACE.sub(r"{\1}", rule.rule)


def _path_parameters(rule: Rule) -> Iterator[Parameter]:
    for name in rule.arguments:
        pattern = rule._converters[name].regex
        yield Parameter(
            name=name,
            param_in="path",
            required=True,
            param_schema=Schema(type="string", pattern=f"^{pattern}$"),
        )


def _parameters(query: type[BaseModel] | None) -> Iterator[Parameter]:
    if query is None:
        return
    shape = query.model_json_schema()
    for name, field in shape["properties"].items():
        said = dict(field)
        description = said.pop("description", None)
        # left out is how a query says null
        for option in said.pop("anyOf", ()):
            if option != {"type": "null"}:
                said = {**option, **{key: value for key, value in said.items() if value is not None}}
        yield Parameter(
            name=name,
            param_in="query",
            description=description,
            required=name in shape.get("required", ()),
            param_schema=Schema.model_validate(said),
        )


def _problem_responses() -> dict[str, Response | Reference]:
    return {
        code: Response(
            description=f"{kind.title}. {kind.remedy}",
            headers={"Retry-After": _header_reference("Retry-After")} if kind.status in (429, 503) else None,
            content={problems.MEDIA_TYPE: MediaType(schema=PydanticSchema(schema_class=problems.Problem))},
        )
        for code, kind in problems.KINDS.items()
    }


def _headers() -> dict[str, Header | Reference]:
    return {
        name: Header(
            description=text,
            param_schema=Schema(type="integer" if name in NUMBERS else "string"),
        )
        for name, text in HEADERS.items()
    }


def _header_reference(name: str) -> Reference:
    return Reference(ref=f"#/components/headers/{name}")


def _response(code: str) -> Reference:
    return Reference(ref=f"#/components/responses/{code}")
