"""What Stripe posts: verified over the raw bytes, stored, answered; the worker thinks about it.

An application of its own in front of the pages: nobody is signed in here and no page is drawn, and what pages
need for that takes longer than all the work. Every delivery is signed, so there is no form token either.
"""

import time

import structlog
from flask import Flask
from werkzeug.exceptions import HTTPException, InternalServerError, MethodNotAllowed, NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Request, Response

from portal.config import Settings
from portal.gateways import Gateways
from portal.gateways.stripe_errors import SignatureError
from portal.services import inbox
from portal.web import failures, request_log
from portal.web.security import Seal

PATH = "/webhooks/stripe"
# what only API v2 tells, such as the errors of meters, signed with a secret of its own
THIN_PATH = "/webhooks/stripe/thin"
MOST_BYTES = 512 * 1024

log = structlog.get_logger("portal.web")


class Delivery(Request):
    """A request of Stripe's; a larger one is not read."""

    max_content_length = MOST_BYTES


class Door:
    """The application at PATH, or at THIN_PATH, which verifies in its own way."""

    def __init__(self, gateways: Gateways, settings: Settings, hosts: list[str], *, path: str) -> None:
        self._gateways = gateways
        self._path = path
        self._hosts = hosts
        self._seal = Seal(settings)

    @Delivery.application
    def __call__(self, request: Delivery) -> Response:
        began = time.perf_counter()
        request_id = request_log.name_request(request)
        response = self._answer(request)
        response.headers[request_log.HEADER] = request_id
        self._seal.put(response, secure=request.is_secure)
        request_log.tell(request, response, route=self._path, began=began)
        return response

    def _answer(self, request: Delivery) -> Response:
        """200 once the event is stored (or was before); 400 for what Stripe did not sign just now."""
        try:
            self._receive(request)
        except SignatureError as error:
            # one line for whoever watches the deliveries in Stripe's dashboard
            log.warning("webhook_unsigned", reason=str(error), bytes=request.content_length)
            return Response(error.message, 400)
        except HTTPException as error:
            return error.get_response(request.environ)  # type: ignore[return-value]
        except Exception as error:
            return _failed(error)
        return Response()

    def _receive(self, request: Delivery) -> None:
        request.trusted_hosts = self._hosts
        if not request.host or request.environ["PATH_INFO"]:
            raise NotFound
        if request.method != "POST":
            raise MethodNotAllowed(["POST"])
        payload = request.get_data(cache=False)
        stripe = self._gateways.stripe
        verifier = stripe.thin_webhooks if self._path == THIN_PATH else stripe.webhooks
        event = verifier.read(payload, request.headers.get("Stripe-Signature"))
        inbox.receive(self._gateways, event)


def _failed(error: Exception) -> Response:
    """Whatever it was, Stripe sends it again."""
    if failures.is_away(error):
        log.error("database_away", error=f"{type(error).__name__}: {error}")
        return Response("Try again.", 503, {"Retry-After": str(failures.RETRY_SECONDS)})
    log.exception("webhook_failed")
    return InternalServerError().get_response()  # type: ignore[return-value]


def install(app: Flask, settings: Settings) -> None:
    """Put the doors in front of ``app``."""
    gateways, hosts = app.extensions["portal"], app.config["TRUSTED_HOSTS"]
    doors = {path: Door(gateways, settings, hosts, path=path) for path in (PATH, THIN_PATH)}
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, doors)  # type: ignore[method-assign]
