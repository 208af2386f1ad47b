"""To a signed-in browser, a quote or a purchase without the pages, for journeys about what comes after."""

import re
import time
from html import unescape
from typing import Any, cast

from playwright.sync_api import APIRequestContext, APIResponse

from tests.browsing import TOKEN
from tests.stack import Stack, StackError

LINK = re.compile(r"https?://[^\s\"<>]+")
# until a webhook has told the portal of a payment
PAID_SECONDS, PAUSE_SECONDS = 30.0, 0.2


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

    def buy(self, quote: str) -> str:
        """Pay the quote at this address with a new card; where the page after paying leads to."""
        confirmed = self._confirm(quote)
        assert confirmed["collect"] == "payment", f"{quote} is not paid by a payment: {confirmed}"
        self._stack.stripe.v1.payment_intents.confirm(
            confirmed["client_secret"].split("_secret_")[0],
            {"payment_method": "pm_card_visa", "return_url": f"{quote}/done"},
        )
        return self._await_outcome(quote)

    def _confirm(self, quote: str) -> dict[str, Any]:
        """What the page's script is told when its button is pressed."""
        headers = {"X-CSRFToken": self._token(quote)}
        answer = self._request.post(f"{quote}/confirm", headers=headers, data={})
        assert answer.ok, f"{quote} answered {answer.status}:\n{answer.text()}"
        return cast(dict[str, Any], answer.json())

    def _await_outcome(self, quote: str) -> str:
        """Ask as the page after paying does, until there is nothing to wait for."""
        end = time.monotonic() + PAID_SECONDS
        while time.monotonic() < end:
            state = self._get(f"{quote}/state").json()
            if not state["waiting"]:
                return cast(str, state["location"])
            time.sleep(PAUSE_SECONDS)
        raise StackError(f"{quote} was paid, and the portal waits still.")

    def _get(self, address: str) -> APIResponse:
        answer = self._request.get(address if "://" in address else self._stack.url + address)
        assert answer.ok, f"{answer.url} answered {answer.status}:\n{answer.text()}"
        return answer

    def _submit(self, path: str, **fields: str) -> APIResponse:
        form: dict[str, str | float | bool] = {"csrf_token": self._token(path), **fields}
        answer = self._request.post(self._stack.url + path, form=form)
        assert answer.ok, f"{path} answered {answer.status}:\n{answer.text()}"
        return answer

    def _token(self, address: str) -> str:
        found = TOKEN.search(self._get(address).text())
        assert found, f"{address} carries no form"
        return unescape(found.group(1))


def link_in(stack: Stack, recipient: str, subject: str) -> str:
    """The first link of the newest mail to ``recipient`` about ``subject``; waits for the mail."""
    body = stack.mail(recipient, subject).get_body(("plain",))
    found = LINK.search(str(body.get_content()) if body else "")
    assert found, f"the mail about {subject} holds no link"
    return found.group(0)
