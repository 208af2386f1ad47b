"""Is it Stripe that speaks? Signatures of webhooks, over the raw bytes, before anything is parsed."""

import json
from collections.abc import Callable
from dataclasses import replace

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways import stripe_thin_events
from portal.gateways.stripe_errors import SignatureError
from portal.gateways.stripe_words import Event

TOLERANCE_SECONDS = 300
# how JSON spells NUL and surrogates: seldom there, so the text is searched before the document is walked
SUSPECT = ("\\u0000", "\\ud", "\\uD")


class WebhookDoor:
    """Verifies deliveries with any of several secrets, so that one can be rolled without losing any.

    With no secret nothing is ever accepted: anyone could sign with an empty one. ``read`` makes an event of a
    delivery; the thin ones of API v2 have their own.
    """

    def __init__(
        self,
        secrets: tuple[str, ...],
        *,
        livemode: bool,
        api_version: str,
        account_id: str | None,
        read: Callable[[reading.Document], Event] = reading.event,
    ) -> None:
        self._secrets = tuple(secret for secret in secrets if secret)
        self.livemode = livemode
        self.api_version = api_version
        self.account_id = account_id
        self._read = read

    def read(self, payload: bytes, header: str | None) -> Event:
        """The event in ``payload``, if Stripe signed it within the last five minutes.

        Raises SignatureError for a forged, stale or unsigned delivery, and for what is not an event.
        ``construct_event`` would do the same in six times the time.
        """
        try:
            text = payload.decode("utf-8")
            self._verify(text, header)
            document = json.loads(text)
            if any(spelling in text for spelling in SUSPECT):
                document = reading.storable(document)
            event = self._read(document)
            # a thin event is the same in every version: what it is about is read in ours
            return (
                replace(event, api_version=self.api_version)
                if stripe_thin_events.is_thin(document)
                else event
            )
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
            raise SignatureError(
                "This is not an event of Stripe's.", log=f"webhook unreadable: {error!r}"
            ) from error

    def _verify(self, text: str, header: str | None) -> None:
        reason = "no webhook secret is set"
        for secret in self._secrets:
            try:
                stripe.WebhookSignature.verify_header(text, header, secret, TOLERANCE_SECONDS)
            except stripe.SignatureVerificationError as error:
                reason = error.user_message or "bad signature"
            else:
                return
        raise SignatureError("The signature is not valid.", log=f"webhook refused: {reason}")

    def objection(self, event: Event) -> str | None:
        """Why a genuine event is not for this portal (other mode, account or API version), or nothing."""
        if event.livemode != self.livemode:
            return f"livemode is {event.livemode}, this portal's keys say {self.livemode}"
        if event.account not in (None, self.account_id):
            return f"event of another account, {event.account}"
        if event.api_version != self.api_version:
            return f"API version {event.api_version}, the endpoint must be pinned to {self.api_version}"
        return None
