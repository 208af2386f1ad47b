"""GET /v1/resolutions: the units of a period one by one, each with why it counts or does not."""

from datetime import date, datetime
from typing import Any, Literal

from flask import Blueprint, current_app
from pydantic import AwareDatetime, Field
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.models import Resolution as Row
from portal.pricing.outcomes import BECAUSE
from portal.services import credit_covers, resolutions, usage
from portal.services.api_keys import READ
from portal.services.credit_covers import Pack
from portal.services.resolutions import COUNTED, Filter, Page, Place
from portal.services.usage import Period
from portal.web.api.answers import readable
from portal.web.api.bodies import Channel, ConversationId, Given, query
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe
from portal.web.api.paging import Paged, after, link, next_cursor
from portal.web.api.problems import ApiError

blueprint = Blueprint("resolutions", __name__)

# parts of a cursor that say after which unit it goes on; then comes the period
PLACED = 3
# a day that has a next one, in every time zone
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)


class Wanted(Paged):
    """Which resolutions are wanted."""

    state: Literal["counted", "billable", "reversed", "pending", "not_billable", "contested", "disputed"] = (
        Field(
            default=COUNTED,
            description=N_(
                "Counted: all that became billable in the period, also what was reversed since; not what was"
                " corrected, since it was never to be counted. Billable: those of it that are charged, or"
                " free by trial or cap. Reversed: what was taken back in the period. Disputed: what was"
                " contested and is not decided."
            ),
        )
    )
    period: AwareDatetime | None = Field(
        default=None,
        description=N_("When the period began, as GET /usage tells it; the present one if left out."),
    )
    kind: Literal["confirmed", "assumed"] | None = Field(
        default=None, description=N_("Only those that were confirmed, or assumed after 24 hours.")
    )
    channel: Channel | None = Field(default=None, description=N_("Only those of one channel."))
    day: date | None = Field(
        default=None, ge=FIRST_DAY, le=LAST_DAY, description=N_("Only those of one day, in UTC.")
    )
    conversation_id: ConversationId | None = Field(
        default=None,
        description=N_("Only conversations whose id begins so, of all periods; ordered by it."),
    )


class Resolution(Given):
    """One unit: what one answer of the AI and what followed came to."""

    conversation_id: str = Field(examples=["conv_4711"])
    episode: int = Field(description=N_("From 1; another begins when the AI answers anew after a reversal."))
    state: Literal["open", "pending", "billable", "not_billable", "reversed"]
    kind: Literal["confirmed", "assumed"] | None = Field(
        description=N_("Confirmed by the customer, or assumed after 24 hours; as its period has it.")
    )
    because: str = Field(
        description=N_("The rule that decided, as a code that never changes."), examples=["customer_asked"]
    )
    reason: str = Field(description=N_("The same in a sentence."))
    channel: str
    answered_at: datetime | None = Field(description=N_("The last real answer of the AI."))
    matures_at: datetime | None = Field(description=N_("When it becomes billable unless help is asked for."))
    billable_at: datetime | None
    reversed_at: datetime | None = Field(description=N_("When the customer came back for more help."))
    taken_back_at: datetime | None = Field(
        description=N_("The instant at which it is taken back, in the period whose count it lowers.")
    )
    period_start: datetime | None = Field(description=N_("The period that it counts in."))
    charge: Literal["meter", "trial", "over_cap"] | None = Field(
        description=N_("Meter: billed. Trial and over_cap: free.")
    )
    lot: str | None = Field(
        description=N_(
            "The lot of annual credits that pays for it, as GET /credits tells it; null: none does."
        ),
        examples=["T-7K2M9QXW4B"],
    )
    contest: Literal["open", "accepted", "refused"] | None = Field(
        description=N_("Whether it was contested, and what was decided.")
    )


class Resolutions(Given):
    """A page of resolutions, the newest first."""

    data: list[Resolution]
    next_cursor: str | None = Field(
        description=N_("For the next page, which may be short while a filter leaves few; null at the end.")
    )


LISTING = Operation(
    id="listResolutions",
    summary=N_("List resolutions"),
    description=N_("The units of a period, the newest first, each with the rule that decided about it."),
    answers=Resolutions,
    query=Wanted,
    tagged=True,
    problems=("not_found",),
)


@blueprint.get("/resolutions")
@describe(LISTING)
@needs(READ)
def listing() -> Response:
    """The resolutions that the query leaves."""
    wanted = query(Wanted)
    last = after(wanted)
    now = current_app.extensions["portal"].clock.now()
    with unit_of_work(caller().workspace_id) as session:
        period = usage.find(session, now, _period(wanted, last))
        page = _page(session, wanted, period, last)
        covers = credit_covers.of_units(session, page.units)
    cursor = next_cursor(_key(page.further, period))
    told = [_told(row, credit_covers.pack_of(row, covers)) for row in page.units]
    return link(readable(Resolutions(data=told, next_cursor=cursor)), cursor)


def _period(wanted: Wanted, last: list[Any] | None) -> datetime | None:
    """Which one is asked for: where none is named, a list goes on in the one that it was begun in."""
    if wanted.period is not None or last is None or len(last) <= PLACED or last[PLACED] is None:
        return wanted.period
    return datetime.fromisoformat(last[PLACED])


def _page(session: Session, wanted: Wanted, period: Period | None, last: list[Any] | None) -> Page:
    if period is None and not wanted.conversation_id:
        if wanted.period is not None:
            raise ApiError("not_found", "There is no such period of usage.")
        return Page([], None)
    which = Filter(
        period=period,
        state=wanted.state,
        kind=wanted.kind or "",
        channel=wanted.channel or "",
        day=wanted.day,
        search=wanted.conversation_id or "",
    )
    return resolutions.page(session, which, after=_place(last), limit=wanted.limit)


def _key(place: Place | None, period: Period | None) -> list[Any] | None:
    if place is None:
        return None
    at = place.at.isoformat() if place.at else None
    return [at, place.conversation_id, place.episode, period.starts_at.isoformat() if period else None]


def _place(key: list[Any] | None) -> Place | None:
    if key is None:
        return None
    at, conversation_id, episode = key[:PLACED]
    return Place(datetime.fromisoformat(at) if at else None, conversation_id, episode)


def _told(row: Row, pack: Pack | None) -> Resolution:
    shape = {name: getattr(row, name) for name in Resolution.model_fields if name not in ("reason", "lot")}
    shape["kind"], shape["channel"] = resolutions.as_counted(row)
    return Resolution(**shape, reason=BECAUSE[row.because], lot=pack.lot_id if pack else None)
