"""Lots of annual credits without a payment, and what the ledger has of them."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.models import CreditEntry, CreditLot, CreditPurchase, UsagePeriod
from portal.pricing import credits as rules
from portal.services import credit_ledger, credit_lots
from portal.services.ids import new_id
from tests.services.using import Workspace


def buy(acme: Workspace, units: int, *, paid_at: datetime | None = None) -> str:
    """Open the lot of a pack that is paid now; its id."""
    at = paid_at or acme.gateways.clock.now()
    with unit_of_work(acme.workspace_id) as session:
        purchase = CreditPurchase(
            id=new_id("C"),
            kind="purchase",
            state="paid",
            units=units,
            catalog="2026-11",
            price_id="price_1",
            unit_amount=Decimal(99),
            percent_off=Decimal(0),
            amount=units * 99,
            currency="usd",
            paid_at=at,
        )
        session.add(purchase)
        session.flush()
        lot = credit_lots.open_lot(session, purchase)
        credit_ledger.follow(session, at=at)
        return lot.id


def end_month(acme: Workspace) -> None:
    """The invoices of the months that are over become final."""
    now = acme.gateways.clock.now()
    with unit_of_work(acme.workspace_id) as session:
        over = UsagePeriod.ends_at <= now
        session.execute(update(UsagePeriod).where(over).values(state="closed", closed_at=now))


def left(acme: Workspace) -> list[int]:
    """What is left of each lot, the first to end first."""
    with unit_of_work(acme.workspace_id) as session:
        lots = session.scalars(select(CreditLot).order_by(*credit_lots.ORDER))
        return [credit_lots.left(session, lot) for lot in lots]


def entries(acme: Workspace) -> list[tuple[str, int]]:
    """Kind and quantity of each entry, in the order in which they were written."""
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(CreditEntry).order_by(CreditEntry.id))
        return [(row.kind, row.quantity) for row in rows]


def covered(acme: Workspace) -> dict[str, int]:
    """How many units each lot has covered, by the ledger of credits."""
    drawn = CreditEntry.kind.in_((credit_lots.DRAWN, credit_lots.GIVEN_BACK))
    sums = select(CreditEntry.lot_id, func.sum(CreditEntry.quantity)).where(drawn)
    with unit_of_work(acme.workspace_id) as session:
        found = session.execute(sums.group_by(CreditEntry.lot_id))
        return {lot: -int(total) for lot, total in found if total}


def covered_by_the_rules(acme: Workspace) -> dict[str, int]:
    """How many units each lot covers by ``pricing.credits``, from what was used."""
    with unit_of_work(acme.workspace_id) as session:
        held = session.scalars(select(CreditLot).order_by(*credit_lots.ORDER)).all()
    names = {f"{place:03}": lot for place, lot in enumerate(held)}
    lots = [
        rules.Lot(name, lot.units, int(lot.expires_at.timestamp()), int(lot.starts_at.timestamp()))
        for name, lot in names.items()
    ]
    used = Counter[datetime]()
    for entry in acme.entries():
        if entry.key == "resolution" and entry.charge == "meter":
            used[entry.at] += entry.quantity
    starts = [int(period.starts_at.timestamp()) for period in acme.periods()]
    uses = [rules.Use(int(at.timestamp()), units) for at, units in used.items()]
    drawn = rules.draw(lots, uses, now=0, period_starts=starts)
    return {names[lot.id].id: lot.used for lot in drawn.lots if lot.used}
