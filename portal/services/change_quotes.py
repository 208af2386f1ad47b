"""Quotes of changes: stored with what they were reckoned from, and looked at again before they count."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from portal import pricing
from portal.gateways.stripe_change_words import AddedItem, ItemChange, PhaseItem, SubscriptionChange
from portal.gateways.stripe_words import Invoice
from portal.models import BillingDetails, CatalogPrice, Quote
from portal.services import change_matches, credit_quotes, holdings, quotes
from portal.services.change_pricing import PricedChange, SwappedPack
from portal.services.holdings import Holding
from portal.services.ids import new_id
from portal.services.quotes import Change, QuoteChangedError
from portal.services.usage_rates import NextRates

LIFETIME = timedelta(minutes=30)


@dataclass(frozen=True)
class Offer:
    """A change whose price ours and Stripe's sides agree on; ``invoice`` None: nothing is charged now."""

    priced: PricedChange
    invoice: Invoice | None
    keys: Mapping[str, str]  # Stripe's price id → line key
    billing: dict[str, object]


def store(session: Session, offer: Offer, *, user_id: int | None, now: datetime) -> Quote:
    """Write the offer as a quote; earlier unconfirmed ones of changes are marked replaced."""
    priced, invoice = offer.priced, offer.invoice
    held = priced.before
    tax = invoice.tax if invoice else 0
    quote = Quote(
        id=new_id("Q"),
        kind=quotes.CHANGE,
        selection=pricing.plain(priced.wanted.selection).as_dict(),
        catalog=priced.now.catalog,
        currency=held.currency,
        lines=_lines(offer),
        usage={"lines": [], "total": 0},
        subtotal=priced.change.total,
        discount=0,
        tax=tax,
        total=priced.change.total + tax,
        amount_due=invoice.amount_due if invoice else 0,
        tax_status=quotes.tax_status(invoice) if invoice else {"state": "off", "parts": []},
        promotion=None,
        trial_days=0,
        billing=offer.billing,
        preview=quotes.evidence(invoice) if invoice else {},
        proration_date=priced.at,
        terms=_terms(priced),
        created_at=now,
        created_by=user_id,
        expires_at=min(now + LIFETIME, held.period_end),
    )
    quote.digest = quotes.digest(quote)
    session.execute(
        update(Quote)
        .where(Quote.kind == quotes.CHANGE, Quote.confirmed_at.is_(None), Quote.replaced_at.is_(None))
        .values(replaced_at=now)
    )
    session.add(quote)
    session.flush()
    return quote


def _lines(offer: Offer) -> list[dict[str, object]]:
    """Our lines with Stripe's tax: a line of nothing has none."""
    taxes: dict[tuple[str, str, int], int] = {}
    for line in offer.invoice.lines if offer.invoice else ():
        key = offer.keys.get(line.price_id or "", "")
        taxes[key, change_matches.side(line.total), line.total] = line.tax
    return [
        line.as_dict(explain=True) | {"tax": taxes.get((line.key, line.side, line.amount), 0)}
        for line in offer.priced.change.lines
    ]


def _terms(priced: PricedChange) -> dict[str, object]:
    """What is had before, now and later, what a period costs then, and what all of it was reckoned from."""
    held, later = priced.before, priced.later
    return {
        "before": held.selection.as_dict(),
        "now": priced.now.selection.as_dict(),
        "later": later.selection.as_dict() if later else None,
        "later_at": int(priced.later_at.timestamp()) if priced.later_at else None,
        "catalog_before": held.catalog,
        "catalog": priced.now.catalog,
        "all_now": priced.wanted.all_now,
        "recurring": {name: each.as_dict() if each else None for name, each in priced.recurring.items()},
        "next_charge_at": priced.next_charge_at,
        "leavers": [each.as_dict() for each in priced.wanted.leavers],
        "credit_goes_to": "balance",
        "planned_before": dict(held.planned.selection) if held.planned else None,
        "subscription": held.subscription_id,
        "payer": held.payer,
        "trialing": held.trialing,
        "swapped": _stored_pack(priced.wanted.swapped),
        "update": _stored_update(priced.update),
        "phase": [_stored_item(each) for each in later.phase()] if later else None,
        "rates": _stored_rates(priced.rates),
        "undo": {
            "items": {key: [each.item.price, each.item.quantity] for key, each in held.items.items()},
            "metered": dict(held.next_rates.prices if held.next_rates else held.rates),
        },
        "latest_invoice": held.latest_invoice_id,
        "facts": held.facts,
        "fingerprint": held.fingerprint,
    }


