"""What annual credits have come to, by the API, by the pages, by the files and by Stripe: all of them alike.

Nothing here knows the portal's code: what is read is what a customer's program, a customer's browser and
Stripe's dashboard are told. Prices of a resolution are whole cents wherever this is used.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import stripe

from tests.web.reading import block, words

APPLIED, REINSTATED = "credits_applied", "credits_application_invoice_voided"
COVERS = ("drawn", "given_back")
# what a pack's line says
PACK = "resolutions, annual credits"
# the rows of a page's tables, and their cells that are numbers
ROW = re.compile(r"<tr>.*?</tr>", re.DOTALL)
NUMBER = re.compile(r'<td class="end[^>]*>.*?</td>', re.DOTALL)
# the sources of units that came back after their month was billed
LATE = "unit:"


@dataclass(frozen=True)
class Entry:
    """One line of the file of the ledger."""

    lot: str
    kind: str
    units: int
    month: str
    source: str


@dataclass(frozen=True)
class Reader:
    """Where to look: ``api`` answers a path under /v1, ``page`` any path; ``now`` is Stripe's time."""

    api: Callable[[str], Any]
    page: Callable[[str], str]
    stripe: stripe.StripeClient
    customer: str
    now: Callable[[], int]


@dataclass
class Books:
    """Everything as it is at this moment; each method fails where two sides differ, and says where."""

    reader: Reader
    # what became of the money that is no invoice's: none, unless a test put something on the balance
    put_on_balance: int = 0
    _pages: dict[str, str] = field(default_factory=dict)
    _charged: dict[str, int] = field(default_factory=dict)

    def agree(self) -> "Books":
        """Hold every side against every other."""
        self.lots_are_conserved()
        self.pages_say_what_the_api_says()
        self.no_unit_is_drawn_twice()
        self.every_paid_pack_has_its_lot()
        self.grants_are_what_is_left()
        self.invoices_took_what_was_drawn()
        self.every_cent_is_somewhere()
        return self

    # --- our side ------------------------------------------------------------------------------------

    @cached_property
    def lots(self) -> dict[str, dict[str, Any]]:
        """Id → what the API tells of a lot."""
        return {each["id"]: each for each in self.reader.api("/credits")["lots"]}

    @cached_property
    def entries(self) -> list[Entry]:
        """The ledger, the oldest entry first, from its file."""
        rows = csv.DictReader(io.StringIO(self._page("/credits/entries.csv").removeprefix("\ufeff")))
        return [
            Entry(row["lot"], row["what"], int(row["units"]), row["month_from"], row["source"])
            for row in rows
        ]

    @cached_property
    def months(self) -> list[dict[str, Any]]:
        """What the API tells of each month that credits have to do with, and of the last 24; oldest first."""
        found = {each["starts_at"]: each for each in self.reader.api("/usage")["periods"]}
        drawn = {_moment(each.month) for each in self.entries if each.kind in COVERS}
        for starts_at in drawn - set(found):
            found[starts_at] = self.reader.api(f"/usage?period={starts_at}")["period"]
        return [found[starts_at] for starts_at in sorted(found)]

    @property
    def total(self) -> Counter[str]:
        """What became of all units that were ever bought."""
        sums = Counter[str]()
        for lot in self.lots.values():
            for name in ("units", "used_billed", "used_open", "lapsed", "returned", "left"):
                sums[name] += lot[name]
        return sums

    def charged(self, month: Mapping[str, Any]) -> int:
        """How many resolutions of a month cost something or a credit."""
        starts_at = month["starts_at"]
        if starts_at not in self._charged:
            kinds = self.reader.api(f"/usage?period={starts_at}")["kinds"]
            found = (int(each["charged"]) for each in kinds if each["key"] == "resolution")
            self._charged[starts_at] = next(found, 0)
        return self._charged[starts_at]

    def covered(self, starts_at: str) -> dict[str, int]:
        """Lot → how many units of a month it covers."""
        sums = Counter[str]()
        for entry in self.entries:
            if entry.kind in COVERS and _moment(entry.month) == starts_at:
                sums[entry.lot] -= entry.units
        return {lot: units for lot, units in sums.items() if units}

    def came_back(self, **where: str) -> int:
        """How many billed units came back to a lot (``lot``), or of a month (``month``)."""
        return sum(
            entry.units
            for entry in self.entries
            if entry.kind == "given_back"
            and entry.source.startswith(LATE)
            and where.get("lot", entry.lot) == entry.lot
            and where.get("month", _moment(entry.month)) == _moment(entry.month)
        )

    def lots_are_conserved(self) -> None:
        """Bought is used, left, lapsed and returned, of each lot; its entries sum to the same."""
        sums: dict[str, Counter[str]] = defaultdict(Counter)
        for entry in self.entries:
            sums[entry.lot][entry.kind] += entry.units
        assert set(sums) == set(self.lots)
        for name, lot in self.lots.items():
            kinds = sums[name]
            over = lot["lapsed"] + kinds["lapsed"]  # ended just now, and not entered yet
            assert over >= 0, lot
            parts = ("used_billed", "used_open", "lapsed", "returned", "left")
            assert lot["units"] == kinds["bought"] == sum(lot[part] for part in parts), lot
            assert lot["used_billed"] + lot["used_open"] == -(kinds["drawn"] + kinds["given_back"]), lot
            assert lot["returned"] == -kinds["returned"], lot
            assert lot["left"] == sum(kinds.values()) - over, lot
            assert min(lot[part] for part in parts) >= 0, lot

    def no_unit_is_drawn_twice(self) -> None:
        """Lots cover no more of a month than was used; what is paid by use found nothing in any lot."""
        for month in self.months:
            used, covered = max(self.charged(month), 0), self.covered(month["starts_at"])
            assert min(covered.values(), default=1) > 0, (month, covered)
            assert sum(covered.values()) <= used, (month, covered)
            if month["state"] == "open" and sum(covered.values()) < used:
                usable = [lot for lot in self.lots.values() if lot["left"] and _pays_for(lot, month)]
                assert not usable, (month, usable)

    # --- the pages -----------------------------------------------------------------------------------

    def _page(self, path: str) -> str:
        if path not in self._pages:
            self._pages[path] = self.reader.page(path)
        return self._pages[path]

    def pages_say_what_the_api_says(self) -> None:
        """The balance, each pack's row, each entry, each month and each invoice, as a person reads them."""
        text = re.sub(r"\s+", " ", words(self._page("/credits")))
        balance = self.reader.api("/credits")
        if balance["left"]:
            one = "resolution" if balance["left"] == 1 else "resolutions"
            said = f"{balance['left']:,} {one} left, worth {dollars(balance['worth'])}"
            assert said in text, (said, text[:300])
        packs = self._page("/credits").partition('id="lots-title"')[2].partition("</section>")[0]
        for name, lot in self.lots.items():
            [row] = [each for each in ROW.findall(packs) if name in words(each)]
            numbers = [words(cell).split()[0] for cell in NUMBER.findall(row)]
            parts = ("units", "used_billed", "used_open", "lapsed", "returned", "left")
            assert numbers == [f"{lot[part]:,}" for part in parts], (name, numbers, lot)
            assert dollars(lot["paid"]) in words(row), (name, words(row))
        self._entries_of_the_api()

    def _entries_of_the_api(self) -> None:
        told, cursor = [], ""
        while True:
            answer = self.reader.api(f"/credits/entries?limit=100{cursor}")
            told += answer["data"]
            if answer["next_cursor"] is None:
                break
            cursor = f"&cursor={answer['next_cursor']}"
        assert [(e["lot"], e["kind"], e["quantity"]) for e in reversed(told)] == [
            (e.lot, e.kind, e.units) for e in self.entries
        ]

    def usage_pages_agree(self) -> None:
        """The page and the file of each month's usage say how many there were, as the ledger does."""
        for month in self.months:
            path = f"?period={month['starts_at']}"
            used, charged = month["resolutions"], self.charged(month)
            said = words(block(self._page(f"/usage{path}"), "headline"))
            assert said.startswith(f"{used:,} resolution"), (month, said)
            file = csv.DictReader(
                io.StringIO(self._page(f"/usage/resolutions.csv{path}").removeprefix("\ufeff"))
            )
            assert sum(int(row["units"]) for row in file if row["charge"] == "meter") == charged, month

    def invoice_pages_agree(self) -> None:
        """The list's file and each invoice's page say the total and the credits that Stripe's invoice has."""
        file = csv.DictReader(
            io.StringIO(self._page("/billing/invoices/invoices.csv").removeprefix("\ufeff"))
        )
        rows = {row["id"]: row for row in file}
        assert set(rows) == {each.id for each in self.invoices if each.status != "draft"}
        for invoice in self.invoices:
            if invoice.status == "draft":
                continue
            row, credits = rows[invoice.id], self.applied(invoice)
            assert _cents(row["total"]) == invoice.total, row
            assert _cents(row["credits"]) == -credits, row
            assert _cents(row["amount_paid"]) == invoice.amount_paid, row
            page = re.sub(r"\s+", " ", words(self._page(f"/billing/invoices/{invoice.id}")))
            assert f"Total {dollars(invoice.total)}" in page, page
            assert (f"Paid by annual credits {dollars(-credits)}" in page) is bool(credits), page

    # --- Stripe's side -------------------------------------------------------------------------------

    @cached_property
    def invoices(self) -> list[stripe.Invoice]:
        """The customer's invoices, the oldest first."""
        listed = self.reader.stripe.v1.invoices.list({"customer": self.reader.customer, "limit": 100})
        return list(reversed(list(listed.auto_paging_iter())))

    @cached_property
    def _grants(self) -> list[Any]:
        listed = self.reader.stripe.v1.billing.credit_grants.list(
            {"customer": self.reader.customer, "limit": 100}
        )
        return list(listed.auto_paging_iter())

    def _movements(self, grant_id: str) -> list[Any]:
        listed = self.reader.stripe.v1.billing.credit_balance_transactions.list(
            {"customer": self.reader.customer, "credit_grant": grant_id, "limit": 100}
        )
        return list(listed.auto_paging_iter())

    def _left_at_stripe(self, grant_id: str) -> int:
        summary = self.reader.stripe.v1.billing.credit_balance_summary.retrieve(
            {"customer": self.reader.customer, "filter": {"type": "credit_grant", "credit_grant": grant_id}}
        )
        return sum(each.ledger_balance.monetary.value for each in summary.balances)  # type: ignore[union-attr]

    def grants_are_what_is_left(self) -> None:
        """Each lot has one grant of its whole worth, of which as much is left as our ledger says.

        Stripe takes for a month when its invoice is final, so the open months are still there.
        """
        bought = {entry.lot: entry.source for entry in self.entries if entry.kind == "bought"}
        for name, lot in self.lots.items():
            grants = [each for each in self._grants if each.metadata["purchase"] == bought[name]]
            price, back = int(lot["unit_amount"]), self.came_back(lot=name)
            whole = [each for each in grants if not {"refund", "grant"} & set(_metadata(each))]
            assert [_value(each) for each in whole] == [lot["units"] * price], (name, lot)
            further = sum(_value(each) for each in grants if "grant" in _metadata(each))
            assert further <= back * price, (name, lot, further)
            billed = lot["used_billed"] + back
            moves = [move for grant in grants for move in self._movements(grant.id)]
            assert _taken(moves) == billed * price, (name, lot)
            left = sum(self._left_at_stripe(grant.id) for grant in grants)
            assert left == sum(_signed(move) for move in moves), name
            now = self.reader.now()
            over = all(each.voided_at or (each.expires_at or now + 1) <= now for each in grants)
            kept = 0 if over else (lot["units"] - billed - lot["returned"]) * price + further
            assert left == kept, (name, lot, left, kept)

    def every_paid_pack_has_its_lot(self) -> None:
        """As many packs stand on paid invoices, those that came with a swap among them, as there are lots."""
        sold = [
            line.description
            for invoice in self.invoices
            if invoice.status == "paid"
            for line in invoice.lines.auto_paging_iter()
            if line.parent and line.parent.type == "invoice_item_details"
            if (line.description or "").endswith(PACK)
        ]
        assert len(sold) == len(self.lots), (sold, list(self.lots))

    @staticmethod
    def applied(invoice: stripe.Invoice) -> int:
        """What grants paid of an invoice, in cents."""
        parts = invoice.total_pretax_credit_amounts or []
        return sum(part.amount for part in parts if part.type == "credit_balance_transaction")

    def invoices_took_what_was_drawn(self) -> None:
        """Each month's invoice bills what was used, and took out of credits what our ledger drew."""
        found = {each.id: each for each in self.invoices}
        taken = {
            each.id: self.applied(each) for each in self.invoices if each.status not in ("draft", "void")
        }
        for month in self.months:
            if month["state"] != "closed" or month["invoice"] is None:
                continue
            invoice = found[month["invoice"]]
            if invoice.status == "void":
                continue
            covered = self.covered(month["starts_at"])
            drawn = sum(units * int(self.lots[lot]["unit_amount"]) for lot, units in covered.items())
            for name, lot in self.lots.items():
                late = self.came_back(lot=name, month=month["starts_at"])
                drawn += late * int(lot["unit_amount"])
            assert taken.pop(invoice.id) == drawn, (month, drawn)
        assert not any(taken.values()), taken

    def every_cent_is_somewhere(self) -> None:
        """What was charged and not refunded is what the invoices come to, less notes, and the balance."""
        of_customer: Any = {"customer": self.reader.customer, "limit": 100}
        charges = self.reader.stripe.v1.charges.list(of_customer).auto_paging_iter()
        kept = sum(each.amount - each.amount_refunded for each in charges if each.status == "succeeded")
        billed = sum(
            each.total - each.amount_remaining
            for each in self.invoices
            if each.status in ("open", "paid", "uncollectible")
        )
        notes = self.reader.stripe.v1.credit_notes.list(of_customer).auto_paging_iter()
        credited = sum(each.total for each in notes if each.status == "issued")
        balance = self.reader.stripe.v1.customers.retrieve(self.reader.customer).balance or 0
        # what seats had paid of a swap's pack that was taken back
        rest = self.reader.stripe.v1.customers.balance_transactions.list(self.reader.customer, {"limit": 100})
        put = sum(-each.amount for each in rest.auto_paging_iter() if "refund" in _metadata(each))
        put += self.put_on_balance
        assert kept == billed - credited - balance - put, (kept, billed, credited, balance, put)


def dollars(cents: int) -> str:
    """An amount as the pages write it."""
    return f"{'−' if cents < 0 else ''}${abs(cents) // 100:,}.{abs(cents) % 100:02}"


def _cents(text: str) -> int:
    return round(float(text) * 100)


def _moment(text: str) -> str:
    """A moment of a file as the API writes it."""
    return text.replace("+00:00", "Z")


def _metadata(thing: Any) -> dict[str, str]:
    return dict(thing.metadata.to_dict()) if thing.metadata else {}


def _value(grant: Any) -> int:
    return int(grant.amount.monetary.value)


def _pays_for(lot: Mapping[str, Any], month: Mapping[str, Any]) -> bool:
    return bool(lot["starts_at"] <= month["starts_at"] < lot["expires_at"])


def _signed(move: Any) -> int:
    side = move.credit or move.debit
    amount = side.amount.monetary.value
    return amount if move.credit else -amount


def _taken(moves: list[Any]) -> int:
    """What invoices took out of grants, less what voided ones put back."""
    return -sum(_signed(move) for move in moves if (move.credit or move.debit).type in (APPLIED, REINSTATED))
