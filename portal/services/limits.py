"""What a workspace lets itself spend: a budget that warns, a cap that is soft or hard, and more at the cap.

What is chosen counts at once, from the first period on. Nothing is capped below what has accrued: what is
billed, may still be billed, or is held for an answer. What becomes billable above a hard cap is free: the
vendor's cost, never sent to Stripe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import Allowance, CapRaise, CreditTopUp, UsageLimit
from portal.services import allowances, audit, bulk, members, spending, subscriptions, usage_prices
from portal.services.allowances import ASK_APPROVER, HAND_OVER, NEXT_PACK, OVER_CAP, STOP, State
from portal.services.ids import new_id
from portal.services.members import Person
from portal.services.spending import Spent
from portal.services.usage_periods import Period
from portal.services.usage_prices import RESOLUTION, UsagePrice

METER, TRIAL = "meter", "trial"
TOO_LOW, TOO_HIGH, NOT_CHOSEN, NOBODY = "too_low", "too_high", "not_chosen", "nobody"
NOT_BOUGHT = "not_bought"
AT_CAP = (STOP, HAND_OVER, ASK_APPROVER, NEXT_PACK)
# who may do more than look; the approver of a cap may raise it, whatever their role
MAY_LIMIT, MAY_WARN = "admin", "billing"
# far above what anybody uses in a month; a slip of the finger is not a limit
MOST_UNITS = 100_000_000
MOST_AMOUNT = 10**11
# what is offered to an approver: a tenth of the cap, but no fewer
SHARE_OFFERED, FEWEST_OFFERED = 10, 10


@dataclass(frozen=True)
class Problem:
    """What is wrong with a field: TOO_LOW (``least`` is the least: units, or minor units), TOO_HIGH …"""

    code: str
    least: int | None = None


class LimitError(PortalError):
    """Some of it cannot be so: ``fields`` maps each field to its problem, which the pages put into words."""

    code = "limit"
    status = 422

    def __init__(self, fields: Mapping[str, Problem]) -> None:
        super().__init__(N_("Some limits cannot be set like this."), param=next(iter(fields), None))
        self.fields = dict(fields)


class NotTheApproverError(PortalError):
    """Only the chosen approver, owners and admins allow more."""

    code = "not_the_approver"
    status = 403


@dataclass(frozen=True)
class Wanted:
    """A choice of limits; amounts in minor units per usage period. ``approver``: a member's e-mail address.

    Of the two caps at most one is set.
    """

    budget: int | None = None
    cap_units: int | None = None
    cap_amount: int | None = None
    hard: bool = True
    at_cap: str = STOP
    approver: str | None = None

    @property
    def has_cap(self) -> bool:
        """Whether there is a cap at all."""
        return self.cap_units is not None or self.cap_amount is not None


@dataclass(frozen=True)
class Standing:
    """How the limits stand: what was chosen, what it comes to in units, and what has accrued.

    ``cap`` is the customer's own, hard or soft, with ``raised`` in it; ``state.cap`` is the hard one that
    the AI stops at.
    """

    limit: UsageLimit
    state: State
    spent: Spent
    cap: int | None
    raised: int
    approver: Person | None
    price: UsagePrice | None

    @property
    def has_cap(self) -> bool:
        """Whether the customer has chosen one."""
        return self.limit.cap_units is not None or self.limit.cap_amount is not None

    def cost_of(self, units: int) -> int:
        """What ``units`` on top of the cap cost at most beyond annual credits, in minor units."""
        if self.price is None:
            return 0
        cap, paid = self.cap or 0, self.spent.covered
        return self.price.beyond(cap + units, paid) - self.price.beyond(cap, paid)

    @property
    def offered(self) -> int:
        """How many units more an approver is offered."""
        return max((self.cap or 0) // SHARE_OFFERED, FEWEST_OFFERED)


def standing(gateways: Gateways, workspace_id: int) -> Standing:
    """How the limits of a workspace stand now."""
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        return standing_of(session, allowances.locked(session, now))


def standing_of(session: Session, row: Allowance) -> Standing:
    """The same in a transaction, for the row of the present period."""
    limit = current(session)
    subscription = subscriptions.current(session)
    raised = allowances.raised(session, limit, row.period_start)
    cap = allowances.own_cap(session, limit, subscription, row.period_start)
    state = allowances.state(session, row, subscription)
    return Standing(
        limit=limit,
        state=state,
        spent=spending.so_far(session, subscription, state),
        cap=None if cap is None else cap + raised,
        raised=raised,
        approver=members.of_user(session, limit.approver_id) if limit.approver_id else None,
        price=usage_prices.of_key(subscription, RESOLUTION),
    )


def current(session: Session) -> UsageLimit:
    """What the entered workspace has chosen; where it has not, a row that says so and is not stored."""
    found = session.scalars(select(UsageLimit)).first()
    return found or UsageLimit(
        hard=True, at_cap=STOP, warn_50=True, warn_80=True, warn_100=True, warn_forecast=True
    )


# --- choosing ------------------------------------------------------------------------------------------


def save(gateways: Gateways, workspace_id: int, user_id: int | None, wanted: Wanted) -> Standing:
    """Keep the choice; it counts from this moment, for what is asked at this moment too.

    Raises LimitError (fields ``budget``, ``cap_units``, ``cap_amount``, ``at_cap``, ``approver``).
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = allowances.locked(session, now)
        check(session, row, wanted)
        limit = current(session)
        before = facts(session, limit)
        session.add(limit)
        _put(session, limit, wanted, now)
        session.flush()
        allowances.set_cap(session, row)
        row.changed_at = now
        after = facts(session, limit)
        if before != after:
            audit.record(session, "usage_limit.changed", user_id=user_id, before=before, after=after)
        return standing_of(session, row)


