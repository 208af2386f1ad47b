"""The control's usage: what each customer's meters counted, as JSON and as a page."""

from __future__ import annotations

from flask import Blueprint, Response, abort, jsonify, render_template

from portal.sandbox import control_pages, usage_report
from portal.sandbox.meters import KIND as METER
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

ROWS = 1000
blueprint = Blueprint("usage_pages", __name__, url_prefix="/_sandbox", template_folder="templates")
blueprint.after_request(control_pages.protect)
blueprint.context_processor(control_pages.common)


@blueprint.get("/usage")
def listed() -> Response:
    """The newest customers' usage of each meter."""
    with sandbox().lock:
        return jsonify(usage_report.series(sandbox(), ROWS))


@blueprint.get("/usage/<meter>/<customer>")
def one(meter: str, customer: str) -> Response:
    """The days and the latest events of one customer's meter."""
    current = sandbox()
    with current.lock:
        found = _known(current, meter)
        return jsonify(
            days=usage_report.days(current, found, customer),
            events=usage_report.events(current, meter, customer),
        )


@blueprint.get("/browse/usage/<meter>/<customer>")
def page(meter: str, customer: str) -> str:
    current = sandbox()
    with current.lock:
        found = _known(current, meter)
        return render_template(
            "control_usage.html",
            meter=found,
            customer=customer,
            days=usage_report.days(current, found, customer),
            events=usage_report.events(current, meter, customer),
        )


def _known(current: Sandbox, meter: str) -> Document:
    found = current.store.get(METER, meter)
    if found is None:
        abort(404)
    return found
