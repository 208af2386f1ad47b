"""Our projection of subscriptions: the current one, what its items are, and who has access."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal.gateways import stripe_words as words
from portal.models import CatalogPrice, Invoice, Subscription
from portal.read_ahead import first

LIVE = ("trialing", "active", "past_due", "unpaid", "paused")
ENDED = ("canceled", "incomplete_expired")

NONE = "none"
ACTIVE = "active"
PAYMENT_PENDING = "payment_pending"
LIMITED = "limited"
OVER = "ended"
# a workspace with one of these has bought; it changes what it has instead of buying again
BOUGHT = (ACTIVE, PAYMENT_PENDING, LIMITED)


# most pages ask this, so it is put together once
CURRENT = (
    select(Subscription)
    .where(Subscription.access != NONE)
    .order_by(Subscription.status.in_(LIVE).desc(), Subscription.started_at.desc())
    .limit(1)
)


def current(session: Session) -> Subscription | None:
    """The workspace's subscription: the live one, else the last that ever gave access, else none."""
    return first(session, CURRENT)


def anchor_of(row: Subscription) -> int:
    """From when its months and years are counted, in unix seconds."""
    return int((row.anchor or row.started_at or row.synced_at).timestamp())


_BOUGHT = select(Subscription).where(Subscription.status.in_(LIVE), Subscription.access.in_(BOUGHT))


def bought(session: Session) -> Subscription | None:
    """The live subscription that has been paid for (or is being), which stands in the way of a second one."""
    return session.scalars(_BOUGHT).first()


def is_bought(row: Subscription) -> bool:
    """Whether that is what ``bought`` would find."""
    return row.status in LIVE and row.access in BOUGHT


def ends_in_trial(row: Subscription, at: datetime | None) -> bool:
    """Whether an end at that time is one of its trial, which costs nothing."""
    return row.trial_end is not None and at is not None and at <= row.trial_end


def other_live(session: Session, stripe_id: str) -> str | None:
    """A live subscription of the workspace that is not this one."""
    statement = select(Subscription.stripe_id).where(
        Subscription.status.in_(LIVE), Subscription.stripe_id != stripe_id
    )
    return session.scalars(statement).first()


def collection_failed(invoice: Invoice) -> bool:
    """Whether an open invoice was to be collected and was not, and nothing is on its way."""
    payment = invoice.payment or {}
    tried = payment.get("error") is not None or bool(payment.get("attempts"))
    return invoice.status == "open" and payment.get("state") != "processing" and tried


def access(
    subscription: words.Subscription,
    *,
    invoice: words.Invoice | None,
    payment: words.Intent | None,
    setup: words.Intent | None,
    before: str,
    owed_since: datetime | None = None,
    now: datetime,
    grace: timedelta,
) -> str:
    """Who may work: none, active, payment_pending, limited or ended.

    ``invoice`` is the subscription's latest, ``payment`` its intent, ``setup`` the pending setup intent,
    ``before`` the access so far, ``owed_since`` the age of the oldest failed invoice: an empty or paid usage
    invoice after a failed renewal begins no new days of grace, even if it makes Stripe say active. A first
    purchase by bank debit works while the debit is on its way; nothing else is active before it is paid.
    Source: docs.stripe.com/billing/subscriptions/overview.
    """
    status = subscription.status
    first = invoice is not None and invoice.billing_reason == "subscription_create"
    if status in ENDED:
        if before in (PAYMENT_PENDING, LIMITED) and (first or invoice is None):
            return LIMITED
        paid = invoice is not None and invoice.status == "paid" and invoice.amount_paid > 0
        return OVER if paid or before != NONE else NONE
    if status == "incomplete":
        return PAYMENT_PENDING if payment is not None and payment.status == "processing" else NONE
    if status == "past_due":
        if before == ACTIVE and payment is not None and payment.status == "processing":
            return ACTIVE
        since = owed_since or (datetime.fromtimestamp(invoice.created, UTC) if invoice else now)
        return ACTIVE if now < since + grace else LIMITED
    if status in ("unpaid", "paused"):
        return LIMITED
    if owed_since is not None and now >= owed_since + grace:
        return LIMITED
    if before == NONE and setup is not None and setup.status != "succeeded":
        return NONE  # trial or nothing due: it begins when a way to pay is there
    if first and invoice is not None and invoice.status != "paid":
        return _of_unpaid(invoice, payment, before)
    return ACTIVE


