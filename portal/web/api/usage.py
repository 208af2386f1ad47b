"""/v1/usage: units of channels sent in, each counted once; and what a period has come to so far."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from flask import Blueprint, current_app
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.pricing.forecast import Range as Expected
from portal.services import channel_usage, usage
from portal.services.api_keys import READ, WRITE
from portal.services.credit_covers import Share
from portal.services.usage import Metered
from portal.services.usage_prices import RESOLUTION
from portal.services.usage_rollup import Count
from portal.web.api.answers import json_answer, readable
from portal.web.api.bodies import (
    Batch,
    Bodies,
    Given,
    Id,
    Plain,
    Results,
    Sent,
    answer_batch,
    json_body,
    query,
    result,
)
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe
from portal.web.api.problems import ApiError

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


class Range(Given):
    """An expectation with its range."""

    low: int
    expected: int
    high: int


class Period(Given):
    """A month of usage: from starts_at to just before ends_at."""

    starts_at: datetime
    ends_at: datetime
    state: Literal["open", "closed"] = Field(description=N_("Closed: its invoice is final."))
    trial: bool = Field(description=N_("Whether it is a trial, in which usage is free."))
    invoice: str | None = Field(description=N_("Stripe's id of the invoice that bills it."))
    resolutions: int = Field(description=N_("What was counted less what was taken back."))


class Counted(Given):
    """Units. Of resolutions each number is how many GET /resolutions lists, by kind and of those reversed."""

    quantity: int = Field(description=N_("What was counted less what was taken back."))
    confirmed: int = Field(description=N_("Of resolutions: confirmed by the customer."))
    assumed: int = Field(description=N_("Of resolutions: assumed after 24 hours."))
    reversed: int = Field(description=N_("Of resolutions: taken back."))


class Day(Counted):
    """The units of one day, in UTC."""

    day: date


class OnChannel(Counted):
    """The units of one channel."""

    channel: str


class FromLot(Given):
    """The units that a lot of annual credits pays for."""

    lot: str = Field(description=N_("As GET /credits tells it."), examples=["T-7K2M9QXW4B"])
    units: int


class Kind(Counted):
    """One kind of usage in the period."""

    key: str = Field(description=N_("What is counted, by its key in the catalogue."), examples=["resolution"])
    charged: int = Field(description=N_("That part of it which is billed: neither trial nor above a cap."))
    included: int = Field(description=N_("Units that cost nothing, before the first that does."))
    carried: int = Field(
        description=N_(
            "Of resolutions: what was billed before a late event corrected it, or less than 0, what is given"
            " back of such. With it confirmed + assumed − reversed is the quantity."
        )
    )
    amount: int = Field(description=N_("What it costs so far, in minor units before tax."))
    by_credits: int = Field(description=N_("That part of it which annual credits pay."))
    lots: list[FromLot] = Field(description=N_("Units that each lot of annual credits pays for."))
    forecast: Range | None = Field(description=N_("Units at the end of an open period."))
    days: list[Day]
    channels: list[OnChannel]


class Usage(Given):
    """What a period has come to."""

    period: Period
    currency: str = Field(examples=["usd"])
    amount: int = Field(description=N_("What all of it costs so far, in minor units before tax."))
    by_credits: int = Field(description=N_("That part of it which annual credits pay."))
    to_pay: int = Field(description=N_("What is charged of it: the amount less what annual credits pay."))
    forecast: Range | None = Field(
        description=N_("What will be charged at the end of an open period, in minor units before tax.")
    )
    pending: int = Field(description=N_("Resolutions that are still inside their 24 hours."))
    disputed: int = Field(description=N_("Resolutions of the period that are contested."))
    kinds: list[Kind] = Field(description=N_("Each kind of usage, resolutions first."))
    periods: list[Period] = Field(description=N_("The periods there are, the newest first, up to 24."))


class Wanted(BaseModel):
    """Which period is wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    period: AwareDatetime | None = Field(
        default=None,
        description=N_("When the period began, as periods in the answer tell it; left out, the present one."),
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
READ_USAGE = Operation(
    id="getUsage",
    summary=N_("Read the usage of a period"),
    description=N_("What was counted, by kind, day and channel, what it costs so far, and what is expected."),
    answers=Usage,
    query=Wanted,
    tagged=True,
    problems=("not_found",),
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


@blueprint.get("/usage")
@describe(READ_USAGE)
@needs(READ)
def read() -> Response:
    """What the period has come to."""
    wanted = query(Wanted)
    now = current_app.extensions["portal"].clock.now()
    with unit_of_work(caller().workspace_id) as session:
        found = usage.read(session, now, wanted.period)
        periods = usage.periods(session, now)
    if found is None:
        raise ApiError("not_found", "There is no such period of usage.")
    return readable(_told(found, periods))


def _told(found: usage.Usage, periods: list[usage.Period]) -> Usage:
    return Usage(
        period=_period(found.period),
        currency=found.currency,
        amount=found.amount,
        by_credits=found.by_credits,
        to_pay=found.to_pay,
        forecast=_range(found.due),
        pending=found.pending,
        disputed=found.disputed,
        kinds=[_kind(each, found.shares if each is found.resolutions else ()) for each in found.metered],
        periods=[_period(each) for each in periods],
    )


def _period(period: usage.Period) -> Period:
    return Period(
        starts_at=period.starts_at,
        ends_at=period.ends_at,
        state="closed" if period.state == "closed" else "open",
        trial=period.trial,
        invoice=period.invoice_id,
        resolutions=period.used,
    )


def _kind(metered: Metered, shares: Sequence[Share]) -> Kind:
    count = metered.count
    return Kind(
        key=metered.key,
        quantity=count.quantity,
        charged=count.charged,
        included=metered.included,
        confirmed=count.confirmed,
        assumed=count.assumed,
        reversed=count.reversed,
        carried=count.carried if metered.key == RESOLUTION else 0,
        amount=metered.amount,
        by_credits=metered.by_credits,
        lots=[FromLot(lot=share.pack.lot_id, units=share.units) for share in shares],
        forecast=_range(metered.forecast.units if metered.forecast else None),
        days=[Day(day=day, **_counted(each)) for day, each in metered.days.items()],
        channels=[OnChannel(channel=name, **_counted(each)) for name, each in metered.channels],
    )


def _counted(count: Count) -> dict[str, int]:
    return {name: getattr(count, name) for name in Counted.model_fields}


def _range(expected: Expected | None) -> Range | None:
    return Range(low=expected.low, expected=expected.expected, high=expected.high) if expected else None
