"""Changes at the renewal: one wanted state per workspace, mirrored at Stripe by a subscription schedule.

The row is the truth and the schedule its mirror: whoever died between the two is followed by ``sweep``. While
a change is made there is no schedule; while its debit is on its way there is one again, as the renewal does
not wait for the bank.
"""

from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, exists, func, not_, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_change_words import PhaseItem
from portal.gateways.stripe_errors import StripeRefusedError, StripeUnknownError
from portal.models import Attempt, PlannedChange, Quote, Subscription
from portal.services import attempt_states as states
from portal.services import audit, catalogs, change_quotes, incidents, notices, quotes, subscriptions
from portal.services.change_errors import NotPlannedError
from portal.services.holdings import PLANNED, planned_row
from portal.services.ids import new_id

DONE = "done"
UNDONE = "undone"
REPLACED = "replaced"
LAPSED = "lapsed"
MISSED = "missed"
MIRROR = "changes.mirror"
MISSED_AFTER = timedelta(hours=2)
BATCH = 100
LEFT_BEHIND_AFTER = timedelta(seconds=30)

log = structlog.get_logger()


def replace(session: Session, quote: Quote, *, user_id: int | None) -> PlannedChange | None:
    """Let what the quote says for the renewal be the wanted state, instead of what was planned before.

    Done once for a quote; what was decided after it was confirmed stands.
    """
    known = planned_row(session)
    done = select(PlannedChange.id).where(PlannedChange.quote_id == quote.id)
    if session.scalars(done.limit(1)).first() is not None:
        return known
    if known is not None and known.id != _planned_before(quote):
        return known
    if known is not None:
        _settle(session, known, REPLACED, user_id=user_id)
        session.flush()
    terms = quote.terms or {}
    later, at = terms.get("later"), change_quotes.later_at(quote)
    if not isinstance(later, dict) or at is None:
        return None
    leavers = terms.get("leavers")
    row = PlannedChange(
        id=new_id("C"),
        quote_id=quote.id,
        state=PLANNED,
        stripe_subscription_id=str(terms["subscription"]),
        selection=later,
        catalog=str(terms["catalog"]),
        leavers=leavers if isinstance(leavers, list) else [],
        effective_at=at,
        mirrored=False,
        version=1,
        created_by=user_id,
    )
    session.add(row)
    audit.record(
        session,
        "change.planned",
        user_id=user_id,
        before={"selection": terms["now"]},
        after={"selection": later, "at": at.isoformat(), "planned": row.id},
        quote_id=quote.id,
    )
    session.flush()
    return row


def _planned_before(quote: Quote) -> object:
    """The id of what was planned when the quote was confirmed."""
    facts: Any = (quote.terms or {}).get("facts") or {}
    return facts.get("planned")


def take_back(session: Session, quote: Quote) -> None:
    """The change of ``quote`` failed: what it planned is not wanted, and what it replaced is again.

    Nothing that was decided since is touched.
    """
    own = session.scalars(select(PlannedChange).where(PlannedChange.quote_id == quote.id)).first()
    if own is not None and own.state == PLANNED:
        _settle(session, own, UNDONE)
        session.flush()
    elif own is not None or planned_row(session) is not None:
        return
    before = session.scalars(select(PlannedChange).where(PlannedChange.id == _planned_before(quote))).first()
    if before is None or before.state != REPLACED:
        return
    if own is not None or before is _last_settled(session):
        _plan_again(session, before)


def _last_settled(session: Session) -> PlannedChange | None:
    settled = select(PlannedChange).where(PlannedChange.settled_at.is_not(None))
    return session.scalars(settled.order_by(PlannedChange.settled_at.desc()).limit(1)).first()


def _plan_again(session: Session, before: PlannedChange) -> None:
    row = PlannedChange(
        id=new_id("C"),
        quote_id=before.quote_id,
        state=PLANNED,
        stripe_subscription_id=before.stripe_subscription_id,
        selection=before.selection,
        catalog=before.catalog,
        leavers=before.leavers,
        effective_at=before.effective_at,
        mirrored=False,
        version=1,
        created_by=before.created_by,
    )
    session.add(row)
    audit.record(
        session,
        "change.planned",
        user_id=before.created_by,
        before={"planned": before.id},
        after={"selection": row.selection, "at": row.effective_at.isoformat(), "planned": row.id},
        quote_id=row.quote_id,
    )


