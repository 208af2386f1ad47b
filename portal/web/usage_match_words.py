"""An invoice's usage held against the ledger, in words: unit for unit, or why not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session

from portal.models import UsageMatch
from portal.services import usage_matches
from portal.web.explanations import units

PARTS: Mapping[str, object] = {
    "waiting": _("They had not reached Stripe yet, and are billed with the open month."),
    "sending": _("Some were on their way to Stripe, and are followed up."),
    "cancelling": _("Some were being taken back, and come off the open month."),
    "cancelled_late": _("Some were taken back too late, and come off the open month."),
    "late": _("They reached Stripe too late, and are billed with the open month."),
    "failed": _("Stripe could not use some of them. We have been told."),
}


@dataclass(frozen=True)
class Proof:
    """What the page says; ``sentences`` has one for each key that differs."""

    matched: bool
    told: bool  # nothing explains it, so that a person looks at it
    usage: str
    sentences: Sequence[str]
    compared_at: datetime


def proof(session: Session, invoice_id: str) -> Proof | None:
    """The comparison of an invoice with the ledger; none where it bills no usage."""
    found = usage_matches.of_invoice(session, invoice_id)
    if not found:
        return None
    differing = [match for match in found if match.state != usage_matches.MATCHED]
    return Proof(
        matched=not differing,
        told=any(match.state == usage_matches.UNEXPLAINED for match in differing),
        usage=", ".join(units(match.invoiced, match.key) for match in found),
        sentences=[_sentence(match) for match in differing],
        compared_at=max(match.compared_at for match in found),
    )


def _sentence(match: UsageMatch) -> str:
    said = gettext(
        "Our ledger has %(ledger)s, the invoice bills %(invoiced)s.",
        ledger=units(match.ledger, match.key),
        invoiced=units(match.invoiced, match.key),
    )
    why = [str(PARTS[name]) for name in match.parts if name in PARTS]
    return " ".join([said, *why])
