"""The side of Stripe that is about invoices already made or to come: previews, adjustments, corrections."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import StripeRefusedError, ask, find
from portal.gateways.stripe_words import Invoice

PAGE = 100
NOTHING_UPCOMING = "invoice_upcoming_none"
DISCOUNTS_EXPANDED = "total_discount_amounts.discount.source.coupon"
PURCHASE_ORDER = "PO number"


@dataclass(frozen=True)
class Adjustment:
    """A credit note, refund or dispute. ``amount`` ≥ 0; ``details`` may be stored as they are."""

    id: str
    kind: str  # credit_note | refund | dispute
    invoice_id: str | None
    intent_id: str | None
    status: str
    reason: str | None
    currency: str
    amount: int
    created: int
    details: Mapping[str, object]


@dataclass(frozen=True)
class NewLine:
    """A line of an invoice that is made by hand: an amount before tax for one product and span of time."""

    description: str
    amount: int
    product_id: str | None
    period_start: int
    period_end: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class BilledTo:
    """Whom a customer's invoices are made out to; ``email`` None leaves the one at Stripe as it is."""

    name: str
    address: Mapping[str, str]
    purchase_order: str | None
    email: str | None = None


def custom_fields(purchase_order: str | None) -> Any:
    """The field of an invoice's head that holds the purchase-order number; empty removes it."""
    return [{"name": PURCHASE_ORDER, "value": purchase_order}] if purchase_order else ""


