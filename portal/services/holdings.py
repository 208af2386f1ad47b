"""What a workspace has: items at its own prices, what was billed for them, discounts, what is planned.

Read from our projections alone. ``facts`` is what a quote of a change goes by: when they differ, somebody
else has changed something meanwhile.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import JSONB, distinct_on
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Invoice, PaymentMethod, PlannedChange, Subscription
from portal.pricing import plain
from portal.read_ahead import first
from portal.services import catalogs, subscriptions, usage_rates
from portal.services.quotes import Change
from portal.services.usage_rates import NextRates

PLANNED = "planned"

# what pages ask for often is put together once
_LIVE = select(Subscription).where(Subscription.status.in_(subscriptions.LIVE))
PLAN = select(PlannedChange).where(PlannedChange.state == PLANNED)
_LINES = (
    func.jsonb_array_elements(Invoice.lines)
    .table_valued(column("line", JSONB), with_ordinality="place", name="billed")
    .render_derived()
)
_LINE = _LINES.c.line
# by bytes: a language's order takes ten times as long to sort by
_ITEM = _LINE["item"].astext.collate("C")
# a long history stays in the database: one line of each item comes back
_LAST_LINES = (
    select(_LINE)
    .select_from(Invoice)
    .join(_LINES, true())
    .where(Invoice.stripe_subscription_id == bindparam("subscription_id"), Invoice.status == "paid")
    # time is billed once it has begun
    .where(Invoice.issued_at >= bindparam("since"))
    .where(_ITEM != "", _LINE["amount"].astext.cast(BigInteger) >= 0)
    .ext(distinct_on(_ITEM))
    .order_by(
        _ITEM,
        _LINE["period_start"].astext.cast(BigInteger).desc(),
        Invoice.issued_at.desc(),
        func.length(Invoice.number).desc(),
        Invoice.number.collate("C").desc(),
        _LINES.c.place.desc(),
    )
)


@dataclass(frozen=True)
class Holding:
    """The subscription that can be changed.

    ``items``: the licensed ones with their own unit prices (Decimal minor units), by key. ``item_ids`` and
    ``metered``: line key → Stripe's item id, and for metered ones (item id, price id). ``payer``: Stripe's
    type of the method that pays.
    """

    subscription_id: str
    status: str
    access: str
    currency: str
    catalog: str
    selection: pricing.Selection
    items: Mapping[str, pricing.Held]
    item_ids: Mapping[str, str]
    metered: Mapping[str, tuple[str, str]]
    lasting: tuple[pricing.Lasting, ...]
    discounts: tuple[Mapping[str, object], ...]
    anchor: int
    renews_at: datetime
    period_end: datetime
    trial_end: datetime | None
    cancel_at: datetime | None
    payer: str | None
    latest_invoice_id: str | None
    usage_ends: datetime | None
    plan: PlannedChange | None

    @property
    def planned(self) -> PlannedChange | None:
        """The change that waits for the renewal, which the customer knows of and can undo."""
        return None if self.plan is None or self.plan.rates_only else self.plan

    @property
    def rates(self) -> dict[str, str]:
        """The metered prices by key, as usage is counted by now."""
        return {key: price_id for key, (_, price_id) in self.metered.items()}

    @property
    def next_rates(self) -> NextRates | None:
        """What they are going to be, and when, if they are going to be others."""
        found = usage_rates.of(self.plan)
        return None if found is None or found.prices == self.rates else found

    @property
    def trialing(self) -> bool:
        """Nothing has been billed yet, so nothing is prorated."""
        return self.status == "trialing"

    @property
    def wanted(self) -> pricing.Selection:
        """What it is going to be: the planned selection if there is one, else what is held."""
        return pricing.Selection.from_dict(self.planned.selection) if self.planned else self.selection

    @property
    def facts(self) -> dict[str, object]:
        """What a quote goes by, in a form that can be stored and compared."""
        return {
            "subscription": self.subscription_id,
            "catalog": self.catalog,
            "tier": self.selection.tier,
            "interval": self.selection.interval,
            "seats": self.selection.seats,
            "add_ons": dict(sorted(self.selection.add_ons.items())),
            "prices": {key: each.item.price for key, each in sorted(self.items.items())},
            "discounts": [str(each["id"]) for each in self.discounts],
            "planned": self.planned.id if self.planned else None,
            "rates": self.plan.id if self.plan and self.plan.rates_only else None,
            "cancel_at": int(self.cancel_at.timestamp()) if self.cancel_at else None,
            "trialing": self.trialing,
            # a debit is waited for in another way than a card, and is charged by another call
            "payer": self.payer,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the facts."""
        return fingerprint(self.facts)


