"""Link: a wallet known by e-mail address, opened with a one-time code, that remembers a card.

One account per address, one sign-in per group of Elements. The frames of this sandbox call the routes below;
the
page around them cannot, since they answer other origins without CORS headers and refuse their POSTs.
Codes follow docs.stripe.com/payments/link (testing): six digits pass, but for three that show an error.
"""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, jsonify, request

from portal.sandbox import forms, methods
from portal.sandbox.cards import BY_NUMBER, Card
from portal.sandbox.errors import StripeError, invalid
from portal.sandbox.state import Sandbox, sandbox
from portal.sandbox.store import Document

ACCOUNT, SESSION = "_link_account", "_link_session"
MAX_EMAIL = 254
MAX_PHONE = 32
MAX_SESSION_ID = 64
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")
CODE = re.compile(r"\d{6}")
WRONG_CODE = "The code you entered is incorrect. Check the code and try again."
REFUSED_CODES = {
    "000001": ("consumer_verification_code_invalid", WRONG_CODE),
    "000002": ("consumer_verification_expired", "This code has expired. Ask for a new one."),
    "000003": (
        "consumer_verification_max_attempts_exceeded",
        "There were too many attempts. Pay another way, or try again later.",
    ),
}

blueprint = Blueprint("link", __name__, url_prefix="/elements/link")


def find(current: Sandbox, email: str) -> Document | None:
    """The Link account of an address, whatever its case."""
    return current.store.get(ACCOUNT, email.strip().lower())


def remember(current: Sandbox, email: str, phone: str | None, method: Document) -> None:
    """Open (or renew) an account with the card of a payment method that was just used."""
    card = methods.test_card(method)
    if not card or method["type"] != "card":
        return
    save(
        current,
        email,
        phone,
        card,
        (method["card"]["exp_month"], method["card"]["exp_year"]),
        method["billing_details"],
    )


def save(
    current: Sandbox, email: str, phone: str | None, card: Card, expiry: tuple[int, int], billing: Document
) -> Document:
    """Store an account with one card; raises 400 for an address that is none."""
    address = checked_email(email)
    account = {
        "id": address,
        "email": address,
        "phone": (phone or "")[:MAX_PHONE],
        "card": {"number": card.number, "exp_month": expiry[0], "exp_year": expiry[1]},
        "billing_details": {**methods.billing_details(billing), "email": address},
    }
    current.store.put(ACCOUNT, account)
    return account


def checked_email(email: str) -> str:
    """The address in lower case; 400 when it cannot be one."""
    address = email.strip().lower()
    if len(address) > MAX_EMAIL or not EMAIL.fullmatch(address):
        raise invalid("Your email is invalid.", "email", "email_invalid")
    return address


def sign_in(current: Sandbox, session: str, email: str) -> None:
    """This group of Elements may now pay with the account's card."""
    current.store.put(SESSION, {"id": session[:MAX_SESSION_ID], "email": email})


def account_of(current: Sandbox, session: str) -> Document | None:
    """The account that a group of Elements is signed in to."""
    known = current.store.get(SESSION, session[:MAX_SESSION_ID])
    return find(current, known["email"]) if known else None


def method_from(current: Sandbox, session: Any) -> Document:
    """A payment method of type `link` for the account that the Elements are signed in to; 400 when to
    none.
    """
    account = account_of(current, str(session))
    if not account:
        raise invalid("Sign in to Link before paying with it.", "link")
    given = {"billing_details": account["billing_details"]}
    details = {"email": account["email"], "persistent_token": None}
    return methods.create(current, "link", details, given, _card=account["card"]["number"])


def shown(account: Document | None) -> Document | None:
    """The account as its owner's frame may show it."""
    if not account:
        return None
    card = BY_NUMBER[account["card"]["number"]]
    expiry = {name: account["card"][name] for name in ("exp_month", "exp_year")}
    phone = account["phone"]
    return {
        "email": account["email"],
        "phone_ending": phone[-2:] if phone else None,
        "billing_details": account["billing_details"],
        "card": {"brand": card.brand, "last4": card.last4, **expiry},
    }


@blueprint.before_request
def same_origin_only() -> tuple[Response, int] | None:
    if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        return jsonify(error={"message": "Only the frames of this sandbox may ask that."}), 403
    return None


@blueprint.errorhandler(StripeError)
def refusal(error: StripeError) -> tuple[Response, int]:
    return jsonify(error=error.body()), error.status


def _sent() -> Document:
    return forms.decode(request.get_data(as_text=True))


def _asked(*names: str) -> list[str]:
    """Text fields of the form, empty where they are missing."""
    sent = _sent()
    return [sent[name] if isinstance(sent.get(name), str) else "" for name in names]


@blueprint.post("/lookup")
def lookup() -> Response:
    """Whether an address has an account."""
    (email,) = _asked("email")
    return jsonify(exists=find(sandbox(), email) is not None)


@blueprint.post("/verify")
def verify() -> Response:
    """Sign in with the one-time code that was sent."""
    session, email, code = _asked("session", "email", "code")
    account = find(sandbox(), email)
    reason = REFUSED_CODES.get(code)
    if not (account and session and CODE.fullmatch(code)):
        reason = REFUSED_CODES["000001"]
    if reason:
        raise invalid(reason[1], "code", reason[0])
    with sandbox().work():
        sign_in(sandbox(), session, email.strip().lower())
    return jsonify(account=shown(account))


@blueprint.post("/signup")
def signup() -> Response:
    """Open an account with a card and sign in to it."""
    session, email, phone = _asked("session", "email", "phone")
    data = methods.typed(_sent().get("payment_method_data", {}))
    if not session or data.get("type") != "card":
        raise invalid("Fill in the card that Link is to remember.", "payment_method_data")
    with sandbox().work():
        account = _open(email, phone, data)
        sign_in(sandbox(), session, account["email"])
    return jsonify(account=shown(account))


def _open(email: str, phone: str, data: Document) -> Document:
    method = methods.from_data(sandbox(), data, "payment_method_data")
    card = methods.test_card(method)
    if not card or card.decline:
        raise invalid("Link cannot save this card. Try another one.", "card", "card_declined")
    expiry = (method["card"]["exp_month"], method["card"]["exp_year"])
    sandbox().store.delete(methods.KIND, method["id"])
    return save(sandbox(), email, phone, card, expiry, method["billing_details"])


@blueprint.post("/session")
def session_state() -> Response:
    """Which account this group of Elements is signed in to, if any."""
    (session,) = _asked("session")
    return jsonify(account=shown(account_of(sandbox(), session)))


@blueprint.post("/logout")
def logout() -> Response:
    """Forget the sign-in of this group of Elements."""
    (session,) = _asked("session")
    with sandbox().work():
        sandbox().store.delete(SESSION, session[:MAX_SESSION_ID])
    return jsonify(account=None)
