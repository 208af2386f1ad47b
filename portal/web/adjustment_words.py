"""What happened to an invoice after it was final, in words: what it is, how much, when, and what it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import gettext

from portal.models import Adjustment
from portal.services.adjustments import CREDIT_NOTE, DISPUTE, REFUND, VOID, refunded_apart
from portal.web.presentation import date_text, money


@dataclass(frozen=True)
class Told:
    """One thing that happened; ``amount`` is None where nothing of the invoice's total moved."""

    title: str
    on: datetime
    badge: tuple[str, str]
    amount: int | None
    sentences: Sequence[str]
    pdf: str | None = None


def told(found: Sequence[Adjustment]) -> list[Told]:
    """Everything that happened, oldest first; a refund that a credit note made is told with the note."""
    states = {each.stripe_id: each.status for each in found if each.kind == REFUND}
    shown = [each for each in found if each.kind != REFUND] + refunded_apart(found)
    words = {CREDIT_NOTE: lambda each: _credit_note(each, states), REFUND: _refund, DISPUTE: _dispute}
    return [words[each.kind](each) for each in sorted(shown, key=lambda each: each.occurred_at)]


def _credit_note(note: Adjustment, refunds: Mapping[str, str]) -> Told:
    facts: Mapping[str, Any] = note.details
    void = note.status == VOID
    parts = [
        (facts.get("unpaid"), gettext("%(amount)s less is to be paid for this invoice.")),
        (facts.get("balance"), gettext("%(amount)s went to the balance of your account.")),
        (facts.get("refunded"), gettext("%(amount)s goes back to what it was paid with.")),
        (facts.get("outside"), gettext("%(amount)s was settled outside of this account.")),
    ]  # fmt: skip
    sentences = [words % {"amount": money(part, note.currency)} for part, words in parts if part]
    if facts.get("tax"):
        sentences.append(gettext("Of it %(tax)s is tax.", tax=money(facts["tax"], note.currency)))
    if any(refunds.get(each) == "failed" for each in facts.get("refunds") or ()):
        sentences.append(gettext("The bank sent the refund back. We have been told and will write to you."))
    if void:
        sentences = [gettext("It was taken back: the invoice is as it was.")]
    return Told(
        gettext("Credit note %(number)s", number=facts.get("number") or note.stripe_id),
        note.occurred_at,
        ("", gettext("Void")) if void else ("positive", gettext("Issued")),
        None if void else -note.amount,
        sentences,
        facts.get("pdf"),
    )


def _refund(refund: Adjustment) -> Told:
    badges = {
        "succeeded": ("positive", gettext("Refunded")),
        "failed": ("negative", gettext("Failed")),
        "canceled": ("", gettext("Cancelled")),
    }
    sentences = {
        "succeeded": gettext(
            "It goes back to what the invoice was paid with; banks take up to ten days. "
            "The invoice's lines and tax stay as they are."
        ),
        "failed": gettext(
            "The bank sent it back, so you do not have it yet. We will write to you about another way."
        ),
        "canceled": gettext("It will not be paid out."),
    }
    waits = gettext("It is on its way to what the invoice was paid with.")
    over = refund.status in ("failed", "canceled")
    return Told(
        gettext("Refund"),
        refund.occurred_at,
        badges.get(refund.status, ("caution", gettext("On its way"))),
        None if over else -refund.amount,
        [sentences.get(refund.status, waits)],
    )


def _dispute(dispute: Adjustment) -> Told:
    facts: Mapping[str, Any] = dispute.details
    amount = money(dispute.amount, dispute.currency)
    match dispute.status:
        case "won":
            badge = ("positive", gettext("Closed"))
            meaning = gettext("The bank decided that the payment stands. Nothing is to be done.")
        case "lost":
            badge = ("negative", gettext("Closed"))
            meaning = gettext(
                "The bank gave %(amount)s back to the holder of the card. The invoice stays as it is; what is"
                " open between us is for support to settle with you.",
                amount=amount,
            )
        case "warning_needs_response" | "warning_under_review" | "warning_closed":
            badge = ("caution", gettext("Asked about"))
            meaning = gettext(
                "The bank asks about this payment of %(amount)s. No money has moved.", amount=amount
            )
        case _:
            badge = ("caution", gettext("Open"))
            meaning = gettext(
                "The holder of the card asked the bank to take %(amount)s back. The bank decides, usually "
                "within two months. If it was a mistake, ask the bank to withdraw it and write to support.",
                amount=amount,
            )
    sentences = [meaning]
    if facts.get("answer_by") and dispute.status in ("needs_response", "warning_needs_response"):
        day = date_text(datetime.fromtimestamp(facts["answer_by"], UTC))
        sentences.append(gettext("We answer the bank by %(day)s.", day=day))
    # only a lost one has moved money for good
    taken = -dispute.amount if dispute.status == "lost" else None
    return Told(gettext("Dispute of the payment"), dispute.occurred_at, badge, taken, sentences)
