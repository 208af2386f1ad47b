"""Prices that bind: stored with a digest and an end, and looked at again before they are carried out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, tuple_, update
from sqlalchemy.orm import Session

from portal import pricing
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways.stripe_words import Invoice, TaxPart
from portal.models import BillingDetails, Quote
from portal.services.ids import new_id
from portal.services.promotions import Promotion

FIRST_PURCHASE = "first_purchase"
CHANGE = "change"
CREDITS = "credits"
FIRST_PURCHASE_LIFETIME = timedelta(hours=24)
BOUND = (
    "kind", "selection", "catalog", "currency", "lines", "subtotal", "discount", "tax", "total",
    "amount_due", "promotion", "trial_days", "billing", "proration_date",
)  # fmt: skip


class QuoteExpiredError(ConflictError):
    """The quote's time is over; the page makes a new one."""

    code = "quote_expired"


@dataclass(frozen=True)
class Change:
    """One thing that is no longer as it was quoted. Amounts are minor units."""

    what: str
    before: object
    after: object


class QuoteChangedError(ConflictError):
    """Something changed since the quote was made; ``changes`` says what, and nothing was charged."""

    code = "quote_changed"

    def __init__(self, changes: list[Change]) -> None:
        names = ", ".join(change.what for change in changes)
        super().__init__(
            N_("Something changed since you saw this price. Nothing was charged. Look at the new price."),
            log=f"quote changed: {names}",
        )
        self.changes = changes


@dataclass(frozen=True)
class Offer:
    """A price that ours and Stripe's sides agree on, ready to be stored."""

    selection: pricing.Selection
    priced: pricing.Quote
    invoice: Invoice  # Stripe's preview of the first paid invoice
    keys: Mapping[str, str]  # Stripe's price id → line key
    billing: dict[str, object]
    promotion: Promotion | None
    trial_days: int


def store(session: Session, offer: Offer, *, user_id: int | None, now: datetime) -> Quote:
    """Write the offer as the workspace's quote; earlier unconfirmed ones are marked replaced.

    With a trial nothing is due today: ``amount_due`` is 0, and lines, tax and total are those of the first
    paid period.
    """
    quote = Quote(
        id=new_id("Q"),
        kind=FIRST_PURCHASE,
        selection=offer.selection.as_dict(),
        catalog=offer.priced.catalog,
        currency=offer.priced.currency,
        lines=_lines(offer),
        usage=_usage(offer.priced),
        subtotal=offer.priced.subtotal,
        discount=offer.priced.discount,
        tax=offer.invoice.tax,
        total=offer.invoice.total,
        amount_due=0 if offer.trial_days else offer.invoice.amount_due,
        tax_status=tax_status(offer.invoice),
        promotion=offer.promotion.as_dict() if offer.promotion else None,
        trial_days=offer.trial_days,
        billing=offer.billing,
        preview=evidence(offer.invoice),
        created_at=now,
        created_by=user_id,
        expires_at=_end(offer, now),
    )
    quote.digest = digest(quote)
    session.execute(
        update(Quote)
        .where(Quote.kind == FIRST_PURCHASE, Quote.confirmed_at.is_(None), Quote.replaced_at.is_(None))
        .values(replaced_at=now)
    )
    session.add(quote)
    session.flush()
    return quote


def _end(offer: Offer, now: datetime) -> datetime:
    end = now + FIRST_PURCHASE_LIFETIME
    if offer.promotion and offer.promotion.source.expires_at is not None:
        return min(end, datetime.fromtimestamp(offer.promotion.source.expires_at, now.tzinfo))
    return end


def _lines(offer: Offer) -> list[dict[str, object]]:
    taxes = {offer.keys.get(line.price_id or "", ""): line.tax for line in offer.invoice.lines}
    return [line.as_dict(explain=True) | {"tax": taxes.get(line.key, 0)} for line in offer.priced.lines]


def _usage(priced: pricing.Quote) -> dict[str, object]:
    return {
        "lines": [
            line.as_dict(explain=True) | {"description": line.description} for line in priced.usage.lines
        ],
        "total": priced.usage.total,
    }


def evidence(invoice: Invoice) -> dict[str, object]:
    """Stripe's side of a comparison as it is kept: every line and sum, amounts in minor units."""
    return {
        "id": invoice.id,
        "currency": invoice.currency,
        "subtotal": invoice.subtotal,
        "discount": invoice.discount,
        "tax": invoice.tax,
        "total": invoice.total,
        "amount_due": invoice.amount_due,
        "starting_balance": invoice.starting_balance,
        "lines": [
            {
                "price": line.price_id,
                "description": line.description,
                "quantity": line.quantity,
                "amount": line.amount,
                "discount": line.discount,
                "tax": line.tax,
            }
            for line in invoice.lines
        ],
    }


