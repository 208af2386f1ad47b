"""To a signed-in browser and to a quote without the pages, for journeys that are about what comes after."""

import re
from html import unescape

from playwright.sync_api import APIRequestContext, APIResponse

from tests.browsing import TOKEN
from tests.stack import Stack

LINK = re.compile(r"https?://[^\s\"<>]+")


class Shortcut:
    """Sends the forms that a person would fill in, with the browser's own cookies."""

    def __init__(self, stack: Stack, request: APIRequestContext) -> None:
        self._stack = stack
        self._request = request

    def sign_up(self, company: str, email: str, password: str) -> None:
        """A new company whose first person is signed in."""
        self._submit("/signup", company_name=company, email=email, password=password)
        self._get(link_in(self._stack, email, "Confirm"))
        answer = self._get("/account")
        if "/login" in answer.url:
            self._submit("/login", email=email, password=password)

    def quote(self, choice: str, **details: str) -> str:
        """The address of the binding quote for ``choice``, a query of /pricing."""
        answer = self._submit(f"/checkout?{choice}", **details)
        assert "/checkout/Q-" in answer.url, f"{choice} led to {answer.url}:\n{answer.text()}"
        return answer.url

    def _get(self, address: str) -> APIResponse:
        answer = self._request.get(address if "://" in address else self._stack.url + address)
        assert answer.ok, f"{answer.url} answered {answer.status}:\n{answer.text()}"
        return answer

    def _submit(self, path: str, **fields: str) -> APIResponse:
        found = TOKEN.search(self._get(path).text())
        assert found, f"{path} carries no form"
        form: dict[str, str | float | bool] = {"csrf_token": unescape(found.group(1)), **fields}
        answer = self._request.post(self._stack.url + path, form=form)
        assert answer.ok, f"{path} answered {answer.status}:\n{answer.text()}"
        return answer


def link_in(stack: Stack, recipient: str, subject: str) -> str:
    """The first link of the newest mail to ``recipient`` about ``subject``; waits for the mail."""
    body = stack.mail(recipient, subject).get_body(("plain",))
    found = LINK.search(str(body.get_content()) if body else "")
    assert found, f"the mail about {subject} holds no link"
    return found.group(0)
