"""What a change costs and what it asks of Stripe: from what is held and what is wanted, without a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from portal import pricing
from portal.gateways.stripe_change_words import (
    DELAYED_METHODS,
    NONE,
    NOW,
    AddedItem,
    ItemChange,
    PhaseItem,
    SubscriptionChange,
)
from portal.models import CatalogPrice
from portal.pricing.change import DEBIT
from portal.pricing.periods import containing
from portal.services import catalogs, credit_quotes, usage_rates
from portal.services.change_errors import CatalogNotOfferedError, NothingToChangeError
from portal.services.holdings import Holding
from portal.services.usage_rates import NextRates


@dataclass(frozen=True)
class Leaver:
    """A member who loses the full seat when there are fewer: it becomes ``lite`` or ``none``."""

    member_id: int
    seat: str

    def as_dict(self) -> dict[str, object]:
        """The stored form."""
        return {"member_id": self.member_id, "seat": self.seat}


@dataclass(frozen=True)
class SwappedPack:
    """A pack that is bought in the same step, with its price at Stripe and the time that it counts for."""

    pack: pricing.Pack
    price_id: str
    starts_at: int
    expires_at: int

    def line(self) -> pricing.ChangeLine:
        """The pack as a line of the change: a whole, so that it is rounded once."""
        pack = self.pack
        return pricing.ChangeLine(
            key=credit_quotes.LINE,
            description=credit_quotes.description(pack),
            side=DEBIT,
            price=self.price_id,
            quantity=1,
            unit_amount=Decimal(pack.total),
            interval="once",
            amount=pack.total,
            period_start=self.starts_at,
            period_end=self.expires_at,
            trace=tuple(
                replace(each, rule="pack_price") if each.rule == "price" else each
                for each in pack.trace
                if each.rule != "grant"
            ),
        )


@dataclass(frozen=True)
class Wanted:
    """What a customer wants to have instead of what it has.

    ``selection`` is whole: tier, seats, interval, add-ons. ``catalog`` None is the customer's own; another
    version moves there. ``all_now``: also what would wait for the renewal. ``leavers``: whom a smaller
    number of seats takes its seat from. ``swapped``: the pack that is bought with what is given up.
    """

    selection: pricing.Selection
    catalog: str | None = None
    all_now: bool = False
    leavers: tuple[Leaver, ...] = ()
    swapped: SwappedPack | None = None


@dataclass(frozen=True)
class Target:
    """A selection at this customer's prices: what is billed ahead, and which metered prices go with it."""

    selection: pricing.Selection
    catalog: str
    items: tuple[pricing.Item, ...]
    metered: Mapping[str, str]  # line key → Stripe's price id

    def phase(self) -> tuple[PhaseItem, ...]:
        """The items as a schedule's phase names them."""
        licensed = (PhaseItem(item.price, item.quantity) for item in self.items)
        return (*licensed, *(PhaseItem(price_id) for price_id in self.metered.values()))


@dataclass(frozen=True)
class PricedChange:
    """A change with its price. ``at`` is the second from which it counts; ``update`` None: nothing is now."""

    before: Holding
    wanted: Wanted
    now: Target
    later: Target | None
    later_at: datetime | None
    rates: NextRates | None  # the metered prices from the next month of usage on, if they are others then
    at: int
    change: pricing.Change
    recurring: Mapping[str, pricing.Recurring | None]
    next_charge_at: int
    update: SubscriptionChange | None

    @property
    def ends(self) -> list[datetime]:
        """The ends of periods for which something is left."""
        return [each for each in (self.later_at, self.rates.at if self.rates else None) if each is not None]


def price(session: Session, held: Holding, wanted: Wanted, at: datetime, *, offered: str) -> PricedChange:
    """What ``wanted`` costs instead of ``held`` from ``at`` on.

    ``offered`` is the catalogue that may be moved to. Raises pricing.PricingError for what the catalogue
    does not sell, NothingToChangeError, CatalogNotOfferedError.
    """
    version = wanted.catalog or held.catalog
    if version not in (held.catalog, offered):
        raise CatalogNotOfferedError
    catalog = pricing.catalog(version)
    pricing.quote(pricing.plain(wanted.selection), catalog=catalog, currency=held.currency)
    # nothing has been paid in a trial, so nothing is given up by having less at once
    selection, rest = pricing.split(
        held.selection, wanted.selection, tiers=tuple(catalog.tiers), all_now=wanted.all_now or held.trialing
    )
    now = target(session, held, selection, version)
    later = None if rest is None else target(session, held, rest, version)
    # usage is free in a trial; else a month of it has one price
    rates = None if held.trialing else usage_rates.following(held.rates, now.metered, held.usage_ends)
    metered = now.metered if held.trialing else usage_rates.until_then(held.rates, now.metered)
    items = item_changes(held, {item.key: (item.price, item.quantity) for item in now.items}, metered)
    if not items and not _plans(held, later):
        raise NothingToChangeError
    second = int(at.timestamp())
    renewal = _renewal(held, now, second)
    return PricedChange(
        before=held,
        wanted=wanted,
        now=now,
        later=later,
        later_at=held.renews_at if later else None,
        rates=rates,
        at=second,
        change=_with_pack(_change(held, now, second), wanted.swapped),
        recurring={
            "before": _recurring(held, [each.item for each in held.items.values()], _seconds(held.renews_at)),
            "now": _recurring(held, now.items, renewal),
            "later": _recurring(held, later.items, _seconds(held.renews_at)) if later else None,
        },
        next_charge_at=renewal,
        update=_update(held, items, second, wanted.swapped) if items else None,
    )