class StripeInvoices:
    """What is read of and done to invoices beyond the first purchase."""

    def __init__(
        self, client: stripe.StripeClient, *, named: Callable[[Invoice], Invoice], tax: bool
    ) -> None:
        self._client = client
        self._named = named
        self._tax = tax

    # --- what comes next ---------------------------------------------------------------------------

    def upcoming(self, subscription_id: str) -> Invoice | None:
        """The next invoice of a running subscription as it would be now; None when none is coming.

        Source: docs.stripe.com/api/invoices/create_preview, with nothing but the subscription.
        """
        params: Any = {"subscription": subscription_id, "expand": [DISCOUNTS_EXPANDED]}
        try:
            found = ask(lambda: self._client.v1.invoices.create_preview(params))
        except StripeRefusedError as refusal:
            if refusal.stripe_code == NOTHING_UPCOMING:
                return None
            raise
        return self._named(reading.invoice(reading.plain(found)))

    # --- what happened to it -------------------------------------------------------------------------

    def credit_note(self, credit_note_id: str) -> Adjustment:
        """A credit note as it is now. Raises NotFoundError."""
        return _credit_note(
            reading.plain(find(lambda: self._client.v1.credit_notes.retrieve(credit_note_id)))
        )

    def credit_notes(self, invoice_id: str) -> list[Adjustment]:
        """All credit notes of an invoice, newest first."""
        listed = ask(lambda: self._client.v1.credit_notes.list({"invoice": invoice_id, "limit": PAGE}))
        return [_credit_note(reading.plain(each)) for each in listed.data]

    def refund(self, refund_id: str) -> Adjustment:
        """A refund as it is now. Raises NotFoundError."""
        return _refund(reading.plain(find(lambda: self._client.v1.refunds.retrieve(refund_id))))

    def refunds(self, charge_id: str) -> list[Adjustment]:
        """All refunds of a charge, newest first."""
        listed = ask(lambda: self._client.v1.refunds.list({"charge": charge_id, "limit": PAGE}))
        return [_refund(reading.plain(each)) for each in listed.data]

    def refunds_of_payment(self, intent_id: str) -> list[Adjustment]:
        """All refunds of what a payment intent has charged, newest first."""
        listed = ask(lambda: self._client.v1.refunds.list({"payment_intent": intent_id, "limit": PAGE}))
        return [_refund(reading.plain(each)) for each in listed.data]

    def dispute(self, dispute_id: str) -> Adjustment:
        """A dispute as it is now. Raises NotFoundError."""
        return _dispute(reading.plain(find(lambda: self._client.v1.disputes.retrieve(dispute_id))))

    def paid_by(self, intent_id: str) -> str | None:
        """The invoice that a payment intent pays, if any."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": 1}
        listed = ask(lambda: self._client.v1.invoice_payments.list(params))
        return reading.identity(reading.plain(listed.data[0])["invoice"]) if listed.data else None

    # --- whom it is made out to ------------------------------------------------------------------------

    def update_billed_to(self, customer_id: str, billed_to: BilledTo, *, key: str) -> None:
        """Set what stands on later invoices, and have the tax location checked at once.

        Raises StripeRefusedError (stripe_code ``customer_tax_location_invalid``) for an impossible address.
        """
        params: Any = {
            "name": billed_to.name,
            "address": dict(billed_to.address),
            "invoice_settings": {"custom_fields": custom_fields(billed_to.purchase_order)},
            "tax": {"validate_location": "immediately"},
        }
        if billed_to.email is not None:
            params["email"] = billed_to.email
        ask(lambda: self._client.v1.customers.update(customer_id, params, {"idempotency_key": key}))

    def balance(self, customer_id: str) -> int:
        """The customer's balance in minor units; below zero is its credit."""
        found = reading.plain(find(lambda: self._client.v1.customers.retrieve(customer_id)))
        return int(found.get("balance") or 0)

    # --- made anew ---------------------------------------------------------------------------------------

    def drafts(self, customer_id: str) -> list[Invoice]:
        """The customer's invoices that are not final yet, newest first."""
        params: Any = {"customer": customer_id, "status": "draft", "limit": PAGE}
        listed = ask(lambda: self._client.v1.invoices.list(params))
        return [reading.invoice(reading.plain(each)) for each in listed.data]

    def made_for(self, customer_id: str, name: str, value: str, *, since: int) -> Invoice | None:
        """The customer's invoice made since then whose own metadata has ``name`` = ``value``, if any."""

        def search() -> Invoice | None:
            params: Any = {"customer": customer_id, "created": {"gte": since}, "limit": PAGE}
            for each in self._client.v1.invoices.list(params).auto_paging_iter():
                document = reading.plain(each)
                if (document.get("metadata") or {}).get(name) == value:
                    return reading.invoice(document)
            return None

        return ask(search)

    def create_draft(
        self,
        customer_id: str,
        currency: str,
        *,
        purchase_order: str | None,
        description: str,
        metadata: Mapping[str, str],
        tax: bool,
        key: str,
    ) -> Invoice:
        """An empty draft that becomes final only when it is told to; nothing pending is swept into it."""
        params: Any = {
            "customer": customer_id,
            "currency": currency,
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "automatic_tax": {"enabled": tax and self._tax},
            "custom_fields": custom_fields(purchase_order),
            "description": description,
            "metadata": dict(metadata),
        }
        made = ask(lambda: self._client.v1.invoices.create(params, {"idempotency_key": key}))
        return reading.invoice(reading.plain(made))

    def add_lines(self, invoice_id: str, currency: str, lines: Sequence[NewLine], *, key: str) -> Invoice:
        """Put lines on a draft; their taxes are reckoned anew."""
        params: Any = {"lines": [_new_line(line, currency) for line in lines]}
        changed = ask(
            lambda: self._client.v1.invoices.add_lines(invoice_id, params, {"idempotency_key": key})
        )
        return reading.invoice(reading.plain(changed))

    def finalize(self, invoice_id: str, *, key: str) -> Invoice:
        """Make a draft final: it takes its number, and what lies on the balance is applied to it."""
        params: Any = {"auto_advance": False}
        made = ask(
            lambda: self._client.v1.invoices.finalize_invoice(invoice_id, params, {"idempotency_key": key})
        )
        return reading.invoice(reading.plain(made))

    def delete_draft(self, invoice_id: str) -> None:
        """Throw a draft away; one that is gone already is no error."""
        try:
            ask(lambda: self._client.v1.invoices.delete(invoice_id))
        except StripeRefusedError as refusal:
            if not refusal.missing:
                raise

    def preview_credit(self, invoice_id: str, lines: Mapping[str, int], *, amount: int) -> int:
        """What crediting these amounts (before discount and tax) of these lines to the balance comes to.

        Raises StripeRefusedError when it is not exactly ``amount``, or may not be.
        """
        params: Any = _credit(invoice_id, lines, amount)
        found = ask(lambda: self._client.v1.credit_notes.preview(params))
        return int(found.total)

    def credit_to_balance(
        self,
        invoice_id: str,
        lines: Mapping[str, int],
        *,
        amount: int,
        memo: str,
        metadata: Mapping[str, str],
        key: str,
    ) -> Adjustment:
        """Issue that credit note, silently, and put ``amount`` on the customer's balance."""
        params: Any = _credit(invoice_id, lines, amount) | {"memo": memo, "metadata": dict(metadata)}
        made = ask(lambda: self._client.v1.credit_notes.create(params, {"idempotency_key": key}))
        return _credit_note(reading.plain(made))

    def preview_note(self, invoice_id: str, lines: Mapping[str, int], parts: Mapping[str, int]) -> int:
        """What a credit note of these amounts (before tax) of these lines comes to, with tax.

        ``parts`` says where what was paid goes: refund_amount, credit_amount. Raises StripeRefusedError when
        they are not exactly that, or may not be.
        """
        params: Any = _note(invoice_id, lines, parts)
        return int(ask(lambda: self._client.v1.credit_notes.preview(params)).total)

    def issue_note(
        self,
        invoice_id: str,
        lines: Mapping[str, int],
        parts: Mapping[str, int],
        *,
        memo: str,
        metadata: Mapping[str, str],
        key: str,
    ) -> Adjustment:
        """Issue that credit note, silently."""
        params: Any = _note(invoice_id, lines, parts) | {"memo": memo, "metadata": dict(metadata)}
        made = ask(lambda: self._client.v1.credit_notes.create(params, {"idempotency_key": key}))
        return _credit_note(reading.plain(made))

    def put_on_balance(
        self,
        customer_id: str,
        amount: int,
        currency: str,
        *,
        memo: str,
        metadata: Mapping[str, str],
        key: str,
    ) -> None:
        """Credit the customer's balance with ``amount`` minor units; its next invoices are paid from it."""
        params: Any = {
            # a customer's balance is what it owes
            "amount": -amount,
            "currency": currency,
            "description": memo,
            "metadata": dict(metadata),
        }
        balances = self._client.v1.customers.balance_transactions
        ask(lambda: balances.create(customer_id, params, {"idempotency_key": key}))

    def was_put_on_balance(self, customer_id: str, **metadata: str) -> bool:
        """Whether the balance has a transaction whose metadata has all of these."""
        params: Any = {"limit": PAGE}

        def found() -> bool:
            pages = self._client.v1.customers.balance_transactions.list(customer_id, params)
            rows = (reading.plain(each).get("metadata") or {} for each in pages.auto_paging_iter())
            return any(metadata.items() <= row.items() for row in rows)

        return ask(found)


