"""POST /v1/usage: units of channels, one sending or up to a thousand, each counted once."""

from typing import Literal

from flask import Blueprint, current_app
from pydantic import AwareDatetime, Field
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.services import channel_usage
from portal.services.api_keys import WRITE
from portal.web.api.answers import json_answer
from portal.web.api.bodies import (
    Batch,
    Bodies,
    Id,
    Plain,
    Results,
    Sent,
    answer_batch,
    json_body,
    result,
)
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe

blueprint = Blueprint("usage", __name__)


class ChannelUsage(Sent):
    """One sending over a channel, or one call."""

    id: Id = Field(
        description=N_("Your id of the sending. The same id again changes nothing."), examples=["sms_0001"]
    )
    key: Literal["sms", "whatsapp", "phone_seconds", "bulk_email", "proactive_message"] = Field(
        description=N_("What was used.")
    )
    quantity: int = Field(
        ge=1,
        le=channel_usage.MOST,
        description=N_(
            "How many: segments, conversations, mails, messages. Of a call its seconds, up to a day; each"
            " call is rounded up to a minute."
        ),
        examples=[2],
    )
    occurred_at: AwareDatetime = Field(
        description=N_("When, with a zone."), examples=["2026-11-26T09:30:00Z"]
    )


SEND = Operation(
    id="sendUsage",
    summary=N_("Send channel usage"),
    description=N_(
        "One sending, or a list of up to 1,000, in any order, each answered by itself as events are. What the"
        " subscription does not include is rejected before it costs anything."
    ),
    answers=Results,
    body=ChannelUsage,
    batch=True,
)
_bodies = Bodies(ChannelUsage)


@blueprint.post("/usage")
@describe(SEND)
@needs(WRITE)
def take() -> Response:
    """Take usage of channels in."""
    batch = _bodies.read(json_body())
    return json_answer(answer_batch(batch, _take(batch)))


def _take(batch: Batch[ChannelUsage]) -> list[Plain]:
    if not batch.things:
        return []
    workspace_id, gateways = caller().workspace_id, current_app.extensions["portal"]
    sent = [
        channel_usage.ChannelUsage(each.id, each.key, each.quantity, each.occurred_at)
        for each in batch.things
    ]
    with unit_of_work(workspace_id) as session:
        taken = channel_usage.take_in(session, gateways, workspace_id, sent)
    return [result(each.id, each.result, each.message) for each in taken]
