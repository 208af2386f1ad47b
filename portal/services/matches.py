"""The quote is the invoice: the comparison that proves it, to the cent, and where it is kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from portal import pricing
from portal.errors import N_
from portal.gateways import Gateways
from portal.gateways.stripe_words import Invoice, InvoiceLine
from portal.models import CatalogPrice, Quote, QuoteMatch
from portal.models import Invoice as StoredInvoice
from portal.services import incidents

BEFORE_PAYMENT = "before_payment"
FINAL = "final"

REASONS = {
    "missing": N_("The invoice lacks this line."),
    "unexpected": N_("The invoice has a line that was not quoted."),
    "quantity": N_("The invoice counts another number."),
    "amount": N_("The price at Stripe is another."),
    "discount": N_("The discount was reckoned differently."),
    "tax": N_("The tax was reckoned differently."),
    "amount_due": N_("The balance of the account changed."),
    "currency": N_("The invoice is in another currency."),
}


@dataclass(frozen=True)
class ExpectedLine:
    """One row as it was promised; ``tax`` None means that nothing was promised about it."""

    key: str
    quantity: int
    amount: int
    discount: int
    tax: int | None


@dataclass(frozen=True)
class Expected:
    """What an invoice must say; None: nothing was promised. Amounts in minor units, ``total`` with tax."""

    currency: str
    lines: tuple[ExpectedLine, ...]
    tax: int | None
    amount_due: int | None


@dataclass(frozen=True)
class Difference:
    """One thing that differs: what, the two values, and why as far as it can be told."""

    what: str
    quoted: int | str | None
    invoiced: int | str | None
    reason: str

    def as_dict(self) -> dict[str, object]:
        """The stored form."""
        return {
            "what": self.what,
            "quoted": self.quoted,
            "invoiced": self.invoiced,
            "reason": self.reason,
        }


def priced(quote: pricing.Quote) -> Expected:
    """What our own price says; tax is Stripe's to reckon."""
    lines = (ExpectedLine(line.key, line.quantity, line.amount, line.discount, None) for line in quote.lines)
    return Expected(quote.currency, tuple(lines), None, None)


def quoted(quote: Quote, *, after_trial: bool = False) -> Expected:
    """What the stored quote says of its invoice: with a trial nothing today, all of it at the trial's end."""
    if quote.trial_days and not after_trial:
        return Expected(quote.currency, (), 0, 0)
    lines = (
        ExpectedLine(
            key=str(line["key"]),
            quantity=_whole(line["quantity"]),
            amount=_whole(line["amount"]),
            discount=_whole(line["discount"]),
            tax=_whole(line["tax"]),
        )
        for line in quote.lines
    )
    # the balance of the day on which a trial ends was never promised
    due = None if quote.trial_days else quote.amount_due
    return Expected(quote.currency, tuple(lines), quote.tax, due)


def usage_prices(rows: Mapping[str, CatalogPrice]) -> frozenset[str]:
    """Those of these prices of ours (Stripe's id → row) by which usage is billed."""
    return frozenset(
        price_id for price_id, row in rows.items() if row.key in pricing.catalog(row.catalog).usage
    )


def without_usage(invoice: Invoice, metered: Collection[str]) -> Invoice:
    """The invoice as it would be without its metered lines, which no quote promises.

    ``metered``: Stripe's price ids. The first invoice after a trial bills the usage during the trial as well.
    """
    usage = [line for line in invoice.lines if line.price_id in metered]
    amount, discount, tax = (
        sum(getattr(line, name) for line in usage) for name in ("amount", "discount", "tax")
    )
    return replace(
        invoice,
        lines=tuple(line for line in invoice.lines if line not in usage),
        subtotal=invoice.subtotal - amount,
        discount=invoice.discount - discount,
        tax=invoice.tax - tax,
        total=invoice.total - (amount - discount + tax),
        amount_due=invoice.amount_due - (amount - discount + tax),
    )


def differences(expected: Expected, invoice: Invoice, keys: Mapping[str, str]) -> list[Difference]:
    """Everything in which ``invoice`` differs from what was promised, or nothing.

    ``keys``: Stripe's price id → line key. Lines of nothing (metered items at the start, a trial's) are not
    differences. Sums are compared as well, so that no amount can hide outside the lines.
    """
    found: list[Difference] = []
    invoiced = _by_key(invoice, keys)
    for line in expected.lines:
        found += _line_differences(line, invoiced.pop(line.key, None))
    for key, extra in invoiced.items():
        if extra.amount or extra.discount or extra.tax:
            found.append(difference(f"{key}.amount", None, extra.amount, "unexpected"))
    return found + _sum_differences(expected, invoice)


