"""Discounts on one line that support agreed with a customer: a coupon of its own, on the subscription.

They stand before every other discount and are for the products of their line, so that they stay when tier or
interval change. The row is written first; ``finish`` brings it to Stripe and may be repeated.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import structlog
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.gateways.stripe_words import Subscription
from portal.models import Attempt, NegotiatedDiscount
from portal.pricing.periods import after
from portal.services import (
    attempt_states,
    attempts,
    audit,
    catalogs,
    holdings,
    planned_changes,
    projections,
    quotes,
    subscriptions,
    turns,
)
from portal.services.change_errors import NoSubscriptionError
from portal.services.holdings import Holding
from portal.services.ids import new_id
from portal.services.undoing import PaymentUnderWayError

SETTING = "setting"
ON = "on"
ENDING = "ending"
ENDED = "ended"
SUPPORT = "support"
BATCH = 100
LEFT_BEHIND_AFTER = timedelta(minutes=1)

log = structlog.get_logger()


def listing(session: Session) -> Sequence[NegotiatedDiscount]:
    """All that were ever agreed with the entered workspace, newest first."""
    return session.scalars(select(NegotiatedDiscount).order_by(NegotiatedDiscount.created_at.desc())).all()


def agree(
    gateways: Gateways,
    workspace_id: int,
    line: str,
    *,
    percent_off: Decimal | None = None,
    amount_off: int | None = None,
    until: date | None = None,
) -> NegotiatedDiscount:
    """Give the workspace a discount on ``line`` instead of the one that it has there.

    Exactly one of ``percent_off`` and ``amount_off`` (minor units a period). ``until``: invoices made before
    that day (UTC) have it; Stripe counts whole months, so ``ends_at`` is the end that covers the same ones.
    Raises NoSubscriptionError, PaymentUnderWayError, ConflictError for a line or a day that does not fit.
    """
    pricing.Discount(line, percent_off, amount_off)
    held = _held(gateways, workspace_id)
    if line not in held.items:
        raise ConflictError(N_("The subscription has no such line."), param="line")
    now = gateways.clock.now()
    months = None if until is None else _months(held, now, until)
    with unit_of_work(workspace_id) as session:
        row = NegotiatedDiscount(
            id=new_id("N"),
            state=SETTING,
            line=line,
            percent_off=percent_off,
            amount_off=amount_off,
            currency=held.currency,
            months=months,
            ends_at=None if months is None else _end(now, months),
            stripe_subscription_id=held.subscription_id,
        )
        session.add(row)
        session.flush()
        audit.record(session, "discount.agreed", actor=SUPPORT, after=_facts(row))
        row_id = row.id
    return finish(gateways, workspace_id, row_id)


def end(gateways: Gateways, workspace_id: int, discount_id: str) -> NegotiatedDiscount:
    """Take a discount away: the next invoice is without it. Raises NotFoundError, PaymentUnderWayError."""
    _held(gateways, workspace_id)
    with unit_of_work(workspace_id) as session:
        row = _locked(session, discount_id)
        if row.state != ENDED:
            row.state = ENDING
            audit.record(session, "discount.ended", actor=SUPPORT, before=_facts(row))
    return finish(gateways, workspace_id, discount_id)


def _held(gateways: Gateways, workspace_id: int) -> Holding:
    with unit_of_work(workspace_id) as session:
        bought = subscriptions.bought(session)
        if attempts.live(session, quotes.CHANGE) is not None:
            raise PaymentUnderWayError
    if bought is None:
        raise NoSubscriptionError
    projections.refresh_subscription(gateways, bought.stripe_id)
    with unit_of_work(workspace_id) as session:
        held = holdings.holding(session)
    if held is None:
        raise NoSubscriptionError
    return held


def _months(held: Holding, now: datetime, until: date) -> int:
    """So many months that the renewals before ``until``, and no others, lie before the discount's end."""
    limit = int(datetime(until.year, until.month, until.day, tzinfo=UTC).timestamp())
    renewal = int(held.renews_at.timestamp())
    if limit <= renewal:
        raise ConflictError(N_("That day is before the next renewal."), param="until")
    count, last = 1, renewal
    while after(renewal, held.selection.interval, count) < limit:
        last = after(renewal, held.selection.interval, count)
        count += 1
    months = 1
    while after(int(now.timestamp()), "month", months) <= last:
        months += 1
    return months


def _end(now: datetime, months: int) -> datetime:
    return datetime.fromtimestamp(after(int(now.timestamp()), "month", months), UTC)


