"""Every night: what Stripe took out of a lot's grants is held against what our ledger says that it covered.

A difference of less than a unit's price for each billed month is rounding, and an invoice that we have not
heard of yet is late; what nothing explains is for a person. So is a lot whose grants have not what it takes
to pay for its units: those that are left, and those of months that are not billed yet.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import structlog
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Transaction
from portal.models import BillingDetails, CreditEntry, CreditGrant, CreditLot, UsagePeriod
from portal.services import credit_lots, credits, incidents
from portal.services.credit_further_grants import MADE, OPEN
from portal.services.credit_lots import DRAWN, GIVEN_BACK, OF_UNIT
from portal.services.credits import Held
from portal.services.usage_periods import CLOSED
from portal.services.usage_periods import OPEN as PERIOD_OPEN

log = structlog.get_logger()

PIECE = 500
APPLIED = ("credits_applied", "credits_application_invoice_voided")
KIND = "credit_balance_differs"


@dataclass(frozen=True)
class Compared:
    """One lot in minor units: ``expected`` by our ledger, ``taken`` by Stripe; ``late`` by invoices to come.

    ``balance`` is what Stripe says is left of all its grants, ``moved`` what its own transactions sum to, and
    ``needed`` what its units that are not billed cost; None while that is on its way to Stripe.
    """

    lot_id: str
    grant_id: str
    expected: Decimal
    taken: int
    late: int
    balance: int
    moved: int
    rounding: Decimal
    needed: Decimal | None
    # a minor unit for each grant and month that was rounded
    slack: int

    @property
    def explained(self) -> bool:
        """Whether nothing is left for a person to look at."""
        as_taken = abs(self.taken - self.expected) < self.rounding and self.balance == self.moved
        return as_taken and (self.needed is None or abs(self.balance - self.needed) <= self.slack)


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


@dataclass(frozen=True)
class _Known:
    """What our rows say: the invoices we know, what they took of each lot, and lots that wait for grants."""

    customer_id: str
    invoices: set[str]
    expected: Mapping[str, Decimal]
    waiting: set[str]


def compare(gateways: Gateways, workspace_id: int) -> list[Compared]:
    """Compare each lot of the workspace that still counts, and report what nothing explains, once a state."""
    with unit_of_work(workspace_id) as session:
        held = credits.read(session, gateways.clock.now()).lots
        known = _known(session)
    # what is given back has grants of its own, which its purchase watches
    lots = [
        each
        for each in held
        if each.lot.stripe_credit_grant_id and each.lot.ended_at is None and not each.returned
    ]
    if not lots:
        return []
    stripe = gateways.stripe.credits
    # asked before the balances: a transaction between the two is a difference for this one night
    movements = stripe.transactions(known.customer_id)
    grants = stripe.grants(known.customer_id)
    now = int(gateways.clock.now().timestamp())
    found = []
    for each in lots:
        own = [grant for grant in grants if grant.metadata.get("purchase") == each.lot.purchase_id]
        left = sum(stripe.left(known.customer_id, grant.id).ledger for grant in own if grant.counts(now))
        ids = {grant.id for grant in own}
        found.append(
            _compared(known, each, [one for one in movements if one.grant_id in ids], left, len(own))
        )
    differing = [each for each in found if not each.explained]
    if differing:
        with unit_of_work(workspace_id) as session:
            _report(session, gateways, workspace_id, differing)
    return found


def _known(session: Session) -> _Known:
    closed = UsagePeriod.state == CLOSED, UsagePeriod.stripe_invoice_id.is_not(None)
    billed = session.scalars(select(UsagePeriod.stripe_invoice_id).where(*closed))
    unfinished = CreditGrant.state.in_((OPEN, MADE))
    return _Known(
        customer_id=session.scalars(select(BillingDetails.stripe_customer_id)).one() or "",
        invoices={str(each) for each in billed},
        expected=_expected(session),
        waiting=set(session.scalars(select(CreditGrant.lot_id).where(unfinished))),
    )


def _expected(session: Session) -> dict[str, Decimal]:
    """What invoices have taken for each lot by our ledger, at the prices of their months."""
    open_months = select(UsagePeriod.starts_at).where(UsagePeriod.state == PERIOD_OPEN)
    month = CreditEntry.period_start
    sums = (
        select(CreditEntry.lot_id, month, func.sum(-CreditEntry.quantity))
        .where(
            CreditEntry.kind.in_((DRAWN, GIVEN_BACK)),
            # what came back after it was billed was taken all the same
            ~CreditEntry.source.startswith(OF_UNIT),
            or_(month.is_(None), month.not_in(open_months)),
        )
        .group_by(CreditEntry.lot_id, month)
    )
    prices = credit_lots.prices(session)
    found: dict[str, Decimal] = {}
    for lot_id, start, units in session.execute(sums):
        price = credit_lots.price_in(prices, lot_id, start)
        found[lot_id] = found.get(lot_id, Decimal(0)) + int(units) * price
    return found


def _compared(
    known: _Known, held: Held, movements: Sequence[Transaction], balance: int, grants: int
) -> Compared:
    applied = [each for each in movements if each.why in APPLIED]
    late = [each for each in applied if each.invoice_id not in known.invoices]
    months = max(len({each.invoice_id for each in applied}), 1)
    waits = bool(late) or held.lot.id in known.waiting
    return Compared(
        lot_id=held.lot.id,
        grant_id=str(held.lot.stripe_credit_grant_id),
        expected=known.expected.get(held.lot.id, Decimal(0)),
        taken=_taken(each for each in applied if each.invoice_id in known.invoices),
        late=_taken(iter(late)),
        balance=balance,
        moved=sum(each.amount for each in movements),
        rounding=max(held.lot.unit_amount, Decimal(1)) * months,
        needed=None if waits else (held.left + held.open) * held.lot.unit_amount,
        slack=grants + months,
    )


def _taken(movements: Iterator[Transaction]) -> int:
    return -sum(each.amount for each in movements)


def _report(session: Session, gateways: Gateways, workspace_id: int, differing: Sequence[Compared]) -> None:
    for each in differing:
        incidents.report(
            session,
            gateways,
            KIND,
            dedupe_key=f"{KIND}:{each.grant_id}:{each.taken}:{each.expected}:{each.balance}",
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
                "needed": None if each.needed is None else str(each.needed),
            },
        )
