"""The one account of this sandbox."""

from __future__ import annotations

from typing import Any

from stripe.params import AccountRetrieveCurrentParams

from portal.sandbox.dispatch import route
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

ID = "acct_sandbox00000001"
COUNTRY = "US"
CURRENCY = "usd"
NAME = "Portal sandbox"
STATEMENT_DESCRIPTOR = "PORTAL SANDBOX"


@route("GET", "/v1/account", params=AccountRetrieveCurrentParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return {
        "id": ID,
        "object": "account",
        "business_type": "company",
        "charges_enabled": True,
        "country": COUNTRY,
        "default_currency": CURRENCY,
        "details_submitted": True,
        "email": "billing@sandbox.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
            "card_payments": {"statement_descriptor_prefix": None},
            "dashboard": {"display_name": NAME, "timezone": "Etc/UTC"},
            "payments": {"statement_descriptor": STATEMENT_DESCRIPTOR},
        },
        "type": "standard",
    }
