"""Tax settings and registrations: what a start check asks before it relies on automatic tax.

The rates are a table in `tax`; a fresh sandbox is registered wherever that table collects, and where a
registration is ended nothing is collected any more.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from stripe.params.tax import (
    RegistrationCreateParams,
    RegistrationListParams,
    RegistrationRetrieveParams,
    RegistrationUpdateParams,
    SettingsRetrieveParams,
    SettingsUpdateParams,
)

from portal.sandbox import lists, tax
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid, missing_param
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "tax.registration"
SETTINGS = "tax.settings"
# One registration for the whole European Union.
UNION_SCHEMES = ("oss_non_union", "oss_union")
HEAD_OFFICE = {
    "city": "San Francisco",
    "country": "US",
    "line1": "354 Oyster Point Blvd",
    "line2": None,
    "postal_code": "94080",
    "state": "CA",
}


@route("GET", "/v1/tax/settings", params=SettingsRetrieveParams)
def retrieve_settings(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    return _settings(sandbox)


@route("POST", "/v1/tax/settings", params=SettingsUpdateParams)
def update_settings(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    before = _settings(sandbox)
    after = {**before, "defaults": {**before["defaults"], **params.get("defaults", {})}}
    if "head_office" in params:
        blank = dict.fromkeys(HEAD_OFFICE)
        after["head_office"] = {"address": {**blank, **params["head_office"]["address"]}}
    sandbox.store.put(SETTINGS, {"id": SETTINGS, "shown": after})
    sandbox.emit("tax.settings.updated", after, before)
    return after


def _settings(sandbox: Sandbox) -> Document:
    kept = sandbox.store.get(SETTINGS, SETTINGS)
    if kept:
        return kept["shown"]
    return {
        "object": SETTINGS,
        "defaults": {"provider": "stripe", "tax_behavior": "exclusive", "tax_code": "txcd_10103001"},
        "head_office": {"address": dict(HEAD_OFFICE)},
        "livemode": False,
        "status": "active",
        "status_details": {"active": {}},
    }


@route("POST", "/v1/tax/registrations", params=RegistrationCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    country = params["country"].upper()
    options = params["country_options"]
    if country.lower() not in options:
        raise missing_param(f"country_options[{country.lower()}]")
    now = sandbox.now()
    starts = now if params["active_from"] == "now" else params["active_from"]
    if starts < now:
        raise invalid("`active_from` must be now or in the future.", "active_from")
    registration = _registration(sandbox, country, options[country.lower()], starts, params.get("expires_at"))
    sandbox.store.put(KIND, registration)
    return _with_status(sandbox, registration)


@route("GET", "/v1/tax/registrations/{id}", params=RegistrationRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    return _with_status(sandbox, in_path(sandbox, KIND, id))


@route("POST", "/v1/tax/registrations/{id}", params=RegistrationUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], id: str) -> Document:
    registration = in_path(sandbox, KIND, id)
    for name in ("active_from", "expires_at"):
        if name in params:
            given = params[name]
            registration[name] = None if given == "" else sandbox.now() if given == "now" else given
    sandbox.store.put(KIND, registration)
    return _with_status(sandbox, registration)


@route("GET", "/v1/tax/registrations", params=RegistrationListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    wanted = params.get("status", "all")

    def has_status(registration: Document) -> bool:
        return wanted in ("all", _status(sandbox, registration))

    page = lists.page(sandbox, KIND, params, "/v1/tax/registrations", has_status)
    return {**page, "data": [_with_status(sandbox, row) for row in page["data"]]}


def _registration(
    sandbox: Sandbox, country: str, options: Document, starts: int, ends: int | None = None
) -> Document:
    return {
        "id": sandbox.new_id("taxreg"),
        "object": KIND,
        "active_from": starts,
        "country": country,
        "country_options": {country.lower(): options},
        "created": sandbox.now(),
        "expires_at": ends,
        "livemode": False,
    }


def _status(sandbox: Sandbox, registration: Document) -> str:
    if registration["active_from"] > sandbox.now():
        return "scheduled"
    ended = registration["expires_at"] is not None and registration["expires_at"] <= sandbox.now()
    return "expired" if ended else "active"


def collected(sandbox: Sandbox, taxes: list[tax.Tax]) -> list[tax.Tax]:
    """The taxes of a place, at zero and `not_collecting` where there is no active registration."""
    active = [row for row in sandbox.store.walk(KIND) if _status(sandbox, row) == "active"]
    return [
        one if any(_covers(row, one) for row in active) or one.reason == "not_collecting" else _left_out(one)
        for one in taxes
    ]


def _covers(registration: Document, one: tax.Tax) -> bool:
    options = registration["country_options"][registration["country"].lower()]
    if options["type"] in UNION_SCHEMES:
        return one.country in tax.EU_VAT
    state = options.get("state")
    return registration["country"] == one.country and state in (None, one.state)


def _left_out(one: tax.Tax) -> tax.Tax:
    return replace(one, percentage=Decimal(0), reason="not_collecting")


def _with_status(sandbox: Sandbox, registration: Document) -> Document:
    return {**registration, "status": _status(sandbox, registration)}


def prepare(sandbox: Sandbox) -> None:
    """Register a fresh sandbox wherever its tax table collects."""
    if any(sandbox.store.walk(KIND)):
        return
    places: list[tuple[str, Document]] = [
        ("US", {"state": state, "type": "state_sales_tax"})
        for state in sorted(tax.US_STATES.keys() | tax.US_STATES_WITHOUT_TAX_ON_SOFTWARE)
    ]
    places += [("CA", {"type": "simplified"}), ("IE", {"type": "oss_non_union"})]
    standard = {"standard": {"place_of_supply_scheme": "standard"}, "type": "standard"}
    places += [(country, standard) for country in sorted(tax.OTHER_COUNTRIES)]
    for country, options in places:
        sandbox.store.put(KIND, _registration(sandbox, country, options, sandbox.now()))
