"""POST /v1/events: what happened in conversations, one thing or up to a thousand, in any order."""

from collections.abc import Sequence
from typing import Literal

from flask import Blueprint, current_app
from pydantic import AwareDatetime, Field
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.gateways import Gateways
from portal.services import conversations
from portal.services.api_keys import WRITE
from portal.services.conversations import ConversationEvent as Event
from portal.services.conversations import Taken
from portal.web.api.answers import json_answer
from portal.web.api.bodies import (
    Batch,
    Bodies,
    Channel,
    ConversationId,
    Id,
    Plain,
    Results,
    Sent,
    answer_batch,
    json_body,
    result,
)
from portal.web.api.combining import Combined
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe

blueprint = Blueprint("events", __name__)

TAKING = "portal.api.events"
Taking = Combined[Event, Taken]


class ConversationEvent(Sent):
    """One thing that happened in a conversation."""

    id: Id = Field(
        description=N_("Your id of the event. The same id again changes nothing."), examples=["evt_0001"]
    )
    conversation_id: ConversationId = Field(
        description=N_("Your id of the conversation."), examples=["conv_4711"]
    )
    type: Literal[
        "ai_answered",
        "ai_greeted",
        "customer_confirmed",
        "customer_asked",
        "human_requested",
        "human_replied",
        "reopened",
    ] = Field(description=N_("What happened."))
    occurred_at: AwareDatetime = Field(
        description=N_("When, with a zone. Late ones are welcome: what counts is when it happened."),
        examples=["2026-11-26T09:30:00Z"],
    )
    channel: Channel = Field(description=N_("Where, in your words: chat, email, phone …"), examples=["chat"])
    test: bool = Field(default=False, description=N_("Whether it is a try-out, which never counts."))


TAKE = Operation(
    id="sendEvents",
    summary=N_("Send conversation events"),
    description=N_(
        "One event, or a list of up to 1,000, in any order. Each is answered by itself: accepted, duplicate,"
        " or rejected with the reason; the others are taken in all the same. 422 only when all are rejected."
    ),
    answers=Results,
    body=ConversationEvent,
    batch=True,
)
_bodies = Bodies(ConversationEvent)


@blueprint.post("/events")
@describe(TAKE)
@needs(WRITE)
def take() -> Response:
    """Take events in."""
    batch = _bodies.read(json_body())
    return json_answer(answer_batch(batch, _take(batch)))


def combined(gateways: Gateways) -> Taking:
    """What takes events in for all requests of a process."""

    def work(workspace_id: int, events: Sequence[Event]) -> Sequence[Taken]:
        with unit_of_work(workspace_id) as session:
            return conversations.take_in(session, gateways, workspace_id, events)

    return Combined(work, most=conversations.BATCH)


def _take(batch: Batch[ConversationEvent]) -> list[Plain]:
    if not batch.things:
        return []
    events = [
        Event(each.id, each.conversation_id, each.type, each.occurred_at, each.channel, each.test)
        for each in batch.things
    ]
    taking: Taking = current_app.extensions[TAKING]
    taken = taking.answers(caller().workspace_id, events)
    return [result(each.id, each.result, each.message) for each in taken]
