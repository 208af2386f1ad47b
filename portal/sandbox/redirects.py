"""Where a customer authenticates or authorises: 3-D Secure and the redirect method, page or dialog."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request

from portal.sandbox import confirmation, intents, setups
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

PAGES = {"challenge": "3-D Secure", "authorize": "Amazon Pay"}
OUTCOMES = {"pass": True, "fail": False}
# No form-action: a browser would apply it to the return_url as well.
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

blueprint = Blueprint("redirects", __name__, url_prefix="/redirect", template_folder="templates")


@blueprint.get("/<page>/<id>")
def show(page: str, id: str) -> Response:
    """What the customer is asked, or that it was decided already."""
    intent = _intent(sandbox(), page, id, request.args.get("client_secret"))
    html = render_template(
        "redirects/page.html", page=page, title=PAGES[page], intent=intent, waiting=_waiting(intent)
    )
    return Response(html, headers=HEADERS)


@blueprint.post("/<page>/<id>/decide")
def decide(page: str, id: str) -> Response:
    """The customer's decision; a dialog gets an answer, a page goes back to the return_url."""
    outcome = request.form.get("outcome", "")
    if outcome not in OUTCOMES:
        abort(400, "outcome must be pass or fail.")
    with sandbox().work():
        waiting = _intent(sandbox(), page, id, request.form.get("client_secret"))
        intent = _apply(sandbox(), waiting, passed=OUTCOMES[outcome])
    if request.form.get("dialog"):
        return jsonify(status=intent["status"])
    return _go_back(_return_url(waiting), intent)


def _apply(current: Sandbox, intent: Document, *, passed: bool) -> Document:
    """Decide what waits; what was decided before stays as it is."""
    if not _waiting(intent):
        return intent
    module = setups if intent["object"] == setups.KIND else confirmation
    return module.authenticate(current, intent, passed=passed).intent


def _go_back(address: str | None, intent: Document) -> Response:
    if not address:
        abort(409, "There is no page to go back to.")
    return redirect(returning(address, intent), code=303)


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
