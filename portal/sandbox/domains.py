"""Payment method domains: where wallets and Link may appear."""

from __future__ import annotations

import re
from typing import Any

from stripe.params import (
    PaymentMethodDomainCreateParams,
    PaymentMethodDomainListParams,
    PaymentMethodDomainRetrieveParams,
    PaymentMethodDomainUpdateParams,
    PaymentMethodDomainValidateParams,
)

from portal.sandbox import lists
from portal.sandbox.dispatch import route
from portal.sandbox.documents import in_path
from portal.sandbox.errors import invalid
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Document

KIND = "payment_method_domain"
WALLETS = ("amazon_pay", "apple_pay", "google_pay", "klarna", "link", "paypal")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


@route("POST", "/v1/payment_method_domains", params=PaymentMethodDomainCreateParams)
def create(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    name = params["domain_name"].lower()
    if not _DOMAIN.fullmatch(name):
        raise invalid(
            f"Invalid domain name: {name}. Give a domain without scheme, port or path.", "domain_name"
        )
    known = sandbox.store.find(KIND, domain_name=name)
    if known:  # Stripe answers the domain that is there already
        return known[0]
    domain = {
        "id": sandbox.new_id("pmd"),
        "object": KIND,
        "created": sandbox.now(),
        "domain_name": name,
        "enabled": params.get("enabled", True),
        "livemode": False,
        **{wallet: {"status": "active"} for wallet in WALLETS},
    }
    sandbox.store.put(KIND, domain)
    return domain


@route("GET", "/v1/payment_method_domains/{payment_method_domain}", params=PaymentMethodDomainRetrieveParams)
def retrieve(sandbox: Sandbox, params: dict[str, Any], payment_method_domain: str) -> Document:
    return in_path(sandbox, KIND, payment_method_domain, "payment_method_domain")


@route("POST", "/v1/payment_method_domains/{payment_method_domain}", params=PaymentMethodDomainUpdateParams)
def update(sandbox: Sandbox, params: dict[str, Any], payment_method_domain: str) -> Document:
    domain = {**in_path(sandbox, KIND, payment_method_domain, "payment_method_domain"), **params}
    sandbox.store.put(KIND, domain)
    return domain


@route(
    "POST",
    "/v1/payment_method_domains/{payment_method_domain}/validate",
    params=PaymentMethodDomainValidateParams,
)
def validate(sandbox: Sandbox, params: dict[str, Any], payment_method_domain: str) -> Document:
    return in_path(sandbox, KIND, payment_method_domain, "payment_method_domain")


@route("GET", "/v1/payment_method_domains", params=PaymentMethodDomainListParams)
def listing(sandbox: Sandbox, params: dict[str, Any]) -> Document:
    equals = {name: params.get(name) for name in ("domain_name", "enabled")}
    return lists.page(sandbox, KIND, params, "/v1/payment_method_domains", **equals)
