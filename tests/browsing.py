"""A client that fills in forms as a person would: it reads the page's token and sends it along."""

import re
from collections.abc import Callable
from typing import Any, ClassVar

from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule
from werkzeug.test import Cookie, TestResponse

TOKEN = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


class CompiledTemplates(BytecodeCache):
    """What Jinja compiled, shared by the apps of all tests."""

    def __init__(self) -> None:
        self._compiled: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._compiled:
            bucket.bytecode_from_string(self._compiled[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._compiled[bucket.key] = bucket.bytecode_to_string()


class CompiledRule(Rule):
    """A route whose address builders are compiled once, however many apps the tests make."""

    _compiled: ClassVar[dict[object, Callable[..., tuple[str, str]]]] = {}

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        key = (self.rule, *self._trace, *(self.defaults or {}).items(), append_unknown)
        if key not in self._compiled:
            self._compiled[key] = super()._compile_builder(append_unknown)
        return self._compiled[key]


class Browser(FlaskClient):
    """Flask's test client, with ``submit`` for forms and ``sign_in``."""

    @property
    def cookies(self) -> dict[tuple[str, str, str], Cookie]:
        """What the server gave it to keep."""
        assert self._cookies is not None
        return self._cookies

    def token(self, page: str = "/login") -> str:
        """The CSRF token that ``page`` carries."""
        found = TOKEN.search(self.get(page).text)
        assert found, f"{page} carries no form"
        return found.group(1)

    def submit(
        self, path: str, data: dict[str, Any] | None = None, *, page: str | None = None, **more: Any
    ) -> TestResponse:
        """Post a form; its token is read from ``page``, or from where it is posted to."""
        return self.post(path, data={"csrf_token": self.token(page or path), **(data or {})}, **more)

    def sign_in(self, email: str, password: str) -> TestResponse:
        """Sign in through the page."""
        answer = self.submit("/login", {"email": email, "password": password})
        assert answer.status_code in (302, 303), answer.text
        return answer
