"""What a workspace can be charged with: our copy of Stripe's list, and what may be done with each.

The pages read our rows, so that they work while Stripe is away. Every event about a method reads the whole
list anew; it is written in one go, never an older list over a newer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError, PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_payments import KeptMethod
from portal.models import PaymentMethod, Subscription
from portal.services import attempt_states, billing_details, projections, subscriptions
from portal.services.subscriptions import moment

log = structlog.get_logger()

# a card's last day is announced so many days before
SOON = timedelta(days=30)
_CHARGED_AGAIN = (Subscription.status.in_(subscriptions.LIVE), Subscription.access != subscriptions.NONE)


class LastMethodError(ConflictError):
    """A live subscription keeps a method that pays it."""

    code = "last_method"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "Your subscription is paid with this alone. Add another way to pay first, then remove this"
                " one."
            )
        )


class DefaultMethodError(ConflictError):
    """The method that pays the subscription is changed before it is removed."""

    code = "default_method"

    def __init__(self) -> None:
        super().__init__(
            N_("Your next payments are taken from this one. Make another one the default first.")
        )


@dataclass(frozen=True)
class Shown:
    """A method as the pages show it; ``also`` are ids of the same card or account, saved more than once."""

    id: str
    type: str
    brand: str | None
    last4: str | None
    exp_month: int | None
    exp_year: int | None
    email: str | None
    default: bool
    also: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, object]:
        """The facts by which the pages name it."""
        names = ("type", "brand", "last4", "exp_month", "exp_year", "email")
        return {name: getattr(self, name) for name in names}

    @property
    def last_day(self) -> date | None:
        """The last day on which a card works, if it is one."""
        return last_day(self.exp_month, self.exp_year)


def last_day(month: int | None, year: int | None) -> date | None:
    """The last day of the month that stands on a card."""
    if not month or not year:
        return None
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


# --- reading our rows ----------------------------------------------------------------------------------


_OWN = select(Subscription.default_payment_method["id"].astext).where(*_CHARGED_AGAIN).scalar_subquery()
_KEPT = (
    select(PaymentMethod, _OWN)
    .where(PaymentMethod.removed_at.is_(None))
    .order_by(PaymentMethod.added_at.desc(), PaymentMethod.stripe_id)
)


def listing(session: Session) -> list[Shown]:
    """The workspace's methods, the default first, then the newest; each card and account once."""
    found = session.execute(_KEPT).all()
    rows = [row for row, _own in found]
    default = _default(rows, found[0][1]) if found else None
    groups: dict[tuple[object, ...], list[PaymentMethod]] = {}
    for row in rows:
        same = (row.type, row.fingerprint or row.email or row.stripe_id, row.exp_month, row.exp_year)
        groups.setdefault(same, []).append(row)
    shown = [_shown(group, default) for group in groups.values()]
    return sorted(shown, key=lambda method: not method.default)


def _shown(group: Sequence[PaymentMethod], default: str | None) -> Shown:
    first = next((row for row in group if row.stripe_id == default), group[0])
    return Shown(
        id=first.stripe_id,
        type=first.type,
        brand=first.brand,
        last4=first.last4,
        exp_month=first.exp_month,
        exp_year=first.exp_year,
        email=first.email,
        default=first.stripe_id == default,
        also=tuple(row.stripe_id for row in group if row is not first),
    )


def get(session: Session, method_id: str) -> Shown:
    """One method of the workspace, also by the id of a repeat. Raises NotFoundError."""
    for method in listing(session):
        if method_id in (method.id, *method.also):
            return method
    raise NotFoundError(N_("There is no such payment method any more."))


def default_id(session: Session) -> str | None:
    """What the next payment is taken from: the subscription's own method, else the customer's default."""
    return next((method.id for method in listing(session) if method.default), None)


def _default(rows: Sequence[PaymentMethod], own: str | None) -> str | None:
    """The method that the subscription charges, ``own``, if it is kept, else the customer's default."""
    kept = {row.stripe_id: row for row in rows}
    return own if own in kept else next((id for id, row in kept.items() if row.customer_default), None)


def live_subscription(session: Session) -> Subscription | None:
    """The subscription that will be charged again, if there is one."""
    return session.scalars(select(Subscription).where(*_CHARGED_AGAIN)).first()


