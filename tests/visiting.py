"""A person at a running portal without a browser: the pages' forms, sent as they stand there."""

import re
import secrets
import time
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.browsing import TOKEN
from tests.journeys.shortcut import link_in
from tests.stack import Stack

PASSWORD = "four quiet words here"
PATIENCE_SECONDS = 120.0
SECRET = re.compile(r'id="secret" value="([^"]+)"')
KEY = re.compile(r'name="key"[^>]*value="([^"]+)"')


class Visitor:
    """A new company's owner, and a program of that company with a key of its own."""

    def __init__(self, stack: Stack, company: str = "Acme Inc") -> None:
        self.stack = stack
        self.email = f"ada-{secrets.token_hex(5)}@example.com"
        self._browser = requests.Session()
        self._program = requests.Session()
        self.submit("/signup", company_name=company, email=self.email, password=PASSWORD)
        self.page(link_in(stack, self.email, "Confirm"))
        self.sign_in()

    def sign_in(self) -> None:
        """As who was away for long has to; a fresh session spends money without being asked again."""
        self._browser = requests.Session()
        self.submit("/login", email=self.email, password=PASSWORD)

    def page(self, path: str) -> str:
        """A page, which must be there."""
        answer = self._browser.get(path if "://" in path else self.stack.url + path, timeout=60)
        assert answer.ok, f"{answer.url} answered {answer.status_code}:\n{answer.text}"
        assert "/login" not in answer.url or path == "/login", f"{path} asks to sign in"
        return answer.text

    def submit(self, path: str, *, page: str | None = None, **fields: object) -> str:
        """Send the form of ``page``, or of the page with the same address; the path that it leads to."""
        form = {"csrf_token": self._token(page or path), **fields}
        answer = self._browser.post(self.stack.url + path, form, timeout=60)
        assert answer.ok, f"{path} answered {answer.status_code}:\n{answer.text}"
        return urlsplit(answer.url).path

    def ask(self, path: str, body: object, *, page: str) -> dict[str, Any]:
        """What a page's script sends, and is answered."""
        headers = {"X-CSRFToken": self._token(page), "Accept": "application/json"}
        answer = self._browser.post(self.stack.url + path, json=body, headers=headers, timeout=60)
        assert answer.ok, f"{path} answered {answer.status_code}:\n{answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def ask_for(self, path: str) -> dict[str, Any]:
        """What a page's script is told when it looks."""
        answer = self._browser.get(self.stack.url + path, timeout=60)
        assert answer.ok, f"{path} answered {answer.status_code}:\n{answer.text}"
        found: dict[str, Any] = answer.json()
        return found

    def _token(self, page: str) -> str:
        found = TOKEN.search(self.page(page))
        assert found, f"{page} carries no form"
        return unescape(found.group(1))

    # --- the company's program -----------------------------------------------------------------------

    def make_key(self) -> None:
        """A key with which the program may do everything."""
        form = self.page("/developers/keys/new")
        number = KEY.search(form)
        assert number, "the form of a key has no number"
        fields = {"csrf_token": self._token("/developers/keys/new"), "name": "Help desk", "key": number[1]}
        answer = self._browser.post(
            f"{self.stack.url}/developers/keys/new",
            {**fields, "scopes": ["events:write", "read"]},
            timeout=60,
        )
        made = SECRET.search(answer.text)
        assert made, answer.text
        self._program.headers["Authorization"] = f"Bearer {unescape(made[1])}"

    def api(self, path: str, body: object = None) -> Any:
        """Ask the API, or send it something."""
        method = "GET" if body is None else "POST"
        answer = self._program.request(method, f"{self.stack.url}/v1{path}", json=body, timeout=60)
        assert answer.ok, f"{path} answered {answer.status_code}:\n{answer.text}"
        return answer.json()


def wait_for(what: str, true: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    """Look again and again until it is so; fails after a while, saying what was waited for."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"{what} did not come in {seconds:.0f} seconds"
        time.sleep(0.3)