def _settle(
    session: Session,
    row: PlannedChange,
    state: str,
    *,
    user_id: int | None = None,
    actor: str = audit.SYSTEM,
) -> None:
    row.state = state
    row.mirrored = row.stripe_schedule_id is None
    row.settled_at = row.updated_at = states.database_time(session)
    audit.record(
        session,
        f"change.{state}",
        user_id=user_id,
        actor=actor,
        before={"planned": row.id, "selection": row.selection},
        after={"state": state},
        quote_id=row.quote_id,
    )


def undo(gateways: Gateways, workspace_id: int, user_id: int | None) -> None:
    """What is planned will not happen. Raises NotPlannedError."""
    with unit_of_work(workspace_id) as session:
        row = session.scalars(
            select(PlannedChange).where(PlannedChange.state == PLANNED).with_for_update()
        ).first()
        if row is None or row.effective_at <= gateways.clock.now():
            raise NotPlannedError
        _settle(session, row, UNDONE, user_id=user_id)
        row_id = row.id
    try:
        mirror(gateways, workspace_id, row_id)
    except StripeUnknownError as unknown:
        # it is decided; the sweeper tells Stripe
        log.warning("plan_waits", planned=row_id, workspace=workspace_id, reason=str(unknown))


def release(gateways: Gateways, workspace_id: int) -> None:
    """Take the schedule off, so that the subscription can be changed; the wanted state stays wanted."""
    with unit_of_work(workspace_id) as session:
        row = planned_row(session)
        over = select(PlannedChange.id).where(
            PlannedChange.mirrored.is_(False), PlannedChange.state != PLANNED
        )
        left_behind = list(session.scalars(over))
    for row_id in left_behind:
        mirror(gateways, workspace_id, row_id)
    if row is None or row.stripe_schedule_id is None:
        return
    gateways.stripe.changes.release_schedule(row.stripe_schedule_id, key=f"{row.id}:{row.version}:release")
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
        waits = session.scalar(select(exists().where(_keeps_it_free())))
    if not waits:
        mirror_or_report(gateways, workspace_id)


def mirror_or_report(gateways: Gateways, workspace_id: int) -> None:
    """As ``mirror_all``; what Stripe refuses is a person's to look at and holds up nothing else."""
    try:
        mirror_all(gateways, workspace_id)
    except StripeRefusedError as refusal:
        with unit_of_work(workspace_id) as session:
            row = planned_row(session)
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
        quote = quotes.load(session, row.quote_id)
    if row.mirrored:
        return
    if row.state == PLANNED:
        _make(gateways, row, quote)
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


def _make(gateways: Gateways, row: PlannedChange, quote: Quote) -> None:
    """The schedule of a wanted state: made from the subscription, then given its second phase."""
    key = f"{row.id}:{row.version}"
    subscription = gateways.stripe.subscription(row.stripe_subscription_id)
    changes = gateways.stripe.changes
    if subscription.cancel_at is not None or subscription.status in subscriptions.ENDED:
        # there is no renewal any more, and a schedule would take the end back
        _lapse(row)
        return
    if subscription.schedule_id is not None:
        # made before a crash, or one that was left there: it is told anew what it stands for
        schedule = changes.schedule(subscription.schedule_id)
    else:
        schedule = changes.create_schedule(row.stripe_subscription_id, key=f"{key}:create")
    with unit_of_work(row.workspace_id) as session:
        _locked(session, row.id).stripe_schedule_id = schedule.id
    phase: Any = (quote.terms or {}).get("phase") or []
    changes.plan(
        schedule,
        [PhaseItem(*each) for each in phase],
        at=int(row.effective_at.timestamp()),
        interval=str(row.selection["interval"]),
        method_id=subscription.method.id if subscription.method else None,
        key=f"{key}:{schedule.id}:phases",
        name=row.id,
    )


def _lapse(row: PlannedChange) -> None:
    with unit_of_work(row.workspace_id) as session:
        known = _locked(session, row.id)
        if known.state == PLANNED:
            _settle(session, known, LAPSED)


def _locked(session: Session, row_id: str) -> PlannedChange:
    return session.scalars(select(PlannedChange).where(PlannedChange.id == row_id).with_for_update()).one()


