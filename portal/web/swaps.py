"""/billing/swap: fewer seats now, and resolutions for the value of their unused time.

The binding quote, its confirmation and its payment are those of every change (``subscription``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from sqlalchemy.orm import Session
from werkzeug import Response
from wtforms import Form

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.services import changes, swaps
from portal.services.leavers import Affected
from portal.services.swaps import Swap, Swappable
from portal.web import current_user_id, current_workspace_id, gateways, workspace_required
from portal.web.credit_advice import MAX_UNITS
from portal.web.holding_words import state_of
from portal.web.language import translated
from portal.web.limits import limit_quotes
from portal.web.pack_words import better, reasons
from portal.web.pricing_form import CountField
from portal.web.subscription_pages import CHOSEN_FOR, affected_by
from portal.web.subscription_words import State, differences

blueprint = Blueprint("swaps", __name__, url_prefix="/billing/swap")

# who may spend the workspace's money
BUYER = "billing"


class SwapForm(Form):
    """How many seats go, and how many resolutions are bought; no number: as many as the seats pay for."""

    seats = CountField(_("Seats to give up"), minimum=1, maximum=1)
    units = CountField(_("Resolutions"), minimum=0, maximum=MAX_UNITS)

    def validate(self, extra_validators: Mapping[str, Iterable[Any]] | None = None) -> bool:
        """Check the numbers; a pack has a smallest size."""
        super().validate(extra_validators)
        return not self.errors


@dataclass(frozen=True)
class Read:
    """What the page is made from, read in one transaction; ``swap`` None while it cannot be priced."""

    found: Swappable
    form: SwapForm
    swap: Swap | None
    affected: Affected


def _read() -> Read | str:
    """The form and what it would come to, or why nothing can be swapped."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        try:
            found = swaps.swappable(session)
        except PortalError as error:
            return translated(error.message)
        form = SwapForm(request.values if "seats" in request.values else None, seats=1)
        form.seats.maximum = found.most
        swap = _swap(session, found, form) if form.validate() else None
        after = swap.after if swap else found.held.selection
        affected = affected_by(session, State(after, state_of(found.held).catalog))
        return Read(found, form, swap, affected)


def _swap(session: Session, found: Swappable, form: SwapForm) -> Swap | None:
    now = gateways().clock.now()
    dropped, units = int(form.seats.data or 1), form.units.data or None
    try:
        return swaps.simulate(session, found, now, dropped=dropped, units=units)
    except pricing.PricingError:
        sold = found.buyer.catalog.credits
        form.units.errors = [
            gettext("Resolutions: the smallest pack has %(least)s.", least=sold.minimum if sold else 0)
        ]
        return None


def _page(read: Read | str, refusal: str | None = None) -> str:
    if isinstance(read, str):
        return render_template("swaps/none.html", why=read)
    swap, had = read.swap, state_of(read.found.held)
    return render_template(
        "swaps/page.html",
        form=read.form,
        found=read.found,
        swap=swap,
        affected=read.affected,
        given_up=differences(had, State(swap.after, had.catalog)) if swap else [],
        better=better(swap.offer) if swap else None,
        reasons=reasons(swap.offer.pack.as_dict()) if swap else [],
        chosen_for=CHOSEN_FOR,
        refusal=refusal,
    )


@blueprint.get("")
@workspace_required(BUYER)
def page() -> str:
    """The simulator; ``?seats=4&units=600`` prefills it."""
    return _page(_read())


@blueprint.post("")
@limit_quotes
@workspace_required(BUYER)
def prepare() -> Response | tuple[str, int]:
    """A binding quote for the swap, or the page with what is wrong."""
    read = _read()
    if isinstance(read, str):
        return _page(read), 409
    if read.swap is None:
        return _page(read), 422
    if len(read.affected.chosen) != read.affected.needed:
        needed = read.affected.needed
        return _page(
            read, gettext("Choose as many people as there are too few seats: %(num)s.", num=needed)
        ), 422
    return _prepared(read, read.swap)


def _prepared(read: Read, swap: Swap) -> Response | tuple[str, int]:
    leavers = [changes.Leaver(person.member_id, seat) for person, seat in read.affected.named]
    try:
        quote_id = swaps.prepare(
            gateways(),
            current_workspace_id(),
            current_user_id(),
            dropped=swap.dropped,
            units=read.form.units.data or None,
            leavers=leavers,
        )
    except PortalError as error:
        return _page(read, translated(error.message)), error.status
    except pricing.PricingError:
        # somebody has changed the seats in this very moment
        return _page(_read(), gettext("Your seats have changed meanwhile. Look at the swap again.")), 409
    return redirect(url_for("subscription.quote", quote_id=quote_id), code=303)
