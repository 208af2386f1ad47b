"""What needs attention first on the overview, in the order in which it matters."""

from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext

from portal.models import BillingDetails, Invoice, Quote, QuoteMatch, Subscription
from portal.web.billing_words import payment_method
from portal.web.presentation import date_text, money


@dataclass(frozen=True)
class Link:
    """Where to go from a notice."""

    href: str
    label: str


@dataclass(frozen=True)
class Notice:
    """One thing to know now: kind (info, positive, caution, negative), title, body, and where to go."""

    kind: str
    title: str
    body: str = ""
    links: Sequence[Link] = ()


def attention(
    subscription: Subscription | None,
    details: BillingDetails | None,
    invoice: Invoice | None,
    proof: QuoteMatch | None,
    waiting: Quote | None,
) -> list[Notice]:
    """The notices for a workspace.

    ``invoice`` is its newest, ``proof`` that invoice's comparison with its quote, ``waiting`` a quote that
    was confirmed and not paid.
    """
    found = [
        _unfinished(waiting),
        _access(subscription, invoice),
        _ending(subscription),
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
        [Link(url_for("checkout.page", quote_id=waiting.id), gettext("Go on with it"))],
    )


def _access(subscription: Subscription | None, invoice: Invoice | None) -> Notice | None:
    if subscription is None:
        return None
    pay = [Link(invoice.hosted_invoice_url, gettext("Pay the invoice"))] if _payable(invoice) else []
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
                gettext("Nobody loses anything. Pay the open invoice and everything works again at once.")
                if pay
                else gettext("Nobody loses anything. Choose again, and everything works at once."),
                pay or [Link(url_for("pricing.page"), gettext("Choose again"))],
            )
        case "ended":
            return Notice(
                "info",
                gettext("Your subscription has ended"),
                gettext("Your invoices stay here. You can choose anew at any time."),
                [Link(url_for("pricing.page"), gettext("Choose a tier"))],
            )
    if subscription.status == "past_due":
        return Notice(
            "caution",
            gettext("The last payment failed"),
            gettext("We try again in the next days. You can also pay the invoice now."),
            pay,
        )
    return _trial(subscription)


def _payable(invoice: Invoice | None) -> bool:
    return invoice is not None and invoice.status == "open" and bool(invoice.hosted_invoice_url)


def _trial(subscription: Subscription) -> Notice | None:
    if subscription.status != "trialing" or subscription.trial_end is None:
        return None
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
    return Notice(
        "caution",
        gettext("Your subscription ends on %(date)s", date=date_text(subscription.cancel_at)),
        gettext("Until then everything works. Nothing is charged after that day but the usage before it."),
    )


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
