"""Words about roles, seats and people; what a member may do here, and what one more seat would cost."""

from collections.abc import Mapping
from datetime import datetime

from flask import current_app, url_for
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from wtforms import RadioField, SelectChoice
from wtforms.validators import AnyOf

from portal.errors import PortalError
from portal.pricing import PricingError
from portal.services import attempts, changes, members, seats
from portal.services.change_pricing import SeatPrice
from portal.services.members import Person
from portal.services.seats import SeatUsage
from portal.web import gateways, may, signed_in
from portal.web.presentation import date_text, money

ROLE_NAMES = {"owner": _("Owner"), "admin": _("Admin"), "billing": _("Billing"), "member": _("Member")}
ROLE_HINTS = {
    "owner": _("Everything, also ending the subscription and handing the workspace over."),
    "admin": _("Invites people, gives roles and seats, buys and pays."),
    "billing": _("Buys, pays and changes the subscription."),
    "member": _("Sees the overview, the seats and the invoices."),
}
SEAT_NAMES = {"full": _("Full seat"), "lite": _("Lite seat"), "none": _("No seat")}
CHOOSE_ROLE, CHOOSE_SEAT = _("Role: choose one."), _("Seat: choose one.")
SUBSCRIPTION = "subscription.page"


def one_of(label: object, names: Mapping[str, object], missing: object, **more: str) -> RadioField:
    """The field of a form in which one of these is chosen; ``missing`` is said when none is."""
    choices = [SelectChoice(value, name) for value, name in names.items()]
    rules = [AnyOf(list(names), missing)]
    return RadioField(label, rules, choices=choices, validate_choice=False, **more)


def role_here() -> str:
    """The present member's role."""
    sign_in = signed_in()
    return sign_in.current.role if sign_in and sign_in.current else members.ROLES[-1]


def change_seats(number: int | None = None) -> str | None:
    """Where the number of paid seats is changed, for those who may; nothing for others."""
    if SUBSCRIPTION not in current_app.view_functions or not may("billing"):
        return None
    return url_for(SUBSCRIPTION, seats=number)


def price_of_a_seat(session: Session) -> SeatPrice | None:
    """What one more seat would cost at the customer's own price; nothing where it cannot be told."""
    try:
        held = changes.holding(session)
        ends = held is not None and held.cancel_at is not None
        if ends or attempts.on_its_way(session) is not None:
            return None  # none can be added, at any price
        return changes.seat_price(session, gateways().clock.now(), held)
    except (PortalError, PricingError):
        return None


def seat_hints(
    usage: SeatUsage, price: SeatPrice | None, *, invited: bool, held: str | None = None
) -> dict[str, object]:
    """What each kind of seat means at this moment, for somebody who is invited or already holds one."""
    free = usage.bought - usage.full_used - (usage.full_invited if invited else 0)
    lite = usage.lite_included - usage.lite_used - (usage.lite_invited if invited else 0)
    return {
        seats.FULL: _("Uses a seat that you pay for.")
        if held == seats.FULL
        else _full_hint(usage, free, price),
        seats.LITE: _(
            "Comes with your tier: %(free)s of %(all)s are free.", free=max(lite, 0), all=usage.lite_included
        ),
        seats.NONE: _("Uses none; the role alone says what they may do here."),
    }


def _full_hint(usage: SeatUsage, free: int, price: SeatPrice | None) -> object:
    if not usage.bought:
        return _("Needs a seat, and none is bought yet.")
    if free > 0:
        return _("Uses a seat that you pay for: %(free)s of %(all)s are free.", free=free, all=usage.bought)
    return adds_a_seat(price)


def adds_a_seat(price: SeatPrice | None) -> object:
    """That one more seat is needed, and what it costs now and then; the binding price comes later."""
    if price is None:
        return _(
            "Needs one more seat. If one can be added, you see its exact price before anything is charged."
        )
    amounts = {
        "now": money(price.now, price.currency),
        "then": money(price.recurring, price.currency),
        "date": date_text(price.until),
    }
    if not price.now and price.interval == "year":
        return _("Adds a seat: nothing now, then %(then)s a year from %(date)s, before tax.", **amounts)
    if not price.now:
        return _("Adds a seat: nothing now, then %(then)s a month from %(date)s, before tax.", **amounts)
    if price.interval == "year":
        return _("Adds a seat: + %(now)s now, then %(then)s a year from %(date)s, before tax.", **amounts)
    return _("Adds a seat: + %(now)s now, then %(then)s a month from %(date)s, before tax.", **amounts)


def offered_seats(usage: SeatUsage, held: str | None = None) -> list[str]:
    """The kinds of seats to choose from: lite ones where the tier has some."""
    return [each for each in seats.SEATS if each != seats.LITE or usage.lite_included or held == seats.LITE]


def is_away(person: Person, now: datetime) -> bool:
    """Whether the member was not here for so long that the seat may be one too many."""
    return (person.last_active_at or person.joined_at) < now - members.AWAY
