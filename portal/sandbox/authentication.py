"""Who may call: the API keys and the API version of a request."""

from __future__ import annotations

import re

from flask import Request as HttpRequest

from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.events import API_VERSION

SECRET_KEY = re.compile(r"(sk|rk)_test_\w+")
PUBLISHABLE_KEY = re.compile(r"pk_test_\w+")
SESSION_TOKEN = re.compile(r"mestoken_test_\w+")
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using "
    "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See "
    "https://stripe.com/docs/api#authentication for "
    "details."
)


def api_key(request: HttpRequest, form_key: str | None) -> str:
    """The key of the request: Bearer, Basic, or the `key` that Stripe.js sends in its form."""
    authorization = request.authorization
    if authorization is not None and authorization.type == "basic":
        return authorization.username or ""
    if authorization is not None and authorization.token:
        return authorization.token
    return form_key or ""


def is_publishable(key: str) -> bool:
    """Whether the key is a browser's; raises 401 for a key that this sandbox does not know."""
    if not key:
        raise StripeError(401, "invalid_request_error", NO_KEY, logged=False, stored=False)
    if PUBLISHABLE_KEY.fullmatch(key):
        return True
    if not SECRET_KEY.fullmatch(key):
        shown = key[:7] + "*" * max(len(key) - 11, 4) + key[-4:] if len(key) > 11 else "*" * len(key)
        message = f"Invalid API Key provided: {shown}"
        raise StripeError(401, "invalid_request_error", message, logged=False, stored=False)
    return False


def is_session_token(key: str) -> bool:
    """Whether it is the token of a meter event session instead of a key."""
    return SESSION_TOKEN.fullmatch(key) is not None


def check_session(given: bool, wanted: bool) -> None:
    """Refuse a session's token where a key is wanted, and the other way round."""
    if given != wanted:
        need = "the authentication token of a meter event session" if wanted else "an API key"
        message = f"Invalid API Key provided: this endpoint is called with {need}."
        raise StripeError(401, "invalid_request_error", message, logged=False, stored=False)


def check_version(version: str | None) -> None:
    """Refuse every API version but the one this sandbox speaks."""
    if version is None or version == API_VERSION:
        return
    if re.fullmatch(r"\d{4}-\d\d-\d\d(\.[a-z]+)?", version):
        message = f"This sandbox speaks Stripe API version {API_VERSION} only, not {version}."
    else:
        message = f"Invalid Stripe API version: {version}"
    error = invalid(message)
    error.logged = error.stored = False
    raise error


def refuse_connect(account: str | None) -> None:
    """This sandbox is one account; acting for a connected one is not carried out."""
    if account is not None:
        error = invalid("Connected accounts (`Stripe-Account`) are not supported by this sandbox.")
        error.stored = False
        raise error


def refuse_publishable() -> StripeError:
    """A browser's key on an endpoint that needs the secret key."""
    return StripeError(
        403,
        "invalid_request_error",
        "This API call cannot be made with a publishable API key. Please use a secret API key. "
        "You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.",
        code="secret_key_required",
        stored=False,
    )
