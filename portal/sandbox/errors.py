"""Stripe's error answers: one exception that carries everything the envelope shows."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = "https://stripe.com/docs/error-codes/"
# Recorded: this one code comes without a doc_url.
CODES_WITHOUT_DOCUMENTATION = frozenset({"subscription_payment_intent_requires_action"})
INVALID_REQUEST = "invalid_request_error"


class StripeError(Exception):
    """An answer in Stripe's error envelope; raising it rolls the request's writes back.

    `keep` commits the writes all the same: a declined charge stays on record although the caller gets a 402.
    `logged` is False where real Stripe answers without `request_log_url` (unknown URL, bad version).
    `stored` is False for refusals that happen before the endpoint starts working: the key stays free.
    `extra` holds further members of the envelope, such as `decline_code` or a whole `payment_intent`.
    """

    def __init__(
        self,
        status: int,
        type: str,
        message: str,
        code: str | None = None,
        param: str | None = None,
        *,
        keep: bool = False,
        logged: bool = True,
        stored: bool = True,
        **extra: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message
        self.code = code
        self.param = param
        self.keep = keep
        self.logged = logged
        self.stored = stored
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The members of `error` in the envelope; absent values are absent keys, as recorded from Stripe."""
        error: dict[str, Any] = {"type": self.type, "message": self.message}
        if self.code is not None:
            error["code"] = self.code
            if self.code not in CODES_WITHOUT_DOCUMENTATION:
                error["doc_url"] = DOCUMENTATION + self.code.replace("_", "-")
        if self.param is not None:
            error["param"] = self.param
        return {**error, **self.extra}


def invalid(
    message: str, param: str | None = None, code: str | None = None, status: int = 400
) -> StripeError:
    """A refused request: `invalid_request_error`, 400 unless told otherwise."""
    return StripeError(status, INVALID_REQUEST, message, code=code, param=param)


def missing(label: str, id: str, param: str | None, status: int = 404) -> StripeError:
    """No object with that id: 404 when the path names it, 400 when the body does. `label` as Stripe says."""
    return invalid(f"No such {label}: '{id}'", param, code="resource_missing", status=status)


def missing_param(param: str) -> StripeError:
    """A required parameter was not sent."""
    return invalid(f"Missing required param: {param}.", param, code="parameter_missing")


def state_error(message: str, param: str | None = None) -> StripeError:
    """The object's state does not allow the request: 400 without a code, as recorded for invoices."""
    return invalid(message, param)


def past_time(param: str, value: int) -> StripeError:
    """A time that must lie ahead lies behind (recorded for `trial_end` and `redeem_by`)."""
    return invalid(
        f"The parameter `{param}` expects a unix timestamp representing a date and time in the future. "
        f"You specified the value `{value}` which is in the past.",
        param,
    )


def unsupported(param: str) -> StripeError:
    """A parameter that Stripe knows and this sandbox does not carry out."""
    error = invalid(f"The parameter `{param}` is valid at Stripe but not supported by this sandbox.", param)
    error.stored = False
    return error
