"""What a request brings: a batch of things, or the query; read in one pass, each thing judged by itself."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from portal.errors import N_
from portal.services.conversations import (
    BATCH,
    CHANNEL_LENGTH,
    CHANNEL_PATTERN,
    CONVERSATION_ID_LENGTH,
    EVENT_ID_LENGTH,
    ID_PATTERN,
)
from portal.web.api.problems import ApiError, Fault, faults

MOST_AT_ONCE = BATCH
STATUSES = ("accepted", "duplicate", "rejected")
JSON_TYPE = "application/json"

Id = Annotated[str, Field(min_length=1, max_length=EVENT_ID_LENGTH, pattern=ID_PATTERN)]
ConversationId = Annotated[str, Field(min_length=1, max_length=CONVERSATION_ID_LENGTH, pattern=ID_PATTERN)]
Channel = Annotated[str, Field(min_length=1, max_length=CHANNEL_LENGTH, pattern=CHANNEL_PATTERN)]
Thing = TypeVar("Thing", bound=BaseModel)


class Sent(BaseModel):
    """What programs send: nothing that is not named, and nothing of another type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Given(BaseModel):
    """What programs are answered; fields may be added."""

    model_config = ConfigDict(json_schema_mode="serialization")


class Result(Given):
    """What became of one of the things sent, in their order."""

    id: str | None = Field(description=N_("The id that it was sent with, if that could be read."))
    status: Literal["accepted", "duplicate", "rejected"] = Field(
        description=N_("Duplicate: it was taken in before, and nothing changed.")
    )
    reason: str | None = Field(description=N_("Why it was rejected."))


class Results(Given):
    """What became of a batch: sums, and one result for each thing."""

    accepted: int = Field(description=N_("How many were new."))
    duplicate: int = Field(description=N_("How many had been taken in before."))
    rejected: int = Field(description=N_("How many were not taken in."))
    results: list[Result] = Field(description=N_("One for each, in the order in which they were sent."))


# a Result as it is written; models would take longer than all else that is done with a batch
Plain = dict[str, str | None]


@dataclass(frozen=True)
class Batch(Generic[Thing]):
    """A body that was read: the things that are right, and the answers to those that are not."""

    things: list[Thing]
    # where each of the things stood in the body
    places: Sequence[int]
    rejected: dict[int, Plain] = field(default_factory=dict)
    errors: list[Fault] = field(default_factory=list)


class Bodies(Generic[Thing]):
    """Reads bodies that are one thing of a model, or up to 1,000 of them."""

    def __init__(self, model: type[Thing]) -> None:
        self._one = TypeAdapter(model)
        self._many: TypeAdapter[list[Thing]] = TypeAdapter(
            Annotated[list[model], Field(min_length=1, max_length=MOST_AT_ONCE)]  # type: ignore[valid-type]
        )

    def read(self, raw: bytes) -> Batch[Thing]:
        """The batch in ``raw``. Raises ApiError when it is no JSON, or not one thing or a list of them."""
        many = raw.lstrip()[:1] == b"["
        try:
            things = self._many.validate_json(raw) if many else [self._one.validate_json(raw)]
        except ValidationError as error:
            return self._sorted(raw, error.errors(include_url=False), many=many)
        return Batch(things, range(len(things)))

    def _sorted(self, raw: bytes, errors: list[ErrorDetails], *, many: bool) -> Batch[Thing]:
        """The right ones apart from the wrong ones."""
        if errors[0]["type"] == "json_invalid":
            raise ApiError("malformed", errors[0]["msg"])
        if not many or errors[0]["loc"] == ():
            raise ApiError("invalid", "The body is not as it should be.", errors=faults(errors))
        sent = from_json(raw)
        rejected: dict[int, Plain] = {}
        for error in errors:
            place = int(error["loc"][0])
            rejected.setdefault(place, _rejected(sent[place], error))
        places = [place for place in range(len(sent)) if place not in rejected]
        things = self._many.validate_json(to_json([sent[place] for place in places])) if places else []
        return Batch(things, places, rejected, faults(errors))


def _rejected(thing: Any, error: ErrorDetails) -> Plain:
    named = thing.get("id") if isinstance(thing, dict) else None
    id = named[:EVENT_ID_LENGTH] if isinstance(named, str) else None
    where = ".".join(map(str, error["loc"][1:]))
    return result(id, "rejected", f"{where}: {error['msg']}" if where else str(error["msg"]))


def result(id: str | None, status: str, reason: str | None = None) -> Plain:
    """What became of one thing, as ``Result`` describes it."""
    return {"id": id, "status": status, "reason": reason}


def json_body() -> bytes:
    """The body of the present request. Raises ApiError when it is not said to be JSON, or not there."""
    if request.mimetype != JSON_TYPE:
        raise ApiError("unsupported_media_type", f"The body is {request.mimetype or 'of no type'}.")
    raw = request.get_data(cache=False)
    if not raw:
        raise ApiError("malformed", "There is no body.")
    return raw


def read_one(adapter: TypeAdapter[Thing], raw: bytes) -> Thing:
    """The one thing in ``raw``. Raises ApiError."""
    try:
        return adapter.validate_json(raw)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            raise ApiError("malformed", errors[0]["msg"]) from None
        raise ApiError("invalid", "The body is not as it should be.", errors=faults(errors)) from None


def query(model: type[Thing]) -> Thing:
    """The query of the present request. Raises ApiError for what is not in ``model``."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        found = faults(error.errors(include_url=False))
        raise ApiError("invalid", "The query is not as it should be.", errors=found) from None


def answer_batch(batch: Batch[Any], taken: Sequence[Plain]) -> dict[str, Any]:
    """The answers in the order of the body, as ``Results``. Raises ApiError when nothing was taken in."""
    found = dict(zip(batch.places, taken, strict=True)) | batch.rejected
    results = [found[place] for place in range(len(found))]
    counts = Counter(each["status"] for each in results)
    if counts["rejected"] == len(results):
        detail = "Nothing of it was taken in."
        raise ApiError("invalid", detail, errors=batch.errors, more={"results": results})
    return {**{status: counts[status] for status in STATUSES}, "results": results}
