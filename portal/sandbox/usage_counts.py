"""How much was used: the values of meter events summed by second, minute and hour as they come.

A sum over any time reads the whole hours in it, the minutes at its ends and the seconds at theirs, so a month
of a customer with very many events costs as much as one with few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal

from portal.sandbox.store import Document, Store

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
HOURS, MINUTES, SPANS = "_usage_hour", "_usage_minute", "_usage_span"
# Values have at most 27 digits: no sum of fewer than 10**30 of them is ever rounded.
EXACT = Context(prec=60)


@dataclass(frozen=True)
class Total:
    """The sum of the values of so many events."""

    value: Decimal = Decimal(0)
    count: int = 0

    def plus(self, value: str, count: int) -> Total:
        return Total(EXACT.add(self.value, Decimal(value)), self.count + count)


NOTHING = Total()
_EMPTY: Document = {"value": "0", "count": 0}


def series_of(meter: str, customer: str) -> str:
    """The name under which a customer's events of one meter are counted."""
    return f"{meter}/{customer}"


def add(store: Store, series: str, at: int, value: Decimal, count: int = 1) -> None:
    """Count an event of that second; a negative `count` with the negated value takes one out again."""
    text = format(value, "f")
    hour = _row_of(store, HOURS, f"{series}/{at // HOUR}")
    store.put(HOURS, {**hour, **_plus(hour, text, count)})
    minute = _row_of(store, MINUTES, f"{series}/{at // MINUTE}")
    second = str(at % MINUTE)
    seconds = minute.get("seconds", {})
    seconds = {**seconds, second: _plus(seconds.get(second, _EMPTY), text, count)}
    store.put(MINUTES, {**minute, **_plus(minute, text, count), "seconds": seconds})
    _widen(store, series, at // HOUR)


def _row_of(store: Store, kind: str, id: str) -> Document:
    """What is stored, for reading only."""
    return store.peek(kind, id) or {"id": id, **_EMPTY}


def _plus(row: Document, value: str, count: int) -> Document:
    after = Total().plus(row["value"], row["count"]).plus(value, count)
    return {"value": format(after.value, "f"), "count": after.count}


def _widen(store: Store, series: str, hour: int) -> None:
    span = store.peek(SPANS, series)
    if span is None or not span["first"] <= hour <= span["last"]:
        first = min(hour, span["first"]) if span else hour
        last = max(hour, span["last"]) if span else hour
        store.put(SPANS, {"id": series, "first": first, "last": last})


def total(store: Store, series: str, start: int, end: int) -> Total:
    """What was counted from `start` on and before `end`, in unix seconds."""
    found = NOTHING
    for at, step in _steps(store, series, start, end):
        row = _row(store, series, at, step)
        if row is not None:
            found = found.plus(*row)
    return found


def _steps(store: Store, series: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The time cut into as few pieces as are counted for themselves; empty ends of it left out."""
    span = store.peek(SPANS, series)
    if span is None:
        return
    at, end = max(start, span["first"] * HOUR), min(end, (span["last"] + 1) * HOUR)
    while at < end:
        step = next(size for size in (HOUR, MINUTE, SECOND) if at % size == 0 and at + size <= end)
        yield at, step
        at += step


def _row(store: Store, series: str, at: int, step: int) -> tuple[str, int] | None:
    if step == HOUR:
        row = store.peek(HOURS, f"{series}/{at // HOUR}")
        return (row["value"], row["count"]) if row else None
    row = store.peek(MINUTES, f"{series}/{at // MINUTE}")
    if row is None:
        return None
    if step == MINUTE:
        return row["value"], row["count"]
    known = row["seconds"].get(str(at % MINUTE))
    return (known["value"], known["count"]) if known else None


def windows(store: Store, series: str, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """The windows of `size` seconds between the two in which an event may be, the oldest first.

    `start` must be a multiple of `size`.
    """
    span = store.peek(SPANS, series)
    if span is None:
        return
    first = max(start, span["first"] * HOUR // size * size)
    for at in range(first, min(end, (span["last"] + 1) * HOUR), size):
        yield at, at + size
