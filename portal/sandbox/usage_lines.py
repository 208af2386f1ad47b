"""The lines of metered items."""

from __future__ import annotations

from portal.sandbox import items, subscriptions
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def line(sandbox: Sandbox, subscription: Document, item: Document) -> Document:
    """The line for what was used in the item's period that ends: nothing, as usage is not counted here."""
    return subscriptions.item_line(sandbox, subscription, item, quantity=0)


def up_to_now(sandbox: Sandbox, subscription: Document) -> list[Document]:
    """The lines for what was used since the metered items' periods began."""
    now = sandbox.now(subscription["customer"])
    return [
        line(sandbox, subscription, {**item, "current_period_end": now})
        for item in items.of_subscription(sandbox, subscription)
        if items.is_metered(item)
    ]
