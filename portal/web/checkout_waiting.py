"""The page after paying: what it says in each state of the purchase, and where it leads."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from flask import render_template, url_for
from flask_babel import gettext

from portal.db import unit_of_work
from portal.services import billing_details, checkout
from portal.services.checkout import PurchaseState
from portal.web import current_workspace_id, gateways
from portal.web.billing_attention import Link
from portal.web.language import translated

# after so many seconds of waiting Stripe itself is asked, whether or not a webhook came
ASK_STRIPE_AFTER = 4


@dataclass(frozen=True)
class Outcome:
    """What the waiting page says: still waiting, or where to go on."""

    waiting: bool
    title: str
    body: str
    location: str | None = None
    links: Sequence[Link] = ()


def outcome(state: PurchaseState) -> Outcome:
    """The waiting page of a purchase: that it is not paid is said only once Stripe has been asked."""
    said = translated(state.message)
    pay = url_for("checkout.page", quote_id=state.quote.id)
    overview = url_for("billing.overview")
    match state.name:
        case "active" | "trialing":
            welcome = url_for("billing.overview", welcome=state.quote.id)
            return Outcome(False, gettext("You are live"), said, welcome)
        case "quoted":
            return Outcome(False, gettext("The payment is not complete"), said, pay)
        case "declined" if state.asked:
            return Outcome(False, gettext("The payment is not complete"), said, pay)
        case "processing":
            links = [Link(overview, gettext("Go to the overview"))]
            return Outcome(False, gettext("Your payment is on its way"), said, links=links)
        case "awaiting_payment" | "requires_action" if state.asked:
            links = [Link(pay, gettext("Back to the payment")), Link(overview, gettext("Go to the overview"))]
            body = gettext("%(state)s You were not charged.", state=said)
            return Outcome(False, gettext("The payment is not complete"), body, links=links)
        case "expired" | "abandoned" | "failed":
            links = [Link(pay, gettext("See the price again")), Link(overview, gettext("Go to the overview"))]
            return Outcome(False, gettext("This purchase did not go through"), said, links=links)
        case _:
            body = gettext("We wait for Stripe to confirm the payment. This takes a few seconds.")
            return Outcome(True, gettext("Confirming your payment"), body)


class Standing(Protocol):
    """How something stands that is paid for, as each kind of purchase tells it."""

    @property
    def name(self) -> str:
        """The word for it."""


S = TypeVar("S", bound=Standing)


def standing(read: Callable[..., S], quote_id: str, *, ask_stripe: bool) -> S:
    """How a purchase stands by ``read``; Stripe is asked about a refusal, which may be an earlier try's."""
    found = read(gateways(), current_workspace_id(), quote_id, ask_stripe=ask_stripe)
    if found.name == "declined" and not ask_stripe:
        return read(gateways(), current_workspace_id(), quote_id, ask_stripe=True)
    return found


def standing_of(quote_id: str, *, ask_stripe: bool) -> PurchaseState:
    """How the first purchase stands."""
    return standing(checkout.state, quote_id, ask_stripe=ask_stripe)


def waiting_page(purchase: PurchaseState, told: Outcome, *, waited: int) -> str:
    """The page, ``waited`` seconds after paying (as far as a browser without scripts counts them)."""
    with unit_of_work(current_workspace_id()) as session:
        details = billing_details.current(session)
    return render_template(
        "checkout/done.html",
        quote=purchase.quote,
        state=purchase,
        details=details,
        waited=waited,
        waiting=told.waiting,
        title=told.title,
        body=told.body,
        links=told.links,
    )
