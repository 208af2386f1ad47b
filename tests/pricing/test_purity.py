"""The package is pure: no float, the standard library only, quick to load, quick to answer."""

import ast
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given

import portal.pricing
from portal.pricing import BilledItem, Catalog, Selection, catalogs, prorate, quote, rate
from tests.pricing.asking import ROOT
from tests.pricing.strategies import billed_items, priced

PACKAGE = Path(portal.pricing.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
# what a pure package may not touch: the clock, chance, the network, other processes, the environment
IMPURE = {
    "asyncio",
    "datetime",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "subprocess",
    "time",
    "urllib",
}


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module or ""


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_no_float_is_written_divided_or_converted(module: Path) -> None:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float | complex))
        assert not isinstance(node, ast.Div)
        assert not (isinstance(node, ast.Name) and node.id in {"float", "complex", "round"})


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_only_the_standard_library_is_imported_and_of_it_nothing_impure(module: Path) -> None:
    for name in imported(ast.parse(module.read_text("utf-8"))):
        top = name.partition(".")[0]

        assert name.startswith("portal.pricing") or (top in sys.stdlib_module_names and top not in IMPURE)


def values(thing: object) -> Iterator[object]:
    """Everything that a result is made of, down to the single values."""
    if dataclasses.is_dataclass(thing):
        yield from values(getattr(thing, "trace", ()))
        for field in dataclasses.fields(thing):
            yield from values(getattr(thing, field.name))
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from values(key)
            yield from values(value)
    elif isinstance(thing, tuple | list):
        for item in thing:
            yield from values(item)
    else:
        yield thing


ALLOWED = {int, Decimal, str, type(None)}


@given(priced())
def test_no_float_is_in_a_quote(sold: tuple[Catalog, Selection]) -> None:
    from_catalog, selection = sold
    quoted = quote(selection, catalog=from_catalog)

    assert {type(value) for value in values(quoted)} <= ALLOWED
    assert {type(value) for value in values(quoted.as_dict(explain=True))} <= {int, str}


@given(billed_items, billed_items)
def test_no_float_is_in_a_proration(before: BilledItem, after: BilledItem) -> None:
    proration = prorate(before, after, period_start=0, period_end=1000, at=333)

    assert {type(value) for value in values(proration)} <= ALLOWED
    assert {type(value) for value in values(proration.as_dict(explain=True))} <= {int, str}


def test_no_float_is_in_a_catalogue_or_in_what_it_rates() -> None:
    for catalog in catalogs():
        ratings = [rate(12_345, usage.bands, included=usage.included) for usage in catalog.usage.values()]

        assert {type(value) for value in values(catalog)} <= ALLOWED
        assert {type(value) for value in values(ratings)} <= ALLOWED


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_public_function_and_class_says_what_it_promises(module: Path) -> None:
    tree = ast.parse(module.read_text("utf-8"))
    assert ast.get_docstring(tree) is not None

    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), node.name


def test_importing_the_package_loads_nothing_from_outside_and_no_parser() -> None:
    program = "import sys; import portal.pricing; import json; print(json.dumps(sorted(sys.modules)))"
    plain = "import sys; import json; print(json.dumps(sorted(sys.modules)))"
    loaded, before = (
        set(json.loads(subprocess.check_output([sys.executable, "-c", each], cwd=ROOT)))
        for each in (program, plain)
    )
    added = {name for name in loaded - before if not name.startswith("portal")}

    assert {name.partition(".")[0] for name in added} <= set(sys.stdlib_module_names)
    assert not added & {"tomllib", "importlib.resources", "typing", "asyncio"}
