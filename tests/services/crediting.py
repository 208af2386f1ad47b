"""A customer that buys annual credits: prepares, pays, and looks at what came of it."""

from dataclasses import dataclass

from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_credits import Grant
from portal.models import CreditLot, CreditPurchase, Quote
from portal.services import credit_lots, credit_purchases, payment_methods
from portal.services.credit_purchases import Wanted
from portal.services.payments import Payment
from tests.services.buying import Customer
from tests.shop import Shop, Step, taken_once


@dataclass(frozen=True)
class CreditBuyer:
    """A company with a subscription, which buys packs."""

    customer: Customer

    @property
    def gateways(self) -> Gateways:
        return self.customer.gateways

    @property
    def shop(self) -> Shop:
        return self.customer.shop

    @property
    def step(self) -> Step:
        return self.customer.step

    @property
    def workspace_id(self) -> int:
        return self.customer.workspace_id

    @taken_once
    def prepare(self, units: int, **wanted: str) -> str:
        """A binding quote of a pack; its id."""
        return credit_purchases.prepare(
            self.gateways, self.workspace_id, self.customer.account.user_id, Wanted(units, **wanted)
        )

    @taken_once
    def pay(self, quote_id: str, method_id: str | None = None) -> Payment:
        """The click on the button, with a stored method or a new one."""
        return credit_purchases.pay(
            self.gateways, self.workspace_id, self.customer.account.user_id, quote_id, method_id
        )

    def buy(self, units: int, **wanted: str) -> CreditPurchase:
        """The whole purchase with a new card that works."""
        return self.purchase(self._buy(units, **wanted))

    @taken_once
    def _buy(self, units: int, **wanted: str) -> str:
        quote_id = self.prepare(units, **wanted)
        payment = self.pay(quote_id)
        if payment.name == "collect":
            self.shop.pay(payment.client_secret or "")
        self.customer.settle()
        return quote_id

    def quote(self, quote_id: str) -> Quote:
        """The quote as it is kept."""
        with unit_of_work(self.workspace_id) as session:
            return session.scalars(select(Quote).where(Quote.id == quote_id)).one()

    def purchase(self, quote_id: str) -> CreditPurchase:
        """What became of a quote."""
        with unit_of_work(self.workspace_id) as session:
            return session.scalars(select(CreditPurchase).where(CreditPurchase.quote_id == quote_id)).one()

    def purchases(self) -> list[CreditPurchase]:
        """All of the workspace's, in the order in which they were paid, then those that were not."""
        paid = CreditPurchase.paid_at.asc().nulls_last()
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(CreditPurchase).order_by(paid, CreditPurchase.created_at)))

    def lots(self) -> list[CreditLot]:
        """What is held, the first to end first."""
        with unit_of_work(self.workspace_id) as session:
            return list(session.scalars(select(CreditLot).order_by(*credit_lots.ORDER)))

    def left(self) -> int:
        """How many units nothing has become of yet, in all lots."""
        with unit_of_work(self.workspace_id) as session:
            return sum(credit_lots.left(session, lot) for lot in session.scalars(select(CreditLot)))

    def grants(self) -> list[Grant]:
        """What Stripe keeps, newest first."""
        customer_id = payment_methods.customer_of(self.workspace_id)
        return self.gateways.stripe.credits.grants(customer_id or "")
