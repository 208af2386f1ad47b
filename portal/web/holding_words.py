"""What a workspace has, for its pages: each line at its own price with its discounts, and what is planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import gettext
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import PlannedChange
from portal.pricing import Lasting, Reason, Selection
from portal.services import leavers
from portal.services.holdings import Holding
from portal.web.explanations import explain
from portal.web.presentation import date_text, money, percent
from portal.web.subscription_words import State, differences, recurring, seats_lost


@dataclass(frozen=True)
class LineDiscount:
    """A discount at its line: in words, and what it takes off (minor units, negative)."""

    words: str
    amount: int


@dataclass(frozen=True)
class HeldLines:
    """Seats and add-ons for a period: the lines in the shape of a quote's, and what they come to."""

    lines: list[dict[str, Any]]
    total: int
    interval: str

    @property
    def discounted(self) -> bool:
        """Whether any line has a discount."""
        return any(line["discounts"] for line in self.lines)


def state_of(holding: Holding) -> State:
    """What is held, at its own catalogue."""
    return State(holding.selection, pricing.catalog(holding.catalog))


def held_lines(holding: Holding, at: datetime) -> HeldLines:
    """What is held, as a period that begins ``at`` that time costs it."""
    second = int(at.timestamp())
    found = pricing.recurring(
        [each.item for each in holding.items.values()], at=second, lasting=holding.lasting
    )
    lines = []
    for item, _net, reasons in found.lines:
        lasting = [each for each in _named(holding) if each[0].lasts(second) and _covers(each[0], item.key)]
        lines.append(
            {
                "key": item.key,
                "description": item.description,
                "quantity": item.quantity,
                "unit_amount": item.unit_amount,
                "interval": item.interval,
                "amount": reasons[0].result,
                "trace": reasons[:1],
                "discounts": _discounts(reasons[1:], lasting, holding.currency),
            }
        )
    return HeldLines(lines, found.amount, found.interval)


def _named(holding: Holding) -> list[tuple[Lasting, bool]]:
    """Each discount, and whether a promotion code brought it."""
    entries = [
        each
        for each in holding.discounts
        if each.get("percent_off") is not None or each.get("amount_off") is not None
    ]
    return [
        (lasting, bool(entry.get("promotion_code")))
        for lasting, entry in zip(holding.lasting, entries, strict=False)
    ]


def _covers(lasting: Lasting, key: str) -> bool:
    return lasting.keys is None or key in lasting.keys


def _discounts(
    reasons: Sequence[Reason], lasting: Sequence[tuple[Lasting, bool]], currency: str
) -> list[LineDiscount]:
    return [
        LineDiscount(discount_words(each, currency, promotion=promotion), -reason.result)
        for reason, (each, promotion) in zip(reasons, lasting, strict=False)
    ]


def discount_words(lasting: Lasting, currency: str, *, promotion: bool) -> str:
    """A discount as it was agreed: "Agreed with you: 10% off, until 3 March 2027"."""
    discount = lasting.discount
    off = (
        percent(discount.percent_off)
        if discount.percent_off is not None
        else money(discount.amount_off or 0, currency)
    )
    name = gettext("Promotion") if promotion else gettext("Agreed with you")
    if lasting.ends_at is None:
        return gettext("%(name)s: %(off)s off", name=name, off=off)
    until = date_text(datetime.fromtimestamp(lasting.ends_at, UTC))
    return gettext("%(name)s: %(off)s off, until %(date)s", name=name, off=off, date=until)


def planned_state(planned: PlannedChange) -> State:
    """What will be had from the renewal on."""
    return State(Selection.from_dict(planned.selection), pricing.catalog(planned.catalog))


@dataclass(frozen=True)
class PlannedWords:
    """A planned change: when, what is different then, and what a period costs then, before tax."""

    on: datetime
    changes: list[str]
    amount: int
    interval: str
    price: str


def planned_words(holding: Holding) -> PlannedWords | None:
    """What waits for the renewal; nothing when nothing does."""
    planned = holding.planned
    if planned is None:
        return None
    then = planned_state(planned)
    cost = pricing.recurring(
        items_of(then), at=int(planned.effective_at.timestamp()), lasting=holding.lasting
    )
    return PlannedWords(
        on=planned.effective_at,
        changes=differences(state_of(holding), then),
        amount=cost.amount,
        interval=cost.interval,
        price=recurring(cost.amount, cost.interval, holding.currency),
    )


def planned_people(session: Session, holding: Holding) -> list[str]:
    """Who loses a seat with what waits for the renewal, as things are now, a sentence each."""
    if holding.planned is None:
        return []
    then = planned_state(holding.planned)
    found = leavers.affected(
        session,
        bought=then.selection.seats,
        lite_included=then.lite_seats,
        chosen=leavers.chosen_for(holding.planned) or None,
    )
    return seats_lost(leavers.filled_up(found))


def items_of(state: State) -> list[pricing.Item]:
    """The items of a selection at the prices of its catalogue."""
    quoted = pricing.quote(state.selection, catalog=state.catalog, currency=state.catalog.currency)
    return [
        pricing.Item(line.key, line.description, line.key, line.quantity, line.unit_amount, line.interval)
        for line in quoted.lines
    ]


def recurring_reasons(cost: pricing.Recurring, currency: str) -> list[str]:
    """Why a period costs what it does: each line with its price and its discounts."""
    found = []
    for item, _net, reasons in cost.lines:
        line = {"key": item.key, "interval": item.interval, "side": "debit", "trace": reasons}
        found += [
            gettext("%(line)s: %(why)s", line=item.description, why=why) for why in explain(line, currency)
        ]
    return found