def _line_differences(line: ExpectedLine, actual: InvoiceLine | None) -> list[Difference]:
    if actual is None:
        return [difference(f"{line.key}.amount", line.amount, None, "missing")]
    pairs = [
        ("quantity", line.quantity, actual.quantity),
        ("amount", line.amount, actual.amount),
        ("discount", line.discount, actual.discount),
        ("tax", line.tax, actual.tax),
    ]
    return [
        difference(f"{line.key}.{name}", ours, theirs, name)
        for name, ours, theirs in pairs
        if ours is not None and ours != theirs
    ]


def _sum_differences(expected: Expected, invoice: Invoice) -> list[Difference]:
    amount = sum(line.amount for line in expected.lines)
    discount = sum(line.discount for line in expected.lines)
    pairs: list[tuple[str, int | str | None, int | str | None]] = [
        ("currency", expected.currency, invoice.currency),
        ("amount", amount, invoice.subtotal),
        ("discount", discount, invoice.discount),
        ("tax", expected.tax, invoice.tax),
        ("total", amount - discount, invoice.total - invoice.tax),
        ("amount_due", expected.amount_due, invoice.amount_due),
    ]
    return [
        difference(name, ours, theirs, "amount" if name == "total" else name)
        for name, ours, theirs in pairs
        if ours is not None and ours != theirs
    ]


def difference(what: str, quoted: int | str | None, invoiced: int | str | None, reason: str) -> Difference:
    """One thing that differs; ``reason`` is one of REASONS."""
    return Difference(what, quoted, invoiced, REASONS[reason])


def _by_key(invoice: Invoice, keys: Mapping[str, str]) -> dict[str, InvoiceLine]:
    """Lines by our key; a second line of the same key keeps its own name, so that it cannot be overlooked."""
    found: dict[str, InvoiceLine] = {}
    for line in invoice.lines:
        key = keys.get(line.price_id or "", line.description)
        found[key if key not in found else f"{key} ({line.id})"] = line
    return found


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number of minor units")
    return value


def record(session: Session, quote_id: str, invoice_id: str, stage: str, found: list[Difference]) -> bool:
    """Keep the comparison, once per invoice and stage; False when it was kept before."""
    statement = (
        insert(QuoteMatch)
        .values(
            stripe_invoice_id=invoice_id,
            stage=stage,
            quote_id=quote_id,
            matched=not found,
            differences=[difference.as_dict() for difference in found],
        )
        .on_conflict_do_nothing()
        .returning(QuoteMatch.stage)
    )
    return session.execute(statement).first() is not None


def settle(
    session: Session, gateways: Gateways, quote: Quote, invoice: Invoice, found: list[Difference]
) -> None:
    """Keep the comparison of a final invoice with its quote; support is told once of one that differs."""
    if not record(session, quote.id, invoice.id, FINAL, found) or not found:
        return
    incidents.report(
        session,
        gateways,
        "quote_mismatch",
        dedupe_key=f"quote_mismatch:{invoice.id}",
        workspace_id=quote.workspace_id,
        summary=f"Invoice {invoice.number} is not what quote {quote.id} promised",
        details={"quote": quote.id, "differences": [each.as_dict() for each in found]},
    )


_OF_INVOICE = (
    select(QuoteMatch)
    .where(QuoteMatch.stripe_invoice_id == bindparam("invoice_id"))
    .order_by(QuoteMatch.compared_at, QuoteMatch.stage)
)


def of_invoice(session: Session, invoice_id: str) -> list[QuoteMatch]:
    """The comparisons of an invoice with its quote: before payment, and when it was final."""
    return list(session.scalars(_OF_INVOICE, {"invoice_id": invoice_id}))


def of_invoices(session: Session, invoice_ids: Sequence[str]) -> dict[str, QuoteMatch]:
    """The last comparison of each of these invoices; one without a quote, or void, is not among the keys."""
    void = select(StoredInvoice.stripe_id).where(StoredInvoice.status == "void")
    statement = (
        select(QuoteMatch)
        .where(QuoteMatch.stripe_invoice_id.in_(invoice_ids), QuoteMatch.stripe_invoice_id.not_in(void))
        .order_by(QuoteMatch.compared_at, QuoteMatch.stage)
    )
    return {row.stripe_invoice_id: row for row in session.scalars(statement)}
