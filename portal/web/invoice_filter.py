"""The filter of the list of invoices: in the address, so that it can be kept and sent on."""

from collections.abc import Mapping
from datetime import date

from portal.services.invoice_lists import KINDS, OTHER, STATUSES, Filter

FIELDS = ("status", "kind", "year", "from", "to")
FIRST_YEAR, LAST_YEAR = 1970, 9998


def read(args: Mapping[str, str]) -> Filter:
    """What the address asks for; what it cannot mean is no limit. A year goes before single days."""
    status, kind = args.get("status", ""), args.get("kind", "")
    since, until = _day(args.get("from", "")), _day(args.get("to", ""))
    year = args.get("year", "")
    if year.isascii() and year.isdigit() and FIRST_YEAR <= int(year) <= LAST_YEAR:
        since, until = date(int(year), 1, 1), date(int(year), 12, 31)
    if since and until and until < since:
        since, until = until, since
    return Filter(
        status=status if status in STATUSES else None,
        kind=kind if kind in (*KINDS, OTHER) else None,
        since=since,
        until=until,
    )


def kept(args: Mapping[str, str]) -> dict[str, str]:
    """The filter's own part of the address, without what is empty."""
    return {name: args[name] for name in FIELDS if args.get(name)}


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None
