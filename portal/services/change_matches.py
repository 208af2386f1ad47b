"""A change's invoice is its quote: credits and debits compared line by line, to the cent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from portal import pricing
from portal.gateways.stripe_words import Invoice, InvoiceLine
from portal.models import Quote
from portal.pricing.change import CREDIT, DEBIT
from portal.services.matches import Difference, difference

Place = tuple[str, str]  # line key, side


@dataclass(frozen=True)
class ExpectedLine:
    """One line as it was promised; ``tax`` None: nothing was promised about it."""

    key: str
    side: str
    quantity: int
    amount: int
    tax: int | None = None


@dataclass(frozen=True)
class Expected:
    """What the invoice of a change must say; None: nothing was promised. ``total`` is with tax."""

    currency: str
    lines: tuple[ExpectedLine, ...]
    tax: int | None = None
    amount_due: int | None = None


def priced(change: pricing.Change, currency: str) -> Expected:
    """What our own price says; tax is Stripe's to reckon."""
    lines = (ExpectedLine(line.key, line.side, line.quantity, line.amount) for line in change.lines)
    return Expected(currency, tuple(lines))


def quoted(quote: Quote) -> Expected:
    """What the stored quote says of its invoice."""
    lines = (
        ExpectedLine(
            key=str(line["key"]),
            side=str(line["side"]),
            quantity=int(str(line["quantity"])),
            amount=int(str(line["amount"])),
            tax=int(str(line["tax"])),
        )
        for line in quote.lines
    )
    return Expected(quote.currency, tuple(lines), quote.tax, quote.amount_due)


def side(amount: int) -> str:
    """Which side of a change a line with this amount is on."""
    return CREDIT if amount < 0 else DEBIT


def differences(expected: Expected, invoice: Invoice, keys: Mapping[str, str]) -> list[Difference]:
    """Everything in which ``invoice`` differs from what was promised, or nothing.

    ``keys``: Stripe's price id → line key. Lines of nothing are no differences. Sums are compared as well,
    so that no amount can hide outside the lines.
    """
    ours: dict[Place, list[ExpectedLine]] = {}
    for line in expected.lines:
        if line.amount:
            ours.setdefault((line.key, line.side), []).append(line)
    theirs: dict[Place, list[InvoiceLine]] = {}
    for each in invoice.lines:
        if each.total or each.tax:
            place = (keys.get(each.price_id or "", each.description), side(each.total))
            theirs.setdefault(place, []).append(each)
    found: list[Difference] = []
    for place in [*ours, *(each for each in theirs if each not in ours)]:
        found += _at(place, ours.get(place, []), theirs.get(place, []))
    return found + _sums(expected, invoice)


def _at(place: Place, ours: Sequence[ExpectedLine], theirs: Sequence[InvoiceLine]) -> list[Difference]:
    name = ".".join(place)
    found = []
    for line, actual in zip_longest(
        sorted(ours, key=lambda each: each.amount), sorted(theirs, key=lambda each: each.total)
    ):
        if actual is None:
            found.append(difference(f"{name}.amount", line.amount, None, "missing"))
        elif line is None:
            found.append(difference(f"{name}.amount", None, actual.total, "unexpected"))
        else:
            pairs = (
                ("quantity", line.quantity, actual.quantity),
                ("amount", line.amount, actual.total),
                ("tax", line.tax, actual.tax),
            )
            found += [
                difference(f"{name}.{what}", quoted, invoiced, what)
                for what, quoted, invoiced in pairs
                if quoted is not None and quoted != invoiced
            ]
    return found


def _sums(expected: Expected, invoice: Invoice) -> list[Difference]:
    amount = sum(line.amount for line in expected.lines)
    pairs: list[tuple[str, int | str | None, int | str | None]] = [
        ("currency", expected.currency, invoice.currency),
        ("tax", expected.tax, invoice.tax),
        ("total", amount, invoice.total - invoice.tax),
        ("amount_due", expected.amount_due, invoice.amount_due),
    ]
    return [
        difference(name, ours, theirs, "amount" if name == "total" else name)
        for name, ours, theirs in pairs
        if ours is not None and ours != theirs
    ]
