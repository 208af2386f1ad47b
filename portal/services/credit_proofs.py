"""What a final invoice took out of annual credits is what our ledger says that they covered."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.gateways import Gateways
from portal.models import CreditEntry, Invoice
from portal.services import credit_ledger, credit_lots, credit_returns, incidents
from portal.services.credit_lots import DRAWN, GIVEN_BACK, OF_UNIT


def follow(session: Session, gateways: Gateways, invoice: Invoice, months: Sequence[datetime]) -> None:
    """Compare the ``months`` that a final invoice bills, or give back what covered them when it is void.

    Stripe counts money and we count units: what differs by less than one unit's price is rounding.
    """
    if not credit_ledger.any_lot(session):
        return
    if invoice.status == "void":
        credit_returns.void(session, gateways, months, invoice_id=invoice.stripe_id)
        return
    covered = _covered(session, months)
    expected = sum((units * price for units, price in covered), Decimal(0))
    smallest = min((price for _units, price in covered), default=Decimal(1))
    if abs(invoice.credits - expected) >= smallest:
        _report(session, gateways, invoice, sum(units for units, _price in covered), expected)


def _covered(session: Session, months: Sequence[datetime]) -> list[tuple[int, Decimal]]:
    """Units that lots cover of the months, each with the price of one in minor units."""
    of_months = CreditEntry.period_start.in_(months) & CreditEntry.kind.in_((DRAWN, GIVEN_BACK))
    # what came back later was taken all the same
    of_months &= ~CreditEntry.source.startswith(OF_UNIT)
    units = -func.sum(CreditEntry.quantity)
    sums = select(CreditEntry.lot_id, CreditEntry.period_start, units).where(of_months)
    by_month = sums.group_by(CreditEntry.lot_id, CreditEntry.period_start).having(units != 0)
    prices = credit_lots.prices(session)
    return [
        (int(count), credit_lots.price_in(prices, lot_id, month))
        for lot_id, month, count in session.execute(by_month)
    ]


def _report(session: Session, gateways: Gateways, invoice: Invoice, units: int, expected: Decimal) -> None:
    incidents.report(
        session,
        gateways,
        "credits_differ",
        dedupe_key=f"credits_differ:{invoice.stripe_id}",
        workspace_id=invoice.workspace_id,
        summary=f"Invoice {invoice.number} took another amount out of annual credits than our ledger has",
        details={
            "invoice": invoice.stripe_id,
            "units": units,
            "expected": str(expected),
            "taken": invoice.credits,
            "currency": invoice.currency,
        },
    )
