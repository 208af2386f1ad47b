"""What Stripe posts: verified over the raw bytes, stored, answered; the worker thinks about it."""

import structlog
from flask import Blueprint, request
from flask.blueprints import BlueprintSetupState

from portal.gateways.stripe_errors import SignatureError
from portal.services import inbox
from portal.web import gateways, public

MOST_BYTES = 512 * 1024

log = structlog.get_logger("portal.web")

blueprint = Blueprint("webhooks", __name__, url_prefix="/webhooks")


@blueprint.record_once
def signed_instead(state: BlueprintSetupState) -> None:
    """Stripe has no form token; every delivery is signed."""
    state.app.extensions["csrf"].exempt(blueprint)


@blueprint.post("/stripe")
@public
def stripe() -> tuple[str, int]:
    """200 once the event is stored (also when it was before); 400 for what Stripe did not sign just now."""
    request.max_content_length = MOST_BYTES
    payload = request.get_data(cache=False)
    event = gateways().stripe.webhooks.read(payload, request.headers.get("Stripe-Signature"))
    inbox.receive(gateways(), event)
    return "", 200


@blueprint.errorhandler(SignatureError)
def unsigned(error: SignatureError) -> tuple[str, int]:
    """One line for whoever watches the deliveries in Stripe's dashboard."""
    log.warning("webhook_unsigned", reason=str(error), bytes=request.content_length)
    return error.message, 400
