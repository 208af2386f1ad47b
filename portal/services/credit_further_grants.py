"""Stripe's grants for a lot beside its first one: each is wanted once, and made once, whatever fails.

A row says what is wanted; the first try commits what it comes to. The key is ``<row>:grant``; before a second
try Stripe is asked for a grant with the row's metadata, and after a definite refusal the key is another.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Grant, NewGrant
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import (
    BillingDetails,
    CreditEntry,
    CreditGrant,
    CreditLot,
    CreditPurchase,
    CreditRefund,
    MeterEvent,
    UsagePeriod,
)
from portal.services import attempt_states, audit, claims, credit_grants, credit_lots, incidents, turns
from portal.services import credit_purchase_states as states
from portal.services.ids import new_id
from portal.services.meter_events import CANCELLING, SENDING, WAITING
from portal.services.usage_periods import OPEN as PERIOD_OPEN
from portal.services.usage_periods import is_to_be_billed

RETURNED, REPRICED, RESTORED, REPLACED = "returned", "repriced", "restored", "replaced"
# those before it end once it is made
REPLACING = (REPRICED, REPLACED)
# no grant: those that there are end with the lot, which ends later than it did
EXTENDED = "extended"
OPEN, MADE, DONE, DROPPED = "open", "made", "done", "dropped"
UNFINISHED = (OPEN, MADE)
ON_THEIR_WAY = (WAITING, SENDING, CANCELLING)
NAMES = {
    RETURNED: "{units:,} resolutions, taken back after they were billed",
    REPRICED: "{units:,} resolutions, annual credits at another price",
    RESTORED: "{units:,} resolutions, annual credits after a dispute",
    REPLACED: "{units:,} resolutions, annual credits after an invoice was voided",
}
BATCH = 100


def want(
    session: Session,
    gateways: Gateways,
    lot: CreditLot,
    kind: str,
    units: int,
    *,
    source: str,
    since: datetime | None = None,
) -> CreditGrant:
    """Note that the lot, which is locked, needs a grant, once per ``source``; the worker makes it."""
    row = CreditGrant(
        id=new_id("G"),
        lot_id=lot.id,
        kind=kind,
        source=source,
        state=OPEN,
        units=units,
        price_id=lot.price_id,
        unit_amount=lot.unit_amount,
        since=since,
        # an order among those of one transaction
        created_at=attempt_states.database_time(session),
    )
    session.add(row)
    session.flush()
    gateways.jobs.defer(session, states.GRANT, workspace_id=lot.workspace_id, purchase_id=lot.purchase_id)
    return row


def of_purchase(session: Session, purchase_id: str) -> list[CreditGrant]:
    """The further grants of a purchase's lot, in the order in which they were wanted."""
    own = select(CreditLot.id).where(CreditLot.purchase_id == purchase_id)
    rows = select(CreditGrant).where(CreditGrant.lot_id.in_(own))
    return list(session.scalars(rows.order_by(CreditGrant.created_at, CreditGrant.id)))


def make(gateways: Gateways, workspace_id: int, purchase_id: str) -> None:
    """Make what is wanted for a purchase's lot, as far as it can be, unless somebody is at it.

    Raises StripeUnknownError when it is not known what Stripe did: it is taken up again.
    """
    with unit_of_work(workspace_id) as session:
        waiting = any(row.state in UNFINISHED for row in of_purchase(session, purchase_id))
    claimed = credit_grants.claim(workspace_id, purchase_id) if waiting else None
    if claimed is None:
        return
    try:
        with unit_of_work(workspace_id) as session:
            rows = [row for row in of_purchase(session, purchase_id) if row.state in UNFINISHED]
        for row in rows:
            if row.kind == EXTENDED:
                _extend(gateways, workspace_id, purchase_id, row.id)
                continue
            _make(gateways, workspace_id, purchase_id, row.id, claimed)
            _end_others(gateways, workspace_id, purchase_id, row.id)
    finally:
        credit_grants.release(workspace_id, purchase_id, claimed)