def fingerprint(facts: Mapping[str, object]) -> str:
    """SHA-256 (hex) of facts."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[Change]:
    """What somebody else has changed: one entry per fact that differs."""
    return [
        Change(name, before.get(name), value) for name, value in after.items() if before.get(name) != value
    ]


def holding(session: Session, subscription: Subscription | None = None) -> Holding | None:
    """What the entered workspace has, or None when it has no live subscription of our catalogues.

    ``subscription``: the workspace's, where it has been read already.
    """
    row = subscription or session.scalars(_LIVE).first()
    if row is None or row.catalog is None or row.tier is None or row.renews_at is None:
        return None
    if row.status not in subscriptions.LIVE:
        return None
    if row.access == subscriptions.NONE or row.anchor is None or row.interval is None:
        return None
    items = [each for each in row.items if not each["metered"]]
    lasting = _lasting(session, row)
    tier = _tier(session, row)
    held = [_held(each, row, tier) for each in items]
    held = _with_billed(session, row, held, items, lasting)
    return Holding(
        subscription_id=row.stripe_id,
        status=row.status,
        access=row.access,
        currency=row.currency,
        catalog=row.catalog,
        selection=_selection(items, tier, row.interval),
        items={each.item.key: each for each in held},
        item_ids={str(each["key"]): str(each["stripe_item_id"]) for each in items},
        metered={
            str(each["key"]): (str(each["stripe_item_id"]), str(each["stripe_price_id"]))
            for each in row.items
            if each["metered"]
        },
        lasting=lasting,
        discounts=tuple(row.discounts),
        anchor=int(row.anchor.timestamp()),
        renews_at=row.renews_at,
        period_end=_period_end(row),
        trial_end=row.trial_end,
        cancel_at=row.cancel_at,
        payer=_payer(session, row),
        latest_invoice_id=row.latest_invoice_id,
        usage_ends=row.usage_period_end,
        plan=plan(session),
    )


def planned_row(session: Session) -> PlannedChange | None:
    """The wanted state at the renewal, if any."""
    found = plan(session)
    return None if found is None or found.rates_only else found


def plan(session: Session) -> PlannedChange | None:
    """All that waits for the end of a period: the wanted state at the renewal, or metered prices alone."""
    return first(session, PLAN)


def _tier(session: Session, row: Subscription) -> str:
    """The tier that Stripe bills; the row's is held back while a debit for another one is on its way."""
    seats = [str(each["stripe_price_id"]) for each in row.items if each["key"] == pricing.SEAT]
    known = catalogs.keys_of_prices(session, seats)
    return next((each.tier for each in known.values() if each.tier), str(row.tier))


def _selection(items: Sequence[Mapping[str, Any]], tier: str, interval: str) -> pricing.Selection:
    counts = {str(each["key"]): int(each["quantity"]) for each in items}
    seats = counts.pop(pricing.SEAT, 1)
    return plain(pricing.Selection(tier, seats, interval, counts))


def _payer(session: Session, row: Subscription) -> str | None:
    """The type of what is charged: the subscription's own method, else the customer's default."""
    if row.default_payment_method:
        return str(row.default_payment_method["type"])
    return session.scalar(
        select(PaymentMethod.type).where(PaymentMethod.removed_at.is_(None), PaymentMethod.customer_default)
    )