def _stored_update(update: SubscriptionChange | None) -> dict[str, object] | None:
    """What Stripe is asked for, word for word: a repeated call must be the same one."""
    if update is None:
        return None
    return {
        "items": [[each.item_id, each.price_id, each.quantity] for each in update.items],
        "proration_date": update.proration_date,
        "proration": update.proration,
        "waits": update.waits,
        "added": [[each.price_id, each.quantity] for each in update.added],
    }


def _stored_pack(swapped: SwappedPack | None) -> dict[str, object] | None:
    if swapped is None:
        return None
    span = {"starts_at": swapped.starts_at, "expires_at": swapped.expires_at}
    return {"pack": swapped.pack.as_dict(explain=True), "price": swapped.price_id, **span}


def pack_of(quote: Quote) -> dict[str, Any] | None:
    """The pack that is bought with the change, as pricing spells it; None where it is no swap."""
    swapped: Any = (quote.terms or {}).get("swapped")
    return swapped["pack"] if swapped else None


def keys(quote: Quote, rows: Mapping[str, CatalogPrice]) -> dict[str, str]:
    """Stripe's price id → line key, by the catalogue's ``rows`` and by what the change buys beside it."""
    swapped: Any = (quote.terms or {}).get("swapped")
    known = {price_id: row.key for price_id, row in rows.items()}
    return known | ({str(swapped["price"]): credit_quotes.LINE} if swapped else {})


def _stored_rates(rates: NextRates | None) -> dict[str, object] | None:
    return {"at": int(rates.at.timestamp()), "prices": dict(rates.prices)} if rates else None


def _stored_item(item: PhaseItem) -> list[object]:
    return [item.price_id, item.quantity]


def update_of(quote: Quote, attempt_id: str | None = None) -> SubscriptionChange | None:
    """What the quote asks of Stripe now; with an attempt, marked so that it can be found again."""
    terms: Any = quote.terms or {}
    stored = terms.get("update")
    if stored is None:
        return None
    marks = {"change": attempt_id, "change_quote": quote.id} if attempt_id else {}
    return SubscriptionChange(
        subscription_id=terms["subscription"],
        items=tuple(ItemChange(*each) for each in stored["items"]),
        proration_date=stored["proration_date"],
        proration=stored["proration"],
        waits=stored["waits"],
        metadata=marks,
        added=tuple(AddedItem(*each) for each in stored.get("added") or ()),
    )


def check(quote: Quote, held: Holding | None, *, details: BillingDetails, now: datetime) -> None:
    """Whether the quote may still be carried out, as far as our own rows tell.

    Raises QuoteExpiredError, or QuoteChangedError with what somebody else has changed meanwhile.
    """
    quotes.check(quote, details=details, catalog=quote.catalog, now=now)
    terms = quote.terms or {}
    facts = held.facts if held else {"subscription": None}
    if held is not None and terms.get("fingerprint") == held.fingerprint:
        return
    before: Any = terms.get("facts") or {}
    raise QuoteChangedError(holdings.differences(before, facts) or [Change("subscription", None, None)])


def later_at(quote: Quote) -> datetime | None:
    """When the part that waits takes effect."""
    found = (quote.terms or {}).get("later_at")
    return datetime.fromtimestamp(int(str(found)), UTC) if found is not None else None


def rates_of(quote: Quote) -> NextRates | None:
    """The metered prices that the quote leaves for the end of the month of usage."""
    found: Any = (quote.terms or {}).get("rates")
    return NextRates(datetime.fromtimestamp(found["at"], UTC), found["prices"]) if found else None


def ends_of(quote: Quote) -> list[datetime]:
    """The ends of periods for which the quote leaves something."""
    rates = rates_of(quote)
    return [each for each in (later_at(quote), rates.at if rates else None) if each is not None]
