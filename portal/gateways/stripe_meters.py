"""The side of Stripe that counts: events for its meters, what they add up to, and what was wrong with them.

An answer to an event is no proof that it counts: Stripe looks at it later, and tells in a thin event what it
could not use. Source: docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import stripe

from portal.errors import PortalError
from portal.gateways import stripe_reading as reading
from portal.gateways import stripe_thin_events
from portal.gateways.stripe_errors import (
    StripeMisconfiguredError,
    StripeRefusedError,
    StripeUnknownError,
    StripeUnreachableError,
    ask,
)
from portal.gateways.stripe_words import Event

# what one call of the stream takes
MOST_EVENTS = 100
# a token is good for a quarter of an hour; one that is about to end is not used any more
TOKEN_MARGIN = timedelta(minutes=1)
PAGE = 100
# each try is the caller's: after the SDK's own retries nobody could tell what became of the first one
ONCE: Any = {"max_network_retries": 0}
# v1 says no more than this of an identifier that it knows (recorded)
KNOWN_IDENTIFIER = "already exists with identifier"
ALREADY_CANCELLED = "already been cancel"
MINUTE = 60

ERROR_TYPES = ("v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found")

ACCEPTED, REFUSED, UNKNOWN, UNTRIED = "accepted", "refused", "unknown", "untried"


@dataclass(frozen=True)
class Message:
    """One message to a meter; ``quantity`` may be negative, ``at`` is cut to the second."""

    identifier: str
    event_name: str
    customer_id: str
    quantity: int
    at: datetime


@dataclass(frozen=True)
class Result:
    """What became of one message, or of the wish to cancel one.

    ``accepted`` (also when Stripe knew it already), ``refused`` (nothing was done), ``unknown``, or
    ``untried`` (it never left, or Stripe let nobody in). ``code`` and ``param`` are Stripe's.
    """

    outcome: str
    code: str | None = None
    param: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Sample:
    """An event that could not be used, by the identifier that it was sent under."""

    identifier: str
    code: str
    message: str


@dataclass(frozen=True)
class ErrorReport:
    """What Stripe found wrong with events that it received in a window of time.

    ``counts`` has every error, by code; ``samples`` names a few events of each. ``meter_id`` None: there is
    no meter of that name.
    """

    event_id: str
    meter_id: str | None
    counts: Mapping[str, int]
    samples: Sequence[Sample]
    window_start: datetime
    window_end: datetime
    summary: str


class StripeMeters:
    """Sends through the stream of API v2 where there is one (``stream``), else event by event."""

    def __init__(
        self,
        client: stripe.StripeClient,
        *,
        stream: bool,
        with_token: Callable[[str], stripe.StripeClient],
    ) -> None:
        self._client = client
        self._stream = stream
        self._with_token = with_token
        self._session: tuple[stripe.StripeClient, datetime] | None = None
        self._lock = threading.Lock()

    # --- sending ---------------------------------------------------------------------------------

    def send(self, messages: Sequence[Message]) -> list[Result]:
        """Send up to MOST_EVENTS messages; what became of each, in their order. Raises nothing of Stripe's.

        The same identifier within Stripe's day counts once. Where one has no answer, those after it are not
        tried.
        """
        if len(messages) > MOST_EVENTS:
            raise ValueError(f"at most {MOST_EVENTS} events at once")
        return self._send_together(messages) if self._stream else self._send_each(messages)

    def _send_together(self, messages: Sequence[Message]) -> list[Result]:
        events = [_for_stream(message) for message in messages]
        try:
            if not self._streamed(events, renew=False):
                self._streamed(events, renew=True)
        except StripeRefusedError:
            # one of them is not well formed, and each has its own answer
            return self._send_each(messages)
        except PortalError as error:
            return [_failed(error)] * len(messages)
        return [Result(ACCEPTED)] * len(messages)

    def _streamed(self, events: list[dict[str, Any]], *, renew: bool) -> bool:
        """Send them; False when the token had ended, so that nothing was sent."""
        client = self._token(renew=renew)
        params: Any = {"events": events}
        try:
            ask(lambda: client.v2.billing.meter_event_stream.create(params, ONCE))
        except StripeUnknownError as error:
            if not renew and isinstance(error.__cause__, stripe.TemporarySessionExpiredError):
                return False
            raise
        return True

    def _token(self, *, renew: bool) -> stripe.StripeClient:
        """The client of a session that is good for a while. Raises StripeUnreachableError without one."""
        with self._lock:
            known = self._session
            if known is not None and not renew and datetime.now(UTC) < known[1]:
                return known[0]
            try:
                opened = ask(lambda: self._client.v2.billing.meter_event_session.create({}, ONCE))
            except StripeUnknownError as error:
                raise StripeUnreachableError(error.message, log=f"no meter event session: {error}") from error
            life = _moment(opened.expires_at) - _moment(opened.created)
            client = self._with_token(opened.authentication_token)
            self._session = client, datetime.now(UTC) + life - TOKEN_MARGIN
            return client

    def _send_each(self, messages: Sequence[Message]) -> list[Result]:
        results: list[Result] = []
        for message in messages:
            if results and results[-1].outcome in (UNKNOWN, UNTRIED):
                results.append(Result(UNTRIED))
            else:
                results.append(self._send_one(message))
        return results

    def _send_one(self, message: Message) -> Result:
        params: Any = _for_v1(message)
        try:
            ask(lambda: self._client.v1.billing.meter_events.create(params, ONCE))
        except StripeRefusedError as refusal:
            known = KNOWN_IDENTIFIER in str(refusal)
            return Result(ACCEPTED) if known else _failed(refusal)
        except PortalError as error:
            return _failed(error)
        return Result(ACCEPTED)

    # --- taking back -----------------------------------------------------------------------------

    def cancel(self, event_name: str, identifier: str) -> Result:
        """Have an event not count, within 24 hours of Stripe's receiving it; once or several times."""
        params: Any = {"event_name": event_name, "type": "cancel", "cancel": {"identifier": identifier}}
        try:
            ask(lambda: self._client.v1.billing.meter_event_adjustments.create(params, ONCE))
        except StripeRefusedError as refusal:
            return Result(ACCEPTED) if ALREADY_CANCELLED in str(refusal) else _failed(refusal)
        except PortalError as error:
            return _failed(error)
        return Result(ACCEPTED)

    # --- reading ---------------------------------------------------------------------------------

    def ids(self) -> dict[str, str]:
        """Active meters' ids by event name."""
        params: Any = {"status": "active", "limit": PAGE}
        listed = ask(lambda: list(self._client.v1.billing.meters.list(params).auto_paging_iter()))
        return {meter.event_name: meter.id for meter in listed}

    def used(self, meter_id: str, customer_id: str, start: datetime, end: datetime) -> int:
        """What a customer's events in [start, end), whole minutes both, add up to.

        Stripe's sums lag behind what it has accepted. Raises StripeRefusedError for a customer that is gone.
        """
        params: Any = {
            "customer": customer_id,
            "start_time": int(start.timestamp()),
            "end_time": int(end.timestamp()),
            "limit": PAGE,
        }
        listed = ask(lambda: self._client.v1.billing.meters.event_summaries.list(meter_id, params))
        return int(sum((Decimal(str(row.aggregated_value)) for row in listed.data), Decimal(0)))

    def error_report(self, event_id: str) -> ErrorReport:
        """The details behind a thin event about errors."""
        document = reading.plain(ask(lambda: self._client.v2.core.events.retrieve(event_id)))
        return _report(document)

    def errors_since(self, since: datetime) -> list[Event]:
        """All thin events about errors from then on, oldest first; Stripe keeps them for 30 days."""

        def every() -> Iterator[Event]:
            params: Any = {"types": list(ERROR_TYPES), "created": {"gte": _written(since)}, "limit": PAGE}
            for found in self._client.v2.core.events.list(params).auto_paging_iter():
                yield stripe_thin_events.thin_event(reading.plain(found))

        return sorted(ask(lambda: list(every())), key=lambda event: event.created)