def _period_end(row: Subscription) -> datetime:
    """The end of the shortest period, which no quote outlives."""
    ends = [row.renews_at, row.usage_period_end, row.trial_end if row.status == "trialing" else None]
    return min(each for each in ends if each is not None)


def _lasting(session: Session, row: Subscription) -> tuple[pricing.Lasting, ...]:
    """The discounts that are on, with the lines that they are for."""
    found = []
    for entry in row.discounts:
        percent, amount = entry.get("percent_off"), entry.get("amount_off")
        if percent is None and amount is None:
            continue
        discount = pricing.Discount(
            None,
            percent_off=None if percent is None else Decimal(str(percent)),
            amount_off=None if amount is None else int(str(amount)),
        )
        products, end = entry.get("products"), entry.get("end")
        keys = catalogs.keys_of_products(session, products) if isinstance(products, list) else None
        found.append(pricing.Lasting(discount, keys, None if end is None else int(str(end))))
    return tuple(found)


def _held(entry: Mapping[str, Any], row: Subscription, tier: str) -> pricing.Held:
    item = pricing.Item(
        key=str(entry["key"]),
        description=description(str(row.catalog), str(entry["key"]), tier),
        price=str(entry["stripe_price_id"]),
        quantity=int(entry["quantity"]),
        unit_amount=Decimal(str(entry["unit_amount"])),
        interval=str(entry["interval"]),
    )
    return pricing.Held(item, int(entry["period_start"]), int(entry["period_end"]), ())


def _with_billed(
    session: Session,
    row: Subscription,
    held: Sequence[pricing.Held],
    items: Sequence[Mapping[str, Any]],
    lasting: Sequence[pricing.Lasting],
) -> list[pricing.Held]:
    """The items with what was billed for their time: the last paid line, else what the invoice will say.

    A renewal's invoice is not final for an hour; until then its amounts follow from the price. What came back
    when a change was taken back was never billed: it has no line while others have theirs, or while the
    usage up to the beginning of its period is paid.
    """
    lines = _billed_lines(session, row, since=min((each.period_start for each in held), default=0))
    periods = {line["period_end"] for line in lines.values()}
    usage = {str(each["stripe_item_id"]) for each in row.items if each["metered"]}
    begun = {line["period_end"] for item, line in lines.items() if item in usage}
    found = []
    for each, entry in zip(held, items, strict=True):
        line = lines.get(str(entry["stripe_item_id"]))
        own = line is not None and line["period_end"] == each.period_end
        if (line is None and each.period_end in periods) or (not own and each.period_start in begun):
            found.append(each)
            continue
        if line is not None and own:
            billed = pricing.Billed(
                int(line["total"]), int(line["quantity"]), int(line["period_start"]), each.period_end
            )
        else:
            period = pricing.recurring([other.item for other in held], at=each.period_start, lasting=lasting)
            billed = pricing.Billed(
                period.net(each.item.key), each.item.quantity, each.period_start, each.period_end
            )
        found.append(replace(each, billed=(billed,)))
    return found


def _billed_lines(session: Session, row: Subscription, *, since: int) -> dict[str, Mapping[str, Any]]:
    """Stripe's item id → the last line that billed it for time ``since`` then, of whatever years there are.

    A change's credit stands before its debit. The last is what begins last: a renewal's invoice is final an
    hour after it began, and a change within that hour is billed before it. Of two invoices of one second the
    later one has the higher number, which is taken when it becomes final.
    """
    values = {"subscription_id": row.stripe_id, "since": subscriptions.moment(since)}
    return {str(line["item"]): line for line in session.scalars(_LAST_LINES, values)}


def description(version: str, key: str, tier: str) -> str:
    """What a line is called in its catalogue: "Advanced seat", "Copilot"."""
    catalog = pricing.catalog(version)
    if key == pricing.SEAT and tier in catalog.tiers:
        return f"{catalog.tiers[tier].name} seat"
    return catalog.add_ons[key].name if key in catalog.add_ons else key
