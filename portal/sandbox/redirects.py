"""Where a customer authenticates or authorises: 3-D Secure and the redirect method, as pages and as a dialog."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request

from portal.sandbox import confirmation, intents, setups
from portal.sandbox.errors import StripeError
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

PAGES = {"challenge": "3-D Secure", "authorize": "Amazon Pay"}
OUTCOMES = {"pass": True, "fail": False}
# No form-action: a browser would apply it to the return_url as well.
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"

blueprint = Blueprint("redirects", __name__, url_prefix="/redirect", template_folder="templates")


@blueprint.get("/<page>/<id>")
def show(page: str, id: str) -> Response:
    intent = _intent(sandbox(), page, id, request.args.get("client_secret"))
    html = render_template(
        "redirects/page.html", page=page, title=PAGES[page], intent=intent, waiting=_waiting(intent)
    )
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.post("/<page>/<id>/decide")
def decide(page: str, id: str) -> Response:
    """The customer's decision; a dialog gets an answer, a page goes back to the return_url."""
    outcome = request.form.get("outcome", "")
    if outcome not in OUTCOMES:
        abort(400, "outcome must be pass or fail.")
    current = sandbox()
    intent = _intent(current, page, id, request.form.get("client_secret"))
    back = _return_url(intent)
    if _waiting(intent):
        intent = _apply(current, intent, passed=OUTCOMES[outcome])
    if request.form.get("dialog"):
        return jsonify(status=intent["status"])
    if not back:
        abort(409, "This payment was decided already, and there is no page to go back to.")
    return redirect(returning(back, intent), code=303)


def _apply(current: Sandbox, intent: Document, *, passed: bool) -> Document:
    with current.work():
        module = setups if intent["object"] == setups.KIND else confirmation
        try:
            return module.authenticate(current, intent, passed=passed).intent
        except StripeError as error:
            abort(409, error.message)


def returning(address: str, intent: Document) -> str:
    """The return_url with what real Stripe adds to it."""
    name = intent["object"]
    done = {"succeeded": "succeeded", "requires_capture": "succeeded", "processing": "pending"}
    added = {
        name: intent["id"],
        f"{name}_client_secret": intent["client_secret"],
        "redirect_status": done.get(intent["status"], "failed"),
    }
    parts = urlsplit(address)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *added.items()])
    return urlunsplit(parts._replace(query=query))


def _return_url(intent: Document) -> str | None:
    action = intent["next_action"] or {}
    return (action.get("redirect_to_url") or {}).get("return_url") or intent.get("_return_url")


def _waiting(intent: Document) -> bool:
    return intent["status"] == "requires_action"


def _intent(current: Sandbox, page: str, id: str, secret: str | None) -> Document:
    kind = setups.KIND if id.startswith("seti_") else intents.KIND
    intent = current.store.get(kind, id)
    if page not in PAGES or not intent or intent["client_secret"] != secret:
        abort(404)
    return intent