def _make(gateways: Gateways, workspace_id: int, purchase_id: str, row_id: str, claimed: datetime) -> None:
    wanted, tried = _intend(gateways, workspace_id, purchase_id, row_id)
    if wanted is None:
        return
    credits = gateways.stripe.credits
    found = credits.made_for(wanted.customer_id, purchase=purchase_id, grant=row_id) if tried else []
    # what Stripe was asked for just now may come yet: by the same key it is there to be ended
    if found or credit_grants.may_come(gateways, tried) or not _is_taken_back(workspace_id, row_id):
        grant = found[0] if found else _create(gateways, workspace_id, row_id, wanted, claimed)
        if grant is None:
            return
        if not _is_taken_back(workspace_id, row_id):
            _note(workspace_id, row_id, grant)
            return
        # Stripe was so slow that the refund saw none
        credit_grants.end(gateways, grant, by=row_id)
    _drop(workspace_id, row_id)


# --- what is wanted ------------------------------------------------------------------------------------


def _intend(
    gateways: Gateways, workspace_id: int, purchase_id: str, row_id: str
) -> tuple[NewGrant | None, datetime | None]:
    """What to ask Stripe for, once that is committed, and when it was asked for last."""
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        lot = session.scalars(
            select(CreditLot).where(CreditLot.purchase_id == purchase_id).with_for_update()
        ).one()
        row = _locked(session, row_id)
        if row.state != OPEN or _waits(session, purchase) or _is_early(session, gateways, lot, row):
            return None, None
        tried = row.tried_at
        if tried is None and not _settle(session, gateways, lot, row):
            return None, None
        row.tried_at = gateways.clock.now()
        details = session.scalars(select(BillingDetails)).one()
        return _grant(
            purchase, row, str(details.stripe_customer_id), credit_grants.until(session, lot)
        ), tried


def _locked(session: Session, row_id: str) -> CreditGrant:
    return session.scalars(select(CreditGrant).where(CreditGrant.id == row_id).with_for_update()).one()


def _waits(session: Session, purchase: CreditPurchase) -> bool:
    """Whether the lot's first grant is still to come, or a refund is at work on all of them."""
    refunding = select(CreditRefund.id).where(
        CreditRefund.purchase_id == purchase.id, CreditRefund.state == "open"
    )
    return purchase.state == states.PAID or session.scalar(refunding.limit(1)) is not None


def _is_early(session: Session, gateways: Gateways, lot: CreditLot, row: CreditGrant) -> bool:
    """Whether the months that those before it pay are not over with: billed, and all of their usage sent.

    What replaced them earlier is finished first.
    """
    if row.kind not in REPLACING:
        return False
    earlier = select(CreditGrant.id).where(
        CreditGrant.lot_id == lot.id,
        CreditGrant.kind.in_(REPLACING),
        CreditGrant.state.in_(UNFINISHED),
        CreditGrant.created_at < row.created_at,
    )
    if session.scalar(earlier.limit(1)) is not None:
        return True
    if row.since is None:
        return is_to_be_billed(session, gateways.clock.now())
    before = (UsagePeriod.starts_at < row.since, UsagePeriod.starts_at >= lot.starts_at)
    unbilled = select(UsagePeriod.starts_at).where(*before, UsagePeriod.state == PERIOD_OPEN)
    unsent = select(MeterEvent.identifier).where(
        MeterEvent.state.in_(ON_THEIR_WAY), MeterEvent.period_start < row.since
    )
    return any(session.scalar(each.limit(1)) is not None for each in (unbilled, unsent))


