"""Changes at the renewal: one wanted state per workspace, mirrored at Stripe by a subscription schedule.

The row is the truth and the schedule its mirror: whoever died between the two is followed by ``sweep``. While
a change is made there is no schedule; while its debit is on its way there is one again, as the renewal does
not wait for the bank.
"""

from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, exists, func, not_, or_, select
from sqlalchemy.orm import Session, aliased

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.models import Attempt, Cancellation, PlannedChange, Quote
from portal.read_ahead import first
from portal.services import attempt_states as states
from portal.services import (
    audit,
    change_quotes,
    incidents,
    plan_phases,
    quotes,
    subscriptions,
    turns,
    usage_rates,
)
from portal.services.change_errors import NotPlannedError
from portal.services.holdings import PLANNED, plan
from portal.services.ids import new_id
from portal.services.usage_rates import NextRates

DONE = "done"
UNDONE = "undone"
REPLACED = "replaced"
LAPSED = "lapsed"
MISSED = "missed"
MIRROR = "changes.mirror"
BATCH = 100
LEFT_BEHIND_AFTER = timedelta(seconds=30)

log = structlog.get_logger()


def replace(session: Session, quote: Quote, *, user_id: int | None) -> PlannedChange | None:
    """Let what the quote says for the renewal be the wanted state, instead of what was planned before.

    Done once for a quote; what was decided after it was confirmed stands.
    """
    known = plan(session)
    done = select(PlannedChange.id).where(PlannedChange.quote_id == quote.id)
    if session.scalars(done.limit(1)).first() is not None:
        return known
    if known is not None and known.id != planned_before(quote):
        return known
    if known is not None:
        settle(session, known, REPLACED, user_id=user_id)
        session.flush()
    at, rates = change_quotes.later_at(quote), change_quotes.rates_of(quote)
    if at is None:
        return plan_rates(session, quote, rates, user_id=user_id) if rates else None
    terms: Any = quote.terms or {}
    row = PlannedChange(
        selection=terms["later"],
        leavers=terms.get("leavers") or [],
        phase=terms["phase"],
        effective_at=at,
        rates=dict(rates.prices) if rates else None,
        rates_at=rates.at if rates else None,
        **_of(quote, user_id=user_id),
    )
    session.add(row)
    record_plan(session, row, {"selection": terms["now"]})
    session.flush()
    return row


def _of(quote: Quote, *, user_id: int | None) -> dict[str, Any]:
    """What every new row says of the quote that it comes from."""
    terms = quote.terms or {}
    return {
        "id": new_id("C"),
        "quote_id": quote.id,
        "state": PLANNED,
        "stripe_subscription_id": str(terms["subscription"]),
        "catalog": str(terms["catalog"]),
        "mirrored": False,
        "version": 1,
        "created_by": user_id,
    }


def record_plan(session: Session, row: PlannedChange, before: dict[str, object]) -> None:
    """Say in the audit what is planned in ``row``, and instead of what."""
    audit.record(
        session,
        "change.planned",
        user_id=row.created_by,
        before=before,
        after={"selection": row.selection, "at": row.effective_at.isoformat(), "planned": row.id},
        quote_id=row.quote_id,
    )


def plan_rates(session: Session, quote: Quote, rates: NextRates, *, user_id: int | None) -> PlannedChange:
    """Plan metered prices alone, for the end of a month of usage."""
    row = PlannedChange(
        selection=(quote.terms or {})["now"],
        leavers=[],
        effective_at=rates.at,
        rates=dict(rates.prices),
        rates_at=rates.at,
        rates_only=True,
        **_of(quote, user_id=user_id),
    )
    session.add(row)
    session.flush()
    return row


def keep_rates(session: Session, row: PlannedChange) -> None:
    """A change that was planned is not any more: metered prices that were planned beside it stay so."""
    rates = usage_rates.of(row)
    if rates is not None and not row.rates_only:
        session.flush()
        quote = session.scalars(select(Quote).where(Quote.id == row.quote_id)).one()
        plan_rates(session, quote, rates, user_id=row.created_by)


def planned_before(quote: Quote) -> object:
    """The id of what was planned when the quote was confirmed."""
    facts: Any = (quote.terms or {}).get("facts") or {}
    return facts.get("planned") or facts.get("rates")


