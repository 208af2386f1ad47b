"""/billing/subscription as pages: what is had, what would change, and who has to give up a seat for it."""

from collections.abc import Collection
from dataclasses import dataclass

from flask import render_template, request, url_for
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.models import PlannedChange, Quote, Subscription
from portal.pricing import Selection
from portal.services import attempts, change_catalogs, changes, leavers, subscriptions
from portal.services.changes import Wanted
from portal.services.holdings import Holding
from portal.services.leavers import Affected
from portal.web import current_workspace_id, gateways
from portal.web.billing_attention import may_here, missed_notice, on_its_way_notice
from portal.web.holding_words import (
    HeldLines,
    held_lines,
    items_of,
    planned_people,
    planned_words,
    recurring_reasons,
    state_of,
)
from portal.web.pricing import offered_catalog, year_saving
from portal.web.rate_words import next_rates
from portal.web.subscription_form import WHOLE, ChangeForm, change_form
from portal.web.subscription_prices import price_changes
from portal.web.subscription_words import Comparison, State, compare, differences, price_list

CHOSEN_FOR = "chosen_for"
LEAVER = "leaver"


@dataclass(frozen=True)
class Preview:
    """What the choice in the form would do: now, at the renewal, beside it, and what a period costs then."""

    now: list[str]
    later: list[str]
    comparison: Comparison
    recurring: pricing.Recurring
    why: list[str]


@dataclass(frozen=True)
class Facts:
    """What the page is made from, read in one transaction. ``moving``: to the catalogue that is sold now."""

    subscription: Subscription
    holding: Holding
    had: State
    form: ChangeForm
    wanted: State | None
    affected: Affected
    moving: bool
    one_more: changes.SeatPrice | None  # a further seat, at the present prices
    missed: PlannedChange | None
    planned_people: list[str]  # who loses a seat with what is planned
    on_its_way: Quote | None  # a change that a bank debit pays


def facts(session: Session, holding: Holding, catalog: pricing.Catalog, *, moving: bool) -> Facts:
    """Read the form from the address or the sent form; its choice is in ``wanted`` once it can be priced."""
    form = change_form(request.values, catalog, sold_there(holding.wanted, catalog))
    wanted = State(form.selection, catalog) if form.validate() and form.selection else None
    subscription = subscriptions.bought(session)
    if subscription is None:
        raise changes.NoSubscriptionError
    had = state_of(holding)
    on_its_way = attempts.on_its_way(session)
    # while a debit is on its way nothing can be added, and what it pays for has no paid line yet
    priced = not moving and on_its_way is None
    one_more = changes.seat_price(session, gateways().clock.now(), holding) if priced else None
    affected = affected_by(session, wanted or had, planned=holding.planned)
    missed, people = changes.missed(session), planned_people(session, holding)
    return Facts(
        subscription, holding, had, form, wanted, affected, moving, one_more, missed, people, on_its_way
    )


def sold_there(selection: Selection, catalog: pricing.Catalog) -> Selection:
    """The nearest that ``catalog`` sells: a tier of that name, else the one in its middle; known add-ons."""
    tiers = list(catalog.tiers)
    tier = selection.tier if selection.tier in tiers else tiers[len(tiers) // 2]
    interval = selection.interval if selection.interval in catalog.intervals else catalog.intervals[0]
    add_ons = {key: count for key, count in selection.add_ons.items() if key in catalog.add_ons}
    return Selection(tier, selection.seats, interval, add_ons)


def affected_by(session: Session, state: State, *, planned: PlannedChange | None = None) -> Affected:
    """Who loses a seat: as chosen, if the choice was made for this number, else those who were away longest.

    Who was chosen for what is ``planned`` stays chosen until somebody chooses anew.
    """
    bought, lite = state.selection.seats, state.lite_seats
    asked_for = request.values.get(CHOSEN_FOR, type=int)
    if asked_for is None:
        named = leavers.chosen_for(planned)
        found = leavers.affected(session, bought=bought, lite_included=lite, chosen=named or None)
        return leavers.filled_up(found) if named else found
    found = leavers.affected(session, bought=bought, lite_included=lite, chosen=_ticked())
    return found if asked_for == found.needed else leavers.filled_up(found)


def _ticked() -> Collection[int]:
    return {int(each) for each in request.values.getlist(LEAVER) if each.isascii() and each.isdigit()}


def preview(read: Facts) -> Preview | None:
    """What the choice would do; nothing while it cannot be priced or changes nothing."""
    wanted, holding = read.wanted, read.holding
    if wanted is None or (not read.moving and pricing.same(wanted.selection, holding.wanted)):
        return None
    tiers = list(wanted.catalog.tiers)
    # as it is priced: in a trial nothing waits
    all_now = read.form.all_now or holding.trialing
    now, later = pricing.split(read.had.selection, wanted.selection, tiers=tiers, all_now=all_now)
    today = State(now, wanted.catalog)
    at = int((holding.renews_at if later else gateways().clock.now()).timestamp())
    cost = pricing.recurring(items_of(wanted), at=at, lasting=holding.lasting)
    return Preview(
        now=differences(read.had, today),
        later=differences(today, wanted) if later else [],
        comparison=compare(read.had, wanted),
        recurring=cost,
        why=recurring_reasons(cost, holding.currency),
    )


def form_page(read: Facts, **more: object) -> str:
    """The page of the form: of the subscription, or of the move to the prices of now."""
    if read.moving:
        after = read.wanted or State(sold_there(read.holding.wanted, read.form.catalog), read.form.catalog)
        changed = price_changes(read.had, after)
        return render_template("subscription/prices.html", price_changes=changed, **_context(read), **more)
    return render_template("subscription/page.html", **_context(read), **more)


def came_from(holding: Holding) -> str | None:
    """The name of the prices that were left today and may still be gone back to."""
    with unit_of_work(current_workspace_id()) as session:
        version = change_catalogs.came_from(session, holding, gateways().clock.now())
    return price_list(version) if version else None


def way_back(session: Session, holding: Holding) -> Wanted | None:
    """What is held, at the prices that were left today; nothing when it is too late."""
    version = change_catalogs.came_from(session, holding, gateways().clock.now())
    if version is None:
        return None
    selection = sold_there(holding.selection, pricing.catalog(version))
    return Wanted(selection, catalog=version, all_now=True)


def _context(read: Facts) -> dict[str, object]:
    address = url_for("subscription.prices" if read.moving else "subscription.page")
    held: HeldLines = held_lines(read.holding, read.holding.renews_at)
    return {
        "subscription": read.subscription,
        "holding": read.holding,
        "had": read.had,
        "catalog": read.form.catalog,
        "form": read.form,
        "affected": read.affected,
        "one_more": read.one_more,
        "preview": preview(read),
        "planned": planned_words(read.holding),
        "planned_people": read.planned_people,
        "next_rates": next_rates(read.holding, read.subscription),
        "missed": missed_notice(read.missed),
        "on_its_way": on_its_way_notice(read.on_its_way),
        "held": held,
        "own_prices": price_list(read.holding.catalog),
        "newer_prices": read.holding.cancel_at is None and offered_catalog().version != read.holding.catalog,
        "address": address,
        "may_keep": may_here("owner"),
        "came_from": came_from(read.holding),
        "year_saving": year_saving,
        "chosen_for": CHOSEN_FOR,
        "whole": WHOLE,
    }
