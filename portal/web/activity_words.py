"""The words of /billing/activity: what an entry of the history says, never its JSON.

A test looks for every action that the code records, and fails when one has no words here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from portal.models import AuditEntry
from portal.web.activity_credit_words import CREDIT_NOUNS, CREDIT_SENTENCES
from portal.web.activity_invoice_words import INVOICE_NOUNS, INVOICE_SENTENCES
from portal.web.activity_limit_words import LIMIT_NOUNS, LIMIT_SENTENCES
from portal.web.activity_payment_words import PAYMENT_SENTENCES
from portal.web.activity_sign_in_words import SIGN_IN_NOUNS, SIGN_IN_SENTENCES
from portal.web.activity_values import flattened, position, value_words
from portal.web.presentation import date_text

NAMES = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Change:
    """One thing that became another: "Seats", "12", "15"; either side may be missing."""

    name: str
    what: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Sentence:
    """What an entry says: the sentence, and what changed in it."""

    text: str
    changes: list[Change] = field(default_factory=list)


# action → the kind that it is filtered by
KINDS = {
    "purchase": _("Purchases and quotes"),
    "subscription": _("Subscription"),
    "invoice": _("Invoices and payments"),
    "member": _("Members and seats"),
    "usage": _("Usage and limits"),
    "details": _("Billing details"),
    "leaving": _("Leaving and data"),
    "sign_in": _("Signing in"),
    "api_key": _("API keys"),
}

NOUNS = {
    "quote": "purchase",
    "attempt": "purchase",
    "subscription": "subscription",
    "cancellation": "leaving",
    "deletion": "leaving",
    "export": "leaving",
    "invoice": "invoice",
    "billing_details": "details",
    "tax_id": "details",
    "change": "subscription",
    "rates": "subscription",
    "period": "invoice",
    "discount": "subscription",
    "payment_method": "invoice",
    "correction": "invoice",
    "details_request": "details",
    "member": "member",
    "invitation": "member",
    "ownership": "member",
    "seat": "member",
    "api_key": "api_key",
    **CREDIT_NOUNS,
    **INVOICE_NOUNS,
    **LIMIT_NOUNS,
    **SIGN_IN_NOUNS,
}

# the entry's own facts stand in the places of their names
SENTENCES: dict[str, object] = {
    "quote.made": _("Asked for a quote"),
    "quote.confirmed": _("Confirmed the quote"),
    "attempt.open": _("Paid; what waits for the renewal is planned next"),
    "attempt.awaiting_payment": _("The invoice was made and waits for its payment"),
    "attempt.processing": _("The payment is on its way"),
    "attempt.succeeded": _("The purchase went through"),
    "attempt.refused": _("The purchase was refused; nothing was charged"),
    "attempt.abandoned": _("The purchase was given up; nothing was charged"),
    "attempt.failed": _("The payment failed after it was on its way"),
    "subscription.projected": _("The subscription changed"),
    "invoice.open": _("An invoice was issued, or what is due on it changed"),
    "invoice.paid": _("The invoice was paid"),
    "invoice.void": _("The invoice was voided; nobody pays it"),
    "invoice.uncollectible": _("The invoice was given up as not paid"),
    "billing_details.saved": _("Changed the billing details"),
    "tax_id.answered": _("The official register answered about the tax number"),
    "deletion.requested": _("Asked for the workspace to be deleted"),
    "deletion.withdrawn": _("The request to delete the workspace was taken back"),
    "deletion.done": _("The workspace was deleted; what invoices need was kept"),
    "export.made": _("Exported the workspace's data"),
    "subscription.changed": _("Changed the subscription"),
    "discount.agreed": _("Agreed on a discount"),
    "discount.ended": _("The agreed discount ends"),
    "change.planned": _("Planned a change for the renewal"),
    "change.done": _("The planned change took effect"),
    "change.undone": _("Took the planned change back"),
    "change.replaced": _("A further change took the planned one's place"),
    "rates.done": _("Usage began to cost what a change had brought"),
    "period.billed": _("Billed the period that a failed bank debit had kept from its renewal"),
    "change.lapsed": _("The subscription ended before the planned change"),
    "change.missed": _("The renewal went by without the planned change; support has been told"),
    "billing_details.changed": _("Changed the billing details"),
    "details_request.made": _("Asked support for another country or tax number"),
    "details_request.done": _("Support changed the country or the tax number"),
    "details_request.refused": _("Support refused another country or tax number"),
    "details_request.withdrawn": _("Took the request for another country or tax number back"),
    "correction.begun": _("Asked for a corrected invoice"),
    "correction.done": _("The invoice was credited, and a corrected one took its place"),
    "correction.stuck": _("The invoice was credited; the corrected one is made by support"),
    "correction.refused": _("The invoice could not be corrected; it stays as it is"),
    **PAYMENT_SENTENCES,
    **CREDIT_SENTENCES,
    **INVOICE_SENTENCES,
    **LIMIT_SENTENCES,
    **SIGN_IN_SENTENCES,
    "invitation.sent": _("Invited %(email)s as %(role)s"),
    "invitation.resent": _("Sent the invitation of %(email)s once more"),
    "invitation.revoked": _("Took the invitation of %(email)s back"),
    "invitation.accepted": _("Accepted the invitation, and joined as %(role)s"),
    "member.role_changed": _("Changed what %(member)s may do"),
    "member.removed": _("Removed %(member)s from the workspace"),
    "member.left": _("Left the workspace"),
    "ownership.transferred": _("Handed the workspace over"),
    "api_key.made": _("Made the API key %(name)s"),
    "api_key.rotated": _("Replaced the API key %(name)s"),
    "api_key.revoked": _("Revoked the API key %(name)s"),
    "seat.assigned": _("Changed the seat of %(member)s"),
    "seat.withdrawn": _("The seat of %(member)s changed with the number of seats"),
}


def _cancellation(entry: AuditEntry) -> str:
    after = entry.after or {}
    day = _day(after.get("ends_at"))
    verb = entry.action.partition(".")[2]
    match after.get("kind"), verb:
        case "keep", "asked":
            return gettext("Asked to keep the subscription after all")
        case "keep", "done":
            return gettext("The subscription goes on; its end on %(day)s was taken back", day=day)
        case "now", "asked":
            return gettext("Asked to end the subscription at once")
        case "now", "done":
            return gettext("The subscription ended at once, on %(day)s", day=day)
        case _, "asked":
            return gettext("Asked to end the subscription on %(day)s", day=day)
        case _, "done":
            return gettext("The subscription is going to end on %(day)s", day=day)
    return gettext("Stripe refused to change the subscription's end; nothing changed")


def _day(value: object) -> str:
    try:
        return date_text(datetime.fromisoformat(str(value)))
    except ValueError:
        return gettext("an unknown day")


SPECIAL: dict[str, Callable[[AuditEntry], str]] = {
    "cancellation.asked": _cancellation,
    "cancellation.done": _cancellation,
    "cancellation.refused": _cancellation,
}


# what the sentence of a noun says by itself
SAID = {
    "attempt": {"state"},
    "invoice": {"status", "state"},
    "change": {"state"},
    "credit_purchase": {"state", "purchase", "units"},
    "credit_refund": {"state", "purchase", "units"},
    "payment_method": {"state"},
}
# what is wanted stands against all that there is
WISHES = {"details_request.made", "correction.begun"}


class _Facts(dict[str, str]):
    """The facts of an entry for its sentence; one that is missing is nobody in particular."""

    def __missing__(self, name: str) -> str:
        return gettext("somebody")


def _sentence(template: str, entry: AuditEntry) -> str:
    if "%(" not in template:
        return template
    facts = {**(entry.before or {}), **(entry.after or {})}
    said = {name: value_words(name, None, value, "usd") for name, value in facts.items()}
    return template % _Facts({name: words[2] for name, words in said.items() if words and words[2]})


def known_actions() -> set[str]:
    """Every action that has words."""
    return SENTENCES.keys() | SPECIAL.keys()


def kind_of(action: str) -> str:
    """The kind that an action is filtered by."""
    return NOUNS.get(action.partition(".")[0], "subscription")


def nouns_of(kind: str) -> list[str]:
    """The nouns of one kind."""
    return [noun for noun, each in NOUNS.items() if each == kind]


def say(entry: AuditEntry) -> Sentence:
    """The entry in words. One without words of its own says at least its name."""
    if special := SPECIAL.get(entry.action):
        return Sentence(special(entry))
    text = SENTENCES.get(entry.action)
    if text is None:
        return Sentence(gettext("Recorded as %(action)s", action=entry.action), _changes(entry))
    text = str(text)
    return Sentence(
        _sentence(text, entry), [each for each in _changes(entry) if each.name not in _named(text)]
    )


def _named(template: str) -> set[str]:
    """What the sentence itself says already."""
    return set(NAMES.findall(template))


def _changes(entry: AuditEntry) -> list[Change]:
    """What differs between before and after, in words; what nobody would read is left out."""
    before, after = flattened(entry.before, entry.after)
    if entry.action in WISHES:
        before = {name: value for name, value in before.items() if name in after}
    currency = str(after.get("currency") or before.get("currency") or "usd")
    found = []
    for name in sorted({*before, *after} - SAID.get(entry.action.partition(".")[0], set()), key=position):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        said = value_words(name, old, new, currency)
        if said is not None:
            found.append(Change(name, *said))
    return found