def _settle(session: Session, gateways: Gateways, lot: CreditLot, row: CreditGrant) -> bool:
    """Fix what is asked for, before it is; False where nothing is left to pay for."""
    now = gateways.clock.now()
    row.updated_at = attempt_states.database_time(session)
    # what is left, and what months have of it that are not billed yet
    units = min(row.units, credit_lots.left(session, lot) + credit_lots.unbilled(session, lot, row.since))
    if not units or now >= lot.expires_at:
        row.units, row.state = 0, MADE if row.kind in REPLACING else DROPPED
        return False
    row.units, row.price_id, row.unit_amount = units, lot.price_id, lot.unit_amount
    row.value = credit_grants.worth(row, units)
    return True


def _is_taken_back(workspace_id: int, row_id: str) -> bool:
    """Whether what the row is for went with a refund; what was used of it has the refund's own grant."""
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        lot = session.scalars(select(CreditLot).where(CreditLot.id == row.lot_id)).one()
        later = select(CreditRefund.id).where(
            CreditRefund.purchase_id == lot.purchase_id, CreditRefund.created_at > row.created_at
        )
        return session.scalar(later.limit(1)) is not None


def _drop(workspace_id: int, row_id: str) -> None:
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        row.state = DONE if row.kind in REPLACING else DROPPED
        row.updated_at = attempt_states.database_time(session)


def _grant(purchase: CreditPurchase, row: CreditGrant, customer_id: str, expires_at: int) -> NewGrant:
    return NewGrant(
        customer_id=customer_id,
        name=NAMES[row.kind].format(units=row.units),
        currency=purchase.currency,
        value=row.value or 0,
        price_id=row.price_id,
        expires_at=expires_at,
        metadata={
            "purchase": purchase.id,
            "grant": row.id,
            "price": row.price_id,
            "units": str(row.units),
            "workspace": str(purchase.workspace_id),
        },
    )


# --- having it made ------------------------------------------------------------------------------------


def _create(
    gateways: Gateways, workspace_id: int, row_id: str, wanted: NewGrant, claimed: datetime
) -> Grant | None:
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, wanted.metadata["purchase"])
        if not credit_grants.may_create(session, purchase, claimed):
            return None
        refusals = _locked(session, row_id).refusals
    key = f"{row_id}:grant" + (f":{refusals}" if refusals else "")
    try:
        return gateways.stripe.credits.create(wanted, key=key)
    except StripeRefusedError as refusal:
        _refused(gateways, workspace_id, row_id, wanted.metadata["purchase"], refusal)
        return None


def _refused(
    gateways: Gateways, workspace_id: int, row_id: str, purchase_id: str, refusal: StripeRefusedError
) -> None:
    """Nothing was made: our ledger has the units all the same, and a person is told."""
    error: dict[str, object] = {"code": refusal.stripe_code, "message": str(refusal.message)}
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        row.refusals += 1
        row.tried_at, row.error = None, error
        row.updated_at = attempt_states.database_time(session)
        incidents.report(
            session,
            gateways,
            "credit_grant_refused",
            dedupe_key=f"credit_grant_refused:{row_id}",
            workspace_id=workspace_id,
            summary=f"Stripe refuses a grant for lot {row.lot_id}: {refusal.message}",
            details={"grant": row_id, "purchase": purchase_id, "error": error},
        )


def _note(workspace_id: int, row_id: str, grant: Grant) -> None:
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        row.stripe_credit_grant_id, row.error = grant.id, None
        row.state = MADE if row.kind in REPLACING else DONE
        row.updated_at = attempt_states.database_time(session)
        if row.kind != RETURNED:
            credit_lots.granted(session, row.lot_id, grant.id, grant.value)
        audit.record(
            session,
            f"credit_grant.{row.kind}",
            actor=audit.SYSTEM,
            after={"lot": row.lot_id, "units": row.units, "value": grant.value, "grant": grant.id},
        )


# --- having those that there are end later -------------------------------------------------------------


