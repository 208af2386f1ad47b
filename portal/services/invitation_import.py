"""Many invitations from one table: every row is judged first, then all good ones are sent, or none.

A table is CSV as spreadsheets write it: commas, semicolons or tabs, with or without a first line that names
the columns (e-mail, role, seat). Nothing in it is ever computed: a cell that a spreadsheet would take for a
formula is refused.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from portal.errors import N_, ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import Invitation, Member, User
from portal.services import invitations, seats
from portal.services.seats import HERE

MOST_BYTES = 100 * 1024
MOST_ROWS = 250
DELIMITERS = (",", ";", "\t")
FORMULA = ("=", "+", "-", "@")
COLUMNS = {
    "email": ("email", "e-mail", "e-mail address", "email address", "mail", "address"),
    "role": ("role",),
    "seat": ("seat",),
}
DEFAULT_ROLE, DEFAULT_SEAT = "member", seats.NONE
# what becomes of a row: invited; left out, since nothing is to be done; wrong
INVITE, SKIP, WRONG = "invite", "skip", "wrong"

_TOO_LARGE = N_("The table is larger than %(most)s kB. Cut it into several.", most=MOST_BYTES // 1024)


class TableError(PortalError):
    """The table as a whole cannot be read; nothing was sent."""

    code = "table"
    status = 422


class TableChangedError(ConflictError):
    """Between the look at the result and the click something changed; the new result is to be looked at."""

    code = "table_changed"


@dataclass(frozen=True)
class Row:
    """One line of the table, and what becomes of it; ``reason`` says why when it is not invited."""

    line: int
    email: str
    role: str = DEFAULT_ROLE
    seat: str = DEFAULT_SEAT
    outcome: str = INVITE
    reason: str = ""


def decode(data: bytes) -> str:
    """The text of an uploaded file, in whichever way a spreadsheet wrote it. Raises TableError."""
    if len(data) > MOST_BYTES:
        raise TableError(_TOO_LARGE)
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    known = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    for encoding in (known,) if known else ("utf-8", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise TableError(N_("This is not a table in text form. Save it as CSV and try again."))


def judge(session: Session, gateways: Gateways, text: str) -> list[Row]:
    """What becomes of every row, as things stand now. Raises TableError for the table as a whole."""
    rows = list(_read(text, production=gateways.settings.production))
    if not rows:
        raise TableError(N_("There is no row in it. Each line is one person: e-mail, role, seat."))
    addresses = [row.email for row in rows if row.outcome == INVITE]
    here, invited = _members(session, addresses), _invited(session, gateways, addresses)
    seen: dict[str, int] = {}
    return [_judged(row, here, invited, seen) for row in rows]


def run(session: Session, gateways: Gateways, text: str, *, seal: str, by: int) -> list[Row]:
    """Send the invitations of the good rows in ``session``'s transaction; all rows with what became of them.

    ``seal`` is that of the result that was looked at. Raises TableChangedError when it is another one now.
    """
    seats.lock(session)
    rows = judge(session, gateways, text)
    if sealed(rows) != seal:
        raise TableChangedError(N_("Something changed meanwhile. Look at the new result. Nothing was sent."))
    good = [row for row in rows if row.outcome == INVITE]
    for role, seat in {(row.role, row.seat) for row in good}:
        invitations.see_right(session, by, role, seat)
    invitations.see_daily_limit(session, gateways, len(good))
    sender = invitations.sender(session, by)
    for row in good:
        invitations.send(session, gateways, row.email, role=row.role, seat=row.seat, sender=sender)
    return rows


def sealed(rows: Sequence[Row]) -> str:
    """A short word for exactly these results."""
    facts = [[row.line, row.email, row.role, row.seat, row.outcome] for row in rows]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _read(text: str, *, production: bool) -> Iterator[Row]:
    text = text.removeprefix("\ufeff")
    if len(text.encode()) > MOST_BYTES:
        raise TableError(_TOO_LARGE)
    columns: list[str] = []
    number = 0
    for line, cells in _lines(text):
        if not any(cells):
            continue
        if not columns:
            named = _named(cells)
            columns = named or list(COLUMNS)
            if named:
                continue
        number += 1
        if number > MOST_ROWS:
            raise TableError(
                N_("There are more than %(most)s rows in it. Cut it into several.", most=MOST_ROWS)
            )
        yield _row(line, columns, cells, production)


def _named(cells: list[str]) -> list[str]:
    """The columns that the first line names, unknown ones as ""; nothing if it names none."""
    names = {word: name for name, words in COLUMNS.items() for word in words}
    found = [names.get(cell.casefold(), "") for cell in cells]
    if not any(found):
        return []
    if found.count("email") != 1 or found.count("role") > 1 or found.count("seat") > 1:
        raise TableError(N_("The first line must name one column e-mail, and role and seat at most once."))
    return found


def _row(line: int, columns: list[str], cells: list[str], production: bool) -> Row:
    named = {name: cell for name, cell in zip(columns, cells, strict=False) if name}
    row = Row(line, named.get("email", "")[: invitations.LONGEST_EMAIL])
    if any(cell.startswith(FORMULA) for cell in cells):
        return _wrong(row, N_("A cell begins as a formula does (=, +, - or @)."))
    if any(cells[len(columns) :]):
        return _wrong(row, N_("There are more cells than columns."))
    role = named.get("role", "").casefold() or DEFAULT_ROLE
    seat = named.get("seat", "").casefold() or DEFAULT_SEAT
    if role == "owner":
        return _wrong(row, N_("Nobody is invited as an owner; ownership is handed over."))
    if role not in invitations.ROLES:
        return _wrong(row, N_("The role must be admin, billing or member."))
    if seat not in seats.SEATS:
        return _wrong(row, N_("The seat must be full, lite or none."))
    try:
        email = invitations.normal_address(row.email, production=production)
    except invitations.AddressError:
        return _wrong(row, N_("That is no e-mail address."))
    return replace(row, email=email, role=role, seat=seat)


def _wrong(row: Row, reason: str) -> Row:
    return replace(row, outcome=WRONG, reason=reason)


def _judged(row: Row, here: set[str], invited: set[str], seen: dict[str, int]) -> Row:
    if row.outcome != INVITE:
        return row
    first = seen.setdefault(row.email, row.line)
    if first != row.line:
        reason: str = N_("The same address as in line %(line)s.", line=first)
    elif row.email in here:
        reason = N_("Is a member already.")
    elif row.email in invited:
        reason = N_("Is invited already.")
    else:
        return row
    return replace(row, outcome=SKIP, reason=reason)


def _members(session: Session, addresses: list[str]) -> set[str]:
    statement = select(User.email).join(Member, Member.user_id == User.id).where(HERE)
    return set(session.scalars(statement.where(User.email.in_(addresses))))


def _invited(session: Session, gateways: Gateways, addresses: list[str]) -> set[str]:
    good = (Invitation.state == invitations.OPEN, Invitation.expires_at > gateways.clock.now())
    statement = select(Invitation.email).where(*good, Invitation.email.in_(addresses))
    return set(session.scalars(statement))


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        for cells in reader:
            yield reader.line_num, [" ".join(cell.split()) for cell in cells]
    except csv.Error as error:
        message = N_("Line %(line)s cannot be read: its quotation marks do not match.", line=reader.line_num)
        raise TableError(message, log=str(error)) from error
