"""The invoice page that its link opens, and the PDF beside it; whoever has the link may see both."""

from __future__ import annotations

from flask import Blueprint, Response, abort, render_template, request

from portal.sandbox import invoice_payments, invoices, pdf, statements
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

# The page takes payments with the sandbox's own Stripe.js, which frames the card fields.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
    "frame-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)

blueprint = Blueprint(
    "hosted",
    __name__,
    url_prefix="/invoice",
    template_folder="templates",
    static_folder="static/hosted",
    static_url_path="/static",
)


@blueprint.get("/<token>")
def show(token: str) -> Response:
    current = sandbox()
    with current.lock:
        invoice = _invoice(current, token)
        statement = statements.read(current, invoice)
        secret = invoice_payments.confirmation_secret(current, invoice) or {}
    payable = secret.get("client_secret") if invoice["status"] == "open" else None
    pdf_url = f"{request.path}/pdf"
    html = render_template("hosted/invoice.html", statement=statement, pdf_url=pdf_url, client_secret=payable)
    return _private_page(html)


def _private_page(html: str) -> Response:
    """A page for whoever has its link, and for nobody who gets it from a cache or a referrer."""
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<token>/pdf")
def download(token: str) -> Response:
    current = sandbox()
    with current.lock:
        statement = statements.read(current, _invoice(current, token))
    response = Response(pdf.render(statement), content_type="application/pdf")
    response.headers["Content-Disposition"] = f'inline; filename="Invoice-{statement.number}.pdf"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _invoice(current: Sandbox, token: str) -> Document:
    """The invoice behind a link; the token is the last part of its address."""
    found = current.store.walk(
        invoices.KIND, lambda row: (row["hosted_invoice_url"] or "").rpartition("/")[2] == token
    )
    invoice = next(found, None)
    if invoice is None:
        abort(404, "There is no invoice behind this link.")
    return invoice
