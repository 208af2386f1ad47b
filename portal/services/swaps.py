"""Seats into resolutions: fewer seats now, and a pack for the value of their unused time, as one change.

A swap is a change of the subscription that buys a pack with it: one preview, one quote, one update, one
invoice. ``services.changes`` confirms it and carries it out like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.errors import N_, ConflictError
from portal.gateways import Gateways
from portal.gateways.stripe_credits import MOST_UNUSED
from portal.pricing.proration import MAX_ITEM_QUANTITY
from portal.services import (
    catalogs,
    change_pricing,
    changes,
    credit_purchases,
    credit_quotes,
    owed_invoices,
    subscriptions,
)
from portal.services.change_pricing import SwappedPack
from portal.services.changes import Leaver, NoSubscriptionError, SubscriptionEndsError, Wanted
from portal.services.credit_purchases import Buyer, TooManyGrantsError
from portal.services.holdings import Holding
from portal.services.ids import new_id


class SwapUnpaidError(ConflictError):
    """The last invoice is not paid, so the seats' time is not either."""

    code = "swap_unpaid"

    def __init__(self) -> None:
        super().__init__(
            N_(
                "The last invoice is not paid yet, and seats that are not paid have no value to swap. Pay it"
                " first; then swap."
            )
        )


class SwapInTrialError(ConflictError):
    """Nothing was paid for the seats of a trial."""

    code = "swap_in_trial"

    def __init__(self) -> None:
        super().__init__(
            N_("During the trial nothing was paid for your seats, so there is nothing to swap yet.")
        )


class SwapPlannedError(ConflictError):
    """A change waits for the renewal, and would have to be decided on as well."""

    code = "swap_planned"

    def __init__(self) -> None:
        super().__init__(N_("A change is planned for the renewal. Undo it first; then swap seats."))


class NoSeatToSwapError(ConflictError):
    """At least one seat stays."""

    code = "no_seat_to_swap"

    def __init__(self) -> None:
        super().__init__(
            N_("You have one seat, and one has to stay. There is no seat that could be swapped.")
        )


@dataclass(frozen=True)
class Swap:
    """What dropping ``dropped`` seats now would come to, with the pack; minor units before tax.

    ``value`` is that of the unused time of what is given up, by what was really paid for it; ``rest`` what
    is left to pay of the pack, negative: what stays on the balance. ``before`` and ``after`` are a period's
    seats and add-ons, at the renewal on ``renews_at``.
    """

    held: Holding
    after: pricing.Selection
    dropped: int
    value: int
    offer: pricing.Offer
    before: pricing.Recurring
    then: pricing.Recurring
    renews_at: datetime
    starts_at: datetime
    expires_at: datetime

    @property
    def rest(self) -> int:
        return self.offer.pack.total - self.value


@dataclass(frozen=True)
class Swappable:
    """A subscription whose seats may be swapped, by our rows: ``most`` of them, and who buys."""

    held: Holding
    buyer: Buyer

    @property
    def most(self) -> int:
        return self.held.selection.seats - 1


def swappable(session: Session) -> Swappable:
    """What may be swapped in the entered workspace.

    Raises NoSubscriptionError, SubscriptionEndsError, SwapInTrialError, SwapUnpaidError, SwapPlannedError,
    NoSeatToSwapError, NoPacksError, NoSubscriptionForCreditsError.
    """
    held = changes.holding(session)
    if held is None or held.status in ("paused", "incomplete"):
        raise NoSubscriptionError
    if held.cancel_at is not None:
        raise SubscriptionEndsError
    if held.trialing:
        raise SwapInTrialError
    unpaid = held.status in ("past_due", "unpaid") or held.access == subscriptions.PAYMENT_PENDING
    if unpaid or owed_invoices.owed_since(session, held.subscription_id):
        raise SwapUnpaidError
    if held.planned is not None:
        raise SwapPlannedError
    if held.selection.seats < 2:
        raise NoSeatToSwapError
    return Swappable(held, credit_purchases.buyer(session))


def simulate(
    session: Session, found: Swappable, now: datetime, *, dropped: int, units: int | None = None
) -> Swap:
    """What dropping so many seats at ``now`` would come to, reckoned here alone; no call is made.

    ``units`` None: as many as the value of the seats pays for, at least the smallest pack.
    Raises pricing.PricingError (param ``units``).
    """
    held = found.held
    selection = fewer(held.selection, dropped)
    # what it costs without the pack is what is given back
    priced = change_pricing.price(session, held, Wanted(selection, all_now=True), now, offered=held.catalog)
    value = -priced.change.total
    offer = found.buyer.offer(units_for(found.buyer, value) if units is None else units)
    starts_at, expires_at = found.buyer.span(now)
    before, then = priced.recurring["before"], priced.recurring["now"]
    if before is None or then is None:
        raise ValueError("a change that takes effect now says what a period costs before and after")
    return Swap(held, selection, dropped, value, offer, before, then, held.renews_at, starts_at, expires_at)


def fewer(selection: pricing.Selection, dropped: int) -> pricing.Selection:
    """The selection with so many seats fewer; add-ons per seat never outnumber the seats."""
    seats = selection.seats - dropped
    per_seat = {key: min(count, seats) for key, count in selection.add_ons.items()}
    return pricing.Selection(selection.tier, seats, selection.interval, per_seat)


def units_for(buyer: Buyer, value: int) -> int:
    """The most units whose pack costs no more than ``value`` minor units; at least the smallest pack."""
    least = buyer.catalog.credits.minimum if buyer.catalog.credits else 1
    low, high = least, MAX_ITEM_QUANTITY
    while low < high:
        middle = (low + high + 1) // 2
        offer = pricing.offer(middle, catalog=buyer.catalog, unit_amount=buyer.unit_amount)
        if offer.pack.total <= value:
            low = middle
        else:
            high = middle - 1
    return low


def prepare(
    gateways: Gateways,
    workspace_id: int,
    user_id: int | None,
    *,
    dropped: int,
    units: int | None,
    leavers: Sequence[Leaver] = (),
) -> str:
    """Make the binding quote of a swap; its id. ``changes.confirm`` carries it out.

    Raises what ``swappable`` and ``changes.prepare`` raise, TooManyGrantsError, pricing.PricingError.
    """
    now = gateways.clock.now()
    with unit_of_work(workspace_id) as session:
        found = swappable(session)
        swap = simulate(session, found, now, dropped=dropped, units=units)
    if gateways.stripe.credits.unused(found.buyer.customer_id, int(now.timestamp())) >= MOST_UNUSED:
        raise TooManyGrantsError
    pack = swap.offer.pack
    price_id = gateways.stripe.changes.price_once(
        credit_quotes.description(pack),
        pack.currency,
        pack.total,
        tax_code=catalogs.TAX_CODE,
        name=f"{pack.catalog}:pack:{pack.units}:{pack.total}:{pack.currency}",
        key=new_id("P"),
    )
    swapped = SwappedPack(pack, price_id, int(swap.starts_at.timestamp()), int(swap.expires_at.timestamp()))
    wanted = Wanted(swap.after, all_now=True, leavers=tuple(leavers), swapped=swapped)
    return changes.prepare(gateways, workspace_id, user_id, wanted)
