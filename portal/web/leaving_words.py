"""What leaving means, said before it is done: dates, money, people and data, one fact each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext

from portal.gateways.stripe_words import Invoice
from portal.models import Invoice as StoredInvoice
from portal.models import Subscription
from portal.services.credits import Balance
from portal.services.dues import processing
from portal.services.subscriptions import PAYMENT_PENDING
from portal.web.explanations import units
from portal.web.presentation import date_text, money

# the present period is not paid
OWING = ("past_due", "unpaid")


@dataclass(frozen=True)
class Fact:
    """One consequence: what it is about, and what happens."""

    label: str
    text: str


@dataclass(frozen=True)
class Estimate:
    """What was used and not billed yet. ``known`` is False when Stripe could not be asked."""

    invoice: Invoice | None
    known: bool = True


def consequences(
    subscription: Subscription,
    ends_at: datetime,
    estimate: Estimate,
    newest: StoredInvoice | None,
    *,
    due: Sequence[StoredInvoice] = (),
    now: bool,
    planned: bool,
    credits: Balance | None = None,
) -> list[Fact]:
    """All that follows from ending on ``ends_at``, or ``now``; ``due``: what is open, and stays so."""
    day = date_text(ends_at)
    found = [
        Fact(gettext("Access"), _access(subscription, day, now=now)),
        Fact(gettext("Seats and add-ons"), _seats(subscription, now=now)),
        Fact(gettext("Usage"), _usage(subscription, day, now=now)),
        Fact(gettext("Last invoice"), _last_invoice(subscription, ends_at, estimate, now=now)),
        *map(_owed, due),
        *_balance(newest),
        *_credits(credits),
        *([Fact(gettext("Planned change"), gettext("It will not happen any more."))] if planned else []),
        Fact(
            gettext("Members"),
            gettext(
                "Everybody keeps their login and sees the invoices here as before. Nobody can work in the"
                " product after the end."
            ),
        ),
        Fact(
            gettext("Your data"),
            gettext("It stays until you ask us to delete it. You can take it with you on the page before."),
        ),
    ]
    return found


def _access(subscription: Subscription, day: str, *, now: bool) -> str:
    if now:
        return gettext("It ends at once, for everybody, and cannot be taken back.")
    if subscription.status == "trialing":
        return gettext("Your trial goes on until %(day)s. You can take this back until then.", day=day)
    if subscription.status in OWING:
        return gettext(
            "It stays as it is now only if the open invoice is paid in time; then everything works until"
            " %(day)s. You can take this back until then.",
            day=day,
        )
    return gettext("Everything works as now until %(day)s. You can take this back until then.", day=day)


def _seats(subscription: Subscription, *, now: bool) -> str:
    if subscription.status == "trialing":
        return gettext("Nothing was charged for the trial, and nothing will be.")
    if subscription.status in OWING:
        return gettext("They do not renew. The invoice for the present period is not paid and stays due.")
    if subscription.access == PAYMENT_PENDING:
        return gettext("They do not renew. The first payment is on its way, and is not given back.")
    if not now:
        return gettext("They are paid until that day and do not renew. Nothing is charged for them again.")
    return gettext(
        "They are paid until %(day)s. The unused time is not refunded and not credited; to keep it, end on"
        " that day instead. Only our support can make an exception.",
        day=date_text(subscription.renews_at) if subscription.renews_at else gettext("the end of the period"),
    )


def _usage(subscription: Subscription, day: str, *, now: bool) -> str:
    if subscription.status == "trialing":
        return gettext("It is free in the trial, and nothing of it will be billed.")
    if now:
        return gettext("What was used until this moment is billed now. After it nothing can be used.")
    if subscription.interval == "year":
        return gettext("It is billed every month as now, and for the last time after %(day)s.", day=day)
    return gettext("What is used until %(day)s is billed then, for the last time.", day=day)


def _last_invoice(subscription: Subscription, ends_at: datetime, estimate: Estimate, *, now: bool) -> str:
    if subscription.status == "trialing":
        return gettext("There is none: a trial that ends without being continued costs nothing.")
    if not estimate.known:
        return gettext("It cannot be reckoned right now. It bills usage only.")
    total = estimate.invoice.amount_due if estimate.invoice else 0
    currency = estimate.invoice.currency if estimate.invoice else subscription.currency
    if now:
        if not total:
            return gettext("Nothing is open, so nothing more is charged.")
        return gettext(
            "%(amount)s, with tax, for what was used and not billed yet. It is charged to your payment method"
            " within about an hour.",
            amount=money(total, currency),
        )
    billed_on = subscription.usage_period_end
    if billed_on is not None and billed_on < ends_at:
        return gettext(
            "It bills what is used in the last month before the end, which nobody knows yet. What was used so"
            " far and not billed yet, %(amount)s with tax, is billed on %(day)s.",
            amount=money(total, currency),
            day=date_text(billed_on),
        )
    return gettext(
        "An estimate: %(amount)s so far, with tax, for what was used and not billed yet. What you use until"
        " the end is added.",
        amount=money(total, currency),
    )


def _owed(invoice: StoredInvoice) -> Fact:
    if processing(invoice):
        text = gettext(
            "The payment of invoice %(number)s over %(amount)s is on its way, and is taken whichever way you"
            " leave.",
            number=invoice.number,
            amount=money(invoice.amount_due, invoice.currency),
        )
        return Fact(gettext("Open invoice"), text)
    text = gettext(
        "Invoice %(number)s over %(amount)s is not paid. It stays due, whichever way you leave.",
        number=invoice.number,
        amount=money(invoice.amount_due, invoice.currency),
    )
    return Fact(gettext("Open invoice"), text)


def _credits(held: Balance | None) -> list[Fact]:
    """What becomes of a pack that is not used up."""
    if held is None or not held.left or held.currency is None:
        return []
    text = gettext(
        "%(units)s are left of your packs, for which you paid %(amount)s before tax. The last invoice still"
        " draws on them. What is left after it pays for nothing while you have no subscription, and its price"
        " is not paid back. Come back before %(day)s, and they count again until then.",
        units=units(held.left, "resolution"),
        amount=money(sum(each.at_stake for each in held.usable), held.currency),
        day=date_text(max(each.lot.expires_at for each in held.usable)),
    )
    return [Fact(gettext("Credits"), text)]


def _balance(newest: StoredInvoice | None) -> list[Fact]:
    if newest is None or not newest.ending_balance or newest.ending_balance >= 0:
        return []
    text = gettext(
        "%(amount)s of credit pays for the last invoice first. What is left stays yours: write to support to"
        " have it paid out.",
        amount=money(-newest.ending_balance, newest.currency),
    )
    return [Fact(gettext("Balance of your account"), text)]
