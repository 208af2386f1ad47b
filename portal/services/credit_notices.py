"""Mails about credits that were bought, came back, or could not be bought by themselves; each queued once."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import BillingDetails, CreditLot, CreditPurchase, CreditRefund, Invoice
from portal.services import letters


def about_bought(session: Session, gateways: Gateways, purchase: CreditPurchase, lot: CreditLot) -> None:
    """Word of a pack that is paid: how many units, from when to when, and why if nobody pressed a button."""
    facts: dict[str, object] = {
        "kind": purchase.kind,
        "units": purchase.units,
        "amount": purchase.amount,
        "currency": purchase.currency,
        "starts_at": lot.starts_at,
        "expires_at": lot.expires_at,
        "quote_id": purchase.quote_id,
        "invoice_id": purchase.stripe_invoice_id,
    }
    send(session, gateways, "credits_bought", f"credits_bought:{purchase.id}", facts)


def about_returned_debit(session: Session, gateways: Gateways, invoice: Invoice, *, attempt_id: str) -> None:
    """Word of a debit for a pack that came back days later: nothing was bought."""
    facts: dict[str, object] = {"total": invoice.total, "currency": invoice.currency}
    send(session, gateways, "credits_unpaid", f"credits_unpaid:{attempt_id}", facts)


def about_refund(session: Session, gateways: Gateways, refund: CreditRefund) -> None:
    """Word of credits that were taken back, and of where their price went."""
    facts: dict[str, object] = {
        "kind": refund.kind,
        "units": refund.units,
        "total": refund.total or 0,
        "refunded": refund.refunded or 0,
        "balance": refund.balance or 0,
        "currency": refund.currency,
    }
    send(session, gateways, "credits_refunded", f"credits_refunded:{refund.id}", facts)


def about_won(session: Session, gateways: Gateways, *, units: int, dispute_id: str) -> None:
    """Word of credits that count again, since the dispute about their payment was won."""
    facts: dict[str, object] = {"units": units}
    send(session, gateways, "credits_restored", f"credits_restored:{dispute_id}", facts)


def about_blocked(
    session: Session, gateways: Gateways, *, kind: str, units: int, reason: str, dedupe_key: str
) -> None:
    """Word of a pack that was to be bought by itself and was not; ``reason`` is a code of the template's."""
    facts: dict[str, object] = {"kind": kind, "units": units, "reason": reason}
    send(session, gateways, "credits_blocked", dedupe_key, facts)


def send(session: Session, gateways: Gateways, kind: str, dedupe_key: str, facts: dict[str, object]) -> bool:
    """Queue a mail to the billing address, once per ``dedupe_key``; False when it was queued before."""
    details = session.scalars(select(BillingDetails)).one()
    return letters.tell(session, gateways, details, kind, dedupe_key, facts)
