"""Who asks: the key in ``Authorization``, what it may do, and how often it has asked."""

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import structlog
from flask import current_app, g, request
from limits import parse_many
from werkzeug.wrappers import Response

from portal.config import Settings
from portal.services import api_keys
from portal.services.api_keys import Caller, Use, Window
from portal.web import View
from portal.web.api.problems import ApiError

SCHEME = "Bearer"
MARK = "api_scopes"
WINDOWS = "portal.api.windows"
CHALLENGE = {"WWW-Authenticate": f'{SCHEME} realm="api"'}


def windows(settings: Settings) -> tuple[Window, ...]:
    """The limits of a key, the shortest window first; none when limits are off."""
    if not settings.limits_enabled:
        return ()
    most: dict[int, int] = {}
    for item in parse_many(settings.limit_api):
        seconds = item.get_expiry()
        most[seconds] = min(item.amount, most.get(seconds, item.amount))
    return tuple(Window(seconds, amount) for seconds, amount in sorted(most.items()))


def needs(*scopes: str) -> Callable[[View], View]:
    """Only for a key with one of ``scopes``; who it is stands in ``caller()``."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            g.caller = _admit()
            if g.caller.scopes.isdisjoint(scopes):
                raise ApiError("forbidden", f"This key does not have the scope {' or '.join(scopes)}.")
            return view(*args, **kwargs)

        guarded.__dict__[MARK] = scopes
        return cast(View, guarded)

    return decorate


def caller() -> Caller:
    """Whose key the present request came with."""
    return cast(Caller, g.caller)


def _admit() -> Caller:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME.lower() or not secret.strip():
        raise ApiError("unauthorized", "There is no key in the header Authorization.", headers=CHALLENGE)
    now = current_app.extensions["portal"].clock.now()
    found = api_keys.admit(secret.strip(), now, current_app.extensions[WINDOWS])
    if found is None:
        headers = {"WWW-Authenticate": f'{CHALLENGE["WWW-Authenticate"]}, error="invalid_token"'}
        raise ApiError("unauthorized", "The key is unknown, was revoked, or has ended.", headers=headers)
    structlog.contextvars.bind_contextvars(key=found.key_id)
    g.uses = found.uses
    spent = [use for use in found.uses if use.left < 0]
    if spent:
        # before the last of them starts anew, asking again is of no use
        use = max(spent, key=lambda use: use.starts_anew_in)
        detail = f"A key asks at most {use.window.most} times in {use.window.seconds} seconds."
        headers = {"Retry-After": str(max(1, use.starts_anew_in))}
        raise ApiError("too_many_requests", detail, headers=headers)
    return found


def tell_limits(answer: Response) -> None:
    """How often the key may still ask, by the window that is nearest to its end."""
    uses: tuple[Use, ...] = g.get("uses", ())
    if not uses:
        return
    tightest = min(uses, key=lambda use: (use.left, -use.window.seconds))
    answer.headers["RateLimit-Limit"] = str(tightest.window.most)
    answer.headers["RateLimit-Remaining"] = str(max(0, tightest.left))
    answer.headers["RateLimit-Reset"] = str(max(1, tightest.starts_anew_in))
