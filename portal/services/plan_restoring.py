"""What becomes of plans when a change is taken back: its own goes, what it replaced is planned again.

Less can be planned for the renewal while a bank debit pays for a change. That stays when the debit comes
back, without what the change would have brought: a tier or a seat that was never paid does not come later.
"""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import PlannedChange, Quote
from portal.services import change_pricing, planned_changes
from portal.services.holdings import PLANNED, Holding, plan
from portal.services.ids import new_id
from portal.services.planned_changes import REPLACED, UNDONE, settle
from portal.services.usage_rates import NextRates

# what a row that is planned once more has of the one before it
REPEATED = (
    "quote_id", "stripe_subscription_id", "selection", "catalog", "leavers", "phase", "effective_at", "rates",
    "rates_at", "created_by",
)  # fmt: skip


def take_back(session: Session, quote: Quote, held: Holding) -> None:
    """The change of ``quote`` failed: what it planned is not wanted, and what it replaced is again.

    ``held`` is what the change has made of the subscription: its metered prices stay to the end of their
    month, and are then what they were going to be before.
    """
    _take_back_plan(session, quote)
    session.flush()
    known, rates = plan(session), _rates_of_before(quote, held)
    if known is None:
        if rates is not None:
            planned_changes.plan_rates(session, quote, rates, user_id=quote.created_by)
    elif _is_beside(session, known, quote):
        known.rates, known.rates_at = None, None
        if rates is not None:
            known.rates, known.rates_at = dict(rates.prices), rates.at
        elif known.rates_only:
            settle(session, known, UNDONE)
    elif known.rates is None and rates is not None:
        known.rates, known.rates_at = dict(rates.prices), rates.at


def _rates_of_before(quote: Quote, held: Holding) -> NextRates | None:
    terms: Any = quote.terms or {}
    wanted = terms["undo"]["metered"]
    if held.usage_ends is None or held.rates == wanted:
        return None
    return NextRates(held.usage_ends, wanted)


def _take_back_plan(session: Session, quote: Quote) -> None:
    """Nothing that was decided since is touched."""
    mine = list(session.scalars(select(PlannedChange).where(PlannedChange.quote_id == quote.id)))
    own, known = next((row for row in mine if not row.rates_only), None), plan(session)
    if known is not None and known in mine:
        settle(session, known, UNDONE)
        session.flush()
    if known is not None and known not in mine:
        return
    if own is not None and own is not known:
        return
    before = _replaced_by(session, quote)
    if before is None or before.state != REPLACED or before.rates_only:
        return
    if mine or before is planned_changes.last_settled(session):
        _plan_again(session, before)


def _replaced_by(session: Session, quote: Quote) -> PlannedChange | None:
    """What was planned when the quote was confirmed."""
    planned = planned_changes.planned_before(quote)
    return session.scalars(select(PlannedChange).where(PlannedChange.id == planned)).first()


def _is_beside(session: Session, planned: PlannedChange, quote: Quote) -> bool:
    """Whether it was decided after the change of ``quote`` had been made, and so goes by that."""
    before = _replaced_by(session, quote)
    return planned.quote_id not in (quote.id, before.quote_id if before else None)


def _plan_again(session: Session, before: PlannedChange, **differently: object) -> None:
    same = {name: getattr(before, name) for name in REPEATED}
    row = PlannedChange(id=new_id("C"), state=PLANNED, mirrored=False, version=1, **{**same, **differently})
    session.add(row)
    planned_changes.record_plan(session, row, {"planned": before.id})


def follow(session: Session, quote: Quote, held: Holding) -> None:
    """The change of ``quote`` is taken back, ``held`` is had again: plan by that what was decided beside it.

    Done once more it changes nothing.
    """
    planned = held.planned
    if planned is None or not _is_beside(session, planned, quote):
        return
    left = _left(planned, quote, held)
    if pricing.same(left, held.selection):
        settle(session, planned, UNDONE)
        planned_changes.keep_rates(session, planned)
        return
    target = change_pricing.target(session, held, left, held.catalog)
    phase = [[item.price_id, item.quantity] for item in target.phase()]
    if (planned.selection, planned.phase) == (left.as_dict(), phase):
        return
    settle(session, planned, REPLACED)
    session.flush()
    at = {"catalog": held.catalog, "effective_at": held.renews_at}
    _plan_again(session, planned, selection=left.as_dict(), phase=phase, **at)


def _left(planned: PlannedChange, quote: Quote, held: Holding) -> pricing.Selection:
    terms: Any = quote.terms or {}
    selections = (planned.selection, terms["now"], terms["before"])
    known, made, before = map(pricing.Selection.from_dict, selections)
    return pricing.still_planned(known, made, before, tiers=tuple(pricing.catalog(held.catalog).tiers))
