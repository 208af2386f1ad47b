"""The quote of a pack is its invoice: the comparison when that is final."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice
from portal.models import CreditPurchase, Quote
from portal.services import credit_quotes, matches, quotes


def keys(invoice: Invoice) -> dict[str, str]:
    """Stripe's price id → line key: the price is made for this one line, whatever its id."""
    return {line.price_id or "": credit_quotes.LINE for line in invoice.lines[:1]}


def compare(session: Session, gateways: Gateways, invoice: Invoice) -> bool:
    """Hold the final invoice of a pack against its quote; False when it is none of a pack."""
    quote = session.scalars(
        select(Quote)
        .join(CreditPurchase, CreditPurchase.quote_id == Quote.id)
        .where(CreditPurchase.stripe_invoice_id == invoice.id, Quote.kind == quotes.CREDITS)
    ).first()
    if quote is None:
        return False
    if invoice.status == "void":
        return True
    found = matches.differences(matches.quoted(quote), invoice, keys(invoice))
    matches.settle(session, gateways, quote, invoice, found)
    return True
