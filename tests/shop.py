"""A portal that sells: the sandbox's engine as its Stripe, webhooks brought by hand, a clock to turn."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import stripe
from flask import Flask
from sqlalchemy import insert, select

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe import API_VERSION, StripeGateway
from portal.models import CatalogPrice
from portal.sandbox.app import create_sandbox, with_routes
from portal.sandbox.state import Sandbox
from portal.sandbox.store import Frozen
from portal.services import catalogs
from portal.services.billing_details import Details
from portal.services.event_handlers import EVENT_TYPES, THIN_EVENT_TYPES
from tests.faults import Faults
from tests.transport import BASE_ADDRESS, SECRET_KEY, stripe_client

WEBHOOK_URL = "http://localhost/webhooks/stripe"
THIN_WEBHOOK_URL = f"{WEBHOOK_URL}/thin"
BERLIN = Details(
    company_name="Acme GmbH",
    email="billing@acme.example",
    address={"line1": "Torstraße 1", "city": "Berlin", "postal_code": "10119", "country": "DE"},
)
# a state in which the sandbox's seller collects no tax on software
CALIFORNIA = Details(
    company_name="Acme Inc",
    email="billing@acme.example",
    address={
        "line1": "510 Townsend St",
        "city": "San Francisco",
        "state": "CA",
        "postal_code": "94103",
        "country": "US",
    },
)
TWELVE_BY_THE_YEAR = pricing.Selection("advanced", 12, "year", {"copilot": 5}, {"resolution": 500})
TWELVE_BY_THE_MONTH = pricing.Selection("advanced", 12, "month", {"copilot": 5, "proactive_support": 1})


T = TypeVar("T")
P = ParamSpec("P")


class Step(Protocol):
    """How a step is taken that many tests begin with: ``tests.worlds`` takes it once for all of them."""

    def __call__(self, name: Hashable, take: Callable[[], T]) -> T: ...


class Walker(Protocol):
    """Somebody who takes steps."""

    @property
    def step(self) -> Step: ...


W = TypeVar("W", bound=Walker)


def taken_once(take: Callable[Concatenate[W, P], T]) -> Callable[Concatenate[W, P], T]:
    """Make what somebody does a step.

    Its arguments are values that ``repr`` tells apart; what it returns is shared, and nobody changes it.
    """

    @wraps(take)
    def taken(who: W, /, *args: P.args, **options: P.kwargs) -> T:
        name = (take.__module__, take.__qualname__, repr(args), repr(sorted(options.items())))
        return who.step(name, lambda: take(who, *args, **options))

    return taken


_STOCK: dict[str, list[dict[str, Any]]] = {}
_ROWS = select(CatalogPrice.__table__)


@dataclass(frozen=True)
class _Opened:
    """The secrets of an account's endpoints, and all its documents."""

    secret: str
    thin_secret: str
    documents: Frozen


_OPENED: list[_Opened] = []


@cache
def _routes() -> Flask:
    return with_routes()


def without_state() -> Flask:
    """The sandbox's application, which takes long to put together, without the state of other tests."""
    app = copy(_routes())
    app.extensions = {}
    return app