def preview(gateways: Gateways, workspace_id: int, wanted: Wanted) -> tuple[Standing, int | None]:
    """How the limits stand, and what the cap of ``wanted`` would come to in units; nothing is kept.

    Raises LimitError as ``save`` does.
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = allowances.locked(session, now)
        held = check(session, row, wanted)
        asked = UsageLimit(cap_units=wanted.cap_units, cap_amount=wanted.cap_amount)
        return held, allowances.own_cap(session, asked, subscriptions.current(session), row.period_start)


def _put(session: Session, limit: UsageLimit, wanted: Wanted, now: datetime) -> None:
    if (limit.cap_units, limit.cap_amount) != (wanted.cap_units, wanted.cap_amount):
        limit.cap_since = now
    approver = members.of_email(session, wanted.approver) if wanted.approver else None
    limit.budget = wanted.budget
    limit.cap_units, limit.cap_amount = wanted.cap_units, wanted.cap_amount
    limit.hard, limit.at_cap = wanted.hard, wanted.at_cap
    limit.approver_id = approver.user_id if approver else None
    limit.updated_at = now


def facts(session: Session, limit: UsageLimit) -> dict[str, object]:
    """The choice as the history keeps it."""
    approver = members.of_user(session, limit.approver_id) if limit.approver_id else None
    subscription = subscriptions.current(session)
    return {
        "budget": limit.budget,
        "cap_units": limit.cap_units,
        "cap_amount": limit.cap_amount,
        "hard": limit.hard,
        "at_cap": limit.at_cap,
        "approver": approver.email if approver else None,
        "currency": subscription.currency if subscription else None,
    }


def check(session: Session, row: Allowance, wanted: Wanted) -> Standing:
    """How the limits stand; LimitError for what is below what has accrued or makes no sense."""
    held = standing_of(session, row)
    least = {
        "budget": held.spent.all.accrued,
        "cap_units": held.state.accrued,
        "cap_amount": held.spent.resolutions.accrued,
    }
    problems: dict[str, Problem] = {}
    passed = wanted.hard and not held.limit.hard and (held.cap or 0) < held.state.accrued
    for name, fewest in least.items():
        value = getattr(wanted, name)
        # what stays as it was may have been passed since, but for a soft cap that becomes hard
        stays = value == getattr(held.limit, name) and (name == "budget" or not passed)
        if value is None or stays:
            continue
        if value < fewest:
            problems[name] = Problem(TOO_LOW, fewest)
        elif value > (MOST_UNITS if name == "cap_units" else MOST_AMOUNT):
            problems[name] = Problem(TOO_HIGH)
    problems |= _about_people(session, wanted)
    if problems:
        raise LimitError(problems)
    return held


def _about_people(session: Session, wanted: Wanted) -> dict[str, Problem]:
    if wanted.at_cap not in AT_CAP:
        return {"at_cap": Problem(NOT_CHOSEN)}
    draws = wanted.at_cap == NEXT_PACK and wanted.hard and wanted.has_cap
    if draws and session.scalars(select(CreditTopUp.enabled)).first() is not True:
        return {"at_cap": Problem(NOT_BOUGHT)}
    if wanted.approver:
        known = members.of_email(session, wanted.approver)
        return {} if known else {"approver": Problem(NOBODY)}
    asks = wanted.at_cap == ASK_APPROVER and wanted.hard and wanted.has_cap
    return {"approver": Problem(NOT_CHOSEN)} if asks else {}


# --- more, once ----------------------------------------------------------------------------------------


def allow_more(gateways: Gateways, workspace_id: int, user_id: int, units: int, *, seen: int) -> Standing:
    """Let the AI use ``units`` more in this period, on top of the cap; it goes on at once.

    ``seen`` is the cap that the person was looking at, so that two clicks are one. Raises
    NotTheApproverError, LimitError (``units``), ConflictError.
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        row = allowances.locked(session, now)
        held = standing_of(session, row)
        _see_right(session, held, user_id)
        if not held.has_cap or not held.limit.hard or row.period_start is None or held.state.trial_cap:
            raise ConflictError(N_("There is no cap to allow more on top of. Nothing was changed."))
        if held.cap != seen:
            raise ConflictError(N_("The cap is another one by now. Nothing was changed; look again."))
        if not 1 <= units <= MOST_UNITS:
            raise LimitError({"units": Problem(TOO_LOW, 1) if units < 1 else Problem(TOO_HIGH)})
        _raise(session, row, units, user_id, now)
        audit.record(
            session,
            "cap_raise.allowed",
            user_id=user_id,
            before={"cap": held.cap},
            after={"cap": seen + units, "units": units},
        )
        return standing_of(session, row)


