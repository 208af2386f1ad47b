"""A customer's steps, as the checkout pages take them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select

from portal import pricing
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.mail import FolderMail
from portal.models import Attempt, Incident, Mail, Subscription
from portal.services import attempts, checkout, invoices, subscriptions
from tests.apps import of_settings
from tests.factories import Account
from tests.shop import TWELVE_BY_THE_YEAR, Shop, Step, each_time, taken_once


@dataclass(frozen=True)
class Customer:
    """A company's browser: prepares, confirms and pays, and looks at what came of it."""

    gateways: Gateways
    shop: Shop
    account: Account
    run_jobs: Callable[[], list[str]]

    @property
    def workspace_id(self) -> int:
        return self.account.workspace_id

    @property
    def step(self) -> Step:
        """How this company's steps are taken: by itself where its portal has other neighbours than usual."""
        gateways, shop = self.gateways, self.shop
        usual = gateways.stripe is shop.gateway and gateways.clock is shop.clock
        if not usual or type(gateways.mail) is not FolderMail:
            return each_time
        place = (self.workspace_id, of_settings(gateways.settings))
        return lambda name, take: shop.step((place, name), take)

    def at_the_time_of(self, version: str) -> "Customer":
        """The same company while the prices of that catalogue were sold."""
        settings = replace(self.gateways.settings, default_catalog=version)
        return replace(self, gateways=replace(self.gateways, settings=settings))

    @taken_once
    def prepare(self, selection: pricing.Selection = TWELVE_BY_THE_YEAR, **options: Any) -> str:
        """A binding quote; its id."""
        return checkout.prepare(self.gateways, self.workspace_id, self.account.user_id, selection, **options)

    @taken_once
    def confirm(self, quote_id: str) -> checkout.Confirmation:
        """The click on the button."""
        return checkout.confirm(self.gateways, self.workspace_id, self.account.user_id, quote_id)

    @taken_once
    def settle(self) -> None:
        """Webhooks arrive and the worker works, until there is nothing left."""
        for _round in range(10):
            delivered = self.shop.deliver()
            if not self.run_jobs() and not delivered:
                return

    @taken_once
    def buy(self, selection: pricing.Selection = TWELVE_BY_THE_YEAR, **options: Any) -> str:
        """The whole purchase with a card that works; the quote's id."""
        quote_id = self.prepare(selection, **options)
        confirmation = self.confirm(quote_id)
        if confirmation.collect == "payment":
            self.shop.pay(confirmation.client_secret or "")
        if confirmation.collect == "setup":
            self.shop.set_up(confirmation.client_secret or "")
        self.settle()
        return quote_id

    def state(self, quote_id: str, *, ask_stripe: bool = False) -> str:
        """The name of the state that the waiting page shows."""
        return checkout.state(self.gateways, self.workspace_id, quote_id, ask_stripe=ask_stripe).name

    def subscription(self) -> Subscription | None:
        """What /billing shows."""
        with unit_of_work(self.workspace_id) as session:
            return subscriptions.current(session)

    def access(self) -> str:
        """Whether the company may work."""
        found = self.subscription()
        return found.access if found else "none"

    def attempt(self, quote_id: str) -> Attempt | None:
        """The quote's newest attempt."""
        with unit_of_work(self.workspace_id) as session:
            return attempts.of_quote(session, quote_id)

    def proof(self) -> list[tuple[str, bool]]:
        """Stage and result of every comparison of the workspace's invoices with their quotes."""
        with unit_of_work(self.workspace_id) as session:
            return [
                (match.stage, match.matched)
                for invoice in invoices.listing(session)
                for match in invoices.proof(session, invoice.stripe_id)
            ]

    def mails(self, kind: str) -> int:
        """How many mails of that kind were queued for this workspace."""
        with unit_of_work(system=True) as session:
            return session.scalar(
                select(func.count()).where(Mail.kind == kind, Mail.workspace_id == self.workspace_id)
            )

    def incidents(self) -> list[str]:
        """The kinds of the incidents so far."""
        with unit_of_work(system=True) as session:
            return list(session.scalars(select(Incident.kind).order_by(Incident.id)))