def _new_line(line: NewLine, currency: str) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "description": line.description,
        "period": {"start": line.period_start, "end": line.period_end},
        "metadata": dict(line.metadata),
        # what was taken off is off already
        "discountable": False,
    }
    if line.product_id is None:
        return shape | {"amount": line.amount}
    price = {"currency": currency, "product": line.product_id, "unit_amount": line.amount}
    return shape | {"quantity": 1, "price_data": price | {"tax_behavior": "exclusive"}}


def _credit(invoice_id: str, lines: Mapping[str, int], amount: int) -> dict[str, Any]:
    return _note(invoice_id, lines, {"credit_amount": amount})


def _note(invoice_id: str, lines: Mapping[str, int], parts: Mapping[str, int]) -> dict[str, Any]:
    rows = [
        {"type": "invoice_line_item", "invoice_line_item": line_id, "amount": part}
        for line_id, part in lines.items()
    ]
    return {
        "invoice": invoice_id,
        "lines": rows,
        "email_type": "none",
        "reason": "order_change",
        **parts,
    }


def _credit_note(document: reading.Document) -> Adjustment:
    refunds = document.get("refunds") or []
    parts = {
        "number": document.get("number"),
        "pdf": document.get("pdf"),
        "memo": document.get("memo"),
        "tax": sum(part["amount"] for part in document.get("total_taxes") or []),
        "unpaid": document.get("pre_payment_amount") or 0,
        "outside": document.get("out_of_band_amount") or 0,
        "refunded": sum(row.get("amount_refunded") or 0 for row in refunds),
        "refunds": [reading.identity(row.get("refund")) for row in refunds],
        "correction": (document.get("metadata") or {}).get("correction"),
        "unit": (document.get("metadata") or {}).get("unit"),
        "refund": (document.get("metadata") or {}).get("refund"),
    }
    given_back = int(parts["unpaid"]) + int(parts["outside"]) + int(parts["refunded"])
    return Adjustment(
        id=document["id"],
        kind="credit_note",
        invoice_id=reading.identity(document.get("invoice")),
        intent_id=None,
        status=document["status"],
        reason=document.get("reason"),
        currency=document["currency"],
        amount=document["total"],
        created=document["created"],
        details=parts | {"balance": document["total"] - given_back},
    )


def _refund(document: reading.Document) -> Adjustment:
    return Adjustment(
        id=document["id"],
        kind="refund",
        invoice_id=None,
        intent_id=reading.identity(document.get("payment_intent")),
        status=document.get("status") or "pending",
        reason=document.get("reason"),
        currency=document["currency"],
        amount=document["amount"],
        created=document["created"],
        details={"failure": document.get("failure_reason")},
    )


def _dispute(document: reading.Document) -> Adjustment:
    return Adjustment(
        id=document["id"],
        kind="dispute",
        invoice_id=None,
        intent_id=reading.identity(document.get("payment_intent")),
        status=document["status"],
        reason=document.get("reason"),
        currency=document["currency"],
        amount=document["amount"],
        created=document["created"],
        details={"answer_by": (document.get("evidence_details") or {}).get("due_by")},
    )
