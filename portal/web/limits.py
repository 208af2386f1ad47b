"""Rate limits, counted in an UNLOGGED table so that all processes count together.

Fixed windows: a counter that starts again when its window is over.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits.storage import Storage
from sqlalchemy import text

from portal.config import Settings
from portal.db import unit_of_work
from portal.web import View, current_user_id, signed_in
from portal.web.second_step import waiting_login

SCHEME = "portal"
# the page after paying looks once a second; beyond a few seconds each look asks Stripe
LIMIT_LOOKS = "120 per minute; 1200 per hour"
LOOKS = (
    "checkout.state",
    "checkout.done",
    "subscription.state",
    "subscription.done",
    "credit_purchases.state",
    "credit_purchases.done",
    "paying.state",
    "paying.done",
    "payment.added",
    "payment.added_state",
)
MARK = "portal_limit_quotes"
# beside these, a workspace mails a limited number of people a day: services.invitations
LIMIT_INVITATIONS = "30 per minute; 300 per hour"
INVITING = (
    "seats.invitations.invite",
    "seats.invitations.resend",
    "seats.imports.preview",
    "seats.imports.confirm",
)
# each writes to somebody: to whoever pays, or to the vendor's support
LIMIT_WISHES = "6 per minute; 30 per hour"
WISHES = (
    "details.ask",
    "leaving.end",
    "leaving.end_now",
    "leaving.keep",
    "leaving.request_deletion",
    "leaving.withdraw_deletion",
)
JOINING = ("joining.accept", "joining.sign_up")

# limits, the method that counts, what it is counted by
Rule = tuple[str, str, tuple[Callable[[], str], ...]]

COUNT = text(
    "INSERT INTO rate_limit AS r (key, count, expires_at)"
    " VALUES (:key, :amount, clock_timestamp() + make_interval(secs => :seconds))"
    " ON CONFLICT (key) DO UPDATE SET"
    " count = CASE WHEN r.expires_at <= clock_timestamp() THEN :amount ELSE r.count + :amount END,"
    " expires_at = CASE WHEN r.expires_at <= clock_timestamp() THEN excluded.expires_at ELSE r.expires_at END"
    " RETURNING count"
)
READ = text("SELECT count FROM rate_limit WHERE key = :key AND expires_at > clock_timestamp()")
EXPIRY = text("SELECT extract(epoch FROM expires_at) FROM rate_limit WHERE key = :key")
FORGET = text("DELETE FROM rate_limit WHERE key = :key")
FORGET_ALL = text("DELETE FROM rate_limit")


class TableStorage(Storage):
    """The counters of Flask-Limiter in the table ``rate_limit``."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 (the library's registry reads it)

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions, **options)

    @property
    def base_exceptions(self) -> type[Exception]:
        return Exception

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        with unit_of_work() as session:
            return int(session.execute(COUNT, {"key": key, "amount": amount, "seconds": expiry}).scalar_one())

    def get(self, key: str) -> int:
        with unit_of_work() as session:
            return int(session.execute(READ, {"key": key}).scalar_one_or_none() or 0)

    def get_expiry(self, key: str) -> float:
        with unit_of_work() as session:
            return float(session.execute(EXPIRY, {"key": key}).scalar_one_or_none() or time.time())

    def check(self) -> bool:
        with unit_of_work() as session:
            session.execute(text("SELECT 1"))
        return True

    def reset(self) -> int | None:
        with unit_of_work() as session:
            return int(session.execute(FORGET_ALL).rowcount)  # type: ignore[attr-defined]

    def clear(self, key: str) -> None:
        with unit_of_work() as session:
            session.execute(FORGET, {"key": key})


def typed_login() -> str:
    """The address that was typed, as a key that does not keep it; the network address when none was."""
    typed = request.form.get("email", "").strip().lower()
    if not typed:
        return get_remote_address()
    return "login:" + hashlib.sha256(typed.encode()).hexdigest()[:32]


def by_user() -> str:
    """The login that is signed in, or the network address of a guest."""
    return get_remote_address() if signed_in() is None else f"user:{current_user_id()}"


def by_workspace() -> str:
    """The workspace that asks, or the network address of a guest."""
    sign_in = signed_in()
    if sign_in is None or sign_in.current is None:
        return get_remote_address()
    return f"workspace:{sign_in.current.workspace_id}"


def limit_quotes(view: View) -> View:
    """Mark a route that makes or confirms quotes; ``PORTAL_LIMIT_QUOTE`` applies to its POST."""
    view.__dict__[MARK] = True
    return view


def install(app: Flask, settings: Settings) -> None:
    """Count on ``app``; call it when all routes are there."""
    app.config["RATELIMIT_ENABLED"] = settings.limits_enabled
    limiter = Limiter(
        key_func=get_remote_address, app=app, storage_uri=f"{SCHEME}://", strategy="fixed-window"
    )
    # the decorated views hold it weakly
    app.extensions["portal.limiter"] = limiter
    for endpoint, (limits, method, keys) in _rules(app, settings).items():
        view = app.view_functions[endpoint]
        for key in keys:
            view = limiter.limit(limits, key_func=key, methods=[method], scope=key.__name__)(view)
        app.view_functions[endpoint] = view


def _rules(app: Flask, settings: Settings) -> dict[str, Rule]:
    """What is counted on each endpoint, and by what. What a guest types must not count against a login."""
    by_login, by_signed_in = (get_remote_address, typed_login), (get_remote_address, by_user)
    rules: dict[str, Rule] = {
        "security.login": (settings.limit_sign_in, "POST", by_login),
        "second_step.page": (settings.limit_sign_in, "POST", (get_remote_address, waiting_login)),
        "second_step.passkey": (settings.limit_sign_in, "POST", (get_remote_address,)),
        "second_step.passkey_options": (settings.limit_sign_in, "POST", (get_remote_address,)),
        "freshness.page": (settings.limit_sign_in, "POST", by_signed_in),
        "freshness.passkey": (settings.limit_sign_in, "POST", by_signed_in),
        "two_step.set_up": (settings.limit_sign_in, "POST", by_signed_in),
        "security.change_password": (settings.limit_sign_in, "POST", by_signed_in),
        "security.register": (settings.limit_sign_up, "POST", by_login),
        "security.forgot_password": (settings.limit_reset, "POST", by_login),
        "security.send_confirmation": (settings.limit_reset, "POST", by_login),
        "security.change_email": (settings.limit_reset, "POST", by_signed_in),
    }
    rules |= dict.fromkeys(INVITING, (LIMIT_INVITATIONS, "POST", (by_workspace,)))
    rules |= dict.fromkeys(WISHES, (LIMIT_WISHES, "POST", (by_workspace,)))
    rules |= dict.fromkeys(JOINING, (settings.limit_sign_up, "POST", (get_remote_address,)))
    rules |= dict.fromkeys(LOOKS, (LIMIT_LOOKS, "GET", (by_workspace,)))
    marked = [endpoint for endpoint, view in app.view_functions.items() if getattr(view, MARK, False)]
    return rules | dict.fromkeys(marked, (settings.limit_quote, "POST", (by_workspace,)))
