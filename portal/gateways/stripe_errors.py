"""Stripe's failures in our words: a definite no, an unknown result, or nobody there.

The difference decides what may be done next. After a *refusal* nothing happened and a new key may be used;
after an *unknown* result the same idempotency key is used again, and then Stripe is read; never a new key.
Source: docs.stripe.com/error-low-level and docs.stripe.com/api/idempotent_requests.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import requests
import stripe

from portal.db import transaction_is_open
from portal.errors import N_, ConflictError, NotFoundError, PortalError, UnavailableError

T = TypeVar("T")

TRY_AGAIN = N_("Stripe did not answer. Nothing is lost; try again in a moment.")


class StripeRefusedError(ConflictError):
    """Stripe said no (400, 402, 403, 404): nothing was done.

    ``code`` and ``param`` are Stripe's, ``decline_code`` a bank's; ``http_status`` the answer's.
    """

    def __init__(
        self,
        message: str,
        *,
        stripe_code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
        http_status: int | None = None,
        log: str | None = None,
    ) -> None:
        super().__init__(message, param=param, log=log)
        self.stripe_code = stripe_code
        self.decline_code = decline_code
        self.http_status = http_status

    @property
    def missing(self) -> bool:
        """Whether the object does not exist."""
        return self.stripe_code == "resource_missing"


class StripeUnknownError(UnavailableError):
    """A timeout, a 5xx, a conflict or a rate limit: the work may or may not have been done."""

    code = "stripe_unknown"


class StripeUnreachableError(StripeUnknownError):
    """No connection came about, so nothing was done; handled like an unknown result all the same."""

    code = "stripe_unreachable"


class StripeMisconfiguredError(PortalError):
    """The key is wrong or may not do this: a person must mend the settings."""

    code = "stripe_misconfigured"
    status = 503


class SignatureError(PortalError):
    """A webhook that Stripe did not sign, or signed too long ago."""

    code = "bad_signature"


def _never_connected(error: BaseException) -> bool:
    """Whether the connection failed before a byte was sent (refused, no route, no name)."""
    cause = error.__cause__
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    return isinstance(cause, requests.exceptions.ConnectionError) and "NewConnectionError" in repr(cause)


def translate(error: stripe.StripeError) -> PortalError:
    """Our error for one of the SDK's; the log line keeps Stripe's request id."""
    log = f"{type(error).__name__} {error.http_status} {error}"
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return StripeMisconfiguredError(N_("Payments are not set up correctly. We have been told."), log=log)
    if isinstance(error, stripe.APIConnectionError):
        kind = StripeUnreachableError if _never_connected(error) else StripeUnknownError
        return kind(TRY_AGAIN, log=log)
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError):
        detail = error.error
        return StripeRefusedError(
            error.user_message or N_("Stripe refused this."),
            stripe_code=error.code,
            param=error.param,
            decline_code=getattr(detail, "decline_code", None),
            http_status=error.http_status,
            log=log,
        )
    if isinstance(error, stripe.IdempotencyError):
        # Same key, other parameters: a bug of ours. What the first call did has to be read.
        return StripeUnknownError(TRY_AGAIN, log=log)
    return StripeUnknownError(TRY_AGAIN, log=log)


@contextmanager
def speaking_to_stripe() -> Iterator[None]:
    """Guard round every call: no open database transaction, and our errors only."""
    if transaction_is_open():
        raise RuntimeError("Stripe must not be called while a database transaction is open")
    try:
        yield
    except stripe.StripeError as error:
        raise translate(error) from error


def ask(call: Callable[[], T]) -> T:
    """The answer of ``call``, which speaks to Stripe.

    Raises StripeRefusedError, StripeUnknownError, StripeUnreachableError or StripeMisconfiguredError.
    """
    with speaking_to_stripe():
        return call()


def find(call: Callable[[], T]) -> T:
    """The answer of ``call``, which reads one object of Stripe's.

    Raises NotFoundError when Stripe has none by that id, and what ``ask`` raises.
    """
    try:
        return ask(call)
    except StripeRefusedError as refusal:
        if refusal.missing:
            raise NotFoundError(N_("Stripe does not know this any more."), log=str(refusal)) from refusal
        raise
