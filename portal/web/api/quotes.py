"""GET /v1/quotes: every price that was offered to the workspace, and what became of it."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from flask import Blueprint, current_app
from pydantic import Field
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.models import Quote as Row
from portal.services import quotes
from portal.services.api_keys import READ
from portal.web.api.answers import readable
from portal.web.api.bodies import Given, query
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe
from portal.web.api.paging import Paged, after, link, next_cursor

blueprint = Blueprint("quotes", __name__)


class QuoteLine(Given):
    """One line of a quote."""

    key: str = Field(description=N_("What is sold, by its key in the catalogue."))
    description: str
    quantity: int
    unit_amount: Decimal | None = Field(description=N_("Price of one, in minor units; may be a fraction."))
    amount: int = Field(
        description=N_("What it comes to, rounded once, in minor units; below 0: what a change gives back.")
    )
    discount: int = Field(description=N_("What is taken off, in minor units."))
    tax: int = Field(description=N_("Tax on the line, in minor units."))
    total: int = Field(description=N_("Amount less discount, before tax, in minor units."))


class Quote(Given):
    """A binding price."""

    id: str = Field(examples=["Q-7K2M9XWT4B"])
    kind: str = Field(description=N_("What it prices: first_purchase, change or credits."))
    state: Literal["open", "confirmed", "replaced", "expired"] = Field(
        description=N_("Open: it still holds, until expires_at.")
    )
    catalog: str = Field(description=N_("The price list that it was made from."), examples=["2026-11"])
    currency: str = Field(examples=["usd"])
    lines: list[QuoteLine]
    subtotal: int = Field(description=N_("Sum of the lines, in minor units."))
    discount: int
    tax: int
    total: int = Field(description=N_("Subtotal less discount, and tax, in minor units."))
    amount_due: int = Field(description=N_("What is left to pay after the balance, in minor units."))
    created_at: datetime
    expires_at: datetime
    confirmed_at: datetime | None


class Quotes(Given):
    """A page of quotes, the newest first."""

    data: list[Quote]
    next_cursor: str | None = Field(description=N_("For the next page; null on the last one."))


LISTING = Operation(
    id="listQuotes",
    summary=N_("List quotes"),
    description=N_("Every price that was offered to the workspace, the newest first, and what became of it."),
    answers=Quotes,
    query=Paged,
    tagged=True,
)


@blueprint.get("/quotes")
@describe(LISTING)
@needs(READ)
def listing() -> Response:
    """The workspace's quotes, the newest first."""
    wanted = query(Paged)
    last = after(wanted)
    with unit_of_work(caller().workspace_id) as session:
        found = quotes.page(session, limit=wanted.limit + 1, after=_key(last))
    shown = found[: wanted.limit]
    more = len(found) > len(shown)
    cursor = next_cursor([shown[-1].created_at.isoformat(), shown[-1].id] if more else None)
    now = current_app.extensions["portal"].clock.now()
    return link(readable(Quotes(data=[_shown(each, now) for each in shown], next_cursor=cursor)), cursor)


def _key(last: list[Any] | None) -> tuple[datetime, str] | None:
    return (datetime.fromisoformat(last[0]), str(last[1])) if last else None


def _shown(quote: Row, now: datetime) -> Quote:
    return Quote.model_validate(
        {
            **{name: getattr(quote, name) for name in Quote.model_fields if name not in ("lines", "state")},
            "state": quotes.state(quote, now),
            "lines": quote.lines,
        }
    )