class ShopClock:
    """The sandbox's time."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._sandbox.now(), UTC)


class Shop:
    """Stripe's side of a test: the engine, its faults, and what a customer's browser would do there."""

    def __init__(self) -> None:
        self.post: Callable[[bytes, dict[str, str]], int] = _nobody
        self.post_thin: Callable[[bytes, dict[str, str]], int] = _nobody
        self._portal = self.post, self.post_thin
        self.application: Flask = create_sandbox(send=self._send, app=without_state())
        self.application.testing = True
        self.sandbox: Sandbox = self.application.extensions["sandbox"]
        self.faults = Faults(self.application)
        # what a person at Stripe's dashboard or a browser does: without faults
        self.client = stripe_client(self.application)
        self.step: Step = each_time
        opened = self._opened()
        self.webhook_secret = opened.secret
        self.gateway = StripeGateway(
            SECRET_KEY,
            webhook_secrets=(self.webhook_secret,),
            thin_webhook_secrets=(opened.thin_secret,),
            base_address=BASE_ADDRESS,
            http_client=self.faults,
        )
        self.clock = ShopClock(self.sandbox)

    def _opened(self) -> _Opened:
        """An account with its endpoints: the same in every test, so that what one left fits the next."""
        if not _OPENED:
            _OPENED.append(self._open())
        self.sandbox.store.thaw(_OPENED[0].documents)
        return _OPENED[0]

    def _open(self) -> _Opened:
        endpoint = self.client.v1.webhook_endpoints.create(
            {"url": WEBHOOK_URL, "enabled_events": list(EVENT_TYPES), "api_version": API_VERSION}
        )
        destination = self.client.v2.core.event_destinations.create(
            {
                "name": "Meter errors",
                "type": "webhook_endpoint",
                "event_payload": "thin",
                "enabled_events": list(THIN_EVENT_TYPES),
                "webhook_endpoint": {"url": THIN_WEBHOOK_URL},
                "include": ["webhook_endpoint.signing_secret"],
            }
        )
        assert destination.webhook_endpoint is not None
        thin_secret = str(destination.webhook_endpoint.signing_secret)
        return _Opened(str(endpoint.secret), thin_secret, self.sandbox.store.freeze())

    def _send(self, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        post = self.post_thin if url == THIN_WEBHOOK_URL else self.post
        return post(body, headers), ""

    def stock(self, gateways: Gateways) -> None:
        """Put the catalogue on sale: pushed once per process, afterwards copied, which is much faster."""
        if not _STOCK:
            catalogs.push(gateways)
            _STOCK.update(
                {kind: self.sandbox.store.find(kind) for kind in ("product", "billing.meter", "price")}
            )
            with unit_of_work() as session:
                _STOCK["rows"] = [dict(row) for row in session.execute(_ROWS).mappings()]
            return
        with self.sandbox.work():
            for kind in ("product", "billing.meter", "price"):
                for document in reversed(_STOCK[kind]):
                    self.sandbox.store.put(kind, dict(document))
        with unit_of_work() as session:
            session.execute(insert(CatalogPrice).values(_STOCK["rows"]))

    def listen(self, app: Flask) -> None:
        """Have webhooks brought to ``app`` by ``deliver``."""

        def post(path: str, body: bytes, headers: dict[str, str]) -> int:
            return app.test_client().post(path, data=body, headers=headers).status_code

        self.post = partial(post, "/webhooks/stripe")
        self.post_thin = partial(post, "/webhooks/stripe/thin")
        self._portal = self.post, self.post_thin

    @property
    def is_diverted(self) -> bool:
        """Whether somebody else than the portal hears the webhooks."""
        return (self.post, self.post_thin) != self._portal

    def deliver(self) -> int:
        """Bring every webhook that waits; how many."""
        return int(self.application.extensions["webhooks"].deliver_pending())

    @taken_once
    def stand_at(self, moment: datetime) -> None:
        """Let time stand there until the clock is turned."""
        second = int(moment.timestamp())
        self.sandbox.clock.source, self.sandbox.clock.offset = lambda: second, 0

    @taken_once
    def advance(self, **delta: Any) -> None:
        """Turn the clock: ``advance(days=14)``."""
        self.sandbox.advance(seconds=int(timedelta(**delta).total_seconds()))

    @taken_once
    def pay(self, client_secret: str, method: str = "pm_card_visa") -> stripe.PaymentIntent:
        """Confirm the payment intent as the browser does."""
        return self.client.v1.payment_intents.confirm(
            client_secret.split("_secret_")[0],
            {"payment_method": method, "return_url": "https://portal.example/checkout/return"},
        )

    @taken_once
    def pay_by_debit(self, client_secret: str, account: str = "000123456789") -> stripe.PaymentIntent:
        """Confirm the payment intent with a bank account, which takes days to settle."""
        return self.client.v1.payment_intents.confirm(
            client_secret.split("_secret_")[0],
            {
                "payment_method_data": {
                    "type": "us_bank_account",
                    "us_bank_account": {
                        "account_holder_type": "company",
                        "account_number": account,
                        "routing_number": "110000000",
                    },
                    "billing_details": {"name": "Acme Inc", "email": "billing@acme.example"},
                },
                "mandate_data": {
                    "customer_acceptance": {
                        "type": "online",
                        "online": {"ip_address": "192.0.2.1", "user_agent": "test"},
                    }
                },
                "return_url": "https://portal.example/checkout/return",
            },
        )

    @taken_once
    def set_up(self, client_secret: str, method: str = "pm_card_visa") -> stripe.SetupIntent:
        """Confirm the setup intent as the browser does."""
        return self.client.v1.setup_intents.confirm(
            client_secret.split("_secret_")[0],
            {"payment_method": method, "return_url": "https://portal.example/checkout/return"},
        )

    def subscriptions(self, status: str = "all") -> list[stripe.Subscription]:
        """All subscriptions at Stripe, newest first."""
        return self.client.v1.subscriptions.list({"status": status, "limit": 100}).data

    def charges(self) -> list[stripe.Charge]:
        """All charges at Stripe, newest first."""
        return self.client.v1.charges.list({"limit": 100}).data

    @taken_once
    def promotion(self, code: str, *, restricted: bool = True, **coupon: Any) -> str:
        """A promotion code for seats and add-ons of the newest catalogue; its id."""
        if restricted:
            products = sorted({catalogs.product_id(p) for p in _licensed()})
            coupon["applies_to"] = {"products": products}
        made = self.client.v1.coupons.create({"duration": "once", "name": code, **coupon})
        code_made = self.client.v1.promotion_codes.create(
            {"code": code, "promotion": {"type": "coupon", "coupon": made.id}}
        )
        return code_made.id


def _licensed() -> list[pricing.Price]:
    return [price for price in pricing.current_catalog().lookup_keys() if price.usage_type == "licensed"]


def each_time(name: Hashable, take: Callable[[], T]) -> T:
    """A step of those that are taken anew each time."""
    return take()


def _nobody(body: bytes, headers: dict[str, str]) -> int:
    raise OSError("nobody listens")


def price_id(lookup_key: str) -> str:
    """Stripe's id of one of our prices."""
    with unit_of_work() as session:
        return session.get_one(CatalogPrice, lookup_key).stripe_price_id
