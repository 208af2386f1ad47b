"""Words about roles, seats and people; what a member may do here, and what one more seat would cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from flask import current_app, url_for
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from wtforms import SelectChoice

from portal.services import members, seats
from portal.services.members import Person
from portal.services.seats import SeatUsage
from portal.web import signed_in

ROLE_NAMES = {"owner": _("Owner"), "admin": _("Admin"), "billing": _("Billing"), "member": _("Member")}
ROLE_HINTS = {
    "owner": _("Everything, also ending the subscription and handing the workspace over."),
    "admin": _("Invites people, gives roles and seats, buys and pays."),
    "billing": _("Buys, pays and changes the subscription."),
    "member": _("Sees the overview, the seats and the invoices."),
}
SEAT_NAMES = {"full": _("Full seat"), "lite": _("Lite seat"), "none": _("No seat")}
SUBSCRIPTION = "subscription.page"


@dataclass(frozen=True)
class SeatPrice:
    """What one more seat costs: ``now`` until ``until``, then ``recurring`` each interval, before tax."""

    now: int
    recurring: int
    interval: str
    currency: str


def choices(names: Mapping[str, object]) -> list[SelectChoice]:
    """The choices of a form's field."""
    return [SelectChoice(value, name) for value, name in names.items()]


def allowed(role: str) -> bool:
    """Whether the present member may do what needs ``role``."""
    sign_in = signed_in()
    return sign_in is not None and sign_in.current is not None and members.may(sign_in.current.role, role)


def role_here() -> str:
    """The present member's role."""
    sign_in = signed_in()
    return sign_in.current.role if sign_in and sign_in.current else members.ROLES[-1]


def change_seats(number: int | None = None) -> str | None:
    """Where the number of paid seats is changed, for those who may; nothing for others."""
    if SUBSCRIPTION not in current_app.view_functions or not allowed("billing"):
        return None
    return url_for(SUBSCRIPTION, seats=number)


def price_of_a_seat(session: Session) -> SeatPrice | None:
    """What one more seat would cost from now on; nothing where it cannot be told."""
    return None


def seat_hints(usage: SeatUsage, price: SeatPrice | None, *, invited: bool) -> dict[str, object]:
    """What each kind of seat means at this moment, for somebody who is invited or already here."""
    free = usage.bought - usage.full_used - (usage.full_invited if invited else 0)
    lite = usage.lite_included - usage.lite_used - (usage.lite_invited if invited else 0)
    return {
        seats.FULL: _full_hint(usage, free, price),
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
    return _("Adds a seat. You see its exact price on the next page before anything is charged.")


def offered_seats(usage: SeatUsage, held: str | None = None) -> list[str]:
    """The kinds of seats to choose from: lite ones where the tier has some."""
    kinds = [each for each in seats.SEATS if each != seats.LITE or usage.lite_included or held == seats.LITE]
    return kinds


def is_away(person: Person, now: datetime) -> bool:
    """Whether the member was not here for so long that the seat may be one too many."""
    return (person.last_active_at or person.joined_at) < now - members.AWAY
