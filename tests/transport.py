"""The official SDK over a WSGI application in this process: no socket, no port, the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import stripe
from werkzeug.test import Client

BASE_ADDRESS = "http://sandbox.test"
SECRET_KEY = "sk_test_sandbox"

Watcher = Callable[[str, str, int, str], None]


class CaseInsensitiveHeaders(dict[str, str]):
    """Response headers that the SDK reads in whatever case it likes."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in headers.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class WsgiTransport(stripe.HTTPClient):
    """An HTTP client for `StripeClient(http_client=…)` that calls a WSGI application.

    `watch(method, path, status, body)` sees every answer, so that a test suite can check them all.
    """

    name = "wsgi"

    def __init__(self, application: Any, watch: Watcher | None = None) -> None:
        super().__init__()
        self._client = Client(application)
        self._watch = watch

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None, post_data: Any = None, **_: Any
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange: body text, status, headers."""
        parts = urlsplit(url)
        response = self._client.open(
            parts.path,
            method=method.upper(),
            query_string=parts.query,
            headers=dict(headers or {}),
            data=post_data,
            base_url=f"{parts.scheme}://{parts.netloc}",
        )
        body = response.get_data(as_text=True)
        if self._watch is not None:
            self._watch(method.upper(), parts.path, response.status_code, body)
        return body, response.status_code, CaseInsensitiveHeaders(dict(response.headers))

    def close(self) -> None:
        """Nothing to close: there is no connection."""


def stripe_client(
    application: Any, watch: Watcher | None = None, api_key: str = SECRET_KEY
) -> stripe.StripeClient:
    """The SDK's client, talking to `application`."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": BASE_ADDRESS, "meter_events": BASE_ADDRESS},
        http_client=WsgiTransport(application, watch),
    )
