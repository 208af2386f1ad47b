"""Pages that only development shows: the mails that would have been sent."""

from email.message import EmailMessage

from flask import Blueprint, Response, abort, render_template

from portal.gateways.mail import FolderMail
from portal.web import gateways, public, settings

blueprint = Blueprint("development", __name__, url_prefix="/development")


def _folder() -> FolderMail:
    mail = gateways().mail
    if settings().production or not isinstance(mail, FolderMail):
        abort(404)
    return mail


def _part(mail: EmailMessage, kind: str) -> str:
    body = mail.get_body(preferencelist=(kind,))
    return str(body.get_content()) if body else ""


def _mail(name: str) -> EmailMessage:
    return next((mail for each, mail in _folder().read() if each == name), None) or abort(404)


@blueprint.app_context_processor
def _development() -> dict[str, object]:
    return {"development": settings().development}


@blueprint.get("/mail")
@public
def mails() -> str:
    """All mails, newest first."""
    return render_template("development/mails.html", mails=_folder().read())


@blueprint.get("/mail/<name>")
@public
def mail(name: str) -> str:
    """One mail as text, its links to be followed."""
    found = _mail(name)
    return render_template("development/mail.html", name=name, mail=found, text=_part(found, "plain"))


@blueprint.get("/mail/<name>/html")
@public
def html(name: str) -> Response:
    """One mail as mail programs show it: inline styles allowed, scripts not."""
    response = Response(_part(_mail(name), "html"), mimetype="text/html")
    response.headers["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
        " frame-ancestors 'self'; base-uri 'none'"
    )
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