def tax_status(invoice: Invoice) -> dict[str, object]:
    """How tax came about: ``state`` and Stripe's parts.

    States: ``charged``, ``reverse_charge``, ``exempt``, ``not_collecting`` (no registration there), ``zero``,
    ``off`` (Stripe Tax is not used).
    """
    reasons = {part.reason for part in invoice.taxes}
    if invoice.tax_status is None:
        state = "off"
    elif invoice.tax:
        state = "charged"
    elif "reverse_charge" in reasons:
        state = "reverse_charge"
    elif "customer_exempt" in reasons:
        state = "exempt"
    elif reasons <= {"not_collecting", None}:
        state = "not_collecting"
    else:
        state = "zero"
    return {"state": state, "parts": [_part(part) for part in invoice.taxes]}


def _part(part: TaxPart) -> dict[str, object]:
    return {
        "amount": part.amount,
        "taxable_amount": part.taxable_amount,
        "reason": part.reason,
        "name": part.name,
        "percentage": part.percentage,
        "jurisdiction": part.jurisdiction,
    }


def digest(quote: Quote) -> str:
    """SHA-256 (hex) of all that binds; equal exactly when the promise is."""
    bound: dict[str, Any] = {name: getattr(quote, name) for name in BOUND}
    if quote.terms is not None:
        bound["terms"] = quote.terms
    text = json.dumps(bound, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def billing_facts(details: BillingDetails) -> dict[str, object]:
    """What the tax and the invoice's head are reckoned from; a quote holds only while this stays the same."""
    return {
        "company_name": details.company_name,
        "email": details.email,
        "address": details.address,
        "tax_id_type": details.tax_id_type,
        "tax_id_value": details.tax_id_value,
        "customer": details.stripe_customer_id,
    }


_BY_ID = select(Quote).where(Quote.id == bindparam("quote_id"))


def load(session: Session, quote_id: str, *, lock: bool = False, kind: str | None = None) -> Quote:
    """The entered workspace's quote, locked until the transaction ends if asked. Raises NotFoundError.

    ``kind``: one of another kind does not count.
    """
    statement = _BY_ID.with_for_update() if lock else _BY_ID
    quote = session.scalars(statement, {"quote_id": quote_id}).first()
    if quote is None or kind not in (None, quote.kind):
        raise NotFoundError(N_("There is no such quote."))
    return quote


def latest(session: Session, kind: str = FIRST_PURCHASE) -> Quote | None:
    """The workspace's newest quote of that kind that still stands or was confirmed, to come back to."""
    own = select(Quote).where(Quote.kind == kind, Quote.replaced_at.is_(None))
    return session.scalars(own.order_by(Quote.created_at.desc()).limit(1)).first()


def page(session: Session, *, limit: int, after: tuple[datetime, str] | None = None) -> list[Quote]:
    """The workspace's quotes, the newest first; those behind the one made then and with that id."""
    place = tuple_(Quote.created_at, Quote.id)
    statement = select(Quote).order_by(Quote.created_at.desc(), Quote.id.desc()).limit(limit)
    return list(session.scalars(statement.where(place < after) if after else statement))


def state(quote: Quote, now: datetime) -> str:
    """What became of it: confirmed, replaced, expired; or open."""
    if quote.confirmed_at is not None:
        return "confirmed"
    if quote.replaced_at is not None:
        return "replaced"
    return "expired" if now >= quote.expires_at else "open"


def check(quote: Quote, *, details: BillingDetails, catalog: str, now: datetime) -> None:
    """Whether the quote may still be carried out, as far as our own rows tell.

    ``catalog`` is the version that is sold to whoever asks. Raises QuoteExpiredError or QuoteChangedError.
    """
    if now >= quote.expires_at:
        raise QuoteExpiredError(N_("This price has expired. Look at the price of today and confirm it."))
    changes = []
    if quote.replaced_at is not None:
        changes.append(Change("quote", quote.id, None))
    if quote.catalog != catalog:
        changes.append(Change("catalog", quote.catalog, catalog))
    if quote.digest != digest(quote):
        changes.append(Change("digest", quote.digest, digest(quote)))
    facts = billing_facts(details)
    changes += [
        Change(name, quote.billing.get(name), value)
        for name, value in facts.items()
        if quote.billing.get(name) != value
    ]
    if changes:
        raise QuoteChangedError(changes)
