"""A month whose renewal billed usage alone, since a year was held that its bank debit then did not pay.

A change to a year that a debit pays counts at once. When the debit comes back after the month's renewal,
nothing has billed what is had in that month. The update that takes the change back bills it, from the second
on which it began: what its renewal would have billed, to the cent, or nothing at all, and support is told.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_change_words import NOW, SubscriptionChange
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import Invoice
from portal.models import Attempt, Quote
from portal.models import Invoice as StoredInvoice
from portal.pricing.periods import containing
from portal.read_ahead import first
from portal.services import audit, holdings, incidents, subscriptions
from portal.services.attempt_states import FAILED
from portal.services.quotes import CHANGE

# of an attempt's error: what was decided about the period, before Stripe hears of it
PERIOD = "period"


@dataclass(frozen=True)
class UnbilledPeriod:
    """The period from ``since`` (unix seconds) on. ``total``: what is charged for it, minor units with tax.

    ``total`` None: it could not be told for certain, and a person has to bill it.
    """

    since: int
    total: int | None
    currency: str

    @property
    def begun(self) -> datetime:
        """When it began."""
        return datetime.fromtimestamp(self.since, UTC)

    def as_dict(self) -> dict[str, object]:
        """The stored form."""
        return {"since": self.since, "total": self.total, "currency": self.currency}

    def charging(self, change: SubscriptionChange) -> SubscriptionChange:
        """``change``, which goes back to what was had, so that it bills the period as well."""
        return change if self.total is None else _billing(change, self.since)


def of(attempt: Attempt) -> UnbilledPeriod | None:
    """What was decided with this attempt."""
    found: Any = (attempt.error or {}).get(PERIOD)
    return UnbilledPeriod(**found) if found else None


_SINCE = Attempt.error[(PERIOD, "since")].astext.cast(BigInteger)
LATEST = (
    select(Attempt)
    .where(Attempt.kind == CHANGE, Attempt.state == FAILED, _SINCE.is_not(None))
    .order_by(_SINCE.desc())
    .limit(1)
)


def latest(session: Session) -> UnbilledPeriod | None:
    """The one that began last, of changes whose debit failed."""
    attempt = first(session, LATEST)
    return of(attempt) if attempt else None


def find(gateways: Gateways, quote: Quote, change: SubscriptionChange) -> UnbilledPeriod | None:
    """The period that nothing has billed, if there is one; ``change`` goes back to what was had.

    Charged only where Stripe's preview of that says what the month's renewal would have billed, and nothing
    else. Nothing is carried out.
    """
    with unit_of_work(quote.workspace_id) as session:
        since = _since(session, quote)
        certain = since is not None and _is_certain(session, quote, since)
    if since is None:
        return None
    total = _previewed(gateways, quote, _billing(change, since)) if certain else None
    return UnbilledPeriod(since, total, quote.currency)


def _billing(change: SubscriptionChange, since: int) -> SubscriptionChange:
    return replace(change, proration=NOW, proration_date=since)


def _since(session: Session, quote: Quote) -> int | None:
    """When the present period of what was had began, if that was after the change to another interval."""
    terms: Any = quote.terms or {}
    before, changed = terms["before"]["interval"], terms["update"]["proration_date"]
    row = subscriptions.bought(session)
    if row is None or row.anchor is None or changed is None or before == terms["now"]["interval"]:
        return None
    months = [int(str(each["period_start"])) for each in row.items if each["metered"]]
    begun = containing(int(row.anchor.timestamp()), before, max(months))[0] if months else 0
    return begun if begun > int(changed) else None


def _is_certain(session: Session, quote: Quote, since: int) -> bool:
    """Whether it is the only such month, of a subscription that goes on, with nothing planned for it."""
    terms: Any = quote.terms or {}
    held = holdings.holding(session)
    if terms["before"]["interval"] != "month" or held is None or held.plan is not None:
        return False
    if held.cancel_at is not None or held.status != "active":
        return False
    first = containing(held.anchor, "month", int(terms["update"]["proration_date"]))[1]
    return first == since and terms["planned_before"] is None


def _previewed(gateways: Gateways, quote: Quote, change: SubscriptionChange) -> int | None:
    """What Stripe would charge, if that is what is had and what it costs a month."""
    try:
        invoice = gateways.stripe.changes.preview(change)
    except StripeRefusedError:
        return None
    terms: Any = quote.terms or {}
    wanted = Counter({str(price_id): int(count) for price_id, count in terms["undo"]["items"].values()})
    return invoice.total if _bills(invoice, wanted, change.proration_date, terms["recurring"]) else None


def _bills(
    invoice: Invoice, wanted: Counter[str], since: int | None, recurring: Mapping[str, Mapping[str, int]]
) -> bool:
    billed = Counter[str]()
    for line in invoice.lines:
        if line.total < 0 or line.period_start != since:
            return False
        billed[str(line.price_id)] += line.quantity or 0
    return billed == wanted and sum(line.total for line in invoice.lines) == recurring["before"]["amount"]


def settle(session: Session, gateways: Gateways, quote: Quote, period: UnbilledPeriod) -> None:
    """Note that the period is billed, or tell support that it is not, or not as was decided."""
    row = subscriptions.bought(session)
    invoice = session.get(StoredInvoice, (quote.workspace_id, row.latest_invoice_id)) if row else None
    if period.total is not None and invoice is not None and invoice.total == period.total:
        facts = period.as_dict()
        audit.record(session, "period.billed", after=facts, quote_id=quote.id, invoice_id=invoice.stripe_id)
        return
    terms: Any = quote.terms or {}
    summary = "A change of interval was taken back after a renewal without its items; bill them by hand"
    if period.total is not None:
        summary = "What a renewal had not billed is billed otherwise than was decided; compare the invoice"
    incidents.report(
        session,
        gateways,
        "period_unbilled",
        dedupe_key=f"period_unbilled:{quote.id}:{period.since}",
        workspace_id=quote.workspace_id,
        summary=summary,
        details={
            "quote": quote.id,
            "period": period.as_dict(),
            "items": terms["undo"]["items"],
            "recurring": terms["recurring"]["before"],
            "invoice": invoice.stripe_id if invoice else None,
        },
    )
