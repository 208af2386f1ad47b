"""GET /v1/credits: what is left of annual credits, lot by lot; and every entry of their ledger."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from flask import Blueprint, current_app
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.wrappers import Response

from portal.db import unit_of_work
from portal.errors import N_
from portal.models import CreditEntry
from portal.services import credits
from portal.services.api_keys import READ
from portal.services.credits import Held
from portal.web.api.answers import readable
from portal.web.api.bodies import Given, query
from portal.web.api.keys import caller, needs
from portal.web.api.operations import Operation, describe
from portal.web.api.paging import Paged, after, link, next_cursor

blueprint = Blueprint("credits", __name__)


class Lot(Given):
    """The units of one pack; units are used, left, lapsed or returned."""

    id: str = Field(examples=["T-7K2M9XWT4B"])
    units: int = Field(description=N_("How many were bought."))
    unit_amount: Decimal = Field(
        description=N_("What one costs when it is paid by use, in minor units; may be a fraction.")
    )
    paid: int = Field(description=N_("What the pack cost before tax, in minor units."))
    starts_at: datetime
    expires_at: datetime = Field(description=N_("What is left then lapses."))
    state: Literal["usable", "used_up", "ended"]
    used_billed: int = Field(description=N_("Units used in months whose invoices are final."))
    used_open: int = Field(description=N_("Units used in months that are not billed yet."))
    lapsed: int
    returned: int = Field(description=N_("Units whose price was given back."))
    left: int


class Credits(Given):
    """What is left of annual credits, in real time."""

    left: int = Field(description=N_("Units left in all lots."))
    worth: int = Field(description=N_("What they would cost when paid by use, in minor units before tax."))
    currency: str | None = Field(description=N_("Null where nothing was ever bought."), examples=["usd"])
    lots: list[Lot] = Field(description=N_("The lot that is used first comes first, ended ones last."))


class Entry(Given):
    """One movement of a lot's units."""

    id: int
    lot: str
    kind: Literal["bought", "drawn", "given_back", "lapsed", "returned"]
    quantity: int = Field(description=N_("What it adds to the lot; below 0: what it takes off."))
    period_starts_at: datetime | None = Field(
        description=N_("Of drawn and given_back: when the month began whose usage it is.")
    )
    at: datetime


class Entries(Given):
    """A page of entries, the newest first."""

    data: list[Entry]
    next_cursor: str | None = Field(description=N_("For the next page; null on the last one."))


class Nothing(BaseModel):
    """This address takes no parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


BALANCE = Operation(
    id="getCredits",
    summary=N_("Read the balance of credits"),
    description=N_("Each lot of annual credits with what was used, lapsed or returned, and what is left."),
    answers=Credits,
    query=Nothing,
    tagged=True,
)
ENTRIES = Operation(
    id="listCreditEntries",
    summary=N_("List the entries of credits"),
    description=N_("Every movement of credits, the newest first; those of a lot sum to what is left of it."),
    answers=Entries,
    query=Paged,
    tagged=True,
)


@blueprint.get("/credits")
@describe(BALANCE)
@needs(READ)
def balance() -> Response:
    """The workspace's lots."""
    query(Nothing)
    with unit_of_work(caller().workspace_id) as session:
        found = credits.read(session, current_app.extensions["portal"].clock.now())
    lots = [_lot(each) for each in found.lots]
    return readable(Credits(left=found.left, worth=found.worth, currency=found.currency, lots=lots))


@blueprint.get("/credits/entries")
@describe(ENTRIES)
@needs(READ)
def entries() -> Response:
    """The ledger of the workspace's credits."""
    wanted = query(Paged)
    last = after(wanted)
    with unit_of_work(caller().workspace_id) as session:
        found = credits.entries(session, limit=wanted.limit + 1, before=last[0] if last else None)
    shown = found[: wanted.limit]
    cursor = next_cursor([shown[-1].id] if len(found) > len(shown) else None)
    return link(readable(Entries(data=[_entry(each) for each in shown], next_cursor=cursor)), cursor)


def _lot(held: Held) -> Lot:
    lot = held.lot
    return Lot.model_validate(
        {
            "id": lot.id,
            "units": lot.units,
            "unit_amount": lot.unit_amount,
            "paid": held.paid,
            "starts_at": lot.starts_at,
            "expires_at": lot.expires_at,
            "state": held.state,
            "used_billed": held.billed,
            "used_open": held.open,
            "lapsed": held.lapsed,
            "returned": held.returned,
            "left": held.left,
        }
    )


def _entry(row: CreditEntry) -> Entry:
    of_month = row.kind in ("drawn", "given_back")
    return Entry.model_validate(
        {
            "id": row.id,
            "lot": row.lot_id,
            "kind": row.kind,
            "quantity": row.quantity,
            "period_starts_at": row.period_start if of_month else None,
            "at": row.at,
        }
    )