def _raise(session: Session, row: Allowance, units: int, user_id: int, now: datetime) -> None:
    more = CapRaise(
        id=new_id("L"), period_start=row.period_start, units=units, allowed_by=user_id, allowed_at=now
    )
    session.add(more)
    session.flush()
    allowances.set_cap(session, row)
    row.changed_at = now


def may_allow(held: Standing, person: Person | None) -> bool:
    """Whether the person may allow more: owners and admins, and the approver."""
    if person is None:
        return False
    return members.may(person.role, MAY_LIMIT) or person.user_id == held.limit.approver_id


def _see_right(session: Session, held: Standing, user_id: int) -> None:
    if not may_allow(held, members.of_user(session, user_id)):
        raise NotTheApproverError(N_("Only the approver, owners and admins can allow more."))


# --- what is billed ------------------------------------------------------------------------------------


CHARGE = """
WITH row AS (
    SELECT CASE WHEN cap IS NULL THEN %(units)s ELSE least(%(units)s, greatest(cap - used, 0)) END AS within
    FROM allowance
    WHERE workspace_id = %(workspace)s AND period_start = %(period)s AND period_end IS NOT NULL FOR UPDATE
)
UPDATE allowance SET used = used + row.within, changed_at = %(now)s
FROM row WHERE workspace_id = %(workspace)s
RETURNING row.within
"""
# what goes below nothing comes back by a credit note, and makes this period's invoice no smaller
TAKE_BACK = """
UPDATE allowance SET used = greatest(used - %(units)s, 0), changed_at = %(now)s
WHERE workspace_id = %(workspace)s AND period_start = %(period)s
"""


def charge_for(session: Session, period: Period, units: int, now: datetime) -> list[str]:
    """How each of ``units`` resolutions that become billable in ``period`` is charged, and count them.

    ``meter`` (Stripe bills it) or ``trial`` (free), then ``over_cap`` (free, never sent) for what is above a
    hard cap. To be called in the transaction that writes them to the ledger.
    """
    values = _values(session, period, units, now)
    rows = bulk.run(session, CHARGE, values)
    if not rows and allowances.locked(session, now).period_start == period.starts_at:
        rows = bulk.run(session, CHARGE, values)
    within = int(rows[0][0]) if rows else _within(session, period, units)
    return [TRIAL if period.trial else METER] * within + [OVER_CAP] * (units - within)


def _within(session: Session, period: Period, units: int) -> int:
    """How many of ``units`` are below the cap of a period that is not the present one."""
    cap = allowances.hard_cap(session, period.starts_at)
    if cap is None:
        return units
    return min(units, max(cap - allowances.used_in(session, period.starts_at), 0))


def taken_back(session: Session, period: Period, units: int, now: datetime) -> None:
    """Free ``units`` resolutions of the cap of ``period``, which is where their reversal is booked.

    So a reversal makes room where the invoice becomes smaller by it: in the open period. Not for those that
    were over the cap, which never took any.
    """
    bulk.run(session, TAKE_BACK, _values(session, period, units, now))


def _values(session: Session, period: Period, units: int, now: datetime) -> dict[str, object]:
    workspace_id = session.info["workspace_id"]
    return {"workspace": workspace_id, "period": period.starts_at, "units": units, "now": now}
