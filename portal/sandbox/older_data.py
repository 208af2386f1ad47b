"""Data files of earlier versions, brought up to date when a sandbox starts."""

from __future__ import annotations

from fractions import Fraction

from portal.sandbox import billed, items
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document


def prepare(sandbox: Sandbox) -> None:
    """What is billed for an item used to be one full price; now it is a list of debits."""
    for item in sandbox.store.find(items.KIND, lambda row: not isinstance(row["_billed"], list)):
        sandbox.store.put(items.KIND, {**item, "_billed": _debits(item)})


def _debits(item: Document) -> list[Document]:
    known = item["_billed"]
    if not known:
        return []
    members = {name: known[name] for name in ("invoice", "lines", "price", "quantity")}
    amount = round(Fraction(known["full"]))
    return [billed.debit(item, amount, (known["start"], known["end"]), **members)]
