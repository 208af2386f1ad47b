"""All that a workspace owns as one ZIP, made while it is sent: a page of rows at a time, nothing is stored.

Every table is read page by page by its key, each page in a unit of work of its own under the workspace's
row-level security. No secret is in it: no password, no token, no payment intent.
"""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from portal.db import unit_of_work
from portal.models import (
    Adjustment,
    ApiKey,
    AuditEntry,
    BillingDetails,
    Cancellation,
    CapRaise,
    Contest,
    ConversationEvent,
    CreditEntry,
    CreditGrant,
    CreditLot,
    CreditPurchase,
    CreditRefund,
    CreditTopUp,
    Invitation,
    Invoice,
    Member,
    PaymentMethod,
    Quote,
    QuoteMatch,
    Resolution,
    Subscription,
    UsageAlert,
    UsageCredit,
    UsageEntry,
    UsageLimit,
    UsageMatch,
    UsagePeriod,
    User,
    Workspace,
)
from portal.services import audit, spreadsheets

PAGE = 500
# how something was carried out: what came of it is in the tables above it
LEFT_OUT = {
    *("attempt", "correction", "deletion_request", "details_request", "negotiated_discount"),
    *("payment_action", "planned_change"),
    # what Stripe was told of the ledger, sums of it, and where they differ for a night
    *("allowance", "credit_sum", "meter_event", "usage_day", "usage_difference"),
    # forgotten after a month; what was answered is in the resolutions
    "reservation",
}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Sheet:
    """One table: what is selected, by which keys, and the rows within a row (an invoice's lines)."""

    name: str
    statement: Select[*tuple[Any, ...]]
    keys: tuple[InstrumentedAttribute[Any], ...]
    unfold: Callable[[Row], Sequence[Row]] | None = None


def _sheets() -> tuple[Sheet, ...]:
    return (
        _sheet("workspace", Workspace, ("id", "name", "created_at"), ("id",)),
        _sheet("billing_details", BillingDetails, BILLING_DETAILS, ("workspace_id",)),
        Sheet(
            "members",
            select(Member.id, User.email, User.name, Member.role, Member.seat, Member.created_at).join(
                User, User.id == Member.user_id
            ),
            (Member.id,),
        ),
        _sheet("subscriptions", Subscription, SUBSCRIPTION, ("stripe_id",)),
        _sheet("quotes", Quote, QUOTE, ("id",)),
        _sheet("invoices", Invoice, INVOICE, ("stripe_id",)),
        Sheet(
            "invoice_lines",
            select(Invoice.stripe_id, Invoice.number, Invoice.currency, Invoice.lines),
            (Invoice.stripe_id,),
            _invoice_lines,
        ),
        _sheet("matches", QuoteMatch, MATCH, ("stripe_invoice_id", "stage")),
        _sheet("adjustments", Adjustment, ADJUSTMENT, ("stripe_id",)),
        _sheet("payment_methods", PaymentMethod, PAYMENT_METHOD, ("stripe_id",)),
        _sheet("invitations", Invitation, INVITATION, ("id",)),
        _sheet("cancellations", Cancellation, CANCELLATION, ("id",)),
        *_usage_sheets(),
        Sheet(
            "api_keys",
            # the table is not under row-level security
            select(*(getattr(ApiKey, name) for name in API_KEY)).where(
                ApiKey.workspace_id == func.app_workspace_id()
            ),
            (ApiKey.id,),
        ),
        _sheet("activity", AuditEntry, AUDIT, ("id",)),
    )


