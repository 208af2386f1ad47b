"""/usage/resolutions: every resolution of a period with its reason, and the evidence of one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask_babel import gettext
from sqlalchemy.orm import Session
from werkzeug import Response

from portal.db import unit_of_work
from portal.models import Contest, Resolution
from portal.pricing.outcomes import KINDS
from portal.services import contests, credit_covers, resolution_evidence, resolutions, usage
from portal.services.resolutions import COUNTED, LISTS, Filter, Page, Place
from portal.services.usage import Period
from portal.web import (
    current_user_id,
    current_workspace_id,
    gateways,
    may,
    usage_words,
    workspace_required,
)
from portal.web.contest_form import REASONS, ContestForm
from portal.web.resolution_timeline import timeline
from portal.web.usage_address import known_or_404, period_text, read_day, read_period

blueprint = Blueprint("resolutions", __name__, url_prefix="/resolutions")

LONGEST_SEARCH = 255
BIGGEST_EPISODE = 2**31 - 1
FIELDS = ("period", "state", "kind", "channel", "day", "search")


@blueprint.get("")
@workspace_required()
def listing() -> str:
    """The resolutions that the filter leaves, newest first, a page at a time."""
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        now = gateways().clock.now()
        found = usage.read(session, now, read_period(request.args))
        if found is None:
            known_or_404(request.args)
            return render_template("usage/none.html", subscription=None)
        wanted = read(request.args, found.period)
        return render_template("resolutions/listing.html", **_page(session, found, wanted))


def _page(session: Session, found: usage.Usage, wanted: Filter) -> dict[str, Any]:
    page = resolutions.page(session, wanted, after=_place())
    channels = {name for name, _count in found.resolutions.channels}
    return {
        "usage": found,
        "period": found.period,
        "periods": usage.periods(session, found.now),
        "wanted": wanted,
        "units": page.units,
        "further": _further(page, found.period),
        "began": request.args.get("conversation") is None,
        "kept": kept(request.args),
        "channels": sorted(channels | ({wanted.channel} if wanted.channel else set())),
        "paid_by": _paid_by(session, page.units),
        "why_amount": usage_words.why_amount(found.resolutions, found.period, found.currency),
        "period_text": period_text,
        "words": usage_words,
        "scanned": resolutions.SCANNED,
    }


def _paid_by(session: Session, units: Sequence[Resolution]) -> Callable[[Resolution], str | None]:
    """What pays for each of some units, in words; nothing in months of which no pack pays anything."""
    covers = credit_covers.of_units(session, units)
    return lambda unit: usage_words.paid_by(unit, covers)


def read(args: Mapping[str, str], period: Period) -> Filter:
    """What the address asks for; what it cannot mean is no limit."""
    state, kind = args.get("state", ""), args.get("kind", "")
    return Filter(
        period=period,
        state=state if state in LISTS else COUNTED,
        kind=kind if kind in KINDS else "",
        channel=args.get("channel", "")[:LONGEST_SEARCH],
        day=read_day(args),
        search=args.get("search", "").strip()[:LONGEST_SEARCH],
    )


def kept(args: Mapping[str, str]) -> dict[str, str]:
    """The filter's own part of the address, without what is empty."""
    return {name: args[name] for name in FIELDS if args.get(name)}


def _place() -> Place | None:
    """From where the list goes on."""
    args = request.args
    conversation, episode = args.get("conversation"), args.get("episode", "")
    if conversation is None or not (episode.isascii() and episode.isdigit() and len(episode) < 10):
        return None
    return Place(_instant(args.get("at", "")), conversation, int(episode))


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def _further(page: Page, period: Period) -> str | None:
    place = page.further
    if place is None:
        return None
    return url_for(
        "usage.resolutions.listing",
        # also where the present one went without saying, since another may begin meanwhile
        **{**kept(request.args), "period": period_text(period.starts_at)},
        at=place.at.isoformat() if place.at else None,
        conversation=place.conversation_id,
        episode=place.episode,
    )


@blueprint.get("/<conversation:conversation_id>/<int:episode>")
@workspace_required()
def evidence(conversation_id: str, episode: int) -> str:
    """Why one resolution is billed, or is not."""
    return _evidence(conversation_id, episode, ContestForm(formdata=None))


def _evidence(conversation_id: str, episode: int, form: ContestForm) -> str:
    with unit_of_work(current_workspace_id(), user_id=current_user_id()) as session:
        found = resolution_evidence.find(session, conversation_id, min(episode, BIGGEST_EPISODE))
        contested = contests.of_unit(session, conversation_id, found.unit.episode)
        return render_template(
            "resolutions/evidence.html",
            found=found,
            unit=found.unit,
            timeline=timeline(found, contested),
            words=usage_words,
            period_text=period_text,
            contest=contested,
            form=form,
            may_contest=may(contests.MAY_CONTEST),
            in_time=contests.is_in_time(found.unit, gateways().clock.now()),
            contestable=contests.CONTESTABLE.days,
            reasons=REASONS,
        )


@blueprint.post("/<conversation:conversation_id>/<int:episode>")
@workspace_required(contests.MAY_CONTEST)
def contest(conversation_id: str, episode: int) -> str | Response | tuple[str, int]:
    """Contest a resolution; what its events prove is taken back at once."""
    form = ContestForm()
    if not form.validate_on_submit():
        return _evidence(conversation_id, episode, form), 422
    made = _contested(conversation_id, episode, form)
    flash(*_said(made.state))
    here = url_for("usage.resolutions.evidence", conversation_id=conversation_id, episode=episode)
    return redirect(f"{here}#contest", code=303)


def _contested(conversation_id: str, episode: int, form: ContestForm) -> Contest:
    return contests.contest(
        gateways(),
        current_workspace_id(),
        current_user_id(),
        conversation_id,
        min(episode, BIGGEST_EPISODE),
        reason=form.reason.data,
        comment=form.comment.data or "",
    )


def _said(state: str) -> tuple[str, str]:
    match state:
        case contests.OPEN:
            return gettext("It is contested. We look at it and write to you."), "success"
        case contests.REFUSED:
            return gettext("This resolution was contested before, and it stays."), "info"
        case _:
            return gettext("It is taken back: it costs you nothing."), "success"
