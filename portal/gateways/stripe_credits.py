"""The side of Stripe that keeps credits: grants, what is left of them, and what was done with each.

A grant is an amount of money for metered prices; units are ours. Stripe applies it when an invoice becomes
final. Source: docs.stripe.com/billing/subscriptions/usage-based/billing-credits.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import StripeRefusedError, ask

PAGE = 100
# how many grants of one customer may have something left
MOST_UNUSED = 100


@dataclass(frozen=True)
class NewGrant:
    """A grant as it is wanted: ``value`` in minor units > 0 for one metered price; times unix seconds.

    It is effective from when it is made: that is before the end of the open month, whose invoice it pays.
    """

    customer_id: str
    name: str
    currency: str
    value: int
    price_id: str
    expires_at: int
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Grant:
    """A grant as Stripe has it; ``expires_at`` None: never, ``voided_at`` None: it counts."""

    id: str
    customer_id: str | None
    currency: str
    value: int
    effective_at: int | None
    expires_at: int | None
    voided_at: int | None
    metadata: Mapping[str, str]

    def counts(self, now: int) -> bool:
        """Whether something of it may still be used."""
        return self.voided_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True)
class Left:
    """What is left of a grant or a scope in minor units: ``available`` may be used now, ``ledger`` is all."""

    available: int
    ledger: int


@dataclass(frozen=True)
class Transaction:
    """One movement of a grant. ``amount`` is signed: what was granted or came back is above zero.

    ``why`` is Stripe's: credits_granted, credits_application_invoice_voided, credits_applied,
    credits_expired, credits_voided; the third and the second name the invoice and its line.
    """

    id: str
    grant_id: str
    why: str
    currency: str
    amount: int
    invoice_id: str | None
    line_id: str | None
    effective_at: int
    created: int


class StripeCredits:
    """Grants and their balance; writing calls take the key that their caller has committed before."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    @property
    def _grants(self) -> Any:
        return self._client.v1.billing.credit_grants

    def create(self, wanted: NewGrant, *, key: str) -> Grant:
        """Make a paid grant. Raises StripeRefusedError, also above MOST_UNUSED."""
        params: Any = {
            "customer": wanted.customer_id,
            "name": wanted.name,
            "amount": {
                "type": "monetary",
                "monetary": {"currency": wanted.currency, "value": wanted.value},
            },
            "applicability_config": {"scope": {"prices": [{"id": wanted.price_id}]}},
            "category": "paid",
            "expires_at": wanted.expires_at,
            "metadata": dict(wanted.metadata),
        }
        return _grant(reading.plain(ask(lambda: self._grants.create(params, {"idempotency_key": key}))))

    def grant(self, grant_id: str) -> Grant:
        """One grant as it is now."""
        return _grant(reading.plain(ask(lambda: self._grants.retrieve(grant_id))))

    def grants(self, customer_id: str) -> list[Grant]:
        """All grants of the customer, whatever became of them, newest first."""
        params: Any = {"customer": customer_id, "limit": PAGE}

        def every() -> list[Grant]:
            pages = self._grants.list(params)
            return [_grant(reading.plain(found)) for found in pages.auto_paging_iter()]

        return ask(every)

    def made_for(self, customer_id: str, **metadata: str) -> list[Grant]:
        """The customer's grants whose metadata has all of these, oldest first."""
        found = self.grants(customer_id)[::-1]
        return [each for each in found if metadata.items() <= each.metadata.items()]

    def update(
        self,
        grant_id: str,
        *,
        expires_at: int | None = None,
        metadata: Mapping[str, str] | None = None,
        key: str,
    ) -> Grant:
        """Change what of a grant may be changed: when it ends, and what is noted with it."""
        params: Any = {"expires_at": expires_at, "metadata": dict(metadata) if metadata else None}
        params = {name: value for name, value in params.items() if value is not None}
        changed = ask(lambda: self._grants.update(grant_id, params, {"idempotency_key": key}))
        return _grant(reading.plain(changed))

    def expire(self, grant_id: str, *, key: str) -> Grant:
        """End a grant now, whatever is left of it; one that has ended already is returned as it is."""
        params: Any = {}
        try:
            ended = ask(lambda: self._grants.expire(grant_id, params, {"idempotency_key": key}))
        except StripeRefusedError as refusal:
            if refusal.missing:
                raise
            return self.grant(grant_id)
        return _grant(reading.plain(ended))

    def void(self, grant_id: str, *, key: str) -> Grant:
        """Undo a grant of which nothing was ever used; one that is void already is returned as it is.

        Raises StripeRefusedError for one that was used, and for one that has ended.
        """
        params: Any = {}
        try:
            ended = ask(lambda: self._grants.void_grant(grant_id, params, {"idempotency_key": key}))
        except StripeRefusedError as refusal:
            found = None if refusal.missing else self.grant(grant_id)
            if found is None or found.voided_at is None:
                raise
            return found
        return _grant(reading.plain(ended))

    def left(self, customer_id: str, grant_id: str) -> Left:
        """What is left of one grant."""
        return self._summary(customer_id, {"type": "credit_grant", "credit_grant": grant_id})

    def left_for(self, customer_id: str, price_id: str) -> Left:
        """What is left of all grants that pay for a metered price."""
        scope = {"prices": [{"id": price_id}]}
        return self._summary(customer_id, {"type": "applicability_scope", "applicability_scope": scope})

    def _summary(self, customer_id: str, which: Mapping[str, object]) -> Left:
        params: Any = {"customer": customer_id, "filter": dict(which)}
        found = reading.plain(ask(lambda: self._client.v1.billing.credit_balance_summary.retrieve(params)))
        rows = found.get("balances") or []
        return Left(
            *(sum(_value(row.get(name)) for row in rows) for name in ("available_balance", "ledger_balance"))
        )

    def transactions(self, customer_id: str, grant_id: str | None = None) -> list[Transaction]:
        """What was done with the customer's grants, or with one, newest first."""
        params: Any = {"customer": customer_id, "limit": PAGE}
        if grant_id is not None:
            params["credit_grant"] = grant_id

        def every() -> list[Transaction]:
            pages = self._client.v1.billing.credit_balance_transactions.list(params)
            return [_transaction(reading.plain(found)) for found in pages.auto_paging_iter()]

        return ask(every)

    def unused(self, customer_id: str, now: int) -> int:
        """How many of the customer's grants have something left, as Stripe limits them."""
        live = [each for each in self.grants(customer_id) if each.counts(now)]
        if len(live) < MOST_UNUSED:
            return len(live)
        # those that are used up do not count, which takes a question each
        return sum(self.left(customer_id, each.id).ledger > 0 for each in live)


def _value(amount: Any) -> int:
    return int(((amount or {}).get("monetary") or {}).get("value") or 0)


def _grant(document: reading.Document) -> Grant:
    return Grant(
        id=document["id"],
        customer_id=reading.identity(document.get("customer")),
        currency=document["amount"]["monetary"]["currency"],
        value=_value(document["amount"]),
        effective_at=document.get("effective_at"),
        expires_at=document.get("expires_at"),
        voided_at=document.get("voided_at"),
        metadata=document.get("metadata") or {},
    )


def _transaction(document: reading.Document) -> Transaction:
    kind = "credit" if document.get("credit") else "debit"
    facts = document[kind]
    where = facts.get("credits_applied") or facts.get("credits_application_invoice_voided") or {}
    amount = _value(facts["amount"])
    return Transaction(
        id=document["id"],
        grant_id=str(reading.identity(document["credit_grant"])),
        why=facts["type"],
        currency=facts["amount"]["monetary"]["currency"],
        amount=amount if kind == "credit" else -amount,
        invoice_id=reading.identity(where.get("invoice")),
        line_id=where.get("invoice_line_item"),
        effective_at=document["effective_at"],
        created=document["created"],
    )