def _failed(error: PortalError) -> Result:
    """Which of the four it is, with Stripe's reason."""
    if isinstance(error, StripeRefusedError):
        return Result(REFUSED, error.stripe_code, error.param, str(error.message))
    if isinstance(error, StripeUnreachableError):
        return Result(UNTRIED, error.code, None, str(error))
    if isinstance(error, StripeMisconfiguredError):
        return Result(UNTRIED, error.code, None, str(error))
    return Result(UNKNOWN, error.code, None, str(error))


def _payload(message: Message) -> dict[str, str]:
    return {"stripe_customer_id": message.customer_id, "value": str(message.quantity)}


def _for_v1(message: Message) -> dict[str, Any]:
    return {
        "event_name": message.event_name,
        "identifier": message.identifier,
        "payload": _payload(message),
        "timestamp": int(message.at.timestamp()),
    }


def _for_stream(message: Message) -> dict[str, Any]:
    return {
        "event_name": message.event_name,
        "identifier": message.identifier,
        "payload": _payload(message),
        "timestamp": _written(message.at),
    }


def _written(at: datetime) -> str:
    """As API v2 writes a time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(text: Any) -> datetime:
    return datetime.fromisoformat(str(text))


def _report(document: reading.Document) -> ErrorReport:
    data = document["data"]
    types = data["reason"]["error_types"]
    samples = [
        Sample(str(sample["request"]["identifier"]), str(kind["code"]), str(sample["error_message"]))
        for kind in types
        for sample in kind.get("sample_errors") or []
    ]
    return ErrorReport(
        event_id=str(document["id"]),
        meter_id=(document.get("related_object") or {}).get("id"),
        counts={str(kind["code"]): int(kind["error_count"]) for kind in types},
        samples=samples,
        window_start=_moment(data["validation_start"]),
        window_end=_moment(data["validation_end"]),
        summary=str(data.get("developer_message_summary") or ""),
    )
