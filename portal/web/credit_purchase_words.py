"""What the pages of a pack say: its line with the reason, the steps of its purchase, what happens next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app, url_for
from flask_babel import gettext

from portal.models import CreditPurchase, Quote
from portal.services import credit_purchase_states as states
from portal.services import credit_refunds
from portal.services.credit_purchase_kinds import SWAP
from portal.services.credit_purchase_waiting import PurchaseState
from portal.web.billing_attention import Link, Notice
from portal.web.checkout_waiting import Outcome
from portal.web.language import translated
from portal.web.presentation import date_text, datetime_text, money, number


@dataclass(frozen=True)
class Step:
    """One step of a purchase: what it is, whether it is done, and when it was or what is waited for."""

    title: str
    state: str  # done | now | later | failed
    detail: str = ""


def balance_url() -> str:
    """Where the balance is shown."""
    there = "credits.show" in current_app.view_functions
    return url_for("credits.show" if there else "billing.overview")


def page_of(purchase: CreditPurchase) -> str:
    """Where a pack is shown that is paid: on its own page, or one that came from seats on the balance."""
    if purchase.kind == SWAP:
        return balance_url()
    return url_for("credit_purchases.done", quote_id=purchase.quote_id)


def pack_of(quote: Quote) -> Mapping[str, Any]:
    """The pack that a quote is for, as pricing spells it."""
    terms: Any = quote.terms or {}
    pack: Mapping[str, Any] = terms["pack"]
    return pack


def span_of(quote: Quote) -> tuple[datetime, datetime]:
    """From when to when the quoted pack counts."""
    terms: Any = quote.terms or {}
    starts_at, expires_at = (datetime.fromtimestamp(terms[each], UTC) for each in ("starts_at", "expires_at"))
    return starts_at, expires_at


def rules(quote: Quote) -> list[str]:
    """What a buyer should know before paying, a sentence each."""
    starts_at, expires_at = span_of(quote)
    return [
        gettext(
            "The credits pay for resolutions used from %(start)s on, also for those already used this month.",
            start=date_text(starts_at),
        ),
        gettext("They end on %(end)s. What is not used by then lapses.", end=datetime_text(expires_at)),
        gettext("The pack is not renewed at its end unless you switch that on, and then it is renewed once."),
        gettext(
            "You can return a pack within 14 days, as long as nothing of it was used, not even for what you"
            " used this month before you bought it."
        ),
        gettext("If your price of a resolution changes, the number of resolutions stays."),
    ]


def button(quote: Quote) -> str:
    """The sentence on the button."""
    if not quote.amount_due:
        return gettext("Buy now from your balance")
    return gettext("Pay %(amount)s now", amount=money(quote.amount_due, quote.currency))


def notices(state: PurchaseState, problem: str) -> list[Notice]:
    """What has to be known before paying again."""
    if problem:
        return [Notice("negative", gettext("The payment did not go through"), problem)]
    if state.name == "declined":
        body = gettext("%(reason)s You were not charged.", reason=translated(state.message))
        return [Notice("negative", gettext("The payment did not go through"), body)]
    if state.name == "requires_action":
        body = gettext("You were not charged. Press the button below and follow your bank's steps.")
        return [Notice("caution", gettext("Your bank has not confirmed yet"), body)]
    return []


def outcome(state: PurchaseState) -> Outcome:
    """The page of a purchase: that it is not paid is said only once Stripe has been asked."""
    said = translated(state.message)
    quote = url_for("credit_purchases.quote", quote_id=state.quote.id)
    balance = Link(balance_url(), gettext("See the balance"))
    match state.name:
        case "done":
            return Outcome(False, _done_title(state), _done_body(state), links=[balance])
        case "quoted":
            return Outcome(False, gettext("The purchase is not confirmed"), said, quote)
        case "declined" if state.asked:
            return Outcome(False, gettext("The payment is not complete"), said, quote)
        case "processing":
            return Outcome(False, gettext("Your payment is on its way"), said, links=[balance])
        case "awaiting_payment" | "requires_action" if state.asked:
            return Outcome(False, gettext("The payment is not complete"), said, quote)
        case "expired" | "abandoned" | "failed":
            return Outcome(False, gettext("This purchase did not go through"), said, quote)
        case _:
            body = gettext("We wait for Stripe to confirm the payment. This takes a few seconds.")
            return Outcome(True, gettext("Confirming your payment"), body)


def _done_title(state: PurchaseState) -> str:
    match state.purchase.state:
        case states.REFUNDING:
            return gettext("The pack is being taken back")
        case states.REFUNDED:
            return gettext("The pack was taken back")
        case states.DISPUTED:
            return gettext("The payment is disputed")
    return gettext("%(units)s resolutions are yours", units=number(state.purchase.units))


def _done_body(state: PurchaseState) -> str:
    if state.purchase.state not in states.HELD or state.lot is None:
        return gettext("What was left of it is off your balance. Resolutions are billed by use again.")
    return gettext(
        "They pay for what is used from %(start)s and end on %(end)s.",
        start=date_text(state.lot.starts_at),
        end=date_text(state.lot.expires_at),
    )


def steps(state: PurchaseState) -> list[Step]:
    """The purchase as it went and goes, from the price to the last refund."""
    return [*_bought(state), *_taken_back(state)]


def follows(state: PurchaseState) -> bool:
    """Whether the pack is just being taken back, so that the page looks again by itself."""
    return any(refund.state == credit_refunds.OPEN for refund in state.refunds)


def _bought(state: PurchaseState) -> list[Step]:
    quote, purchase = state.quote, state.purchase
    paid = purchase.paid_at
    return [
        Step(
            gettext("Price confirmed"),
            "done" if quote.confirmed_at else "now",
            datetime_text(quote.confirmed_at) if quote.confirmed_at else "",
        ),
        Step(
            gettext("Payment"),
            "done" if paid else ("failed" if purchase.state == states.VOID else "now"),
            datetime_text(paid) if paid else translated(state.message),
        ),
        Step(gettext("On your balance"), "done" if state.lot else "later", _lot_words(state)),
        _grant(state),
    ]


def _taken_back(state: PurchaseState) -> list[Step]:
    found = []
    words = {
        "open": gettext("Being taken back"),
        "done": gettext("Taken back"),
        "stuck": gettext("Support has to look at it"),
    }
    for refund in state.refunds:
        detail = gettext("%(units)s resolutions", units=number(refund.units))
        if refund.total:
            detail += f" · {money(refund.total, refund.currency)}"
        state_of = {"open": "now", "stuck": "failed"}.get(refund.state, "done")
        found.append(Step(words[refund.state], state_of, detail))
    return found


def _lot_words(state: PurchaseState) -> str:
    if state.lot is None:
        return gettext("As soon as the payment has come")
    return gettext("%(left)s of %(units)s left", left=number(state.left), units=number(state.lot.units))


def _grant(state: PurchaseState) -> Step:
    """That Stripe knows of it too, which the next invoice goes by."""
    title = gettext("Set against your next invoices")
    purchase = state.purchase
    if purchase.granted_at is not None:
        ends = gettext("Until %(day)s", day=date_text(state.lot.expires_at)) if state.lot else None
        return Step(title, "done", ends)
    if purchase.error and purchase.state == states.PAID:
        words = gettext("This takes longer than usual. Support has been told; your balance counts.")
        return Step(title, "failed", words)
    if purchase.state == states.PAID:
        return Step(title, "now", gettext("In a moment; your balance counts already"))
    return Step(title, "later")
