"""Every answer of the sandbox held against the SDK's own resource classes.

The classes are read as closed: a key that the class does not have, a required key that is absent, a null
where the class has none, a wrong type or an enum value that the SDK does not list is a violation.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import types
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import stripe
import typing_extensions as te
from stripe._error_object import ErrorObject
from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._search_result_object import SearchResultObject
from stripe._stripe_object import StripeObject, UntypedStripeObject
from stripe.events._event_classes import get_v2_event_class
from stripe.v2._list_object import ListObject as ListObjectV2
from stripe.v2.core._event import Event as ThinEvent

from portal.sandbox.state import Sandbox

SDK = Path(stripe.__file__).parent
SCALARS = {str: str, bool: bool, int: int, float: (int, float), Decimal: str}
# Sent by Stripe in every error, not (yet) in the SDK's class.
ERROR_KEYS = {"request_log_url", "advice_code", "network_decline_code", "network_advice_code"}
# Among Stripe's documented error codes of meters, not (yet) in the SDK's enum.
ENUM_VALUES = {"meter_event_value_not_found"}
SHOWN_CHOICES = 12
LIST_KEYS = {"object", "data", "has_more", "url"}
# The last one is Stripe's; the SDK's class has the next page only.
LIST_KEYS_V2 = {"data", "next_page_url", "previous_page_url"}
DELETED_KEYS = {"id", "object", "deleted"}


def check(method: str, path: str, status: int, body: str) -> None:
    """Fail unless the answer has the shape that the SDK declares for this endpoint."""
    value = json.loads(body)
    if status >= 400:
        found = [f"error.{key}: unknown" for key in value["error"] if key not in _error_keys()]
    else:
        declared = _declared(method, path)
        # the SDK hands nothing on of an answer that it declares as None
        found = ["not empty"] if declared is None and value != {} else []
        found += [] if declared is None else [*violations(value, declared, ""), *_event_objects(value)]

    assert not found, f"{method} {path} answers in a shape of its own:\n" + "\n".join(found)


class EveryAnswer:
    """Watches a client: checks its answers, and the events that were recorded since its last answer."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.checked = 0

    def __call__(self, method: str, path: str, status: int, body: str) -> None:
        check(method, path, status, body)
        events = [row for row in self.sandbox.store.walk("event") if self._place(row) > self.checked]
        for event in events:
            check("GET", f"/v1/events/{event['id']}", 200, json.dumps(event))
            self.checked = max(self.checked, self._place(event))

    def _place(self, event: dict[str, Any]) -> int:
        return self.sandbox.store.position("event", event["id"]) or 0


def violations(value: Any, hint: Any, path: str) -> Iterator[str]:
    """What is wrong with a JSON value that should match an annotation of the SDK, each with its place."""
    members = _members(hint)
    if Any in members:
        return
    if value is None:
        if type(None) not in members:
            yield f"{path}: null"
        return
    choices = [value_ for member in members if get_origin(member) is Literal for value_ in get_args(member)]
    if isinstance(value, str) and any(choices) and value in ENUM_VALUES:
        return
    if isinstance(value, str) and any(choices) and value not in choices and _only_enum(members):
        shown = choices if len(choices) <= SHOWN_CHOICES else f"the {len(choices)} values there are"
        yield f"{path}: {value!r} is none of {shown}"
        return
    if value in choices and isinstance(value, str | bool):
        return
    others = [m for m in members if get_origin(m) is not Literal and m is not type(None)]
    attempts = [list(_against(value, member, path)) for member in others]
    if [] not in attempts:
        yield from min(attempts, key=len, default=[f"{path}: {value!r} is unexpected"])


def _against(value: Any, member: Any, path: str) -> Iterator[str]:
    origin = get_origin(member)
    if member in SCALARS:
        right = isinstance(value, SCALARS[member]) and (member is bool or not isinstance(value, bool))
        if not right:
            yield f"{path}: {value!r} is not {member.__name__}"
    elif origin in (list, ListObject, ListObjectV2, SearchResultObject):
        yield from _sequence(value, origin, get_args(member)[0], path)
    elif origin in (dict, UntypedStripeObject):
        yield from _mapping(value, get_args(member)[-1], path)
    elif inspect.isclass(member) and issubclass(member, StripeObject) and member is not StripeObject:
        yield from _resource(value, member, path)
    elif member in (object, StripeObject, dict):
        return
    else:
        yield f"{path}: the annotation {member!r} is not understood"


def _sequence(value: Any, origin: Any, item: Any, path: str) -> Iterator[str]:
    if origin is ListObjectV2:
        if not isinstance(value, dict) or value.keys() != LIST_KEYS_V2:
            yield f"{path}: not a list object of API v2"
            return
        value, path = value["data"], f"{path}.data"
    elif origin is not list:
        if (
            not isinstance(value, dict)
            or not LIST_KEYS | {"total_count", "next_page"} >= value.keys() >= LIST_KEYS
        ):
            yield f"{path}: not a list object"
            return
        value, path = value["data"], f"{path}.data"
    if not isinstance(value, list):
        yield f"{path}: {value!r} is not a list"
        return
    for index, element in enumerate(value):
        yield from violations(element, item, f"{path}[{index}]")


