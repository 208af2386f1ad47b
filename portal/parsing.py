"""From the text of one setting to its value; a ValueError says in one phrase what it must be."""

import re
from collections.abc import Callable
from datetime import timedelta
from email.headerregistry import Address
from email.utils import formataddr, parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from portal import pricing

STATIC = Path(__file__).resolve().parent.parent / "static"
SECRET_KEY_BYTES = 32
MOST_DAYS = 3650
MOST_PROXIES = 10
MOST_FRESH_MINUTES = 24 * 60
LIMIT = re.compile(r"^0*[1-9][0-9]{0,8} per (?:0*[1-9][0-9]{0,8} )?(second|minute|hour|day)s?$", re.ASCII)
COLOUR = re.compile(r"^#[0-9a-fA-F]{6}$")
MAIL_ADDRESS = re.compile(r"[^\s@<>,;:]+@[^\s@<>,;:]+")


def text(value: str) -> str:
    """One line: a further one would end a header of a mail."""
    if not value.isprintable():
        raise ValueError("must be one line of text")
    return value


def whole(least: int, most: int, what: str = "a whole number") -> Callable[[str], int]:
    """Digits only, within bounds."""

    def parse(value: str) -> int:
        digits = value if value.isascii() and value.isdigit() and len(value) <= len(str(most)) else ""
        if not digits or not least <= int(digits) <= most:
            raise ValueError(f"must be {what} between {least} and {most}")
        return int(digits)

    return parse


port = whole(1, 65535, "a port")


def days(least: int) -> Callable[[str], timedelta]:
    """So many days; 0 where it makes sense."""
    number = whole(least, MOST_DAYS, "a whole number of days")
    return lambda value: timedelta(days=number(value))


def minutes(least: int, most: int) -> Callable[[str], timedelta]:
    """So many minutes, within bounds."""
    number = whole(least, most, "a whole number of minutes")
    return lambda value: timedelta(minutes=number(value))


def choice(*allowed: str) -> Callable[[str], str]:
    """One of these words."""

    def parse(value: str) -> str:
        if value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return parse


def flag(value: str) -> bool:
    """Yes or no, in the usual spellings."""
    if value.lower() not in {"1", "true", "yes", "0", "false", "no"}:
        raise ValueError("must be yes or no")
    return value.lower() in {"1", "true", "yes"}


def words(value: str) -> tuple[str, ...]:
    """Words with commas between them."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def origin(value: str) -> str:
    """Scheme, host and perhaps a port; links in mails and Stripe's webhooks are made of it."""
    wrong = ValueError("must be an origin such as https://billing.example.com, without a login or a path")
    try:
        parts = urlsplit(value)
        number = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        raise wrong
    if parts.query or parts.fragment or "@" in parts.netloc or number == 0 or not value.isprintable():
        raise wrong
    if not re.fullmatch(r"[A-Za-z0-9.-]+|[0-9a-f:]+", parts.hostname):
        raise wrong
    return value.rstrip("/?#")


def database(value: str) -> str:
    """An address for SQLAlchemy and psycopg; the host may be a folder with a socket (``?host=/…``)."""
    wrong = ValueError("must be a PostgreSQL address, postgresql://user:password@host/database")
    for scheme in ("postgres://", "postgresql://"):
        if value.startswith(scheme):
            value = "postgresql+psycopg://" + value.removeprefix(scheme)
    if not value.startswith("postgresql+psycopg://"):
        raise wrong
    try:
        parts = make_url(value)
    except (ArgumentError, ValueError):
        raise wrong from None
    if not parts.username or not parts.database or not (parts.host or parts.query.get("host")):
        raise wrong
    if parts.port is not None and not 1 <= parts.port <= 65535:
        raise ValueError("must have a port between 1 and 65535")
    return value


def prefixed(*prefixes: str) -> Callable[[str], str]:
    """An identifier or key of Stripe's: its prefix, and something after it."""

    def parse(value: str) -> str:
        if not any(value.startswith(prefix) and value != prefix for prefix in prefixes):
            raise ValueError(f"must start with {' or '.join(prefixes)}, and go on")
        if not re.fullmatch(r"[A-Za-z0-9_]+", value):
            raise ValueError("must be letters, digits and underscores only")
        return value

    return parse


def signing_secrets(value: str) -> tuple[str, ...]:
    """One or more, while they are rotated."""
    found = words(value)
    if not found or not all(each.startswith("whsec_") and each[6:] for each in found):
        raise ValueError("must be one or more signing secrets (whsec_…), separated by commas")
    return found


def secret_key(value: str) -> str:
    """Long enough to sign with."""
    if len(value.encode()) < SECRET_KEY_BYTES:
        raise ValueError(f"must be at least {SECRET_KEY_BYTES} bytes long")
    return value


def secret_keys(value: str) -> tuple[str, ...]:
    """Older keys; a short one would let anybody sign."""
    found = words(value)
    if not all(len(each.encode()) >= SECRET_KEY_BYTES for each in found):
        raise ValueError(f"must be keys of at least {SECRET_KEY_BYTES} bytes each, separated by commas")
    return found


def colour(value: str) -> str:
    """As CSS writes it."""
    if not COLOUR.fullmatch(value):
        raise ValueError("must be a colour such as #1f4fd8")
    return value


def limit(value: str) -> str:
    """At least one limit, none of zero."""
    parts = words(value.replace(";", ","))
    if not parts or not all(LIMIT.fullmatch(part) for part in parts):
        raise ValueError("must be limits such as '6 per minute; 30 per hour'")
    return value


def mail_address(value: str) -> str:
    """One address, as it stands in a header."""
    wrong = ValueError("must be a mail address such as billing@example.com")
    if not value.isprintable() or not MAIL_ADDRESS.fullmatch(value):
        raise wrong
    try:
        Address(addr_spec=value)
    except (ValueError, IndexError):
        raise wrong from None
    return value


def mail_sender(value: str) -> str:
    """One address, perhaps with a name: ``Acme <billing@acme.example>``."""
    wrong = ValueError("must be a mail address such as billing@example.com, or Acme <billing@example.com>")
    if not value.isprintable():
        raise wrong
    name, address = parseaddr(value)
    if formataddr((name, address)).replace('"', "") != value.replace('"', ""):
        raise wrong
    try:
        mail_address(address)
    except ValueError:
        raise wrong from None
    return value


def static_file(value: str) -> str:
    """The path of a file below static/."""
    path = (STATIC / value).resolve()
    if not path.is_relative_to(STATIC) or not path.is_file():
        raise ValueError("must be the path of a file below static/")
    return value


def catalog(value: str) -> str:
    """The version of a catalogue that there is."""
    known = [each.version for each in pricing.catalogs()]
    if value not in known:
        raise ValueError(f"must be a catalogue that there is: {', '.join(known)}")
    return value
