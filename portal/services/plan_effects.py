"""Whether what was planned has come: looked at whenever the subscription was projected."""

from datetime import timedelta

from sqlalchemy.orm import Session

from portal import pricing
from portal.gateways import Gateways
from portal.models import PlannedChange, Subscription
from portal.services import audit, catalogs, incidents, notices, planned_changes, subscriptions
from portal.services.holdings import plan
from portal.services.planned_changes import settle

MISSED_AFTER = timedelta(hours=2)


def follow(
    session: Session, gateways: Gateways, row: Subscription, *, paid_by: object = None
) -> PlannedChange | None:
    """Notice that what was planned has taken effect, or never will; the row that did, if one did.

    The projection of the subscription has just been written; ``paid_by`` is the id of the method that stood
    there before.
    """
    planned = plan(session)
    if planned is None or planned.stripe_subscription_id != row.stripe_id:
        return None
    if planned.mirrored and paid_by != (row.default_payment_method or {}).get("id"):
        # the schedule would take the next payments from the old one
        planned.mirrored = False
        planned.version += 1
        gateways.jobs.defer(session, planned_changes.MIRROR, workspace_id=planned.workspace_id)
    if row.status in subscriptions.ENDED:
        settle(session, planned, planned_changes.LAPSED, actor=audit.STRIPE)
        planned.mirrored = True
        return None
    if planned.effective_at > gateways.clock.now():
        _look_at_rates(session, gateways, row, planned)
        return None
    if _has(session, row, planned):
        settle(session, planned, planned_changes.DONE, actor=audit.STRIPE)
        # the schedule has done its work
        gateways.jobs.defer(session, planned_changes.MIRROR, workspace_id=planned.workspace_id)
        return planned
    if planned.effective_at + MISSED_AFTER < gateways.clock.now():
        _missed(session, gateways, row, planned)
    return None


def _missed(session: Session, gateways: Gateways, row: Subscription, planned: PlannedChange) -> None:
    """The renewal is over and what was planned is not so: a person looks at it, the customer is told."""
    settle(session, planned, planned_changes.MISSED, actor=audit.STRIPE)
    if not planned.rates_only:
        notices.about_missed_change(session, gateways, planned.id, planned.effective_at)
    incidents.report(
        session,
        gateways,
        "planned_change_missed",
        dedupe_key=f"planned_change_missed:{planned.id}",
        workspace_id=planned.workspace_id,
        summary=f"The change {planned.id} that was planned for the renewal did not take effect",
        details={
            "planned": planned.id,
            "wanted": {} if planned.rates_only else planned.selection,
            "rates": planned.rates or {},
            "seats": row.seats,
            "tier": row.tier,
        },
    )


def _has(session: Session, row: Subscription, planned: PlannedChange) -> bool:
    """Whether the subscription is what was planned; seats that a debit holds back count as its items."""
    if planned.rates_only:
        return _rates(row) == planned.rates
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


def _rates(row: Subscription) -> dict[str, str]:
    return {str(each["key"]): str(each["stripe_price_id"]) for each in row.items if each["metered"]}


def _look_at_rates(session: Session, gateways: Gateways, row: Subscription, planned: PlannedChange) -> None:
    """Metered prices may come before the change that they are planned with: then they are planned no more.

    A person hears if they did not come.
    """
    if planned.rates is None or planned.rates_at is None or planned.rates_at > gateways.clock.now():
        return
    if _rates(row) == planned.rates:
        planned_changes.record_rates(session, planned)
        planned.rates = planned.rates_at = None
    elif planned.rates_at + MISSED_AFTER < gateways.clock.now():
        incidents.report(
            session,
            gateways,
            "planned_rates_missed",
            dedupe_key=f"planned_rates_missed:{planned.id}",
            workspace_id=planned.workspace_id,
            summary=f"A month of usage began without the prices that {planned.id} planned for it",
            details={"planned": planned.id, "rates": planned.rates, "held": _rates(row)},
        )
