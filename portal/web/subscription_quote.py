"""The quote of a change as a page: before it is confirmed, when it holds no longer, and after it was done."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import current_app, render_template, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session

from portal import pricing
from portal.db import unit_of_work
from portal.models import Quote
from portal.pricing import Selection
from portal.services import billing_details, changes, credits, holdings, leavers, quotes, subscriptions
from portal.services.changes import ChangeState
from portal.services.holdings import Holding
from portal.services.quotes import Change
from portal.web import current_workspace_id, gateways, settings
from portal.web.billing_attention import Notice
from portal.web.billing_words import payment_method
from portal.web.checkout_words import change_words, tax_words
from portal.web.holding_words import planned_words, state_of
from portal.web.language import translated
from portal.web.subscription_form import change_query
from portal.web.subscription_quote_words import (
    Terms,
    button,
    change_line_detail,
    change_line_title,
    sums,
    terms_of,
    under,
    what_becomes_of_packs,
    what_comes_next,
)
from portal.web.subscription_words import State, differences, seats_lost

OVER = ("expired", "abandoned", "failed")
# what a quote of a change goes by, said in words of their own
FACTS = {
    "subscription", "catalog", "tier", "interval", "seats", "add_ons", "prices", "discounts", "planned",
    "cancel_at", "trialing", "payer", "rates",
}  # fmt: skip
# states in which the browser may still have to do something for the payment
TO_PAY = ("awaiting_payment", "requires_action", "declined")


def change_url(quote: Quote, terms: Terms) -> str:
    """The way back to the form, with everything that was chosen."""
    wanted = terms.final.selection
    if terms.swapped is not None:
        return _swap_url(terms)
    query: dict[str, object] = dict(change_query(wanted, all_now=terms.all_now))
    if terms.leavers:
        query |= {"chosen_for": len(terms.leavers), "leaver": [each["member_id"] for each in terms.leavers]}
    return url_for("subscription.prices" if terms.moves else "subscription.page", **query)


def _swap_url(terms: Terms) -> str:
    chosen = [each["member_id"] for each in terms.leavers]
    return url_for(
        "swaps.page",
        seats=terms.before.selection.seats - terms.now.selection.seats,
        units=(terms.swapped or {})["pack"]["units"],
        chosen_for=len(chosen) or None,
        leaver=chosen,
    )


def quote_page(state: ChangeState, *, changed: Sequence[str] = ()) -> str:
    """The binding quote with its button, or why it holds no longer.

    ``changed``: what Stripe would no longer charge as quoted, when confirming has just found that out.
    """
    terms = terms_of(state.quote)
    with unit_of_work(current_workspace_id()) as session:
        holding = changes.holding(session)
        reasons = _reasons(holding, terms, changed) if state.attempt is None else []
        if state.name in OVER or reasons:
            return _stale_page(session, state, terms, holding, reasons)
        return render_template("subscription/quote.html", **_quote_context(session, state, terms, holding))


def _quote_context(
    session: Session, state: ChangeState, terms: Terms, holding: Holding | None
) -> dict[str, object]:
    quote, stripe_js = state.quote, settings().stripe_js_url
    subscription = subscriptions.bought(session)
    held = credits.read(session, gateways().clock.now())
    return {
        "quote": quote,
        "terms": terms,
        "state": state,
        "tax": tax_words(quote),
        "sums": sums(quote),
        "next": what_comes_next(quote, terms) + what_becomes_of_packs(terms, held),
        "people": people(session, terms),
        "planned": planned_words(holding) if holding else None,
        "button": button(quote, terms),
        "under": under(
            quote, terms, payment_method(subscription.default_payment_method if subscription else None)
        ),
        "notices": _notices(state),
        "other_way": _other_way(state, terms),
        "payment_url": url_for("payment.page") if "payment.page" in current_app.view_functions else None,
        "to_pay": state.name in TO_PAY,
        "change_url": change_url(quote, terms),
        "details": billing_details.current(session),
        "line_detail": change_line_detail,
        "title_of": change_line_title,
        "publishable_key": settings().stripe_publishable_key,
        "stripe_js_url": stripe_js,
        "stripe_origin": "{0.scheme}://{0.netloc}".format(urlsplit(stripe_js)),
    }


def people(session: Session, terms: Terms) -> list[str]:
    """Who loses a seat, a sentence each."""
    final = terms.final
    chosen = [int(each["member_id"]) for each in terms.leavers] or None
    found = leavers.affected(
        session, bought=final.selection.seats, lite_included=final.lite_seats, chosen=chosen
    )
    return seats_lost(leavers.filled_up(found))


def _reasons(holding: Holding | None, terms: Terms, changed: Sequence[str]) -> list[str]:
    """Why the quote holds no longer: what somebody changed, and what confirming has just found."""
    found = change_words([Change(what, None, None) for what in changed if what not in FACTS])
    return [*_meanwhile(holding, terms), *found]


def _notices(state: ChangeState) -> list[Notice]:
    if state.name == "declined":
        body = gettext(
            "%(reason)s You were not charged, and nothing was changed. Pay with another card below.",
            reason=translated(state.message),
        )
        return [Notice("negative", gettext("The payment did not go through"), body)]
    if state.name == "requires_action":
        body = gettext("You were not charged. Press the button below and follow your bank's steps.")
        return [Notice("caution", gettext("Your bank has not confirmed yet"), body)]
    return []


def _other_way(state: ChangeState, terms: Terms) -> list[tuple[str, str]]:
    """The same change at the other time, as the fields of the form; nothing when there is only one."""
    less = terms.later is not None or (terms.all_now and has_less(terms))
    if state.name != "quoted" or not less or terms.moves or terms.swapped or terms.trialing:
        return []
    query = change_query(terms.final.selection, all_now=not terms.all_now)
    chosen = [("leaver", str(each["member_id"])) for each in terms.leavers]
    return [*query.items(), *([("chosen_for", str(len(chosen)))] if chosen else []), *chosen]


def has_less(terms: Terms) -> bool:
    """Whether something becomes less that could have waited for the renewal."""
    tiers = list(terms.now.catalog.tiers)
    return pricing.split(terms.before.selection, terms.final.selection, tiers=tiers)[1] is not None


def _meanwhile(holding: Holding | None, terms: Terms) -> list[str]:
    """What somebody else has changed since the quote was made."""
    if holding is None:
        return [gettext("The subscription has ended.")]
    words = {
        "planned": gettext("A change at the renewal was planned or undone."),
        "rates": gettext("What usage is going to cost changed."),
        "discounts": gettext("Your discounts changed."),
        "cancel_at": gettext("The subscription was cancelled, or kept after all."),
        "trialing": gettext("The trial ended."),
        "payer": gettext("What your payments are taken from changed."),
    }
    changed = [each.what for each in holdings.differences(terms.facts, holding.facts)]
    return differences(terms.before, state_of(holding)) + [words[each] for each in changed if each in words]


def _stale_page(
    session: Session, state: ChangeState, terms: Terms, holding: Holding | None, reasons: list[str]
) -> str:
    newer = quotes.latest(session, quotes.CHANGE)
    fits = newer is not None and newer.kind == quotes.CHANGE and newer.confirmed_at is None
    return render_template(
        "subscription/stale.html",
        quote=state.quote,
        newer=newer if newer and fits and newer.id != state.quote.id else None,
        body=stale_body(state, reasons),
        reasons=reasons,
        asked=asked_now(terms, holding) if holding else [],
    )


def stale_body(state: ChangeState, reasons: list[str]) -> str:
    """Why the quote is over."""
    if reasons:
        return gettext("Something changed since you saw this price:")
    return translated(state.message)


def asked_now(terms: Terms, holding: Holding) -> list[str]:
    """What the quote would change in what is had by now; nothing when that is so already."""
    catalog = terms.final.catalog if terms.moves else state_of(holding).catalog
    return differences(state_of(holding), State(rebased(terms, holding.wanted), catalog))


def rebased(terms: Terms, held: Selection) -> Selection:
    """What the quote asked for, as a change of what is had by now: what others changed meanwhile stays."""
    before, wanted = terms.wanted_before, terms.final.selection

    def pick(was: int, asked: int, now: int) -> int:
        return now if asked == was else asked

    seats = pick(before.seats, wanted.seats, held.seats)
    keys = {**before.add_ons, **wanted.add_ons, **held.add_ons}
    add_ons = {
        key: min(seats, pick(*(each.add_ons.get(key, 0) for each in (before, wanted, held)))) for key in keys
    }
    return Selection(
        tier=held.tier if wanted.tier == before.tier else wanted.tier,
        seats=seats,
        interval=held.interval if wanted.interval == before.interval else wanted.interval,
        add_ons={key: count for key, count in add_ons.items() if count},
    )
