"""What needs attention first on the overview, in the order in which it matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from flask import url_for
from flask_babel import gettext

from portal.models import BillingDetails, Invoice, PlannedChange, Quote, QuoteMatch, Subscription
from portal.services import members
from portal.services.dues import Due, Owed
from portal.services.quotes import CHANGE
from portal.services.unbilled_periods import UnbilledPeriod
from portal.web import gateways, signed_in
from portal.web.billing_words import payment_method
from portal.web.coming_back import way_back
from portal.web.holding_words import PlannedWords
from portal.web.payment_words import decline_reason, method_name
from portal.web.presentation import date_text, money
from portal.web.subscription_quote_words import terms_of

NOTHING_DUE = Due()
MISSED_SHOWN = timedelta(days=30)


@dataclass(frozen=True)
class Link:
    """Where to go from a notice."""

    href: str
    label: str


@dataclass(frozen=True)
class Post:
    """What can be done from a notice with one press."""

    action: str
    label: str


@dataclass(frozen=True)
class Notice:
    """One thing to know now: kind (info, positive, caution, negative), title, body, and where to go."""

    kind: str
    title: str
    body: str = ""
    links: Sequence[Link] = ()
    posts: Sequence[Post] = ()


def attention(
    subscription: Subscription | None,
    details: BillingDetails | None,
    invoice: Invoice | None,
    proof: QuoteMatch | None,
    waiting: Quote | None,
    due: Due = NOTHING_DUE,
    planned: PlannedWords | None = None,
    missed: PlannedChange | None = None,
    unbilled: UnbilledPeriod | None = None,
    on_its_way: Quote | None = None,
) -> list[Notice]:
    """The notices for a workspace.

    ``invoice`` is its newest, ``proof`` that invoice's comparison with its quote, ``waiting`` a quote that
    was confirmed and not paid, ``due`` what stands in the way of the next payments, ``planned`` a change at
    the renewal, ``missed`` one that the renewal went by without, ``unbilled`` a period that none has billed,
    ``on_its_way`` a change that a bank debit pays.
    """
    found = [
        _unfinished(waiting),
        payment_notice(due) or _access(subscription),
        expiring_notice(due),
        on_its_way_notice(on_its_way),
        _ending(subscription),
        _planned(planned),
        missed_notice(missed),
        _unbilled(unbilled),
        _mismatch(invoice, proof),
        _tax_number(details),
    ]
    return [notice for notice in found if notice is not None]


def _unfinished(waiting: Quote | None) -> Notice | None:
    if waiting is None:
        return None
    return Notice(
        "caution",
        gettext("A purchase waits for its payment"),
        gettext("Quote %(id)s is not paid. You were not charged.", id=waiting.id),
        [Link(page_of(waiting), gettext("Go on with it"))] if may_here("billing") else (),
    )


def page_of(quote: Quote) -> str:
    """Where a confirmed quote of a purchase or a change is paid."""
    endpoint = "subscription.quote" if quote.kind == CHANGE else "checkout.page"
    return url_for(endpoint, quote_id=quote.id)


def _access(subscription: Subscription | None) -> Notice | None:
    if subscription is None:
        return None
    match subscription.access:
        case "payment_pending":
            return Notice(
                "info",
                gettext("Your payment is on its way"),
                gettext(
                    "A bank debit takes a few working days. You can work meanwhile. If your bank refuses it"
                    " we write to you, and the workspace is limited until it is paid."
                ),
            )
        case "limited":
            return Notice(
                "negative",
                gettext("Your workspace is limited: the last payment failed"),
                gettext("Everybody stays a member. Choose again, then give your people their seats again."),
                _choose_again(way_back(subscription)),
            )
        case "ended":
            return Notice(
                "info",
                gettext("Your subscription has ended"),
                gettext("Your invoices stay here. You can choose anew at any time."),
                _choose_again(way_back(subscription)),
            )
    return _trial(subscription)


def _choose_again(address: str) -> list[Link]:
    """The way to a new choice, for those who may buy it."""
    return [Link(address, gettext("Choose again"))] if may_here("billing") else []


def payment_notice(due: Due) -> Notice | None:
    """The banner of every billing page while a renewal is not paid, or that it ended the subscription."""
    if due.ended_for is not None:
        return _ended_for(due.ended_for, due.ended)
    if not due.owed:
        return None
    first = due.owed[0]
    total = money(sum(each.invoice.amount_due for each in due.owed), first.invoice.currency)
    if all(each.processing for each in due.owed):
        return Notice(
            "info",
            gettext("Your payment of %(amount)s is on its way", amount=total),
            gettext("A bank debit takes a few working days. If your bank refuses it we write to you."),
        )
    title, kind = gettext("A payment of %(amount)s failed", amount=total), "caution"
    until = gettext("Everything works until %(date)s.", date=date_text(first.until))
    if first.limited:
        title, kind = gettext("Your workspace is limited until %(amount)s is paid", amount=total), "negative"
        until = gettext("Nobody loses anything; it works again at once when that is paid.")
    error = (first.invoice.payment or {}).get("error")
    why = decline_reason(error if isinstance(error, dict) else None)
    return Notice(kind, title, gettext("%(why)s %(until)s", why=why, until=until), _pay(first))


def _pay(owed: Owed) -> list[Link]:
    if not may_here("billing"):
        return []
    return [Link(url_for("paying.page", stripe_id=owed.invoice.stripe_id), gettext("Pay now"))]


def _ended_for(invoice: Invoice, ended: Subscription | None) -> Notice:
    return Notice(
        "negative",
        gettext("Your subscription has ended with an invoice unpaid"),
        gettext(
            "Invoice %(number)s over %(amount)s could not be collected, and is not collected any more."
            " Everybody stays a member. Choose again, then give your people their seats again.",
            number=invoice.number,
            amount=money(invoice.amount_due, invoice.currency),
        ),
        _choose_again(way_back(ended) if ended else url_for("pricing.page")),
    )


def expiring_notice(due: Due) -> Notice | None:
    """That the card which pays the subscription ends soon, or has ended."""
    card = due.expiring
    if card is None or card.last_day is None:
        return None
    today = gateways().clock.now().date()
    over = card.last_day < today
    return Notice(
        "negative" if over else "caution",
        gettext("%(card)s has expired", card=method_name(card))
        if over
        else gettext("%(card)s expires on %(date)s", card=method_name(card), date=date_text(card.last_day)),
        gettext("Your subscription is paid with it. Add the new card, so that no payment fails."),
        [Link(url_for("payment.add"), gettext("Add a card or account"))] if may_here("billing") else [],
    )


def _trial(subscription: Subscription) -> Notice | None:
    if subscription.status != "trialing" or subscription.trial_end is None or subscription.cancel_at:
        return None  # who has ended it is told that, and nothing is taken on that day
    return Notice(
        "info",
        gettext("Trial until %(date)s", date=date_text(subscription.trial_end)),
        gettext(
            "Nothing was charged yet. On that day the first payment is taken from: %(method)s. We write to"
            " you before.",
            method=payment_method(subscription.default_payment_method),
        ),
    )


def _ending(subscription: Subscription | None) -> Notice | None:
    if subscription is None or subscription.cancel_at is None or subscription.ended_at is not None:
        return None
    if subscription.status == "trialing":
        body = gettext("Until then everything works. Nothing is charged for the trial.")
    else:
        body = gettext(
            "Until then everything works. Nothing is charged after that day but the usage before it."
        )
    if not may_here("owner"):
        body = gettext("%(body)s An owner of this workspace can keep it.", body=body)
    return Notice(
        "caution",
        gettext("Your subscription ends on %(date)s", date=date_text(subscription.cancel_at)),
        body,
        [Link(url_for("leaving.page"), gettext("See what happens"))] if may_here("owner") else (),
        [Post(url_for("leaving.keep"), gettext("Keep the subscription"))] if may_here("owner") else (),
    )


def _planned(planned: PlannedWords | None) -> Notice | None:
    if planned is None:
        return None
    body = gettext(
        "%(changes)s. Then %(price)s before tax.", changes="; ".join(planned.changes), price=planned.price
    )
    return Notice(
        "info",
        gettext("Your subscription changes on %(date)s", date=date_text(planned.on)),
        body,
        [Link(url_for("subscription.page"), gettext("See it"))] if may_here("billing") else (),
        [Post(url_for("subscription.undo"), gettext("Undo it"))] if may_here("billing") else (),
    )


def on_its_way_notice(quote: Quote | None) -> Notice | None:
    """That a change waits for the bank debit which pays it."""
    if quote is None:
        return None
    return Notice(
        "info",
        gettext("A change waits for your bank"),
        gettext(
            "%(changes)s. Your subscription shows it already; it counts as soon as the debit of %(amount)s"
            " has arrived, which takes a few working days. If your bank refuses it we write to you, and all"
            " is as it was before.",
            changes="; ".join(terms_of(quote).at_once),
            amount=money(quote.amount_due, quote.currency),
        ),
    )


def missed_notice(missed: PlannedChange | None) -> Notice | None:
    """That a planned change did not take effect, while that is news and nothing was planned since."""
    if missed is None or gateways().clock.now() > missed.effective_at + MISSED_SHOWN:
        return None
    return Notice(
        "caution",
        gettext("The change of %(date)s did not take effect", date=date_text(missed.effective_at)),
        gettext(
            "Your subscription went on as it was before. Support has been told, and writes to you about what"
            " you paid too much."
        ),
    )


def _unbilled(period: UnbilledPeriod | None) -> Notice | None:
    """That a failed debit kept a period from its renewal, and what comes of that, while it is news."""
    if period is None or gateways().clock.now() > period.begun + MISSED_SHOWN:
        return None
    day = date_text(period.begun)
    if period.total is not None:
        return Notice(
            "info",
            gettext("The period that began on %(date)s is billed now", date=day),
            gettext(
                "Your bank did not pay for the year, so you pay by the month again: %(amount)s with tax, as"
                " its renewal would have billed it.",
                amount=money(period.total, period.currency),
            ),
            [Link(url_for("invoices.listing"), gettext("See your invoices"))],
        )
    return Notice(
        "caution",
        gettext("The period that began on %(date)s is not billed yet", date=day),
        gettext(
            "Your bank did not pay for a change that was made before it. Support has been told, and writes to"
            " you before anything is charged for this period."
        ),
    )


def may_here(role: str) -> bool:
    """Whether the present member may do what needs ``role``."""
    sign_in = signed_in()
    return sign_in is not None and sign_in.current is not None and members.may(sign_in.current.role, role)


def _mismatch(invoice: Invoice | None, proof: QuoteMatch | None) -> Notice | None:
    if invoice is None or invoice.status == "void" or proof is None or proof.matched:
        return None
    return Notice(
        "caution",
        gettext("Your newest invoice differs from its quote"),
        gettext(
            "Invoice %(number)s over %(total)s is not what was quoted. We have been told, and the invoice"
            " shows where it differs.",
            number=invoice.number,
            total=money(invoice.total, invoice.currency),
        ),
        [Link(url_for("invoices.page", stripe_id=invoice.stripe_id), gettext("See the difference"))],
    )


def _tax_number(details: BillingDetails | None) -> Notice | None:
    if details is None or details.tax_id_status != "unverified":
        return None
    return Notice(
        "caution",
        gettext("Your tax number is not in the official register"),
        gettext(
            "The register does not know %(number)s. If it is mistyped, write to us and we correct it.",
            number=details.tax_id_value,
        ),
    )
