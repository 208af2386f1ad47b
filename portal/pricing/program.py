"""``python -m portal.pricing``: one JSON object in, one out; for sales tools and the offline bill check.

Operations: ``quote``, ``prorate``, ``rate``, ``resolve``, ``draw``, ``pack``, ``catalogs``. Amounts are
integers in minor units, rates and unit amounts decimal strings in minor units, times unix seconds.
``"explain": true`` adds the trace to every line, to a resolution its episodes, and to a draw-down what
covered each use.

``{"op": "draw", "lots": [{"id", "units", "starts_at"?, "expires_at"}], "uses": [{"at", "units"}], "now"}``
answers ``{"lots": [{"id", "used", "left", "lapsed"}], "uncovered"}``, with ``explain`` also ``uses`` and
``owed``. A lot covers ``starts_at`` ≤ at < ``expires_at``; without ``starts_at``, all before its end.

``{"op": "pack", "catalog", "units", "unit_amount"?}`` answers ``{"usage", "currency", "units",
"unit_amount", "percent_off", "amount", "discount", "total", "saving", "unit_price", "grant", "catalog",
"offer"}``. ``offer`` is null, or the larger pack that costs no more, with ``costs_less_by`` and ``because``.
Without ``unit_amount``, the customer's own price of a unit by use, the catalogue's counts.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, NoReturn, TextIO

from portal.pricing.checks import one_of, shown, whole
from portal.pricing.credits import Lot, Use, draw
from portal.pricing.discount import Discount
from portal.pricing.errors import PricingError, inside
from portal.pricing.loading import catalog, catalogs
from portal.pricing.money import decimal_text
from portal.pricing.outcomes import BECAUSE, Event, episodes
from portal.pricing.packs import offer
from portal.pricing.proration import MAX_TIME, BilledItem, prorate
from portal.pricing.quote import quote
from portal.pricing.reading import Fields, UnreadNumber, fields
from portal.pricing.selection import Selection
from portal.pricing.usage import bands_from, rate

MAX_INPUT_BYTES = 1_000_000
# Longer integers are out of every range; they are not read, so that their size costs nothing.
MAX_INTEGER_DIGITS = 30
SUCCESS, BAD_INPUT, NOT_WRITTEN = 0, 2, 2


def main(arguments: Sequence[str], source: BinaryIO | None, target: TextIO) -> int:
    """Answer the JSON object on ``source`` with one on ``target``; return the exit status, 0 or 2.

    Bad input is answered with ``{"error": {"message", "param"}}`` and 2. ``source`` is None if standard
    input is closed, which counts as empty. Arguments are not taken. Raises OSError for a full target.
    """
    try:
        if arguments:
            raise PricingError("No arguments are taken: give one JSON object on standard input.")
        answer, status = _answer(_parsed(_read(source))), SUCCESS
    except PricingError as error:
        answer, status = {"error": {"message": error.message, "param": error.param}}, BAD_INPUT
    target.write(json.dumps(answer, default=decimal_text) + "\n")
    target.flush()
    return status


def run(
    arguments: Sequence[str], source: BinaryIO | None, target: TextIO | None, complaints: TextIO | None
) -> int:
    """As ``main``, for a process: an answer that cannot be written is one line on ``complaints`` and 2.

    A stream that is closed is None.
    """
    try:
        if target is None:
            raise OSError("it is closed")
        return main(arguments, source, target)
    except OSError as error:
        with suppress(OSError):
            if complaints is not None:
                why = error.strerror or error
                complaints.write(f"The answer cannot be written to standard output: {why}.\n")
                complaints.flush()
        with suppress(OSError):
            if target is not None:
                # else the interpreter would try again to write at its end, and complain
                target.close()
        return NOT_WRITTEN


def _read(source: BinaryIO | None) -> bytes:
    try:
        return source.read(MAX_INPUT_BYTES + 1) if source else b""
    except OSError as error:
        raise PricingError(f"The input cannot be read: {error.strerror}.") from None


def _parsed(raw: bytes) -> object:
    """Return the JSON document, without any float; a key that stands twice in an object is refused."""
    if len(raw) > MAX_INPUT_BYTES:
        raise PricingError(f"The input may have at most {MAX_INPUT_BYTES} bytes.")
    if not raw.strip():
        raise PricingError("The input is empty: give one JSON object on standard input.")
    try:
        return json.loads(
            raw.decode("utf-8-sig"),
            parse_float=UnreadNumber,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError as error:
        raise PricingError(f"The input is not UTF-8: byte {error.start} cannot be read.") from None
    except json.JSONDecodeError as error:
        raise PricingError(f"The input is not valid JSON: {error}.") from None
    except RecursionError:
        raise PricingError("The input is nested too deeply.") from None


def _integer(literal: str) -> int | UnreadNumber:
    return int(literal) if len(literal) <= MAX_INTEGER_DIGITS else UnreadNumber(literal)


def _refuse_constant(literal: str) -> NoReturn:
    raise PricingError(f"The input is not valid JSON: {literal} is no number.")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise PricingError(f"The key {shown(key)} stands twice in one object.", key)
        found[key] = value
    return found


def _answer(document: object) -> dict[str, object]:
    operations = {
        "quote": _quote,
        "prorate": _prorate,
        "rate": _rate,
        "resolve": _resolve,
        "draw": _draw,
        "pack": _pack,
        "catalogs": _catalogs,
    }
    operation = one_of(fields(document, "").text("op"), "op", tuple(operations))
    return operations[operation](document)


def _quote(document: object) -> dict[str, object]:
    known = ("catalog", "currency", "interval", "tier", "seats", "add_ons", "discounts", "usage", "explain")
    given = fields(document, "", "op", *known)
    sold = catalog(given.text("catalog"))
    selection = Selection(
        tier=given.text("tier"),
        seats=given.whole("seats"),
        interval=given.text("interval"),
        add_ons=given.counts("add_ons"),
        usage=given.counts("usage"),
    )
    discounts = [_discount(param, item) for param, item in given.items("discounts", optional=True)]
    found = quote(selection, catalog=sold, currency=given.text("currency"), discounts=discounts)
    return found.as_dict(explain=given.flag("explain"))


def _discount(param: str, item: object) -> Discount:
    given = fields(item, param, "line", "percent_off", "amount_off")
    line = None if given.required("line") is None else given.text("line")
    percent_off = given.decimal("percent_off") if given.has("percent_off") else None
    amount_off = given.whole("amount_off") if given.has("amount_off") else None
    with inside(param):
        return Discount(line, percent_off, amount_off)


def _prorate(document: object) -> dict[str, object]:
    given = fields(document, "", "op", "before", "after", "period_start", "period_end", "at", "explain")
    found = prorate(
        _billed_item(given, "before"),
        _billed_item(given, "after"),
        period_start=given.whole("period_start"),
        period_end=given.whole("period_end"),
        at=given.whole("at"),
    )
    return found.as_dict(explain=given.flag("explain"))


def _billed_item(given: Fields, key: str) -> BilledItem | None:
    if given.required(key) is None:
        return None
    own = given.fields(key, "unit_amount", "quantity", "period_start", "period_end")
    unit_amount, quantity = own.decimal("unit_amount"), own.whole("quantity")
    period_start = own.whole("period_start") if own.has("period_start") else None
    period_end = own.whole("period_end") if own.has("period_end") else None
    with inside(key):
        return BilledItem(unit_amount, quantity, period_start, period_end)


def _rate(document: object) -> dict[str, object]:
    given = fields(document, "", "op", "mode", "bands", "included", "quantity", "explain")
    included = given.whole("included") if "included" in given.values else 0
    found = rate(given.whole("quantity"), bands_from(given), mode=given.text("mode"), included=included)
    return found.as_dict(explain=given.flag("explain"))


def _resolve(document: object) -> dict[str, object]:
    given = fields(document, "", "op", "events", "now", "test", "explain")
    events = [_event(param, item) for param, item in given.items("events")]
    found = episodes(events, now=_time(given, "now"), test=given.flag("test"))
    last = found[-1]
    answer: dict[str, object] = {
        "state": last.state,
        "kind": last.kind,
        "matures_at": last.matures_at,
        "because": BECAUSE[last.because],
    }
    return answer | ({"episodes": [each.as_dict() for each in found]} if given.flag("explain") else {})


def _event(param: str, item: object) -> Event:
    given = fields(item, param, "type", "at")
    event_type, at = given.text("type"), _time(given, "at")
    with inside(param):
        return Event(event_type, at)


def _draw(document: object) -> dict[str, object]:
    given = fields(document, "", "op", "lots", "uses", "now", "explain")
    lots = [_lot(param, item) for param, item in given.items("lots")]
    uses = [_use(param, item) for param, item in given.items("uses")]
    return draw(lots, uses, now=given.whole("now")).as_dict(explain=given.flag("explain"))


def _lot(param: str, item: object) -> Lot:
    given = fields(item, param, "id", "units", "starts_at", "expires_at")
    lot_id, units, expires_at = given.text("id"), given.whole("units"), given.whole("expires_at")
    starts_at = given.whole("starts_at") if given.has("starts_at") else 0
    with inside(param):
        return Lot(lot_id, units, expires_at, starts_at)


def _use(param: str, item: object) -> Use:
    given = fields(item, param, "at", "units")
    at, units = given.whole("at"), given.whole("units")
    with inside(param):
        return Use(at, units)


def _pack(document: object) -> dict[str, object]:
    given = fields(document, "", "op", "catalog", "units", "unit_amount", "explain")
    sold = catalog(given.text("catalog"))
    unit_amount = given.decimal("unit_amount") if given.has("unit_amount") else None
    found = offer(given.whole("units"), catalog=sold, unit_amount=unit_amount)
    return found.as_dict(explain=given.flag("explain"))


def _time(given: Fields, key: str) -> int:
    return whole(given.whole(key), given.at(key), minimum=0, maximum=MAX_TIME)


def _catalogs(document: object) -> dict[str, object]:
    fields(document, "", "op")
    return {"catalogs": [each.as_dict() for each in catalogs()]}
