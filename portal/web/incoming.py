"""What is refused before any page looks at it: unreadable characters, and names that nothing of ours has."""

from collections.abc import Iterable

from flask import Flask, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.routing import BaseConverter

from portal.web.text_rules import has_controls
from portal.web.usage_address import ConversationId

# where the payment page's script asks; elsewhere the form library would read JSON of any shape as a form
TAKE_JSON = {"checkout", "credit_purchases", "payment", "paying", "subscription"}


class QuoteId(BaseConverter):
    """``<quote:…>``: a quote's id as ``services.ids`` makes it; anything else is no address of ours."""

    regex = "Q-[0-9A-Z]{10}"


class InvoiceId(BaseConverter):
    """``<invoice:…>``: the id of an invoice of Stripe's (docs.stripe.com/api/invoices/object)."""

    regex = "in_[0-9A-Za-z_]{1,251}"


class ActionId(BaseConverter):
    """``<action:…>``: what a person asked about paying, as ``services.ids`` makes it."""

    regex = "P-[0-9A-Z]{10}"


class MethodId(BaseConverter):
    """``<method:…>``: the id of a payment method of Stripe's (docs.stripe.com/api/payment_methods/object)."""

    regex = "[a-z]{2,8}_[0-9A-Za-z_]{1,251}"


class KeyId(BaseConverter):
    """``<key:…>``: the id of a program's key, as ``services.ids`` makes it."""

    regex = "K-[0-9A-Z]{10}"


CONVERTERS = {
    "quote": QuoteId,
    "invoice": InvoiceId,
    "action": ActionId,
    "method": MethodId,
    "key": KeyId,
    "conversation": ConversationId,
}


def install(app: Flask) -> None:
    """Teach ``app`` our names and let it refuse the unreadable; call it before blueprints are registered."""
    app.url_map.converters.update(CONVERTERS)
    app.before_request(refuse_unreadable)


def refuse_unreadable() -> None:
    """400 for control characters in the path, the query or a form, and for JSON that nobody reads."""
    if has_controls(request.path) or any(map(has_controls, _texts(request.args))):
        abort(400)
    if any(has_controls(each, lines=True) for each in _texts(request.form)):
        abort(400)
    if request.is_json and not _expected_json():
        abort(400)


def _expected_json() -> bool:
    return request.blueprint in TAKE_JSON and isinstance(request.get_json(silent=True), dict)


def _texts(sent: MultiDict[str, str]) -> Iterable[str]:
    for name, value in sent.items(multi=True):
        yield name
        yield value