def follow(
    session: Session, gateways: Gateways, row: Subscription, *, paid_by: object = None
) -> PlannedChange | None:
    """Notice that what was planned has taken effect, or never will; the row that did, if one did.

    The projection of the subscription has just been written; ``paid_by`` is the id of the method that stood
    there before.
    """
    planned = planned_row(session)
    if planned is None or planned.stripe_subscription_id != row.stripe_id:
        return None
    if planned.mirrored and paid_by != (row.default_payment_method or {}).get("id"):
        # the schedule would take the next payments from the old one
        planned.mirrored = False
        planned.version += 1
        gateways.jobs.defer(session, MIRROR, workspace_id=planned.workspace_id)
    if row.status in subscriptions.ENDED:
        _settle(session, planned, LAPSED, actor=audit.STRIPE)
        planned.mirrored = True
        return None
    if planned.effective_at > gateways.clock.now():
        return None
    if _has(session, row, planned):
        _settle(session, planned, DONE, actor=audit.STRIPE)
        # the schedule has done its work
        gateways.jobs.defer(session, MIRROR, workspace_id=planned.workspace_id)
        return planned
    if planned.effective_at + MISSED_AFTER < gateways.clock.now():
        _missed(session, gateways, row, planned)
    return None


def _missed(session: Session, gateways: Gateways, row: Subscription, planned: PlannedChange) -> None:
    """The renewal is over and what was planned is not so: a person looks at it, the customer is told."""
    _settle(session, planned, MISSED, actor=audit.STRIPE)
    notices.about_missed_change(session, gateways, planned.id, planned.effective_at)
    incidents.report(
        session,
        gateways,
        "planned_change_missed",
        dedupe_key=f"planned_change_missed:{planned.id}",
        workspace_id=planned.workspace_id,
        summary=f"The change {planned.id} that was planned for the renewal did not take effect",
        details={"planned": planned.id, "wanted": planned.selection, "seats": row.seats, "tier": row.tier},
    )


def missed(session: Session) -> PlannedChange | None:
    """The last planned change, if the renewal went by without it and nothing was planned since."""
    last = _last_settled(session) if planned_row(session) is None else None
    return last if last is not None and last.state == MISSED else None


def _has(session: Session, row: Subscription, planned: PlannedChange) -> bool:
    """Whether the subscription is what was planned; seats that a debit holds back count as its items."""
    wanted = pricing.plain(pricing.Selection.from_dict(planned.selection))
    licensed = [each for each in row.items if not each["metered"]]
    counts = {str(each["key"]): each["quantity"] for each in licensed}
    seats = counts.pop(pricing.SEAT, None)
    billed = catalogs.keys_of_prices(session, [str(each["stripe_price_id"]) for each in licensed])
    tier = next((each.tier for each in billed.values() if each.tier), row.tier)
    return (row.catalog, tier, row.interval, seats, counts) == (
        planned.catalog,
        wanted.tier,
        wanted.interval,
        wanted.seats,
        dict(wanted.add_ons),
    )


def _keeps_it_free() -> ColumnElement[bool]:
    """Whether a change is under way that needs the subscription without a schedule."""
    on_its_way = and_(Attempt.state == states.PROCESSING, Attempt.step == states.COLLECT)
    return and_(Attempt.kind == quotes.CHANGE, Attempt.state.in_(states.LIVE), not_(on_its_way))


def sweep(gateways: Gateways, *, left_behind_after: timedelta = LEFT_BEHIND_AFTER) -> int:
    """Bring to Stripe what a crash left behind; how many. Not while a change is made."""
    now = func.clock_timestamp()
    under_way = exists().where(Attempt.workspace_id == PlannedChange.workspace_id, _keeps_it_free())
    with unit_of_work(system=True) as session:
        due = session.execute(
            select(PlannedChange.workspace_id, PlannedChange.id)
            .where(
                PlannedChange.mirrored.is_(False),
                PlannedChange.updated_at <= now - left_behind_after,
                ~under_way,
            )
            .order_by(PlannedChange.state == PLANNED, PlannedChange.created_at)
            .limit(BATCH)
        ).all()
    for workspace_id, row_id in due:
        try:
            mirror(gateways, workspace_id, row_id)
        except PortalError as error:
            log.warning("plan_waits", planned=row_id, workspace=workspace_id, reason=str(error))
    return len(due)
