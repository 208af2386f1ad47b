"""Events of API v2: they say what happened to what, and hold none of it."""

from datetime import datetime

from portal.gateways.stripe_reading import Document
from portal.gateways.stripe_words import Event

THIN = "v2.core.event"


def is_thin(document: Document) -> bool:
    """Whether it is an event of API v2, which says what happened and holds none of it."""
    return document.get("object") == THIN


def thin_event(document: Document) -> Event:
    """A thin event, from a delivery's body or from the list; its details are fetched by its own id.

    Raises KeyError, TypeError or ValueError when it has not the shape of one.
    """
    if not is_thin(document):
        raise ValueError("not a thin event")
    return Event(
        id=str(document["id"]),
        type=str(document["type"]),
        api_version=None,
        livemode=bool(document["livemode"]),
        account=document.get("context"),
        created=int(datetime.fromisoformat(str(document["created"])).timestamp()),
        object_id=str(document["id"]),
        payload=document,
    )
