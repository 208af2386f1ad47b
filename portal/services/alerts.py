"""Telling people in time: at 50, 80 and 100 % of a budget or a cap, when the forecast passes one, at the cap.

Each once in a period, which a row sees to; a limit that was moved out of reach warns anew when it is reached
again. The sweeper looks at what has changed, and at everything now and then, since a forecast changes by
itself.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import Select, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.gateways import Gateways
from portal.models import Allowance, UsageAlert, UsageLimit
from portal.services import allowances, audit, letters, limits, members, spending
from portal.services.limits import Standing
from portal.services.members import Person

log = structlog.get_logger()

SHARES = (50, 80, 100)
BUDGET, CAP, FORECAST, APPROVAL = "budget", "cap", "forecast", "approval"
# who is told while nobody was chosen
TOLD = ("owner", "admin", "billing")
MOST_RECIPIENTS = 50
LOOK_AGAIN = timedelta(hours=1)
BATCH = 200
ROUNDS = 20  # of batches, in one run


class RecipientsError(PortalError):
    """Some address is nobody's of the workspace, or there are too many."""

    code = "recipients"
    status = 422


@dataclass(frozen=True)
class Chosen:
    """What is told to whom: the shares of ``SHARES``, the forecast, and members' e-mail addresses.

    Without addresses owners, admins and those with the billing role are told.
    """

    shares: frozenset[int] = frozenset(SHARES)
    forecast: bool = True
    recipients: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reached:
    """Something to be told of: ``name`` is its row's; ``now`` and ``out_of`` are minor units or units.

    ``share`` is None for a forecast, whose ``now`` is what is expected, and for an approval.
    """

    name: str
    about: str
    share: int | None
    now: int
    out_of: int


# --- choosing ------------------------------------------------------------------------------------------


def save(gateways: Gateways, workspace_id: int, user_id: int | None, chosen: Chosen) -> None:
    """Keep what is told to whom. Raises RecipientsError."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        # so that what was passed already is told with the next look
        allowances.locked(session, now).changed_at = now
        people = _people(session, chosen.recipients)
        limit = limits.current(session)
        before = facts(session, limit)
        session.add(limit)
        for share in SHARES:
            setattr(limit, f"warn_{share}", share in chosen.shares)
        limit.warn_forecast = chosen.forecast
        limit.recipients = [each.user_id for each in people] or None
        limit.updated_at = now
        session.flush()
        after = facts(session, limit)
        if before != after:
            audit.record(session, "usage_alert.chosen", user_id=user_id, before=before, after=after)


def _people(session: Session, addresses: Collection[str]) -> list[Person]:
    if len(addresses) > MOST_RECIPIENTS:
        raise RecipientsError(N_("Choose at most %(most)s people.", most=MOST_RECIPIENTS), param="recipients")
    people = {}
    for address in addresses:
        person = members.of_email(session, address)
        if person is None:
            raise RecipientsError(
                N_("Nobody of this workspace has the address %(email)s.", email=address), param="recipients"
            )
        people[person.user_id] = person
    return list(people.values())


def facts(session: Session, limit: UsageLimit) -> dict[str, object]:
    """The choice as the history keeps it."""
    told = ", ".join(each.email for each in chosen_people(session, limit))
    return {
        "warned_at": ", ".join(f"{share} %" for share in SHARES if getattr(limit, f"warn_{share}")),
        "warned_by_forecast": limit.warn_forecast,
        "recipients": told or None,
    }


def chosen_people(session: Session, limit: UsageLimit) -> list[Person]:
    """The members that were chosen and are still here."""
    found = (members.of_user(session, user_id) for user_id in limit.recipients or ())
    return [person for person in found if person is not None]


def told(session: Session, limit: UsageLimit) -> list[str]:
    """Whom alerts go to: those who were chosen, else owners, admins and those with the billing role."""
    chosen = [person.email for person in chosen_people(session, limit)]
    return chosen or members.with_roles(session, TOLD)


# --- looking -------------------------------------------------------------------------------------------


def of_period(session: Session, period_start: datetime | None) -> list[UsageAlert]:
    """What people were told of in a period, the newest first, and of one moment the highest share."""
    found = session.scalars(select(UsageAlert).where(UsageAlert.period_start == period_start))
    return sorted(found, key=lambda alert: (alert.at, len(alert.name), alert.name), reverse=True)


def look(gateways: Gateways, workspace_id: int) -> list[str]:
    """Tell of all that is reached and was not told yet in this period; the names of what is told now."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = allowances.locked(session, now)
        held = limits.standing_of(session, row)
        period_start = row.period_start
        if period_start is None:
            row.looked_at = now
            return []
    # not under the lock: mails are worded meanwhile
    with unit_of_work(workspace_id) as session:
        reached = list(_reached(session, held, now))
        _rearm(session, period_start, held, reached)
        names = _tell(session, gateways, held, reached, now)
        # with what was told: whoever is killed before has not looked
        session.execute(update(Allowance).values(looked_at=now))
        return names


def _reached(session: Session, held: Standing, now: datetime) -> Iterator[Reached]:
    limit, spent, state = held.limit, held.spent, held.state
    if limit.budget is not None:
        yield from _shares(limit, BUDGET, spent.all.likely, limit.budget)
    cap = state.cap if state.trial_cap else held.cap
    if cap is not None:
        stopped = state.cap is not None and state.accrued >= state.cap
        # what is held for answers of this moment counts only where it stops the AI
        yield from _shares(limit, CAP, state.accrued if stopped else state.used + state.pending, cap)
        asks = limit.hard and limit.at_cap == allowances.ASK_APPROVER and not state.trial_cap
        if stopped and asks:
            yield Reached(f"{APPROVAL}_{cap}", APPROVAL, None, state.accrued, cap)
    if limit.warn_forecast:
        yield from _foreseen(session, held, cap, now)


