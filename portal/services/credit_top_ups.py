"""Buying a pack by itself when the balance is low: off unless it was chosen, and limited each month.

After each pack there is a pause, also after one that could not be bought; every one is mailed. Who gives a
pack back does not want the next one: nothing is bought after that until the choice is made anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import (
    Adjustment,
    CreditEntry,
    CreditLot,
    CreditPurchase,
    CreditSum,
    CreditTopUp,
    Quote,
    UsagePeriod,
)
from portal.services import (
    adjustments,
    audit,
    credit_buying,
    credit_caps,
    credit_notices,
    credit_purchases,
    turns,
)
from portal.services import credit_lots as lots
from portal.services import credit_purchase_states as states
from portal.services.credit_purchase_kinds import TOP_UP
from portal.services.credit_purchases import Wanted

BATCH = 100
LEAST = 100
MOST_UNITS = 10_000_000
MOST_TIMES = 100
MOST_AMOUNT = 10**11
LONGEST_PAUSE = 24 * 31


class TopUpError(PortalError):
    """Some of it cannot be so; ``param`` names the field."""

    code = "top_up"
    status = 422


@dataclass(frozen=True)
class Choice:
    """What is bought by itself: ``units`` once fewer than ``below`` are left, within the limits of a month.

    ``most_amount`` in minor units with tax; ``pause_hours`` after each.
    """

    enabled: bool = False
    below: int = 100
    units: int = 600
    most_times: int = 1
    most_amount: int = 100_000
    pause_hours: int = 24


@dataclass(frozen=True)
class Bought:
    """What was bought by itself in the present month: how often, and for how much with tax (minor units)."""

    times: int
    amount: int


def current(session: Session) -> CreditTopUp | None:
    """What the entered workspace has chosen, if it ever did."""
    return session.scalars(select(CreditTopUp)).first()


def choose(gateways: Gateways, workspace_id: int, user_id: int | None, choice: Choice) -> None:
    """Keep the choice; it counts at once. Raises TopUpError, and what ``buyer`` raises when turned on."""
    check(choice)
    with unit_of_work(workspace_id) as session:
        if choice.enabled:
            _see_that_it_is_sold(session, choice)
        elif credit_caps.draws(session):
            raise TopUpError(
                N_("At your cap the next pack is drawn. Choose something else to happen there first."),
                param="enabled",
            )
        row = current(session)
        before = _facts(row) if row else None
        if row is None:
            row = CreditTopUp()
            session.add(row)
        for name, value in vars(choice).items():
            setattr(row, name, value)
        row.updated_by, row.updated_at = user_id, gateways.clock.now()
        # another choice is tried at once
        row.paused_until = row.blocked = None
        session.flush()
        audit.record(session, "credit_top_up.chosen", user_id=user_id, before=before, after=_facts(row))


def check(choice: Choice) -> None:
    """Whether the choice makes sense. Raises TopUpError."""
    ranges = {
        "below": (0, MOST_UNITS),
        "units": (LEAST, MOST_UNITS),
        "most_times": (1, MOST_TIMES),
        "most_amount": (1, MOST_AMOUNT),
        "pause_hours": (1, LONGEST_PAUSE),
    }
    for name, (least, most) in ranges.items():
        if not least <= getattr(choice, name) <= most:
            raise TopUpError(N_("This number is too small or too large."), param=name)


def _see_that_it_is_sold(session: Session, choice: Choice) -> None:
    try:
        pack = credit_purchases.buyer(session).offer(choice.units).pack
    except pricing.PricingError as error:
        raise TopUpError(N_("So many units are not sold. Choose another number."), param="units") from error
    if pack.total > choice.most_amount:
        raise TopUpError(
            N_("One pack of this size costs more than you allow in a month."), param="most_amount"
        )


def _facts(row: CreditTopUp) -> dict[str, object]:
    names = ("enabled", "below", "units", "most_times", "most_amount", "pause_hours")
    return {name: getattr(row, name) for name in names}


def left(session: Session, now: datetime) -> int:
    """How many units the workspace has left that still count."""
    total = (
        select(func.coalesce(func.sum(CreditSum.quantity), 0))
        .join(
            CreditLot,
            (CreditLot.workspace_id == CreditSum.workspace_id) & (CreditLot.id == CreditSum.lot_id),
        )
        .where(CreditLot.expires_at > now)
    )
    return int(session.scalar(total) or 0)


def this_month(session: Session, now: datetime) -> Bought:
    """What was bought by itself since the open month of usage began, or is just being paid."""
    row = session.execute(
        select(func.count(), func.coalesce(func.sum(Quote.total), 0))
        .select_from(CreditPurchase)
        .join(
            Quote,
            (Quote.workspace_id == CreditPurchase.workspace_id) & (Quote.id == CreditPurchase.quote_id),
        )
        .where(
            CreditPurchase.kind == TOP_UP,
            CreditPurchase.state != states.VOID,
            Quote.confirmed_at >= (_month(session, now) or now - timedelta(days=31)),
        )
    ).one()
    return Bought(int(row[0]), int(row[1]))


def _month(session: Session, now: datetime) -> datetime | None:
    """When the month of usage began whose limits count now."""
    return session.scalar(select(func.max(UsagePeriod.starts_at)).where(UsagePeriod.starts_at <= now))


def _taken_back(session: Session, since: datetime) -> bool:
    """Whether a pack was returned, or a bank took it, and the choice was not made anew after that."""
    # by the pack: what one gets again by a dispute that is won makes up for no other
    taken = (
        select(CreditEntry.lot_id)
        .where(
            CreditEntry.kind == lots.RETURNED,
            CreditEntry.source.not_like(f"{lots.OF_UNIT}%"),
            CreditEntry.at > since,
        )
        .group_by(CreditEntry.lot_id)
        .having(func.sum(CreditEntry.quantity) < 0)
    )
    return session.scalar(taken.limit(1)) is not None or _is_disputed(session, since)


def _is_disputed(session: Session, since: datetime) -> bool:
    """Whether a bank took the money for a pack since then; of one that is used up it takes no units."""
    disputed = (
        select(CreditPurchase.id)
        .join(
            Adjustment,
            (Adjustment.workspace_id == CreditPurchase.workspace_id)
            & (Adjustment.stripe_invoice_id == CreditPurchase.stripe_invoice_id),
        )
        .where(
            CreditPurchase.state == states.DISPUTED,
            Adjustment.kind == adjustments.DISPUTE,
            Adjustment.occurred_at > since,
        )
    )
    return session.scalar(disputed.limit(1)) is not None


def sweep(gateways: Gateways) -> int:
    """Look at every workspace that lets packs be bought and is not pausing; how many were looked at."""
    now = gateways.clock.now()
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(CreditTopUp.workspace_id)
            .where(
                CreditTopUp.enabled,
                or_(CreditTopUp.paused_until.is_(None), CreditTopUp.paused_until <= now),
            )
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(top_up, gateways), waits="top_up_waits")


def top_up(gateways: Gateways, workspace_id: int) -> str | None:
    """Buy a pack if fewer units are left than was chosen, or the AI stands at a cap where one is to be drawn.

    Returns what came of it, None where nothing was due.

    The pause is committed before anything is bought, so that a crash buys nothing twice.
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(CreditTopUp).with_for_update()).first()
        if row is None or not row.enabled or (row.paused_until is not None and row.paused_until > now):
            return None
        if not _is_sold(session) or (
            left(session, now) >= row.below and not credit_caps.reached(session, now)
        ):
            return None
        row.paused_until = now + timedelta(hours=row.pause_hours)
        bought, units, most_times = this_month(session, now), row.units, row.most_times
        rest = row.most_amount - bought.amount
        taken_back = _taken_back(session, row.updated_at)
    if taken_back:
        result = credit_buying.TAKEN_BACK
    elif bought.times >= most_times:
        result = credit_buying.TIMES
    else:
        result = credit_buying.buy(gateways, workspace_id, Wanted(units, TOP_UP), most=rest)
    _note(gateways, workspace_id, result)
    return result


def _is_sold(session: Session) -> bool:
    """Whether there is a subscription that goes on, for which packs are sold."""
    try:
        credit_purchases.buyer(session)
    except ConflictError:
        return False
    return True


def _note(gateways: Gateways, workspace_id: int, result: str) -> None:
    """Keep what came of it; why nothing was bought is mailed once, until it is another reason."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(CreditTopUp).with_for_update()).one()
        if result == credit_buying.WAITS:
            row.paused_until = None
            return
        if result == credit_buying.BOUGHT:
            row.blocked = None
            return
        known, row.blocked = row.blocked, result
        # the limits of a month are told once in each, and again where another choice did not lift them
        monthly = result in (credit_buying.TIMES, credit_buying.AMOUNT)
        if known == result and not monthly:
            return
        if known != result:
            audit.record(session, "credit_top_up.blocked", after={"units": row.units, "reason": result})
        told_for = max(_month(session, now) or now, row.updated_at) if monthly else now
        credit_notices.about_blocked(
            session,
            gateways,
            kind=TOP_UP,
            units=row.units,
            reason=result,
            dedupe_key=f"credits_blocked:{workspace_id}:{result}:{int(told_for.timestamp())}",
        )