def settle(
    session: Session,
    row: PlannedChange,
    state: str,
    *,
    user_id: int | None = None,
    actor: str = audit.SYSTEM,
) -> None:
    """What is planned in ``row`` is over, for a reason that is one of the states."""
    row.state = state
    row.mirrored = row.stripe_schedule_id is None
    row.settled_at = row.updated_at = states.database_time(session)
    if not row.rates_only:
        audit.record(
            session,
            f"change.{state}",
            user_id=user_id,
            actor=actor,
            before={"planned": row.id, "selection": row.selection},
            after={"state": state},
            quote_id=row.quote_id,
        )
    elif state == DONE:
        record_rates(session, row)


def record_rates(session: Session, row: PlannedChange) -> None:
    """The metered prices that were planned in ``row`` have taken effect."""
    rates: dict[str, object] = {"prices": dict(row.rates or {})}
    audit.record(session, "rates.done", actor=audit.STRIPE, after=rates, quote_id=row.quote_id)


def undo(gateways: Gateways, workspace_id: int, user_id: int | None) -> None:
    """The change that is planned for the renewal will not happen. Raises NotPlannedError."""
    with unit_of_work(workspace_id) as session:
        wanted = (PlannedChange.state == PLANNED, PlannedChange.rates_only.is_(False))
        row = session.scalars(select(PlannedChange).where(*wanted).with_for_update()).first()
        if row is None or row.effective_at <= gateways.clock.now():
            raise NotPlannedError
        settle(session, row, UNDONE, user_id=user_id)
        keep_rates(session, row)
        gateways.jobs.defer(session, MIRROR, workspace_id=workspace_id)
        row_id = row.id
    try:
        mirror(gateways, workspace_id, row_id)
    except StripeUnknownError as unknown:
        # it is decided; the sweeper tells Stripe
        log.warning("plan_waits", planned=row_id, workspace=workspace_id, reason=str(unknown))


def release(gateways: Gateways, workspace_id: int) -> None:
    """Take the schedule off, so that the subscription can be changed; the wanted state stays wanted."""
    with unit_of_work(workspace_id) as session:
        row = plan(session)
        over = select(PlannedChange.id).where(
            PlannedChange.mirrored.is_(False), PlannedChange.state != PLANNED
        )
        left_behind = list(session.scalars(over))
    for row_id in left_behind:
        mirror(gateways, workspace_id, row_id)
    if row is None or (row.stripe_schedule_id is None and not row.mirrored):
        return
    if row.stripe_schedule_id is not None:
        key = f"{row.id}:{row.version}:release"
        gateways.stripe.changes.release_schedule(row.stripe_schedule_id, key=key)
    with unit_of_work(workspace_id) as session:
        known = _locked(session, row.id)
        if known.version == row.version:
            known.stripe_schedule_id, known.mirrored = None, False
            known.version += 1


def mirror_all(gateways: Gateways, workspace_id: int) -> None:
    """Let Stripe show what is planned: schedules that are over go, then the wanted one is made."""
    with unit_of_work(workspace_id) as session:
        rows = session.execute(
            select(PlannedChange.id)
            .where(PlannedChange.mirrored.is_(False))
            .order_by(PlannedChange.state == PLANNED, PlannedChange.created_at)
        )
        ids = [row_id for (row_id,) in rows]
    for row_id in ids:
        mirror(gateways, workspace_id, row_id)


def catch_up(gateways: Gateways, workspace_id: int) -> None:
    """As ``mirror_all``, unless a change under way keeps the subscription free of a schedule."""
    with unit_of_work(workspace_id) as session:
        waits = session.scalar(select(or_(exists().where(_keeps_it_free()), exists().where(_ending()))))
    if not waits:
        mirror_or_report(gateways, workspace_id)


def mirror_or_report(gateways: Gateways, workspace_id: int) -> None:
    """As ``mirror_all``; what Stripe refuses is a person's to look at and holds up nothing else."""
    try:
        mirror_all(gateways, workspace_id)
    except StripeRefusedError as refusal:
        with unit_of_work(workspace_id) as session:
            row = plan(session)
            incidents.report(
                session,
                gateways,
                "plan_refused",
                dedupe_key=f"plan_refused:{row.id if row else workspace_id}",
                workspace_id=workspace_id,
                summary="Stripe does not take a change that is planned for the renewal",
                details={"planned": row.id if row else None, "reason": str(refusal)},
            )


def mirror(gateways: Gateways, workspace_id: int, row_id: str) -> None:
    """Bring one row to Stripe; doing it again changes nothing."""
    with unit_of_work(workspace_id) as session:
        row = session.scalars(select(PlannedChange).where(PlannedChange.id == row_id)).one()
    if row.mirrored:
        return
    if row.state == PLANNED:
        _make(gateways, row)
    elif row.stripe_schedule_id is not None:
        _release(gateways, row, row.stripe_schedule_id)
    with unit_of_work(workspace_id) as session:
        known = _locked(session, row_id)
        if (known.state, known.version) == (row.state, row.version):
            known.mirrored = True
            known.updated_at = states.database_time(session)


