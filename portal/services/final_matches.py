"""Which quote a final invoice is held against, if any."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice
from portal.models import CatalogPrice, Quote
from portal.models import Invoice as StoredInvoice
from portal.services import change_states, credit_matches, matches


def compare(
    session: Session, gateways: Gateways, invoice: Invoice, prices: Mapping[str, CatalogPrice]
) -> None:
    """Hold a final invoice against its quote: of a first purchase, or the first one after its trial, of a
    change or of a pack of credits. Any other was never quoted.

    ``prices``: Stripe's price id → our catalogue's row.
    """
    if change_states.compare(session, gateways, invoice, prices):
        return
    if invoice.subscription_id is None and credit_matches.compare(session, gateways, invoice):
        return
    quote_id = invoice.metadata.get("quote")
    quote = session.scalars(select(Quote).where(Quote.id == quote_id)).first() if quote_id else None
    if quote is None or invoice.status == "void":
        return
    after_trial = bool(quote.trial_days) and invoice.billing_reason == "subscription_cycle"
    if after_trial:
        # what was changed during the trial is not what the first quote said
        changed = change_states.any_carried_out(session, invoice.subscription_id)
        if changed or _compared_after_trial(session, quote.id, invoice.id):
            return
    elif invoice.billing_reason != "subscription_create":
        return
    keys = {price_id: row.key for price_id, row in prices.items()}
    if after_trial:
        invoice = matches.without_usage(invoice, matches.usage_prices(prices))
    found = matches.differences(matches.quoted(quote, after_trial=after_trial), invoice, keys)
    matches.settle(session, gateways, quote, invoice, found)


def _compared_after_trial(session: Session, quote_id: str, invoice_id: str) -> bool:
    """Whether an earlier invoice was the first one after the trial; later renewals were never quoted."""
    earlier = select(StoredInvoice.stripe_id).where(
        StoredInvoice.billing_reason == "subscription_cycle", StoredInvoice.stripe_id != invoice_id
    )
    return any(
        match.quote_id == quote_id
        for other in session.scalars(earlier)
        for match in matches.of_invoice(session, other)
    )
