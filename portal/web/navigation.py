"""What stands round every page: brand, navigation, and the choice of light or dark."""

from dataclasses import dataclass

from flask import Blueprint, current_app, redirect, request, url_for
from flask_babel import lazy_gettext as _
from flask_login import current_user
from werkzeug import Response

from portal.services import members
from portal.web import public, signed_in
from portal.web.brand import brand_of
from portal.web.text_rules import has_controls

blueprint = Blueprint("navigation", __name__)

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "theme"
YEAR = 365 * 24 * 3600

# endpoint, label; at most five, and only those that there are: never a dead link
MEMBER_ENTRIES = (
    ("billing.overview", _("Overview")),
    ("seats.listing", _("Seats")),
    ("usage.page", _("Usage")),
    ("credits.show", _("Credits")),
    ("invoices.listing", _("Invoices")),
)
# endpoint, label, the role that it takes; in the account's menu
SETTINGS_ENTRIES = (
    ("subscription.page", _("Subscription"), "billing"),
    ("payment.page", _("Payment"), "billing"),
    ("details.page", _("Billing details"), "member"),
    ("usage_limits.page", _("Limits and alerts"), "member"),
    ("activity.listing", _("Activity"), "admin"),
    ("api_keys.listing", _("Developers"), "admin"),
    ("leaving.page", _("Leaving"), "owner"),
)
GUEST_ENTRIES = (("pricing.page", _("Pricing")),)


# pages that belong to an entry and are a blueprint of their own
PART_OF = {
    "usage_limits": "usage",
    "replay": "usage",
    "credit_purchases": "credits",
    "swaps": "credits",
}


@dataclass(frozen=True)
class Entry:
    """A link of the navigation: where to, its words, whether it is the present page."""

    href: str
    label: object
    current: bool


def theme() -> str:
    """The person's choice of colours; ``auto`` follows the system."""
    chosen = request.cookies.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def local_address(address: str | None, default: str) -> str:
    """Return ``address`` if it is a path of this site, else ``default``: never an open redirect."""
    if not address or not address.startswith("/") or address[1:2] in ("/", "\\"):
        return default
    # browsers and the library leave tabs and line ends out, and so would read "/\t/" as "//"
    if has_controls(address):
        return default
    return address


def entries() -> list[Entry]:
    """The links of the present person's navigation, in their order."""
    own = (request.blueprint or "").split(".")[0]
    section = PART_OF.get(own, own)
    return [
        Entry(url_for(endpoint), label, section == endpoint.split(".")[0])
        for endpoint, label in (MEMBER_ENTRIES if current_user.is_authenticated else GUEST_ENTRIES)
        if endpoint in current_app.view_functions
    ]


def settings_entries() -> list[Entry]:
    """The links of the account's menu that the present member may follow, in their order."""
    sign_in = signed_in()
    if sign_in is None or sign_in.current is None:
        return []
    return [
        Entry(url_for(endpoint), label, request.endpoint == endpoint)
        for endpoint, label, role in SETTINGS_ENTRIES
        if endpoint in current_app.view_functions and members.may(sign_in.current.role, role)
    ]


@blueprint.app_context_processor
def frame() -> dict[str, object]:
    """``brand``, ``theme``, ``themes`` and both navigations for every template."""
    return {
        "brand": brand_of(current_app.extensions["settings"]),
        "theme": theme(),
        "themes": THEMES,
        "navigation": entries,
        "settings_navigation": settings_entries,
    }


@blueprint.post("/appearance")
@public
def appearance() -> Response:
    """Remember light, dark or auto, and go back to where the person was."""
    chosen = request.form.get("theme", "auto")
    response = redirect(local_address(request.form.get("next"), "/"), code=303)
    response.set_cookie(
        THEME_COOKIE,
        chosen if chosen in THEMES else "auto",
        max_age=YEAR,
        samesite="Lax",
        secure=request.is_secure,
        path="/",
    )
    return response
