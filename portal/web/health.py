"""Whether this process lives (``/healthz``) and whether it can work (``/readyz``)."""

from flask import Blueprint, Response, jsonify

from portal.services import health
from portal.web import gateways, public

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@public
def alive() -> Response:
    """The process answers; nothing else is asked."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public
def ready() -> tuple[Response, int]:
    """503 only without the database; the worker's lag and Stripe are told, since pages work without them."""
    report = health.report(gateways())
    return jsonify(report), 200 if report["database"] == "ok" else 503