def _extend(gateways: Gateways, workspace_id: int, purchase_id: str, row_id: str) -> None:
    """Let the grants of a lot end when it does now, but for those that a refund left for what was used."""
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        if _waits(session, states.locked(session, purchase_id)):
            return
        lot = session.scalars(select(CreditLot).where(CreditLot.id == row.lot_id)).one()
        until = credit_grants.until(session, lot)
        customer_id = str(session.scalars(select(BillingDetails.stripe_customer_id)).one())
    now = int(gateways.clock.now().timestamp())
    try:
        for grant in gateways.stripe.credits.made_for(customer_id, purchase=purchase_id):
            if grant.counts(now) and "refund" not in grant.metadata and grant.expires_at != until:
                key = f"{row_id}:extend:{grant.id}:{until}"
                gateways.stripe.credits.update(grant.id, expires_at=until, key=key)
    except StripeRefusedError as refusal:
        _refused(gateways, workspace_id, row_id, purchase_id, refusal)
        return
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        row.state, row.error, row.updated_at = DONE, None, attempt_states.database_time(session)


# --- having those before it end ------------------------------------------------------------------------


def _end_others(gateways: Gateways, workspace_id: int, purchase_id: str, row_id: str) -> None:
    """End the lot's grants that a row's stands for, once nothing is left that they have to pay."""
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        lot = session.scalars(select(CreditLot).where(CreditLot.id == row.lot_id)).one()
        purchase = states.get(session, purchase_id)
        if row.state != MADE or _has_to_pay(session, lot, row):
            return
        customer_id = str(session.scalars(select(BillingDetails.stripe_customer_id)).one())
    now = int(gateways.clock.now().timestamp())
    for grant in _replaced(
        row, purchase, gateways.stripe.credits.made_for(customer_id, purchase=purchase_id)
    ):
        if grant.counts(now):
            credit_grants.end(gateways, grant, by=row_id)
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
        row.state, row.updated_at = DONE, attempt_states.database_time(session)


def _replaced(row: CreditGrant, purchase: CreditPurchase, grants: Sequence[Grant]) -> list[Grant]:
    """Of the lot's grants, oldest first: at a new price those at others, else all that were made before."""
    if row.kind == REPRICED:
        return [each for each in grants if each.metadata.get("price", purchase.price_id) != row.price_id]
    return list(takewhile(lambda each: each.id != row.stripe_credit_grant_id, grants))


def _has_to_pay(session: Session, lot: CreditLot, row: CreditGrant) -> bool:
    """Whether a month before a new price has units of the lot and no final invoice."""
    if row.since is None:
        return False
    drawn = (
        select(CreditEntry.period_start)
        .where(
            CreditEntry.lot_id == lot.id,
            CreditEntry.kind.in_((credit_lots.DRAWN, credit_lots.GIVEN_BACK)),
            CreditEntry.period_start < row.since,
        )
        .group_by(CreditEntry.period_start)
        .having(func.sum(CreditEntry.quantity) < 0)
    )
    unpaid = select(UsagePeriod.starts_at).where(
        UsagePeriod.starts_at.in_(drawn), UsagePeriod.stripe_invoice_id.is_(None)
    )
    return session.scalar(unpaid.limit(1)) is not None


def sweep(gateways: Gateways) -> int:
    """Make every further grant that is wanted, whatever becomes of the others; of how many purchases."""
    now = func.clock_timestamp()
    refused = CreditGrant.error.is_not(None) & (CreditGrant.updated_at > now - credit_grants.AFTER_A_REFUSAL)
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, CreditPurchase.id)
            .join(
                CreditLot,
                (CreditLot.workspace_id == CreditPurchase.workspace_id)
                & (CreditLot.purchase_id == CreditPurchase.id),
            )
            .join(
                CreditGrant,
                (CreditGrant.workspace_id == CreditLot.workspace_id) & (CreditGrant.lot_id == CreditLot.id),
            )
            .where(CreditGrant.state.in_(UNFINISHED), ~refused, claims.is_free(CreditPurchase))
            .distinct()
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(make, gateways), waits="further_grant_waits")
