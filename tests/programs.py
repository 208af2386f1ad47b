"""A customer's own program: it has a key and speaks JSON."""

from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.test import Client, TestResponse

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.services import api_keys
from portal.services.api_keys import READ, WRITE
from tests import factories


@dataclass(frozen=True)
class Program:
    """Requests to /v1 with one key."""

    client: Client
    secret: str
    key_id: str

    def get(self, path: str, **more: Any) -> TestResponse:
        """Read ``path``, such as ``/quotes``."""
        return self._ask("GET", path, more)

    def post(self, path: str, body: object = None, **more: Any) -> TestResponse:
        """Send ``body`` as JSON."""
        return self._ask("POST", path, {"json": body, **more} if "data" not in more else more)

    def delete(self, path: str, **more: Any) -> TestResponse:
        """Take ``path`` back."""
        return self._ask("DELETE", path, more)

    def _ask(self, method: str, path: str, more: dict[str, Any]) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.secret}", **more.pop("headers", {})}
        return self.client.open(f"/v1{path}", method=method, headers=headers, **more)


def program(app: Flask, account: factories.Account, *scopes: str) -> Program:
    """A program of the company, which may do everything unless ``scopes`` say less."""
    gateways: Gateways = app.extensions["portal"]
    with unit_of_work(account.workspace_id) as session:
        made = api_keys.make(
            session, gateways, name="Help desk", scopes=scopes or (WRITE, READ), by=account.user_id
        )
    return Program(app.test_client(), made.secret, made.row.id)