def _shares(limit: UsageLimit, about: str, reached: int, out_of: int) -> Iterator[Reached]:
    for share in SHARES:
        if getattr(limit, f"warn_{share}") and reached * 100 >= out_of * share and reached > 0:
            yield Reached(f"{about}_{share}", about, share, reached, out_of)


def _foreseen(session: Session, held: Standing, cap: int | None, now: datetime) -> Iterator[Reached]:
    """What will be passed by the end of the period and is not yet."""
    seen = spending.expected(session, held.state, now)
    if seen is None:
        return
    budget = held.limit.budget
    if budget is not None and held.spent.all.likely <= budget < seen.cost:
        yield Reached(f"{BUDGET}_{FORECAST}", BUDGET, None, seen.cost, budget)
    if cap is not None and held.state.used + held.state.pending < cap < seen.resolutions:
        yield Reached(f"{CAP}_{FORECAST}", CAP, None, seen.resolutions, cap)


def _rearm(session: Session, period_start: datetime, held: Standing, reached: Collection[Reached]) -> None:
    """Forget what was told of a limit that is another one by now and not reached."""
    out_of = {BUDGET: held.limit.budget, CAP: held.state.cap if held.state.trial_cap else held.cap}
    names = {each.name for each in reached}
    for alert in of_period(session, period_start):
        about = alert.name.partition("_")[0]
        if about in out_of and alert.name not in names and alert.out_of != out_of[about]:
            session.delete(alert)
    session.flush()


def _tell(
    session: Session, gateways: Gateways, held: Standing, reached: Collection[Reached], now: datetime
) -> list[str]:
    new = [each for each in reached if _note(session, held, each, now)]
    # whoever has passed several shares at once hears of the last one
    last = {each.about: each for each in new if each.share is not None}
    for each in new:
        if each.share is None or last[each.about] is each:
            _mail(session, gateways, held, each, now)
    return [each.name for each in new]


def _note(session: Session, held: Standing, reached: Reached, now: datetime) -> bool:
    values = {
        "period_start": held.state.starts_at,
        "name": reached.name,
        "reached": reached.now,
        "out_of": reached.out_of,
        "mailed": 0,
        "at": now,
    }
    made = insert(UsageAlert).values(**values).on_conflict_do_nothing().returning(UsageAlert.name)
    return session.execute(made).first() is not None


def _mail(session: Session, gateways: Gateways, held: Standing, reached: Reached, now: datetime) -> None:
    workspace_id = session.info["workspace_id"]
    kind = "cap_approval" if reached.about == APPROVAL else "usage_alert"
    facts = _mail_facts(session, gateways, held, reached)
    sent = 0
    for email in _addressed(session, held, reached):
        # the alert's row is what keeps it from being sent twice
        key = f"{kind}:{workspace_id}:{now.timestamp()}:{reached.name}:{email}"
        sent += letters.send(
            session, gateways, kind, email, dedupe_key=key, workspace_id=workspace_id, facts=facts
        )
    row = UsageAlert.period_start == held.state.starts_at, UsageAlert.name == reached.name
    session.execute(update(UsageAlert).where(*row).values(mailed=sent))


def _addressed(session: Session, held: Standing, reached: Reached) -> list[str]:
    if reached.about != APPROVAL:
        return told(session, held.limit)
    # an approver who has left is stood in for by those who may allow more as well
    return [held.approver.email] if held.approver else members.in_charge(session)


def _mail_facts(session: Session, gateways: Gateways, held: Standing, reached: Reached) -> dict[str, object]:
    return {
        "workspace_name": members.workspace_name(session),
        "about": reached.about,
        "share": reached.share,
        "now": reached.now,
        "out_of": reached.out_of,
        "currency": held.spent.currency,
        "credits": held.spent.covered > 0,
        "trial": held.state.trial_cap,
        "hard": held.limit.hard or held.state.trial_cap,
        "at_cap": held.state.at_cap,
        "used": held.state.used,
        "pending": held.state.pending,
        "held": held.state.held,
        "until": held.state.until,
        "offered": held.offered,
        "base_url": gateways.settings.base_url,
    }


# --- sweeping ------------------------------------------------------------------------------------------


def sweep(gateways: Gateways) -> int:
    """Look at the workspaces with a limit whose usage has changed, or that were not looked at for an hour.

    A batch at a time, those that wait longest first, until nobody waits; one that fails is logged and tried
    again. Returns how many were looked at.
    """
    now = gateways.clock.now()
    looked, failed = 0, set[int]()
    for _round in range(ROUNDS):
        with unit_of_work(system=True) as session:
            due = session.scalars(_due(now).where(Allowance.workspace_id.not_in(failed))).all()
        for workspace_id in due:
            try:
                look(gateways, workspace_id)
            except Exception:
                log.exception("alerts_failed", workspace=workspace_id)
                failed.add(workspace_id)
        looked += len(due)
        if len(due) < BATCH:
            break
    return looked


def _due(now: datetime) -> Select[int]:
    limited = exists().where(
        UsageLimit.workspace_id == Allowance.workspace_id,
        or_(
            UsageLimit.budget.is_not(None),
            UsageLimit.cap_units.is_not(None),
            UsageLimit.cap_amount.is_not(None),
        ),
    )
    changed = or_(
        Allowance.looked_at.is_(None),
        Allowance.looked_at <= Allowance.changed_at,
        Allowance.looked_at <= now - LOOK_AGAIN,
    )
    return (
        select(Allowance.workspace_id)
        .where(changed, or_(limited, Allowance.cap.is_not(None)))
        .order_by(Allowance.looked_at.asc().nulls_first())
        .limit(BATCH)
    )
