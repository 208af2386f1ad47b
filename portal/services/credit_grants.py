"""Stripe's grant for a pack that is paid: exactly one, whatever fails or repeats.

The key is ``<purchase>:grant``. It may be forgotten after a day, so that before a second try Stripe is asked
for a grant with the purchase's metadata. After a definite refusal nothing was made: the next try has a key of
its own.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Grant, NewGrant
from portal.gateways.stripe_errors import StripeRefusedError
from portal.models import BillingDetails, CreditGrant, CreditLot, CreditPurchase, UsagePeriod
from portal.services import (
    attempt_states,
    claims,
    credit_ledger,
    credit_lots,
    incidents,
    turns,
    usage_periods,
)
from portal.services import credit_purchase_states as states

BATCH = 100
# Stripe covers an invoice only if its month ends before the grant does
AFTER_THE_END = timedelta(days=7)
# a definite refusal is not asked for again at once
AFTER_A_REFUSAL = timedelta(minutes=10)
# who works on a purchase's grants is alone for so long, and asks for none in the last part of it: by the end
# of it the gateway has given up waiting for an answer
CLAIM = timedelta(minutes=2)
ANSWERED_WITHIN = timedelta(minutes=1)
# what Stripe was asked for may come of it for so long, though nobody hears an answer any more
MAY_COME_WITHIN = timedelta(minutes=10)


def make(gateways: Gateways, workspace_id: int, purchase_id: str) -> None:
    """Make the grant of a paid purchase, unless it is there or somebody is at it.

    Raises StripeUnknownError when it is not known what Stripe did: it is taken up again.
    """
    claimed = claim(workspace_id, purchase_id)
    if claimed is None:
        return
    try:
        wanted, tried = _intend(gateways, workspace_id, purchase_id)
        if wanted is None:
            return
        found = gateways.stripe.credits.made_for(wanted.customer_id, purchase=purchase_id) if tried else []
        grant = found[0] if found else _create(gateways, workspace_id, purchase_id, wanted, claimed)
        if grant is not None:
            _note(workspace_id, purchase_id, grant)
    finally:
        release(workspace_id, purchase_id, claimed)


def claim(workspace_id: int, purchase_id: str) -> datetime | None:
    """Take the purchase to work on what Stripe keeps for it until then; None while somebody else does."""
    return claims.hold(workspace_id, CreditPurchase, CreditPurchase.id == purchase_id, lasting=CLAIM)


def may_create(session: Session, purchase: CreditPurchase, claimed: datetime) -> bool:
    """Whether a claim on the purchase, which is locked, lasts until Stripe has answered what is asked now.

    If not, others may see no grant and then there is one, such as a refund that ends them all.
    """
    lasts = attempt_states.database_time(session) < claimed - ANSWERED_WITHIN
    return purchase.claimed_until == claimed and lasts


def release(workspace_id: int, purchase_id: str, claimed: datetime) -> None:
    """Let others work on it, unless the claim ran out and they do already."""
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        if purchase.claimed_until != claimed:
            return
        waits = purchase.error is not None and purchase.state == states.PAID
        pause = attempt_states.database_time(session) + AFTER_A_REFUSAL
        purchase.claimed_until = pause if waits else None


def _intend(gateways: Gateways, workspace_id: int, purchase_id: str) -> tuple[NewGrant | None, bool]:
    """What to ask Stripe for, once that is committed, and whether it was asked for before."""
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        lot, now = credit_lots.of_purchase(session, purchase_id), gateways.clock.now()
        if purchase.state != states.PAID or lot is None or _pays_too_early(session, lot, now):
            return None, False
        tried = purchase.tried_at is not None
        purchase.tried_at = now
        details = session.scalars(select(BillingDetails)).one()
        return wanted(purchase, str(details.stripe_customer_id), until(session, lot)), tried


def _pays_too_early(session: Session, lot: CreditLot, now: datetime) -> bool:
    """Whether a grant that is made now may pay the month before the lot's first one.

    Stripe has one pay what ends in the very second in which it is made, by a clock that is not ours.
    """
    before = (UsagePeriod.ends_at == lot.starts_at, UsagePeriod.state == usage_periods.OPEN)
    if now > lot.starts_at + usage_periods.MOMENT:
        return False
    return session.scalar(select(UsagePeriod.starts_at).where(*before)) is not None


def lot_of(session: Session, purchase_id: str) -> CreditLot:
    """The lot of a paid purchase."""
    return session.scalars(select(CreditLot).where(CreditLot.purchase_id == purchase_id)).one()


def until(session: Session, lot: CreditLot) -> int:
    """When Stripe's grant for a lot ends, in unix seconds: later than the lot, in the order of our ledger.

    Stripe draws what ends first, so that of lots that end together each one's grant ends a second later.
    """
    return int((lot.expires_at + AFTER_THE_END).timestamp()) + credit_lots.place(session, lot)


def wanted(purchase: CreditPurchase, customer_id: str, expires_at: int) -> NewGrant:
    """The grant for all units of a pack, at the price by which they are billed."""
    return NewGrant(
        customer_id=customer_id,
        name=f"{purchase.units:,} resolutions, annual credits",
        currency=purchase.currency,
        value=worth(purchase, purchase.units),
        price_id=purchase.price_id,
        expires_at=expires_at,
        metadata={
            "purchase": purchase.id,
            "invoice": str(purchase.stripe_invoice_id),
            "units": str(purchase.units),
            "workspace": str(purchase.workspace_id),
        },
    )


def worth(priced: CreditPurchase | CreditLot | CreditGrant, units: int) -> int:
    """What so many units cost on an invoice, rounded up to a minor unit, so that it pays for each of them."""
    numerator, denominator = priced.unit_amount.as_integer_ratio()
    return -(-numerator * units // denominator)


def end(gateways: Gateways, grant: Grant, *, by: str) -> None:
    """Void a grant of which nothing was ever used; end one that was."""
    try:
        gateways.stripe.credits.void(grant.id, key=f"{by}:void:{grant.id}")
    except StripeRefusedError:
        gateways.stripe.credits.expire(grant.id, key=f"{by}:expire:{grant.id}")


def settle(gateways: Gateways, workspace_id: int, purchase_id: str) -> None:
    """Have Stripe answer for a grant that it was asked for just now and has not told of, by the same key.

    So it is there to be ended, instead of coming later. Raises StripeUnknownError while nothing is known.
    """
    with unit_of_work(workspace_id) as session:
        purchase = states.get(session, purchase_id)
        tried = purchase.tried_at
        if purchase.granted_at or not may_come(gateways, tried):
            return
        customer_id = str(session.scalars(select(BillingDetails.stripe_customer_id)).one())
        asked = wanted(purchase, customer_id, until(session, lot_of(session, purchase_id)))
    # what is refused will not come
    with suppress(StripeRefusedError):
        gateways.stripe.credits.create(asked, key=_key(purchase))


def may_come(gateways: Gateways, tried: datetime | None) -> bool:
    """Whether a grant that Stripe was asked for then, without an answer, may still be made."""
    return tried is not None and gateways.clock.now() - tried <= MAY_COME_WITHIN


def _key(purchase: CreditPurchase) -> str:
    return f"{purchase.id}:grant" + (f":{purchase.refusals}" if purchase.refusals else "")


def _create(
    gateways: Gateways, workspace_id: int, purchase_id: str, wanted: NewGrant, claimed: datetime
) -> Grant | None:
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        if purchase.state != states.PAID or not may_create(session, purchase, claimed):
            return None  # it went on while Stripe was slow: whoever took it up looks anew
    try:
        return gateways.stripe.credits.create(wanted, key=_key(purchase))
    except StripeRefusedError as refusal:
        _refused(gateways, workspace_id, purchase_id, refusal)
        return None


def _refused(gateways: Gateways, workspace_id: int, purchase_id: str, refusal: StripeRefusedError) -> None:
    """It is paid and cannot be granted: our ledger has it all the same, and a person is told."""
    error: Mapping[str, object] = {"code": refusal.stripe_code, "message": str(refusal.message)}
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        purchase.refusals += 1
        purchase.tried_at, purchase.error = None, dict(error)
        incidents.report(
            session,
            gateways,
            "credit_grant_refused",
            dedupe_key=f"credit_grant_refused:{purchase_id}",
            workspace_id=workspace_id,
            summary=f"Purchase {purchase_id} is paid and Stripe refuses its grant: {refusal.message}",
            details={"purchase": purchase_id, "units": purchase.units, "error": dict(error)},
        )


def _note(workspace_id: int, purchase_id: str, grant: Grant) -> None:
    with unit_of_work(workspace_id) as session:
        purchase = states.locked(session, purchase_id)
        if purchase.state != states.PAID:
            return  # it is being taken back: whoever does that ends every grant of it
        usage_periods.lock_newest(session)
        lot = lot_of(session, purchase_id)
        credit_lots.granted(session, lot.id, grant.id, grant.value)
        if grant.effective_at is not None:
            credit_ledger.begin_with(session, lot, datetime.fromtimestamp(grant.effective_at, UTC))
        purchase.granted_at = attempt_states.database_time(session)
        purchase.error = None
        states.move(session, purchase, states.GRANTED)


def sweep(gateways: Gateways) -> int:
    """Make every grant that is owed, whatever becomes of the others; how many were looked at."""
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditPurchase.workspace_id, CreditPurchase.id)
            .where(CreditPurchase.state == states.PAID, claims.is_free(CreditPurchase))
            .order_by(CreditPurchase.updated_at)
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(make, gateways), waits="grant_waits")