def _usage_sheets() -> tuple[Sheet, ...]:
    """What was used, what it came to, and what it was paid with."""
    return (
        _sheet("usage_periods", UsagePeriod, USAGE_PERIOD, ("starts_at",)),
        _sheet("usage", UsageEntry, USAGE_ENTRY, ("period_start", "id")),
        _sheet("resolutions", Resolution, RESOLUTION, ("conversation_id", "episode")),
        _sheet("conversation_events", ConversationEvent, CONVERSATION_EVENT, ("id",)),
        _sheet("contests", Contest, CONTEST, ("conversation_id", "episode")),
        _sheet("usage_matches", UsageMatch, USAGE_MATCH, ("period_start", "key")),
        _sheet("usage_credits", UsageCredit, USAGE_CREDIT, ("identifier",)),
        _sheet("usage_limits", UsageLimit, USAGE_LIMIT, ("workspace_id",)),
        _sheet("cap_raises", CapRaise, CAP_RAISE, ("id",)),
        _sheet("usage_alerts", UsageAlert, USAGE_ALERT, ("period_start", "name")),
        _sheet("credit_purchases", CreditPurchase, CREDIT_PURCHASE, ("id",)),
        _sheet("credit_refunds", CreditRefund, CREDIT_REFUND, ("id",)),
        _sheet("credit_lots", CreditLot, CREDIT_LOT, ("id",)),
        _sheet("credit_entries", CreditEntry, CREDIT_ENTRY, ("id",)),
        _sheet("credit_grants", CreditGrant, CREDIT_GRANT, ("id",)),
        _sheet("credit_top_ups", CreditTopUp, CREDIT_TOP_UP, ("workspace_id",)),
    )


BILLING_DETAILS = (
    *("company_name", "email", "address", "tax_id_type", "tax_id_value", "tax_id_status", "purchase_order"),
    "updated_at",
)