def finish(gateways: Gateways, workspace_id: int, row_id: str) -> NegotiatedDiscount:
    """Bring the row to Stripe and write what came of it; doing it again changes nothing."""
    with unit_of_work(workspace_id) as session:
        row = _locked(session, row_id)
    if row.state in (SETTING, ENDING):
        # a schedule would bring back the discounts that it was made with
        planned_changes.release(gateways, workspace_id)
        subscription = gateways.stripe.subscription(row.stripe_subscription_id)
        if row.state == SETTING:
            _set(gateways, row, subscription)
        else:
            _remove(gateways, row, subscription)
        projections.refresh_subscription(gateways, row.stripe_subscription_id)
        planned_changes.mirror_all(gateways, workspace_id)
    with unit_of_work(workspace_id) as session:
        return _locked(session, row_id)


def _set(gateways: Gateways, row: NegotiatedDiscount, subscription: Subscription) -> None:
    with unit_of_work(row.workspace_id) as session:
        replaced = session.scalars(
            select(NegotiatedDiscount).where(
                NegotiatedDiscount.line == row.line,
                NegotiatedDiscount.id != row.id,
                NegotiatedDiscount.state.in_((ON, SETTING)),
            )
        ).all()
        products = catalogs.products_of(session, row.line)
    coupon_id = row.stripe_coupon_id or gateways.stripe.changes.create_coupon(
        "Agreed discount",
        percent_off=row.percent_off,
        amount_off=row.amount_off,
        currency=row.currency,
        months=row.months,
        product_ids=products,
        key=f"{row.id}:coupon",
    )
    gone = {each.stripe_coupon_id for each in replaced}
    there = next((each for each in subscription.discounts if each.get("coupon") == coupon_id), None)
    if there is None:
        keep = [str(each["id"]) for each in subscription.discounts if each.get("coupon") not in gone]
        subscription = gateways.stripe.changes.set_discounts(
            row.stripe_subscription_id, keep=keep, coupon_id=coupon_id, key=f"{row.id}:set"
        )
        there = next(each for each in subscription.discounts if each.get("coupon") == coupon_id)
    with unit_of_work(row.workspace_id) as session:
        known = _locked(session, row.id)
        known.stripe_coupon_id, known.stripe_discount_id = coupon_id, str(there["id"])
        ends = there.get("end")
        known.ends_at = datetime.fromtimestamp(int(str(ends)), UTC) if ends is not None else None
        known.state = ON if known.state == SETTING else known.state
        for each in replaced:
            other = _locked(session, each.id)
            other.state, other.ended_at = ENDED, gateways.clock.now()


def _remove(gateways: Gateways, row: NegotiatedDiscount, subscription: Subscription) -> None:
    if any(each.get("coupon") == row.stripe_coupon_id for each in subscription.discounts):
        keep = [
            str(each["id"]) for each in subscription.discounts if each.get("coupon") != row.stripe_coupon_id
        ]
        gateways.stripe.changes.set_discounts(
            row.stripe_subscription_id, keep=keep, coupon_id=None, key=f"{row.id}:end"
        )
    with unit_of_work(row.workspace_id) as session:
        known = _locked(session, row.id)
        known.state, known.ended_at = ENDED, gateways.clock.now()


def _locked(session: Session, row_id: str) -> NegotiatedDiscount:
    found = session.scalars(
        select(NegotiatedDiscount).where(NegotiatedDiscount.id == row_id).with_for_update()
    ).first()
    if found is None:
        raise NotFoundError(N_("There is no such discount."))
    return found


def _facts(row: NegotiatedDiscount) -> dict[str, object]:
    return {
        "discount": row.id,
        "line": row.line,
        "percent_off": None if row.percent_off is None else str(row.percent_off),
        "amount_off": row.amount_off,
        "ends_at": row.ends_at.isoformat() if row.ends_at else None,
    }


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Bring to Stripe what a crash left behind; how many. Not while a change is under way."""
    under_way = exists().where(
        Attempt.workspace_id == NegotiatedDiscount.workspace_id,
        Attempt.kind == quotes.CHANGE,
        Attempt.state.in_(attempt_states.LIVE),
    )
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(NegotiatedDiscount.workspace_id, NegotiatedDiscount.id)
            .where(
                NegotiatedDiscount.state.in_((SETTING, ENDING)),
                NegotiatedDiscount.created_at < func.clock_timestamp() - left_behind_after,
                ~under_way,
            )
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(finish, gateways), waits="discount_waits")