def _release(gateways: Gateways, row: PlannedChange, schedule_id: str) -> None:
    """Let the subscription go, unless the schedule stands for something else by now."""
    if gateways.stripe.changes.schedule(schedule_id).metadata.get("planned") in (row.id, None):
        gateways.stripe.changes.release_schedule(schedule_id, key=f"{row.id}:{row.version}:release")


def _make(gateways: Gateways, row: PlannedChange) -> None:
    """The schedule of a wanted state: made from the subscription, then given the phases that are to come."""
    key = f"{row.id}:{row.version}"
    subscription = gateways.stripe.subscription(row.stripe_subscription_id)
    changes = gateways.stripe.changes
    if subscription.status in subscriptions.ENDED or (subscription.cancel_at and not row.rates_only):
        # there is no renewal any more, and a schedule would take the end back
        _lapse(row)
        return
    phases = plan_phases.to_come(row, subscription, now=gateways.clock.now())
    if not phases:
        return
    if subscription.schedule_id is not None:
        # made before a crash, or one that was left there: it is told anew what it stands for
        schedule = changes.schedule(subscription.schedule_id)
    else:
        schedule = changes.create_schedule(row.stripe_subscription_id, key=f"{key}:create")
    with unit_of_work(row.workspace_id) as session:
        _locked(session, row.id).stripe_schedule_id = schedule.id
    changes.plan(
        schedule,
        phases,
        interval="month" if row.rates_only else str(row.selection["interval"]),
        ends_at=subscription.cancel_at,
        method_id=subscription.method.id if subscription.method else None,
        key=f"{key}:{schedule.id}:phases:{len(phases)}",
        name=row.id,
    )


def _lapse(row: PlannedChange) -> None:
    with unit_of_work(row.workspace_id) as session:
        known = _locked(session, row.id)
        if known.state == PLANNED:
            settle(session, known, LAPSED)
            keep_rates(session, known)


def _locked(session: Session, row_id: str) -> PlannedChange:
    return session.scalars(select(PlannedChange).where(PlannedChange.id == row_id).with_for_update()).one()


_LAST_SETTLED = (
    select(PlannedChange)
    .where(PlannedChange.settled_at.is_not(None), PlannedChange.rates_only.is_(False))
    .order_by(PlannedChange.settled_at.desc())
    .limit(1)
)
_WAITING = aliased(PlannedChange)
LAST_AND_NONE_PLANNED = _LAST_SETTLED.where(
    ~exists().where(_WAITING.state == PLANNED, _WAITING.rates_only.is_(False))
)


def last_settled(session: Session) -> PlannedChange | None:
    """The change for a renewal that was last decided about, whatever became of it."""
    return session.scalars(_LAST_SETTLED).first()


def missed(session: Session) -> PlannedChange | None:
    """The last planned change, if the renewal went by without it and nothing was planned since."""
    last = first(session, LAST_AND_NONE_PLANNED)
    return last if last is not None and last.state == MISSED else None


def _keeps_it_free() -> ColumnElement[bool]:
    """Whether a change is under way that needs the subscription without a schedule."""
    on_its_way = and_(Attempt.state == states.PROCESSING, Attempt.step == states.COLLECT)
    return and_(Attempt.kind == quotes.CHANGE, Attempt.state.in_(states.LIVE), not_(on_its_way))


def _ending() -> ColumnElement[bool]:
    """Whether an end is being told to Stripe, or taken back, which no schedule may hold meanwhile."""
    return Cancellation.state == "open"


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Bring to Stripe what a crash left behind; how many. Not while a change is made."""
    now = func.clock_timestamp()
    under_way = exists().where(Attempt.workspace_id == PlannedChange.workspace_id, _keeps_it_free())
    ending = exists().where(Cancellation.workspace_id == PlannedChange.workspace_id, _ending())
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(PlannedChange.workspace_id, PlannedChange.id)
            .where(
                PlannedChange.mirrored.is_(False),
                PlannedChange.updated_at <= now - left_behind_after,
                ~under_way,
                ~ending,
            )
            .order_by(PlannedChange.state == PLANNED, PlannedChange.created_at)
            .limit(BATCH)
        ).all()
    return turns.give(due, partial(mirror, gateways), waits="plan_waits")