SUBSCRIPTION = (
    *(
        "stripe_id",
        "quote_id",
        "catalog",
        "tier",
        "interval",
        "seats",
        "status",
        "access",
        "currency",
        "items",
    ),
    *("discounts", "started_at", "trial_end", "cancel_at", "ended_at", "renews_at"),
)
QUOTE = (
    *("id", "kind", "selection", "catalog", "currency", "lines", "subtotal", "discount", "tax", "total"),
    *("amount_due", "tax_status", "promotion", "trial_days", "billing", "created_at", "expires_at"),
    *("confirmed_at", "replaced_at"),
)
INVOICE = (
    *("stripe_id", "stripe_subscription_id", "number", "status", "billing_reason", "currency", "subtotal"),
    *("discount", "tax", "total", "amount_due", "amount_paid", "starting_balance", "ending_balance"),
    *("billing", "invoice_pdf", "issued_at", "paid_at"),
)
MATCH = ("quote_id", "stripe_invoice_id", "stage", "matched", "differences", "compared_at")
ADJUSTMENT = (
    *("stripe_id", "kind", "stripe_invoice_id", "status", "reason", "currency", "amount", "occurred_at"),
)
PAYMENT_METHOD = (
    *("stripe_id", "type", "brand", "last4", "exp_month", "exp_year", "email", "added_at", "removed_at"),
)
INVITATION = ("id", "email", "role", "seat", "state", "created_at", "expires_at", "closed_at")
CANCELLATION = ("id", "kind", "state", "feedback", "comment", "ends_at", "created_at")
# without the hash, which is of no use but to somebody who guesses
API_KEY = ("id", "name", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at")
CREDIT_PURCHASE = (
    *("id", "kind", "state", "units", "catalog", "unit_amount", "percent_off", "amount", "currency"),
    *("quote_id", "stripe_invoice_id", "renews", "paid_at", "granted_at", "created_at"),
)
CREDIT_REFUND = (
    *("id", "purchase_id", "kind", "state", "units", "amount", "total", "refunded", "balance", "currency"),
    *("credit_note_id", "created_at"),
)
CREDIT_LOT = (
    *("id", "purchase_id", "units", "unit_amount", "starts_at", "expires_at", "grant_value", "ended_at"),
    "ended_why",
)
CREDIT_ENTRY = ("id", "lot_id", "kind", "quantity", "period_start", "at", "source")
CREDIT_GRANT = ("id", "lot_id", "kind", "state", "units", "unit_amount", "since", "value", "created_at")
CREDIT_TOP_UP = ("enabled", "below", "units", "most_times", "most_amount", "pause_hours", "updated_at")
USAGE_PERIOD = (
    "starts_at",
    "ends_at",
    "stripe_subscription_id",
    "state",
    "trial",
    "stripe_invoice_id",
    "used",
)
USAGE_ENTRY = (
    *("id", "key", "source", "kind", "basis", "quantity", "at", "channel", "period_start", "charge", "note"),
    *("occurred_at", "sent_quantity"),
)
RESOLUTION = (
    *("conversation_id", "episode", "state", "kind", "because", "channel", "answered_at", "matures_at"),
    *("billable_at", "reversed_at", "taken_back_at", "period_start", "counted_at", "counted_as"),
    *("counted_on", "charge", "contest"),
)
CONVERSATION_EVENT = ("id", "conversation_id", "type", "occurred_at", "channel", "test", "received_at")
CONTEST = (
    *("conversation_id", "episode", "reason", "comment", "state", "by_rule", "created_at", "decided_at"),
    "answer",
)
USAGE_MATCH = (
    *("period_start", "key", "stripe_invoice_id", "ledger", "invoiced", "state", "parts", "compared_at"),
)
USAGE_CREDIT = (
    *("key", "source", "quantity", "state", "stripe_invoice_id", "currency", "amount", "total", "refunded"),
    *("balance", "credit_note_id", "lot_id", "created_at"),
)
USAGE_LIMIT = (
    *("budget", "cap_units", "cap_amount", "hard", "at_cap", "approver_id", "warn_50", "warn_80", "warn_100"),
    *("warn_forecast", "recipients", "updated_at"),
)
CAP_RAISE = ("id", "period_start", "units", "allowed_by", "allowed_at")
USAGE_ALERT = ("period_start", "name", "reached", "out_of", "mailed", "at")
AUDIT = ("id", "at", "actor", "action", "before", "after", "quote_id", "stripe_invoice_id")


def _sheet(name: str, model: Any, columns: tuple[str, ...], keys: tuple[str, ...]) -> Sheet:
    every = (*columns, *(key for key in keys if key not in columns))
    return Sheet(
        name,
        select(*(getattr(model, column) for column in every)),
        tuple(getattr(model, key) for key in keys),
    )


def _invoice_lines(row: Row) -> Sequence[Row]:
    invoice = {name: row[name] for name in ("stripe_id", "number", "currency")}
    columns = ("description", "key", "quantity", "unit_amount", "amount", "discount", "tax", "total")
    return [
        invoice | {name: line.get(name) for name in (*columns, "period_start", "period_end")}
        for line in row["lines"]
    ]


def tables() -> set[str]:
    """The tables that the export is made from."""
    return {each.table.name for sheet in _sheets() for each in sheet.statement.selected_columns}


def note(workspace_id: int, user_id: int) -> None:
    """Keep in the history that somebody took the data out."""
    with unit_of_work(workspace_id) as session:
        audit.record(session, "export.made", user_id=user_id)


def archive(workspace_id: int) -> Iterator[bytes]:
    """The ZIP in pieces: each table as JSON and as CSV."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as made:
        for sheet in _sheets():
            for ending, written in (("json", _as_json), ("csv", _as_csv)):
                with made.open(f"{sheet.name}.{ending}", "w") as file:
                    for text in written(_pages(workspace_id, sheet)):
                        file.write(text.encode())
                        yield pipe.taken()
    yield pipe.taken()


def _pages(workspace_id: int, sheet: Sheet) -> Iterator[list[Row]]:
    after: tuple[Any, ...] | None = None
    while True:
        statement = sheet.statement.order_by(*sheet.keys).limit(PAGE)
        if after is not None:
            statement = statement.where(tuple_(*sheet.keys) > after)
        with unit_of_work(workspace_id) as session:
            rows: list[Row] = [dict(row) for row in session.execute(statement).mappings()]
        yield [each for row in rows for each in (sheet.unfold(row) if sheet.unfold else [row])]
        if len(rows) < PAGE:
            return
        after = tuple(rows[-1][key.key] for key in sheet.keys)


def _as_json(pages: Iterator[list[Row]]) -> Iterator[str]:
    between = "[\n"
    for rows in pages:
        text = ""
        for row in rows:
            text += between + json.dumps(dict(row), default=_plain, ensure_ascii=False)
            between = ",\n"
        yield text
    yield "[]\n" if between == "[\n" else "\n]\n"


def _as_csv(pages: Iterator[list[Row]]) -> Iterator[str]:
    begun = False
    for rows in pages:
        if rows and not begun:
            yield spreadsheets.lines([rows[0].keys()])
            begun = True
        yield spreadsheets.lines([_flat(value) for value in row.values()] for row in rows)


def _flat(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


class _Pipe(io.RawIOBase):
    """A file that can be written on and taken from; it has no middle to go back to."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)