def repeats(session: Session, method_id: str) -> list[str]:
    """The ids of the method and its repeats that are not removed yet, itself last."""
    row = session.scalars(select(PaymentMethod).where(PaymentMethod.stripe_id == method_id)).first()
    if row is None or row.fingerprint is None:
        return [method_id]
    same = select(PaymentMethod.stripe_id).where(
        PaymentMethod.removed_at.is_(None),
        PaymentMethod.stripe_id != method_id,
        PaymentMethod.type == row.type,
        PaymentMethod.fingerprint == row.fingerprint,
        PaymentMethod.exp_month.is_not_distinct_from(row.exp_month),
        PaymentMethod.exp_year.is_not_distinct_from(row.exp_year),
    )
    return [*session.scalars(same), method_id]


def expiring(session: Session, today: date) -> Shown | None:
    """The default method, if it is a card whose last day is near or over."""
    default = next((method for method in listing(session) if method.default), None)
    last = default.last_day if default else None
    return default if last is not None and last - today <= SOON else None


def removable(session: Session, method_id: str) -> Shown:
    """The method, if it may be removed. Raises NotFoundError, LastMethodError, DefaultMethodError."""
    method = get(session, method_id)
    if live_subscription(session) is not None:
        if len(listing(session)) == 1:
            # also where it is no default, as after one that was taken away at Stripe
            raise LastMethodError
        if method.default:
            raise DefaultMethodError
    return method


# --- the projection ------------------------------------------------------------------------------------


def refresh(gateways: Gateways, customer_id: str) -> projections.Outcome:
    """Read the customer's methods and default anew and write them."""
    workspace_id = billing_details.workspace_of(customer_id)
    if workspace_id is None:
        return projections.Outcome(projections.NOT_OURS)
    with unit_of_work() as session:
        read_at = attempt_states.database_time(session)
    default = gateways.stripe.payments.default_method(customer_id)
    kept = gateways.stripe.payments.methods(customer_id)
    with unit_of_work(workspace_id) as session:
        session.execute(projections.WRITING, {"what": f"methods:{workspace_id}"})
        newest = session.scalar(select(func.max(PaymentMethod.synced_at)))
        if newest is None or newest <= read_at:
            _write(session, kept, default, read_at)
    ids = {customer_id, *(each.id for each in kept)}
    return projections.Outcome("payment methods read", workspace_id, read=frozenset(ids))


def _write(session: Session, kept: list[KeptMethod], default: str | None, read_at: datetime) -> None:
    ids = [each.id for each in kept]
    gone = PaymentMethod.stripe_id.not_in(ids)
    session.execute(
        update(PaymentMethod).where(gone, PaymentMethod.removed_at.is_(None)).values(removed_at=read_at)
    )
    session.execute(update(PaymentMethod).values(synced_at=read_at, customer_default=False))
    for each in kept:
        values: dict[str, object] = {
            "type": each.method.type,
            "brand": each.method.brand,
            "last4": each.method.last4,
            "exp_month": each.method.exp_month,
            "exp_year": each.method.exp_year,
            "email": each.method.email,
            "fingerprint": each.fingerprint,
            "customer_default": each.id == default,
            "added_at": moment(each.created),
            "removed_at": None,
            "synced_at": read_at,
        }
        statement = insert(PaymentMethod).values(stripe_id=each.id, **values)
        key = [PaymentMethod.workspace_id, PaymentMethod.stripe_id]
        session.execute(statement.on_conflict_do_update(index_elements=key, set_=values))


def refresh_method(gateways: Gateways, method_id: str) -> projections.Outcome:
    """A method was attached, changed or taken away: read the whole list anew."""
    try:
        customer_id = gateways.stripe.payments.method(method_id).customer_id
    except NotFoundError:
        customer_id = None
    customer_id = customer_id or _customer_that_had(method_id)
    return refresh(gateways, customer_id) if customer_id else projections.Outcome(projections.NOT_OURS)


def _customer_that_had(method_id: str) -> str | None:
    with unit_of_work(system=True) as session:
        workspace_id = session.scalar(
            select(PaymentMethod.workspace_id).where(PaymentMethod.stripe_id == method_id).limit(1)
        )
    return customer_of(workspace_id) if workspace_id is not None else None


def customer_of(workspace_id: int) -> str | None:
    """Stripe's customer of the workspace, once there is one."""
    with unit_of_work(workspace_id) as session:
        details = billing_details.current(session)
        return details.stripe_customer_id if details else None


def catch_up(gateways: Gateways, workspace_id: int) -> bool:
    """Read the list if none is known yet, as for companies of before there was one; False: Stripe is away."""
    with unit_of_work(workspace_id) as session:
        known = session.scalar(select(func.count()).select_from(PaymentMethod))
    customer_id = None if known else customer_of(workspace_id)
    if customer_id is None:
        return True
    try:
        refresh(gateways, customer_id)
    except PortalError as error:
        log.warning("methods_not_read", workspace=workspace_id, reason=str(error))
        return False
    return True
