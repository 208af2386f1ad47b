"""`expand[]`: ids replaced by their objects, and members that Stripe shows on request only.

Three ways in which a name can be expanded, tried in this order:
1. `@expandable("invoice", "payments")` registers a function that computes the member;
2. a private member `_tiers` is shown as `tiers`;
3. an id is replaced by its object, found by its prefix (or, for a coupon, by the name of the member).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from portal.sandbox.errors import invalid
from portal.sandbox.store import Document

if TYPE_CHECKING:
    from portal.sandbox.state import Sandbox

MAX_LEVELS = 4
KIND_BY_PREFIX = {
    "cus": "customer",
    "pm": "payment_method",
    "prod": "product",
    "price": "price",
    "sub": "subscription",
    "si": "subscription_item",
    "cn": "credit_note",
    "du": "dispute",
    "in": "invoice",
    "il": "line_item",
    "ii": "invoiceitem",
    "inpay": "invoice_payment",
    "di": "discount",
    "promo": "promotion_code",
    "txr": "tax_rate",
    "txi": "tax_id",
    "pi": "payment_intent",
    "seti": "setup_intent",
    "setatt": "setup_attempt",
    "ch": "charge",
    "py": "charge",
    "re": "refund",
    "txn": "balance_transaction",
    "cbtxn": "customer_balance_transaction",
    "credgr": "billing.credit_grant",
    "mandate": "mandate",
    "mtr": "billing.meter",
    "clock": "test_helpers.test_clock",
    "evt": "event",
}
KIND_BY_MEMBER = {
    "coupon": "coupon",
    "credit_balance_transaction": "billing.credit_balance_transaction",
    "schedule": "subscription_schedule",
}
Compute = Callable[["Sandbox", Document], Any]
_computed: dict[tuple[str, str], Compute] = {}


def expandable(kind: str, name: str) -> Callable[[Compute], Compute]:
    """Register a function `(sandbox, document) -> value` for a member that is shown only when expanded."""

    def register(compute: Compute) -> Compute:
        _computed[kind, name] = compute
        return compute

    return register


def expand(sandbox: Sandbox, document: Document, paths: list[str]) -> Document:
    """The document with the named members expanded in place; Stripe's 400 for a name that cannot be."""
    for path in paths:
        steps = path.split(".")
        if len(steps) - (steps[0] == "data") > MAX_LEVELS:
            raise invalid(
                f"You cannot expand more than {MAX_LEVELS} levels of a property. Property: {path}", "expand"
            )
        _walk(sandbox, document, steps, path)
    return document


def _walk(sandbox: Sandbox, node: Any, steps: list[str], path: str) -> None:
    if isinstance(node, list):
        for item in node:
            _walk(sandbox, item, steps, path)
        return
    if not isinstance(node, dict) or not steps:
        return
    name, rest = steps[0], steps[1:]
    if isinstance(node.get(name), list) and any(isinstance(item, str) for item in node[name]):
        node[name] = [_resolve(sandbox, name, item, path) for item in node[name]]
    elif isinstance(node.get(name), str):
        node[name] = _resolve(sandbox, name, node[name], path)
    elif name not in node:
        node[name] = _hidden(sandbox, node, name, path)
    elif not rest and node[name] is not None and not _is_object(node[name]):
        raise _refused(path)
    _walk(sandbox, node[name], rest, path)


def _is_object(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, dict) and ("object" in value or "id" in value))


def _hidden(sandbox: Sandbox, node: Document, name: str, path: str) -> Any:
    compute = _computed.get((str(node.get("object")), name))
    if compute:
        return compute(sandbox, node)
    if f"_{name}" in node:
        return node[f"_{name}"]
    raise _refused(path)


def _resolve(sandbox: Sandbox, name: str, id: Any, path: str) -> Any:
    if not isinstance(id, str):
        return id
    kind = KIND_BY_MEMBER.get(name) or KIND_BY_PREFIX.get(id.split("_")[0] if "_" in id else "")
    if kind is None:
        raise _refused(path)
    return sandbox.store.get(kind, id) or id


def _refused(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
