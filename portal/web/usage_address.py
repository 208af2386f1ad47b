"""Periods, days and conversations in addresses."""

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from urllib.parse import unquote_to_bytes

from flask import abort, url_for
from werkzeug.routing import BaseConverter, ValidationError

from portal.services.usage import Period
from portal.services.usage_prices import RESOLUTION

FIRST_YEAR, LAST_YEAR = 1970, 9998
# letters of addresses that nothing on the way changes; a dot is one unless the whole text is dots
KEPT = re.compile(rb"[0-9A-Za-z_.-]")


class ConversationId(BaseConverter):
    """``<conversation:…>``: any text that a customer calls a conversation by.

    Bytes other than letters, digits and ``_.-`` are written ``~2F``, so that slashes and spaces reach us as
    they are, whatever browsers and proxies make of them in a path.
    """

    regex = r"(?:[0-9A-Za-z_.-]|~[0-9A-F]{2})+"

    def to_python(self, value: str) -> str:
        try:
            found = unquote_to_bytes(value.replace("~", "%")).decode()
        except UnicodeDecodeError as error:
            raise ValidationError from error
        if "\0" in found:  # no text of the database's has it
            raise ValidationError
        return found

    def to_url(self, value: object) -> str:
        raw = str(value).encode("utf-8", "surrogatepass")
        dots = raw.strip(b".") == b""
        return "".join(_letter(bytes([each]), escape=dots) for each in raw)


def _letter(byte: bytes, *, escape: bool) -> str:
    return byte.decode() if KEPT.fullmatch(byte) and not escape else f"~{byte[0]:02X}"


def period_text(starts_at: datetime) -> str:
    """A period in an address: the instant of its start."""
    at = starts_at.astimezone(UTC)
    return at.replace(tzinfo=None).isoformat() + "Z"


def units_address(period: Period, key: str) -> str:
    """Where the units of one kind of usage in a period are listed."""
    starts_at = period_text(period.starts_at)
    if key == RESOLUTION:
        return url_for("usage.resolutions.listing", period=starts_at)
    return url_for("usage.page", period=starts_at, unit=key)


def read_period(args: Mapping[str, str]) -> datetime | None:
    """The start of the period that is asked for; None for the present one, and for what is no time."""
    try:
        found = datetime.fromisoformat(args.get("period", "").replace(" ", "+"))
    except ValueError:
        return None
    return found if found.tzinfo and FIRST_YEAR <= found.year <= LAST_YEAR else None


def known_or_404(args: Mapping[str, str]) -> None:
    """404 where an address names a period of its own, which was not found."""
    if args.get("period"):
        abort(404)


def read_day(args: Mapping[str, str], name: str = "day") -> date | None:
    """A day; None for what is none."""
    try:
        found = date.fromisoformat(args.get(name, ""))
    except ValueError:
        return None
    return found if FIRST_YEAR <= found.year <= LAST_YEAR else None
