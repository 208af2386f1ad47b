"""What a change of a subscription asks of Stripe, and a schedule, in the portal's words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Debits answer days later: no update can wait for them, so Stripe refuses pending_if_incomplete.
# Source: docs.stripe.com/billing/subscriptions/pending-updates
DELAYED_METHODS = frozenset({
    "acss_debit", "au_becs_debit", "bacs_debit", "nz_bank_account", "sepa_debit", "us_bank_account",
})  # fmt: skip

NOW = "always_invoice"
NONE = "none"


@dataclass(frozen=True)
class ItemChange:
    """What becomes of an item: ``item_id`` None adds one, ``price_id`` None removes it."""

    item_id: str | None
    price_id: str | None
    quantity: int | None = None

    def as_params(self) -> dict[str, Any]:
        """The entry of ``items`` in a request."""
        found: dict[str, Any] = {} if self.item_id is None else {"id": self.item_id}
        if self.price_id is None:
            return found | {"deleted": True}
        found["price"] = self.price_id
        return found if self.quantity is None else found | {"quantity": self.quantity}


@dataclass(frozen=True)
class AddedItem:
    """Something sold once, charged on the invoice of a change; no discount of the subscription touches it."""

    price_id: str
    quantity: int = 1

    def as_params(self) -> dict[str, Any]:
        """The entry of ``add_invoice_items``, or of a preview's ``invoice_items``."""
        return {"price": self.price_id, "quantity": self.quantity, "discountable": False}


@dataclass(frozen=True)
class SubscriptionChange:
    """A change that takes effect now; previewed and carried out from the same value.

    ``waits``: it becomes effective only when its invoice is paid (``pending_if_incomplete``).
    """

    subscription_id: str
    items: tuple[ItemChange, ...]
    proration_date: int | None
    proration: str = NOW
    waits: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)
    added: tuple[AddedItem, ...] = ()


@dataclass(frozen=True)
class PhaseItem:
    """An item of a phase: a price, and a quantity unless it is metered."""

    price_id: str
    quantity: int | None = None


@dataclass(frozen=True)
class Phase:
    """What a subscription has from that second on."""

    at: int
    items: tuple[PhaseItem, ...]


@dataclass(frozen=True)
class Schedule:
    """A subscription schedule; ``current`` is its present phase as Stripe tells it, to be restated whole."""

    id: str
    status: str
    subscription_id: str | None
    metadata: Mapping[str, str]
    current: Mapping[str, Any]
