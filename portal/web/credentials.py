"""What stands round the forms that take a password or mail a link.

- Hashing is bounded: a flood of sign-ins fills its own queue, and pages go on being answered.
- Answers that must not tell whether an address is known all take the same time.
- Two clicks on "Create account" are one account.
"""

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, Response, abort, g, redirect, request, url_for
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from portal.config import Settings
from portal.web import db_session, same_browser

# of the threads of a process at most so many hash passwords
HASHING_AT_ONCE = 2
HASHING_WAIT_SECONDS = 1.0
HASHING = (
    "security.login",
    "security.register",
    "security.reset_password",
    "security.change_password",
    "freshness.page",
    "second_step.page",
    "two_step.set_up",
    "two_step.renew_codes",
    "joining.sign_up",
)

# longer than the work for a known address takes
STEADY_SECONDS = 0.25
STEADY = (
    "security.register",
    "security.forgot_password",
    "security.send_confirmation",
    "security.change_email",
)


def install(app: Flask, settings: Settings) -> None:
    """Wrap the views that hash; call it when all routes are there and before they are limited."""
    hashing = threading.BoundedSemaphore(HASHING_AT_ONCE)
    for endpoint in HASHING:
        app.view_functions[endpoint] = _bounded(app.view_functions[endpoint], hashing)
    app.view_functions["security.register"] = _once(app.view_functions["security.register"])
    same_browser.install(app)
    if settings.environment != "test":
        # registered first, so that it runs last, when all is committed
        app.after_request_funcs.setdefault(None, []).insert(0, steady)


def _bounded(view: Callable[..., Any], hashing: threading.BoundedSemaphore) -> Callable[..., Any]:
    @wraps(view)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        if request.method != "POST":
            return view(*args, **kwargs)
        if not hashing.acquire(timeout=HASHING_WAIT_SECONDS):
            abort(503)
        try:
            return view(*args, **kwargs)
        finally:
            hashing.release()

    return bounded


def _once(view: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(view)
    def once(*args: Any, **kwargs: Any) -> Any:
        guest = not current_user.is_authenticated
        try:
            answer = view(*args, **kwargs)
        except IntegrityError:
            # the other click was first, and its mail is on its way
            db_session.rollback()
            return redirect(url_for("accounts.check_mail"), code=303)
        # not to where the guest wants to go: the address has to be confirmed first
        done = guest and request.method == "POST" and not isinstance(answer, str)
        if not done:
            return answer
        same_browser.remember()
        return redirect(url_for("accounts.check_mail"), code=303)

    return once


def steady(response: Response) -> Response:
    """Hold the answer back until the time is over that every such answer takes."""
    if request.method == "POST" and request.endpoint in STEADY:
        time.sleep(max(0.0, STEADY_SECONDS - (time.perf_counter() - g.began)))
    return response
