"""What is said of a month's usage in different places, held against each other: pages, lists, file, API."""

import csv
import html
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from portal.models import Invoice
from tests.browsing import Browser
from tests.programs import Program
from tests.web.reading import block, words

LINK = re.compile(r'<a href="(/usage/resolutions\?[^"]*)">(−?[\d,]+)</a>')
ROW = re.compile(r'<th scope="row" class="identifier"')
FURTHER = re.compile(r'<p class="actions further"><a class="button" href="(/usage/resolutions\?[^"]*)">')
KINDS = ("confirmed", "assumed")


@dataclass(frozen=True)
class UsageBooks:
    """Who reads them: a person and a program of the same company."""

    person: Browser
    program: Program

    def numbers(self, address: str) -> Iterator[tuple[str, int]]:
        """Where the numbers of a page lead, and each of them."""
        for href, number in LINK.findall(self.person.get(address).text):
            yield html.unescape(href), int(number.replace("−", "").replace(",", ""))

    def rows(self, address: str | None) -> int:
        """How many units a list has, all its pages."""
        total = 0
        while address is not None:
            text = self.person.get(address).text
            total += len(ROW.findall(text))
            further = FURTHER.search(text)
            address = html.unescape(further[1]) if further else None
        return total

    def usage(self, period: str | None = None) -> Any:
        """What the API says of a period."""
        return self.program.get("/usage", query_string={"period": period} if period else {}).json

    def listed(self, **wanted: str) -> int:
        """How many the API lists, all its pages."""
        total, cursor = 0, ""
        while True:
            query = wanted | ({"cursor": cursor} if cursor else {}) | {"limit": "20"}
            answer = self.program.get("/resolutions", query_string=query).json
            total, cursor = total + len(answer["data"]), answer["next_cursor"]
            if cursor is None:
                return total

    def file(self, period: str) -> list[dict[str, str]]:
        """The rows of a period's CSV."""
        text = self.person.get("/usage/resolutions.csv", query_string={"period": period}).text
        return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))

    def check(self, invoices: list[Invoice]) -> None:
        """See that each number of each period is the same wherever it is said."""
        usage = self.usage()
        assert self.listed(state="pending") == usage["pending"]
        for period in usage["periods"]:
            self.check_period(period["starts_at"], {each.stripe_id: each for each in invoices})
        self.check_limits(usage)

    def check_period(self, start: str, invoices: dict[str, Invoice]) -> None:
        """The page's numbers, the lengths of both lists, the file's sums, and the invoice's line."""
        usage, file = self.usage(start), self.file(start)
        kind = usage["kinds"][0]
        assert self.listed(period=start, state="disputed") == usage["disputed"]
        assert {name: self.listed(period=start, kind=name) for name in KINDS} | {
            "reversed": self.listed(period=start, state="reversed")
        } == {name: kind[name] for name in (*KINDS, "reversed")}
        assert summed(file) == {name: kind[name] for name in (*KINDS, "reversed", "carried")}
        assert sum(int(row["units"]) for row in file) == kind["quantity"] == usage["period"]["resolutions"]
        assert sum(int(row["units"]) for row in file if row["charge"] == "meter") == kind["charged"]
        for place in ("days", "channels"):
            for name in (*KINDS, "reversed", "quantity"):
                assert sum(each[name] for each in kind[place]) == kind[name]
        billed = invoices.get(usage["period"]["invoice"])
        amount = sum(Decimal(row["amount"]) for row in file)
        if billed is None:
            assert max(amount, 0) * 100 == kind["amount"]
        else:
            self.check_invoice(billed, usage, amount)
        headline = block(self.person.get("/usage", query_string={"period": start}), "headline")
        assert headline.startswith(f"{kind['quantity']:,} resolution".replace("-", "−"))

    def check_invoice(self, invoice: Invoice, usage: Any, amount: Decimal) -> None:
        """What it bills is what the file sums to; its page says so."""
        ends = usage["period"]["ends_at"]
        lines = [line for line in invoice.lines if line["key"] == "resolution" and not line["proration"]]
        assert sum(line["amount"] for line in lines) == amount * 100 == usage["kinds"][0]["amount"], ends
        assert sum(line["quantity"] or 0 for line in lines) == usage["kinds"][0]["charged"], ends
        page = words(self.person.get(f"/billing/invoices/{invoice.stripe_id}"))
        assert "Its usage differs" not in page
        if amount:
            assert f"${amount:,.2f}" in page

    def check_limits(self, usage: Any) -> None:
        """What is used and pending there is what the page of usage says."""
        page = words(self.person.get("/usage/limits"))
        used, pending = (
            re.search(rf"{name} ([\d,−]+)", page)[1]  # type: ignore[index]
            for name in ("Used", "May still be billed")
        )
        assert (int(used.replace("−", "-")), int(pending)) == (
            usage["kinds"][0]["charged"],
            usage["pending"],
        )

    def check_links(self, address: str) -> int:
        """Each number of a page is how many its list has; how many numbers lead to one."""
        found = list(self.numbers(address))
        assert [(href, self.rows(href)) for href, _ in found] == found
        return len(found)


def summed(file: list[dict[str, str]]) -> dict[str, int]:
    """A file's rows added up as the page's numbers."""
    found = Counter[str](confirmed=0, assumed=0, reversed=0, carried=0)
    for row in file:
        units = int(row["units"])
        if row["what"] == "reversal":
            found["reversed"] -= units
        else:
            found["carried" if row["what"] == "carried" else row["rule"]] += units
    return dict(found)
