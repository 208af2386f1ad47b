"""/developers/api: the API's own document as a page, in the reader's language; a guest may read it, too."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, render_template

from portal.web import public, settings
from portal.web.api import PATH, keys, openapi
from portal.web.api.openapi import KEY
from portal.web.api.problems import KINDS

blueprint = Blueprint("api_reference", __name__, url_prefix="/developers/api")

METHODS = ("get", "post", "delete")
JSON_TYPE = "application/json"
# what a sample shows of a type that has no example of its own
SAMPLES: dict[str, object] = {"string": "…", "integer": 1, "boolean": False, "array": [], "object": {}}

Schema = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """One field: its name with those that it is in, its type in JSON Schema's words, what it is for."""

    name: str
    kind: str
    required: bool
    description: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """One operation as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    parameters: list[Field]
    body: list[Field]
    answer: list[Field]
    statuses: list[tuple[str, str]]
    sample: str


@blueprint.get("")
@public
def page() -> str:
    """Every operation with its fields, and every problem."""
    document = openapi.document(current_app.extensions["portal.api"])
    return render_template(
        "api_reference/page.html",
        document=document,
        base=f"{settings().base_url}{PATH}",
        operations=list(_operations(document)),
        kinds=KINDS,
        windows=keys.windows(settings()),
    )


def _operations(document: Schema) -> Iterator[Shown]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield _shown(document, method, path, item[method])


def _shown(document: Schema, method: str, path: str, operation: Schema) -> Shown:
    body = _schema_of(operation.get("requestBody", {}))
    first = body.get("oneOf", [body])[0]
    answers = {status: each for status, each in operation["responses"].items() if "$ref" not in each}
    problems = {
        status: each["$ref"].rpartition("/")[2]
        for status, each in operation["responses"].items()
        if "$ref" in each
    }
    fields = list(_fields(document, first))
    return Shown(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=operation["description"],
        scopes=tuple(scope for each in operation["security"] for scope in each[KEY]),
        parameters=[_parameter(each) for each in operation.get("parameters", [])],
        body=fields,
        answer=list(_fields(document, _schema_of(next(iter(answers.values()))))),
        statuses=sorted({**dict.fromkeys(answers, ""), **problems}.items()),
        sample=_sample(document, first) if body else "",
    )


def _schema_of(content: Schema) -> Schema:
    found: Schema = content.get("content", {}).get(JSON_TYPE, {}).get("schema", {})
    return found


def _parameter(parameter: Schema) -> Field:
    schema = parameter["schema"]
    return Field(
        parameter["name"], schema["type"], parameter["required"], parameter.get("description", ""), ()
    )


def _resolved(document: Schema, schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def _fields(document: Schema, schema: Schema, within: str = "") -> Iterator[Field]:
    """The fields of an object, and after each what is in it."""
    schema = _resolved(document, schema)
    for name, field in schema.get("properties", {}).items():
        options = [_resolved(document, each) for each in field.get("anyOf", [field])]
        kinds = [str(each.get("format") or each.get("type")) for each in options]
        values = tuple(str(value) for each in options for value in each.get("enum", ()))
        required = name in schema.get("required", ())
        yield Field(within + name, " | ".join(kinds), required, field.get("description", ""), values)
        for option in options:
            if option.get("type") == "array":
                yield from _fields(document, option["items"], f"{within}{name}[].")
            elif option.get("type") == "object":
                yield from _fields(document, option, f"{within}{name}.")


def _sample(document: Schema, schema: Schema) -> str:
    """A body that could be sent: an example of every field that must be there."""
    schema = _resolved(document, schema)
    wanted = {name: schema["properties"][name] for name in schema.get("required", ())}
    made = {name: _example(field) for name, field in wanted.items()}
    return json.dumps(made, indent=2, ensure_ascii=False)


def _example(field: Schema) -> object:
    for name in ("examples", "enum"):
        if field.get(name):
            return field[name][0]
    return SAMPLES[field["type"]]
