"""The shape of the code: which way imports point, how long things are, and who may see what."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from portal.config import Settings
from tests.browsing import Browser

ROOT = Path(__file__).resolve().parent.parent
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
LONGEST_ROUTE = 15
ROUTES = {"get", "post", "put", "patch", "delete", "route"}
# an address that each kind of id in a route takes
SAMPLES = {
    "IntegerConverter": 1,
    "QuoteId": "Q-0123456789",
    "InvoiceId": "in_sample",
    "ActionId": "P-0123456789",
    "MethodId": "pm_sample",
    "KeyId": "K-0123456789",
}
BANNED = {"utils", "helpers", "manager"}

# what the library serves to guests: signing up and in, and the links of mails
LIBRARY_PUBLIC = {
    "security.login",
    "security.logout",
    "security.register",
    "security.forgot_password",
    "security.reset_password",
    "security.send_confirmation",
    "security.confirm_email",
    "security.change_email_confirm",
}
LIBRARY_GUARDED = {"security.change_password", "security.change_email"}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "versions" not in path.parts:
                yield path


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from ``def`` to the end, the docstring not counted: explaining is not complexity."""
    lines = (node.end_lineno or 0) - node.lineno + 1
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return lines - ((first.end_lineno or 0) - first.lineno + 1 if is_docstring else 0)


def is_route(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    calls = (each.func for each in node.decorator_list if isinstance(each, ast.Call))
    return any(isinstance(call, ast.Attribute) and call.attr in ROUTES for call in calls)


def test_imports_point_one_way() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_pricing_needs_the_standard_library_alone() -> None:
    imported = set()
    for path in sources("portal/pricing"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.add((node.module or "").split(".")[0])

    assert imported - sys.stdlib_module_names <= {"portal"}


def test_pricing_runs_where_nothing_is_installed() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); import portal.pricing",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_no_file_is_longer_than_a_page_can_hold() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in sources("portal", "tests")
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": length(node)
        for path in sources("portal", "tests")
        for node in functions(path)
        if length(node) > LONGEST_FUNCTION
    }

    assert long == {}


def test_a_route_parses_calls_and_answers() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": length(node)
        for path in sources("portal/web", "portal/sandbox")
        for node in functions(path)
        if is_route(node) and length(node) > LONGEST_ROUTE
    }

    assert long == {}


def test_no_module_is_a_drawer() -> None:
    drawers = [path for path in sources("portal", "tests") if BANNED & set(path.stem.split("_"))]

    assert drawers == []


def test_nothing_is_left_for_later() -> None:
    words = ("TO" + "DO", "FIX" + "ME", "NotImplemented" + "Error", "pragma: no " + "cover")
    left = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in sources("portal", "tests")
        for word in words
        if word in path.read_text("utf-8")
    ]

    assert left == []


def test_no_test_is_skipped_or_patched() -> None:
    words = (
        "mark.skip",
        "mark.xfail",
        "pytest.skip",
        "importorskip",
        "monkeypatch",
        "unittest.mock",
        "mock.patch",
    )
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in sources("tests")
        for word in words
        if path.name != "test_architecture.py" and word in path.read_text("utf-8")
    ]

    assert found == []


def test_every_route_says_who_may_see_it(app: Flask) -> None:
    silent = {
        endpoint
        for endpoint, view in app.view_functions.items()
        if not hasattr(view, "portal_access") and endpoint not in LIBRARY_PUBLIC | LIBRARY_GUARDED
    }

    assert silent == set()


def test_a_guest_sees_no_page_that_is_not_public(app: Flask, client: Browser) -> None:
    token = client.token()
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "portal_access", None) == "public" or rule.endpoint in LIBRARY_PUBLIC:
            continue
        arguments = {
            name: SAMPLES.get(type(converter).__name__, "sample")
            for name, converter in rule._converters.items()
        }
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            path = adapter.build(rule.endpoint, arguments, method=method)
            answer = client.open(path, method=method, data={"csrf_token": token} if method != "GET" else None)

            assert answer.status_code == 303, f"{method} {path}"
            assert (answer.location or "").startswith("/login"), f"{method} {path}"


def test_the_readme_names_every_setting() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    assert [name for name, _, _ in Settings.described() if f"`{name}`" not in readme] == []
