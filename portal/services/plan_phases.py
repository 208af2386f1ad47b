"""What a schedule is told of a plan: the phases that are still to come."""

from datetime import datetime

from portal.gateways.stripe_change_words import Phase, PhaseItem
from portal.gateways.stripe_words import Subscription
from portal.models import PlannedChange
from portal.services import usage_rates


def to_come(row: PlannedChange, subscription: Subscription, *, now: datetime) -> list[Phase]:
    """The metered prices at the end of their month, then what is had from the renewal on.

    Those that end with a renewal are in its phase. Nothing after the end of a subscription that has one.
    """
    found: list[Phase] = []
    rates = usage_rates.of(row)
    if rates is not None and now < rates.at and (row.rates_only or rates.at < row.effective_at):
        licensed = [
            PhaseItem(item.price_id, item.quantity) for item in subscription.items if not item.metered
        ]
        metered = [PhaseItem(price_id) for price_id in rates.prices.values()]
        found.append(Phase(_second(rates.at), (*licensed, *metered)))
    if not row.rates_only:
        found.append(Phase(_second(row.effective_at), tuple(PhaseItem(*each) for each in row.phase or [])))
    end = subscription.cancel_at
    return [phase for phase in found if end is None or phase.at < end]


def _second(moment: datetime) -> int:
    return int(moment.timestamp())