def _with_pack(change: pricing.Change, swapped: SwappedPack | None) -> pricing.Change:
    if swapped is None:
        return change
    line = swapped.line()
    return pricing.Change((*change.lines, line), change.total + line.amount)


def _plans(held: Holding, later: Target | None) -> bool:
    """Whether anything changes about what is planned for the renewal."""
    if held.planned is None or later is None:
        return (held.planned is None) != (later is None)
    planned = pricing.Selection.from_dict(held.planned.selection)
    return held.planned.catalog != later.catalog or not pricing.same(planned, later.selection)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _change(held: Holding, now: Target, at: int) -> pricing.Change:
    if held.trialing:
        return pricing.Change((), 0)
    return pricing.change(
        tuple(held.items.values()), now.items, at=at, anchor=held.anchor, lasting=held.lasting
    )


def _recurring(held: Holding, items: Sequence[pricing.Item], at: int) -> pricing.Recurring:
    return pricing.recurring(items, at=at, lasting=held.lasting)


def _renewal(held: Holding, now: Target, at: int) -> int:
    """When the seats are charged again, if the change takes effect."""
    if held.trialing and held.trial_end is not None:
        return _seconds(held.trial_end)
    if now.selection.interval == held.selection.interval:
        return _seconds(held.renews_at)
    return containing(held.anchor, now.selection.interval, at)[1]


def target(session: Session, held: Holding, selection: pricing.Selection, version: str) -> Target:
    """The selection at the customer's own prices: what it has already costs what it costs now."""
    catalog = pricing.catalog(version)
    prices = catalogs.prices_by_key(session, version)
    quoted = pricing.quote(selection, catalog=catalog, currency=held.currency)
    items = tuple(_item(held, selection, catalog, line, prices) for line in quoted.lines)
    chosen = {line.key for line in quoted.lines}
    metered = {
        rate.key: prices[f"{version}:{rate.key}:month"].stripe_price_id
        for rate in catalog.usage.values()
        if rate.requires is None or rate.requires in chosen
    }
    if version == held.catalog:
        # a negotiated rate stays, unless others are on their way
        own = held.next_rates.prices if held.next_rates else held.rates
        metered = {key: own.get(key, metered[key]) for key in metered}
    return Target(selection, version, items, metered)


def _item(
    held: Holding,
    selection: pricing.Selection,
    catalog: pricing.Catalog,
    line: pricing.Line,
    prices: Mapping[str, CatalogPrice],
) -> pricing.Item:
    own = held.items.get(line.key)
    kept = own is not None and own.item.interval == line.interval and catalog.version == held.catalog
    if own is not None and kept and (line.key != pricing.SEAT or selection.tier == held.selection.tier):
        return pricing.Item(
            line.key, line.description, own.item.price, line.quantity, own.item.unit_amount, line.interval
        )
    row = prices[catalogs.lookup_key(catalog, line.key, selection.tier, selection.interval)]
    return pricing.Item(
        line.key, line.description, row.stripe_price_id, line.quantity, line.unit_amount, line.interval
    )


def item_changes(
    held: Holding, wanted: Mapping[str, tuple[str, int]], metered: Mapping[str, str]
) -> tuple[ItemChange, ...]:
    """What becomes of the items at Stripe; those that stay as they are are not named.

    ``wanted``: line key → price id and quantity; ``metered``: line key → price id.
    """
    changes = []
    for key, own in held.items.items():
        price_id, quantity = wanted.get(key, (None, None))
        if (price_id, quantity) != (own.item.price, own.item.quantity):
            changes.append(ItemChange(held.item_ids[key], price_id, quantity))
    changes += [ItemChange(None, *each) for key, each in wanted.items() if key not in held.items]
    for key, (item_id, known) in held.metered.items():
        if metered.get(key) != known:
            changes.append(ItemChange(item_id, metered.get(key)))
    changes += [ItemChange(None, each) for key, each in metered.items() if key not in held.metered]
    return tuple(changes)


def _update(
    held: Holding, items: tuple[ItemChange, ...], at: int, swapped: SwappedPack | None
) -> SubscriptionChange:
    waits = not held.trialing and held.payer not in DELAYED_METHODS
    return SubscriptionChange(
        subscription_id=held.subscription_id,
        items=items,
        proration_date=None if held.trialing else at,
        proration=NONE if held.trialing else NOW,
        waits=waits,
        added=(AddedItem(swapped.price_id),) if swapped else (),
    )


@dataclass(frozen=True)
class SeatPrice:
    """One more seat: ``now`` for the rest of the period, then ``recurring`` each ``interval``.

    Minor units, before tax. ``until`` is when the seats are charged again.
    """

    now: int
    recurring: int
    currency: str
    interval: str
    until: datetime


def seat_price(session: Session, held: Holding, now: datetime) -> SeatPrice:
    """What one more seat costs this customer; reckoned here alone."""
    at = int(now.timestamp())
    more = pricing.Selection(
        held.selection.tier,
        held.selection.seats + 1,
        held.selection.interval,
        held.selection.add_ons,
    )
    items = target(session, held, more, held.catalog).items
    change = pricing.Change((), 0)
    if not held.trialing:
        change = pricing.change(
            tuple(held.items.values()), items, at=at, anchor=held.anchor, lasting=held.lasting
        )
    renewal = held.trial_end if held.trialing and held.trial_end else held.renews_at
    before = _recurring(held, [each.item for each in held.items.values()], _seconds(renewal))
    after = _recurring(held, items, _seconds(renewal))
    return SeatPrice(
        change.total, after.amount - before.amount, held.currency, held.selection.interval, renewal
    )
