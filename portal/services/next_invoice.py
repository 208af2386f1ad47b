"""The invoice that comes next: what is certain by our own rows, and Stripe's preview held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice
from portal.models import CatalogPrice, PlannedChange, Subscription
from portal.pricing import line_amount
from portal.services import catalogs, holdings, invoices, line_traces, quotes, subscriptions, usage
from portal.services.line_traces import Line
from portal.services.usage import Usage

log = structlog.get_logger()

NO_SUBSCRIPTION, NOTHING_COMES, ENDS_IN_TRIAL = "no_subscription", "nothing_comes", "ends_in_trial"


@dataclass(frozen=True)
class Preview:
    """Stripe's side: lines as an invoice's are stored, sums in minor units."""

    lines: Sequence[Line]
    subtotal: int
    discount: int
    credits: int
    tax: int
    total: int
    starting_balance: int
    amount_due: int
    tax_status: Mapping[str, object]

    def amount_of(self, key: str) -> int | None:
        """What Stripe's whole lines of that key come to; None where it has none."""
        found = [line["amount"] for line in self.lines if line["key"] == key and not line["proration"]]
        return sum(found) if found else None

    @property
    def extra(self) -> list[Line]:
        """Lines that wait already: parts of periods, and what came once."""
        return [line for line in self.lines if line["proration"] or line["key"] is None]


@dataclass(frozen=True)
class Outlook:
    """The next invoice. ``due`` are the subscription's items that it bills ahead, ``metered`` the counted.

    ``used`` is the usage so far that it will bill, None where it bills none. ``preview`` None: Stripe did not
    answer, or foresees nothing.
    """

    subscription: Subscription
    on: datetime
    due: Sequence[Line]
    metered: Sequence[str]
    used: Usage | None
    preview: Preview | None
    tier: str | None
    planned: bool  # a change takes effect with it

    @property
    def certain(self) -> int:
        """What the items billed ahead come to, before discount and tax."""
        return sum(amount(item) for item in self.due)

    @property
    def disagreeing(self) -> list[str]:
        """Keys whose amount is another at Stripe: a change is planned, or something is wrong."""
        if self.preview is None:
            return []
        return [
            str(item["key"]) for item in self.due if self.preview.amount_of(str(item["key"])) != amount(item)
        ]


def amount(item: Line) -> int:
    """What an item costs for a whole period."""
    return line_amount(Decimal(str(item["unit_amount"])), int(item["quantity"]))


def foresee(gateways: Gateways, workspace_id: int) -> Outlook | str:
    """What comes next, or why nothing does: ``no_subscription``, ``nothing_comes`` or ``ends_in_trial``.

    Reads Stripe; without an answer from there our own part stands alone.
    """
    with unit_of_work(workspace_id) as session:
        subscription = subscriptions.current(session)
    if subscription is None:
        return NO_SUBSCRIPTION
    on = _when(subscription)
    if on is None:
        return NOTHING_COMES
    if subscriptions.ends_in_trial(subscription, subscription.cancel_at):
        return ENDS_IN_TRIAL
    preview = _preview(gateways, workspace_id, subscription.stripe_id)
    ends = int(on.timestamp())
    ending = subscription.cancel_at is not None and subscription.cancel_at <= on
    due: list[Line] = [
        item
        for item in subscription.items
        if item.get("quantity") is not None and item["period_end"] == ends and not ending
    ]
    metered = [str(item["key"]) for item in subscription.items if item.get("metered")]
    with unit_of_work(workspace_id) as session:
        used = usage.read(session, gateways.clock.now())
        planned = holdings.planned_row(session)
        takes_effect = planned is not None and planned.effective_at <= on and not ending
        if planned is not None and takes_effect:
            due = _planned_items(session, planned, due)
    tier = str(planned.selection["tier"]) if planned and takes_effect else subscription.tier
    billed = (
        used if used and used.is_current and not used.period.trial and used.period.ends_at <= on else None
    )
    return Outlook(subscription, on, due, metered, billed, preview, tier, takes_effect)


def _planned_items(session: Session, planned: PlannedChange, held: Sequence[Line]) -> list[Line]:
    """What is billed ahead from the change on: the items of its phase, at their catalogue's prices."""
    phase: Sequence[tuple[str, int | None]] = planned.phase or ()
    rows = catalogs.keys_of_prices(session, [price_id for price_id, _ in phase])
    known = {str(item["stripe_price_id"]): item for item in held}
    found: list[Line] = []
    for price_id, quantity in phase:
        row = rows.get(price_id)
        if quantity is None or row is None:
            continue
        unit = known[price_id]["unit_amount"] if price_id in known else _price_of(row)
        if unit is not None:
            found.append(
                {"key": row.key, "quantity": quantity, "unit_amount": unit, "interval": row.interval}
            )
    return found


def _price_of(row: CatalogPrice) -> str | None:
    line = {"catalog": row.catalog, "key": row.key, "tier": row.tier, "interval": row.interval}
    unit = line_traces.usual_price(line)
    return None if unit is None else str(unit)


def _when(subscription: Subscription) -> datetime | None:
    """When the shortest period ends, or the trial; nothing after the end."""
    if subscription.access in (subscriptions.NONE, subscriptions.OVER) or subscription.status == "canceled":
        return None
    if subscription.status == "trialing":
        return subscription.trial_end
    ends = [at for at in (subscription.renews_at, subscription.usage_period_end) if at is not None]
    return min(ends, default=None)


def _preview(gateways: Gateways, workspace_id: int, subscription_id: str) -> Preview | None:
    try:
        invoice = gateways.stripe.invoices.upcoming(subscription_id)
    except PortalError as error:
        log.warning("no_preview", subscription=subscription_id, reason=str(error))
        return None
    if invoice is None:
        return None
    with unit_of_work(workspace_id) as session:
        return _read(session, invoice)


def _read(session: Session, invoice: Invoice) -> Preview:
    prices: Mapping[str, CatalogPrice] = catalogs.keys_of_prices(
        session, [line.price_id for line in invoice.lines]
    )
    return Preview(
        lines=invoices.lines_of(invoice, prices),
        subtotal=invoice.subtotal,
        discount=invoice.discount,
        credits=invoice.credits,
        tax=invoice.tax,
        total=invoice.total,
        starting_balance=invoice.starting_balance,
        amount_due=invoice.amount_due,
        tax_status=quotes.tax_status(invoice),
    )