def _of_unpaid(invoice: words.Invoice, payment: words.Intent | None, before: str) -> str:
    """Access by a debit: it is on its way, or it failed; what says neither changes nothing."""
    status = payment.status if payment else None
    if invoice.status in ("void", "uncollectible") or status in ("requires_payment_method", "canceled"):
        return LIMITED
    return PAYMENT_PENDING if status in ("processing", "succeeded") else before


def moment(seconds: int | None) -> datetime | None:
    """Stripe's unix seconds as an aware time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def store(
    session: Session,
    subscription: words.Subscription,
    prices: Mapping[str, CatalogPrice],
    *,
    access: str,
    synced_at: datetime,
    held_back: Mapping[str, object] | None = None,
) -> Subscription:
    """Write and return the projection, whatever stood there; the caller has seen to it that this is newer.

    ``prices``: Stripe's price id → our catalogue's row. ``held_back``: the selection before a change whose
    debit is on its way; the tier stays that one's and there are no more seats than it had.
    """
    seat = next((i for i in subscription.items if _key(i, prices) == "seat"), None)
    metered = [item.period_end for item in subscription.items if item.metered]
    row = prices.get(seat.price_id) if seat else None
    values = _dates(subscription) | {
        "quote_id": subscription.metadata.get("quote"),
        "attempt_id": subscription.metadata.get("attempt"),
        "catalog": row.catalog if row else None,
        "tier": held_back["tier"] if held_back else row.tier if row else None,
        "interval": seat.interval if seat else None,
        "seats": _seats(seat, held_back),
        "status": subscription.status,
        "access": access,
        "currency": subscription.currency,
        "items": [_item(item, prices) for item in subscription.items],
        "discounts": [dict(discount) for discount in subscription.discounts],
        "anchor": moment(subscription.anchor),
        "renews_at": moment(seat.period_end) if seat else None,
        "usage_period_end": moment(min(metered)) if metered else None,
        "latest_invoice_id": subscription.latest_invoice_id,
        "default_payment_method": subscription.method.as_dict() if subscription.method else None,
        "synced_at": synced_at,
    }
    statement = insert(Subscription).values(stripe_id=subscription.id, **values)
    key = [Subscription.workspace_id, Subscription.stripe_id]
    written = statement.on_conflict_do_update(index_elements=key, set_=values).returning(Subscription)
    return session.scalars(written, execution_options={"populate_existing": True}).one()


def _seats(seat: words.SubscriptionItem | None, held_back: Mapping[str, object] | None) -> int | None:
    if seat is None or seat.quantity is None or held_back is None:
        return seat.quantity if seat else None
    return min(seat.quantity, int(str(held_back["seats"])))


def _dates(subscription: words.Subscription) -> dict[str, object]:
    names = ("started_at", "trial_end", "cancel_at", "ended_at")
    return {name: moment(getattr(subscription, name)) for name in names}


def _key(item: words.SubscriptionItem, prices: Mapping[str, CatalogPrice]) -> str:
    row = prices.get(item.price_id)
    return row.key if row else item.lookup_key or item.price_id


def _item(item: words.SubscriptionItem, prices: Mapping[str, CatalogPrice]) -> dict[str, object]:
    return {
        "key": _key(item, prices),
        "stripe_item_id": item.id,
        "stripe_price_id": item.price_id,
        "lookup_key": item.lookup_key,
        "quantity": item.quantity,
        "unit_amount": None if item.unit_amount is None else str(item.unit_amount),
        "interval": item.interval,
        "metered": item.metered,
        "period_start": item.period_start,
        "period_end": item.period_end,
    }