def _mapping(value: Any, item: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not a hash"
        return
    for key, element in value.items():
        yield from violations(element, item, f"{path}.{key}")


def _resource(value: Any, resource: type, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not a {resource.__name__}"
        return
    name = resource.__dict__.get("OBJECT_NAME")
    if isinstance(name, str) and value.get("object") != name:
        yield f"{path}.object: {value.get('object')!r} is not {name}"
        return
    if value.get("deleted") is True:
        if value.keys() != DELETED_KEYS:
            yield f"{path}: a deleted object has {sorted(DELETED_KEYS)} only"
        return
    if resource is ThinEvent:
        resource = get_v2_event_class(value.get("type"))
    hints = _hints(resource)
    for key, element in value.items():
        if key not in hints:
            yield f"{path}.{key}: unknown to {resource.__qualname__}"
        else:
            yield from violations(element, hints[key], f"{path}.{key}")
    for key, hint in hints.items():
        if key not in value and type(None) not in _members(hint):
            yield f"{path}.{key}: required by {resource.__qualname__}, absent"


def _event_objects(value: Any) -> Iterator[str]:
    """The objects inside events, which the SDK leaves untyped."""
    events = value.get("data", []) if value.get("object") == "list" else [value]
    for event in events:
        if isinstance(event, dict) and event.get("object") == "event":
            inner = event["data"]["object"]
            yield from violations(inner, _class_of(inner["object"]), f"{event['type']}.data.object")


def _only_enum(members: tuple[Any, ...]) -> bool:
    """Whether a string must be one of the literals (the SDK writes every enum as an open one)."""
    return not any(inspect.isclass(member) and issubclass(member, StripeObject) for member in members)


@cache
def _members(hint: Any) -> tuple[Any, ...]:
    origin = get_origin(hint)
    if origin in (te.NotRequired, te.Required):
        return _members(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return tuple(member for argument in get_args(hint) for member in _members(argument))
    return (hint,)


@cache
def _class_of(object_name: str) -> type:
    module, name = OBJECT_CLASSES[object_name]
    return getattr(importlib.import_module(module), name)


@cache
def _error_keys() -> frozenset[str]:
    return frozenset(_hints(ErrorObject)) | ERROR_KEYS


@cache
def _hints(resource: type) -> dict[str, Any]:
    own = {
        key: value
        for key, value in inspect.get_annotations(resource).items()
        if not key.startswith("_") and "ClassVar" not in str(value)
    }
    holder = type(resource.__name__, (), {"__annotations__": own})
    hints = te.get_type_hints(holder, globalns=_names(resource.__module__), include_extras=True)
    # the classes of thin events add to what all of them have
    return {**_hints(ThinEvent), **hints} if ThinEvent in resource.__mro__[1:] else hints


@cache
def _names(module_name: str) -> dict[str, Any]:
    """A module's globals and what its `if TYPE_CHECKING:` block would import."""
    module = importlib.import_module(module_name)
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            for statement in node.body:
                names.update(_imported(statement))
    return names


def _imported(statement: ast.stmt) -> dict[str, Any]:
    if isinstance(statement, ast.ImportFrom):
        source = importlib.import_module(str(statement.module))
        return {
            a.asname or a.name: getattr(source, a.name) for a in statement.names if hasattr(source, a.name)
        }
    if isinstance(statement, ast.Import):
        return {a.asname: importlib.import_module(a.name) for a in statement.names if a.asname}
    return {}


@cache
def _declared(method: str, path: str) -> Any:
    """The class that the SDK's service for this endpoint returns."""
    for known_method, pattern, module, returns in _endpoints():
        if known_method == method and pattern.fullmatch(path):
            return eval(returns, _names(module))
    raise AssertionError(f"The SDK has no {method} {path}")


@cache
def _endpoints() -> tuple[tuple[str, re.Pattern[str], str, str], ...]:
    found = []
    for file in sorted(SDK.rglob("_*_service.py")):
        module = "stripe." + ".".join(file.relative_to(SDK).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.returns is not None:
                found += _endpoint(node, module)
    # A fixed path before one with an id in the same place.
    return tuple(sorted(found, key=lambda entry: entry[1].pattern.count("[^/]+")))


def _endpoint(node: ast.FunctionDef, module: str) -> Iterator[tuple[str, re.Pattern[str], str, str]]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "_request":
            method, path = call.args[0].value, call.args[1]
            template = path.value if isinstance(path, ast.Constant) else path.func.value.value
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", template))
            returns = node.returns
            name = returns.value if isinstance(returns, ast.Constant) else ast.unparse(returns)
            yield method.upper(), pattern, module, str(name).strip("'\"")
