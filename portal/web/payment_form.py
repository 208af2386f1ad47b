"""What a page with Stripe's form hands to its script: keys, amounts, and where to go on."""

from urllib.parse import urlsplit

from flask import request

from portal.models import BillingDetails
from portal.web import settings

# after so many seconds of waiting Stripe itself is asked, whether or not a webhook came
ASK_STRIPE_AFTER = 4


def stripe_form(
    details: BillingDetails, mode: str, done: str, state: str, *, amount: int = 0, currency: str = "usd"
) -> dict[str, object]:
    """The facts that ``payment/_stripe.html`` names. ``mode``: setup, payment or subscription."""
    stripe_js = settings().stripe_js_url
    return {
        "details": details,
        "mode": mode,
        "done": done,
        "state": state,
        "amount_due": amount,
        "currency": currency,
        "publishable_key": settings().stripe_publishable_key,
        "stripe_js_url": stripe_js,
        "stripe_origin": "{0.scheme}://{0.netloc}".format(urlsplit(stripe_js)),
    }


def asked_stripe(waited: int) -> bool:
    """Whether the page after a form asks Stripe itself: it waited long, or Stripe sent it back refused."""
    return waited >= ASK_STRIPE_AFTER or request.args.get("redirect_status") == "failed"
