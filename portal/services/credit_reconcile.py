"""Every night: what Stripe took out of each grant is held against what our ledger says that it covered.

A difference of less than a unit's price for each billed month is rounding, and an invoice that we have not
heard of yet is late; what nothing explains is for a person.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Transaction
from portal.models import BillingDetails, CreditLot, UsagePeriod
from portal.services import credits, incidents
from portal.services.credits import Held
from portal.services.usage_periods import CLOSED

log = structlog.get_logger()

PIECE = 500
APPLIED = ("credits_applied", "credits_application_invoice_voided")
KIND = "credit_balance_differs"


@dataclass(frozen=True)
class Compared:
    """One lot in minor units: ``expected`` by our ledger, ``taken`` by Stripe; ``late`` by invoices to come.

    ``balance`` is what Stripe says is left, ``moved`` what its own transactions sum to.
    """

    lot_id: str
    grant_id: str
    expected: Decimal
    taken: int
    late: int
    balance: int
    moved: int
    rounding: Decimal

    @property
    def explained(self) -> bool:
        """Whether nothing is left for a person to look at."""
        return abs(self.taken - self.expected) < self.rounding and self.balance == self.moved


def run(gateways: Gateways) -> int:
    """Compare the lots of every workspace that still count; how many differences nothing explains."""
    return sum(_safely(gateways, workspace_id) for workspace_id in list(_workspaces()))


def _workspaces() -> Iterator[int]:
    last = 0
    counts = CreditLot.ended_at.is_(None), CreditLot.stripe_credit_grant_id.is_not(None)
    while True:
        with unit_of_work(system=True) as session:
            wanted = select(CreditLot.workspace_id).where(*counts, CreditLot.workspace_id > last).distinct()
            page = session.scalars(wanted.order_by(CreditLot.workspace_id).limit(PIECE)).all()
        yield from page
        if len(page) < PIECE:
            return
        last = page[-1]


def _safely(gateways: Gateways, workspace_id: int) -> int:
    """One that Stripe does not answer for stops no other; the next night asks again."""
    try:
        return sum(not each.explained for each in compare(gateways, workspace_id))
    except PortalError:
        log.warning("credit_reconcile_failed", workspace=workspace_id, exc_info=True)
        return 0


def compare(gateways: Gateways, workspace_id: int) -> list[Compared]:
    """Compare each lot of the workspace that still counts, and report what nothing explains, once a state."""
    with unit_of_work(workspace_id) as session:
        customer_id = session.scalars(select(BillingDetails.stripe_customer_id)).one()
        held = credits.read(session, gateways.clock.now()).lots
        invoices = set(_billed(session))
    # what is given back has grants of its own, which its purchase watches
    lots = [
        each
        for each in held
        if each.lot.stripe_credit_grant_id and each.lot.ended_at is None and not each.returned
    ]
    found = [_compared(gateways, customer_id or "", each, invoices) for each in lots]
    differing = [each for each in found if not each.explained]
    if differing:
        with unit_of_work(workspace_id) as session:
            _report(session, gateways, workspace_id, differing)
    return found


def _billed(session: Session) -> Sequence[str]:
    """The invoices of the months that our ledger holds as billed."""
    closed = UsagePeriod.state == CLOSED, UsagePeriod.stripe_invoice_id.is_not(None)
    return [str(each) for each in session.scalars(select(UsagePeriod.stripe_invoice_id).where(*closed))]


def _compared(gateways: Gateways, customer_id: str, held: Held, invoices: set[str]) -> Compared:
    grant_id = str(held.lot.stripe_credit_grant_id)
    # asked before the balance: a transaction between the two is a difference for this one night
    movements = gateways.stripe.credits.transactions(customer_id, grant_id)
    balance = gateways.stripe.credits.left(customer_id, grant_id)
    applied = [each for each in movements if each.why in APPLIED]
    months = {each.invoice_id for each in applied}
    return Compared(
        lot_id=held.lot.id,
        grant_id=grant_id,
        expected=held.billed * held.lot.unit_amount,
        taken=_taken(each for each in applied if each.invoice_id in invoices),
        late=_taken(each for each in applied if each.invoice_id not in invoices),
        balance=balance.ledger,
        moved=sum(each.amount for each in movements),
        rounding=max(held.lot.unit_amount, Decimal(1)) * max(len(months), 1),
    )


def _taken(movements: Iterator[Transaction]) -> int:
    return -sum(each.amount for each in movements)


def _report(session: Session, gateways: Gateways, workspace_id: int, differing: Sequence[Compared]) -> None:
    for each in differing:
        incidents.report(
            session,
            gateways,
            KIND,
            dedupe_key=f"{KIND}:{each.grant_id}:{each.taken}:{each.expected}",
            workspace_id=workspace_id,
            summary=f"Stripe's balance of lot {each.lot_id} is not what our ledger of credits says",
            details={
                "lot": each.lot_id,
                "grant": each.grant_id,
                "expected": str(each.expected),
                "taken": each.taken,
                "late": each.late,
                "balance": each.balance,
                "moved": each.moved,
            },
        )
