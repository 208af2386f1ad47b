"""The door to Stripe for what pays: a customer's methods, the default one, and open invoices."""

from dataclasses import dataclass
from typing import Any

import stripe

from portal.gateways import stripe_reading as reading
from portal.gateways.stripe_errors import StripeRefusedError, ask, find
from portal.gateways.stripe_words import Intent, PaymentMethod

PAGE = 100
ACTION_REQUIRED = "invoice_payment_intent_requires_action"


@dataclass(frozen=True)
class KeptMethod:
    """A method with which a customer can be charged again; ``customer_id`` None: it was taken away."""

    id: str
    customer_id: str | None
    method: PaymentMethod
    fingerprint: str | None
    created: int


class StripePayments:
    """Methods, defaults and payments; writing calls take the key that their caller has committed before."""

    def __init__(self, client: stripe.StripeClient) -> None:
        self._client = client

    def default_method(self, customer_id: str) -> str | None:
        """The id of the method that pays the customer's invoices where nothing else is said."""
        found = reading.plain(ask(lambda: self._client.v1.customers.retrieve(customer_id)))
        return reading.identity((found.get("invoice_settings") or {}).get("default_payment_method"))

    def methods(self, customer_id: str) -> list[KeptMethod]:
        """All that the customer can be charged with, newest first."""

        def every() -> list[KeptMethod]:
            pages = self._client.v1.customers.payment_methods.list(customer_id, {"limit": PAGE})
            return [_kept(reading.plain(found)) for found in pages.auto_paging_iter()]

        return ask(every)

    def method(self, method_id: str) -> KeptMethod:
        """One method. Raises NotFoundError."""
        return _kept(reading.plain(find(lambda: self._client.v1.payment_methods.retrieve(method_id))))

    def begin_setup(self, customer_id: str, metadata: dict[str, str], *, key: str) -> Intent:
        """The setup intent with which a browser saves a method for charges while nobody is there.

        Source: docs.stripe.com/payments/save-and-reuse.
        """
        params: Any = {
            "customer": customer_id,
            "usage": "off_session",
            "automatic_payment_methods": {"enabled": True},
            "metadata": metadata,
        }
        made = ask(lambda: self._client.v1.setup_intents.create(params, {"idempotency_key": key}))
        return reading.setup_intent(reading.plain(made))

    def set_customer_default(self, customer_id: str, method_id: str, *, key: str) -> None:
        """Pay the customer's invoices with this method where their subscription says nothing else."""
        params: Any = {"invoice_settings": {"default_payment_method": method_id}}
        ask(lambda: self._client.v1.customers.update(customer_id, params, {"idempotency_key": key}))

    def set_subscription_default(self, subscription_id: str, method_id: str, *, key: str) -> None:
        """Pay the subscription's invoices with this method, whatever the customer's default is."""
        params: Any = {"default_payment_method": method_id}
        ask(lambda: self._client.v1.subscriptions.update(subscription_id, params, {"idempotency_key": key}))

    def align_schedule(self, subscription_id: str, *, key: str) -> bool:
        """Have a schedule of the subscription keep its present default; whether that was needed.

        A schedule remembers the default of the day on which it was made, and sets it again with a new phase.
        """
        found = reading.plain(ask(lambda: self._client.v1.subscriptions.retrieve(subscription_id)))
        schedule_id = reading.identity(found.get("schedule"))
        method_id = reading.identity(found.get("default_payment_method"))
        if schedule_id is None or method_id is None:
            return False
        schedule = reading.plain(ask(lambda: self._client.v1.subscription_schedules.retrieve(schedule_id)))
        settings = schedule.get("default_settings") or {}
        if reading.identity(settings.get("default_payment_method")) == method_id:
            return False
        params: Any = {"default_settings": {"default_payment_method": method_id}}
        options: Any = {"idempotency_key": f"{key}:{method_id}"}
        ask(lambda: self._client.v1.subscription_schedules.update(schedule_id, params, options))
        return True

    def detach(self, method_id: str, *, key: str) -> None:
        """Take the method away from its customer for good; one that is away already is no error."""
        params: Any = {}
        try:
            ask(lambda: self._client.v1.payment_methods.detach(method_id, params, {"idempotency_key": key}))
        except StripeRefusedError:
            if self.method(method_id).customer_id is not None:
                raise

    def pay(self, invoice_id: str, method_id: str, *, key: str, present: bool = True) -> None:
        """Take what is due on an open invoice from a method of the customer, who is ``present`` or not.

        Returns also when the bank wants the customer to confirm: the invoice's intent then says so.
        Raises StripeRefusedError for a decline (``decline_code``) and for an invoice that is not open.
        Source: docs.stripe.com/api/invoices/pay.
        """
        params: Any = {"payment_method": method_id, "off_session": not present}
        try:
            ask(lambda: self._client.v1.invoices.pay(invoice_id, params, {"idempotency_key": key}))
        except StripeRefusedError as refusal:
            if refusal.stripe_code != ACTION_REQUIRED:
                raise

    def drafts(self, subscription_id: str) -> list[str]:
        """The ids of the subscription's invoices that are not final yet, oldest first."""
        params: Any = {"subscription": subscription_id, "status": "draft", "limit": PAGE}

        def every() -> list[str]:
            return [found.id for found in self._client.v1.invoices.list(params).auto_paging_iter()]

        return ask(every)[::-1]

    def finalize(self, invoice_id: str, *, key: str) -> None:
        """Make a draft final, so that it can be paid; Stripe does not collect it by itself."""
        params: Any = {"auto_advance": False}
        ask(lambda: self._client.v1.invoices.finalize_invoice(invoice_id, params, {"idempotency_key": key}))

    def invoice_paid_by(self, intent_id: str) -> str | None:
        """The id of the invoice that a payment intent is for, if it is for one."""
        params: Any = {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": 1}
        found = ask(lambda: self._client.v1.invoice_payments.list(params)).data
        return reading.identity(reading.plain(found[0]).get("invoice")) if found else None


def _kept(document: reading.Document) -> KeptMethod:
    method = reading.payment_method(document)
    if method is None:  # not with a document
        raise TypeError("a payment method is an object")
    facts = document.get(method.type) or {}
    return KeptMethod(
        id=document["id"],
        customer_id=reading.identity(document.get("customer")),
        method=method,
        fingerprint=facts.get("fingerprint"),
        created=document["created"],
    )
