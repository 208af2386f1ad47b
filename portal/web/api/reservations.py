"""GET /v1/allowance and /v1/reservations: whether the AI may answer now, and a unit held before it does."""

from datetime import datetime
from typing import Literal

from flask import Blueprint, current_app
from pydantic import Field, TypeAdapter
from werkzeug.routing import BaseConverter
from werkzeug.wrappers import Response

from portal.errors import N_
from portal.gateways import Gateways
from portal.models import Reservation as Row
from portal.services import allowances, reservations
from portal.services.allowances import CAP_REACHED, LIMITED, State
from portal.services.api_keys import READ, WRITE
from portal.services.reservations import Held, Refused
from portal.web.api.answers import json_answer, readable
from portal.web.api.bodies import ConversationId, Given, Sent, json_body, read_one
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe
from portal.web.api.problems import ApiError

blueprint = Blueprint("reservations", __name__)

WHY_NOT = {
    CAP_REACHED: "The cap of this period is reached.",
    LIMITED: "The workspace is limited, since a payment failed.",
}
NOT_SUBSCRIBED = "The workspace has no subscription that is good now."


class ReservationId(BaseConverter):
    """``<reservation:…>``: the id of a reservation, as ``services.ids`` makes it."""

    regex = "R-[0-9A-Z]{10}"


class Allowance(Given):
    """What the AI may do now. Counts are units of resolutions in the present period."""

    may_answer: bool = Field(description=N_("Whether a unit could be held at this moment."))
    reason: Literal["cap_reached", "limited", "not_subscribed"] | None = Field(
        description=N_("Why the AI may not answer.")
    )
    at_cap: Literal["stop", "hand_over", "ask_approver", "next_pack"] = Field(
        description=N_(
            "What the workspace has chosen to happen at its cap; stop where that cannot be, as in a trial."
        )
    )
    cap: int | None = Field(description=N_("The hard cap; null while nothing stops the AI."))
    left: int | None = Field(description=N_("How many units may still be held; null without a cap."))
    used: int = Field(description=N_("Units that are billed, or free in a trial."))
    pending: int = Field(description=N_("Units that may still become billable, whatever the period."))
    held: int = Field(description=N_("Units that are held for answers to come."))
    trial: bool = Field(description=N_("Whether the period is a trial, whose resolutions are free."))
    period_start: datetime | None = Field(description=N_("Since when it counts."))
    until: datetime | None = Field(description=N_("Until when; after that it counts anew."))


class ReservationRequest(Sent):
    """For which conversation a unit is wanted."""

    conversation_id: ConversationId = Field(
        description=N_("Your id of the conversation; it holds one unit at a time."), examples=["conv_4711"]
    )


class Reservation(Given):
    """A unit that is held, or what became of it."""

    id: str = Field(examples=["R-7K2M9XWT4B"])
    conversation_id: str
    state: Literal["held", "answered", "settled", "lapsed", "released"] = Field(
        description=N_(
            "Held until expires_at; answered: held until the resolution is settled; lapsed: nobody answered."
        )
    )
    expires_at: datetime = Field(description=N_("When it lapses unless ai_answered was sent."))


class Granted(Reservation):
    """A unit that is held for an answer."""

    left: int | None = Field(description=N_("How many more units may be held; null without a cap."))
    until: datetime | None = Field(description=N_("The end of the present period."))


READ_ALLOWANCE = Operation(
    id="getAllowance",
    summary=N_("Ask whether the AI may answer"),
    description=N_("Whether it may now, how much is left, until when, and what is to happen at the cap."),
    answers=Allowance,
    tagged=True,
)
HOLD = Operation(
    id="holdUnit",
    summary=N_("Hold a unit before the AI answers"),
    description=N_(
        "Ask before each answer, and let the AI answer only while a unit is held: then a hard cap holds."
        " Without ai_answered the unit lapses after 15 minutes; with it, it is held until the resolution is"
        " settled. Asked again for the same conversation, the answer is 200 with the reservation that it has."
        " 409 when the AI may not answer: reason says why, and at_cap what to do instead."
    ),
    answers=Granted,
    statuses=(201, 200),
    body=ReservationRequest,
    problems=("conflict",),
)
LOOK = Operation(
    id="getReservation",
    summary=N_("Look at a reservation"),
    description=N_("What became of it. One that is over is kept for 30 days."),
    answers=Reservation,
    tagged=True,
    problems=("not_found",),
)
GIVE_BACK = Operation(
    id="releaseUnit",
    summary=N_("Give a unit back"),
    description=N_("For an answer that will not be given. What was answered, or is over, stays as it is."),
    answers=Reservation,
    problems=("not_found",),
)

_request = TypeAdapter(ReservationRequest)


@blueprint.get("/allowance")
@describe(READ_ALLOWANCE)
@needs(WRITE, READ)
def allowance() -> Response:
    """May the AI answer now."""
    return readable(_allowance(allowances.current(_gateways(), caller().workspace_id)))


@blueprint.post("/reservations")
@describe(HOLD)
@needs(WRITE)
def hold() -> Response:
    """Hold one unit for a conversation."""
    wanted = read_one(_request, json_body())
    answer = reservations.hold(_gateways(), caller().workspace_id, wanted.conversation_id)
    if isinstance(answer, Refused):
        raise _refusal(answer.allowance)
    return json_answer(_granted(answer), 200 if answer.repeated else 201)


@blueprint.get("/reservations/<reservation:reservation_id>")
@describe(LOOK)
@needs(WRITE, READ)
def look(reservation_id: str) -> Response:
    """What became of a reservation."""
    return readable(_told(reservations.look(_gateways(), caller().workspace_id, reservation_id)))


@blueprint.delete("/reservations/<reservation:reservation_id>")
@describe(GIVE_BACK)
@needs(WRITE)
def give_back(reservation_id: str) -> Response:
    """Give a unit back that no answer has used."""
    return json_answer(_told(reservations.release(_gateways(), caller().workspace_id, reservation_id)))


def _gateways() -> Gateways:
    found: Gateways = current_app.extensions["portal"]
    return found


def _allowance(state: State) -> Allowance:
    return Allowance(
        may_answer=state.may_answer,
        reason=state.reason,  # type: ignore[arg-type]
        at_cap=state.at_cap,  # type: ignore[arg-type]
        cap=state.cap,
        left=state.left,
        used=state.used,
        pending=state.pending,
        held=state.held,
        trial=state.trial,
        period_start=state.starts_at,
        until=state.until,
    )


def _refusal(state: State) -> ApiError:
    reason = state.reason or CAP_REACHED
    more = {"reason": reason, "at_cap": state.at_cap}
    return ApiError("conflict", WHY_NOT.get(reason, NOT_SUBSCRIBED), more=more)


def _granted(held: Held) -> Granted:
    return Granted(
        id=held.id,
        conversation_id=held.conversation_id,
        state=held.state,  # type: ignore[arg-type]
        expires_at=held.expires_at,
        left=held.left,
        until=held.until,
    )


def _told(row: Row) -> Reservation:
    return Reservation(
        id=row.id,
        conversation_id=row.conversation_id,
        state=row.state,  # type: ignore[arg-type]
        expires_at=row.expires_at,
    )
