"""Taking credits back: unused by the customer, pro rata by support, and when a bank takes the money back."""

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import CreditPurchase, CreditRefund
from portal.services import credit_disputes, credit_refund_steps, credit_refunds
from portal.services.credit_refund_steps import Work
from portal.services.credit_refunds import NotRefundableError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.test_credit_grants import forget_keys
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH, taken_once

NOTES = "/v1/credit_notes"


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def give_back(credits: CreditBuyer, purchase: CreditPurchase) -> CreditRefund:
    """The customer's click."""
    return credit_refunds.return_unused(
        credits.gateways, credits.workspace_id, credits.customer.account.user_id, purchase.id
    )


@taken_once
def use(credits: CreditBuyer, units: int) -> None:
    """So many resolutions of this month."""
    Workspace(credits.gateways, credits.workspace_id).resolve_many(units)


def state(credits: CreditBuyer, purchase: CreditPurchase) -> str:
    return credits.purchase(str(purchase.quote_id)).state


def counting(credits: CreditBuyer) -> list[int]:
    """The values of the grants that something can be used of."""
    now = int(credits.gateways.clock.now().timestamp())
    return [grant.value for grant in credits.grants() if grant.counts(now)]


def test_an_unused_pack_comes_back_whole_within_14_days(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    credits.shop.advance(days=13)
    refund = give_back(credits, purchase)
    credits.customer.settle()

    assert (refund.state, refund.total, refund.refunded, refund.balance) == ("done", 56_430, 56_430, 0)
    assert state(credits, purchase) == "refunded"
    assert (credits.left(), counting(credits)) == (0, [])
    assert [grant.voided_at is None for grant in credits.grants()] == [False]
    assert credits.shop.charges()[0].amount_refunded == 56_430
    assert credits.customer.mails("credits_refunded") == 1


def test_what_the_balance_paid_goes_back_to_it(credits: CreditBuyer) -> None:
    (stripe_customer,) = credits.shop.client.v1.customers.list().data
    credits.shop.client.v1.customers.balance_transactions.create(
        stripe_customer.id, {"amount": -50_000, "currency": "usd"}
    )
    refund = give_back(credits, credits.buy(600))

    assert (refund.total, refund.refunded, refund.balance) == (56_430, 6_430, 50_000)
    assert credits.gateways.stripe.invoices.balance(stripe_customer.id) == -50_000


def test_after_14_days_the_customer_cannot_return_it(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    credits.shop.advance(days=14, seconds=60)

    with pytest.raises(NotRefundableError, match="14 days"):
        give_back(credits, purchase)
    assert credits.left() == 600


def test_a_pack_of_which_a_unit_was_used_is_supports(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    use(credits, 1)

    with pytest.raises(NotRefundableError, match="used already"):
        give_back(credits, purchase)
    assert (credits.left(), state(credits, purchase)) == (599, "granted")


def test_two_clicks_give_it_back_once(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    first, second = give_back(credits, purchase), give_back(credits, purchase)

    assert first.id == second.id
    assert credits.shop.charges()[0].amount_refunded == 56_430


def test_what_is_used_after_the_click_is_billed_by_use(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    credits.shop.faults.fail("timeout_before", NOTES, times=9)
    refund = give_back(credits, purchase)
    assert (refund.state, refund.step, state(credits, purchase)) == ("open", "note", "refunding")

    use(credits, 3)
    assert credits.left() == 0
    credits.shop.faults.mend()
    credit_refunds.sweep(credits.gateways)
    assert state(credits, purchase) == "refunded"
    assert credits.left() == 0


@pytest.mark.parametrize("path", ["/v1/billing/credit_grants/*", NOTES])
@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
def test_a_crash_anywhere_is_gone_on_with_and_gives_back_once(
    credits: CreditBuyer, path: str, fault: str
) -> None:
    purchase = credits.buy(600)
    credits.shop.faults.fail(fault, path)
    with pytest.raises(Killed):
        give_back(credits, purchase)
    released(credits)
    credit_refunds.sweep(credits.gateways)
    credits.customer.settle()

    assert state(credits, purchase) == "refunded"
    assert counting(credits) == []
    assert credits.shop.charges()[0].amount_refunded == 56_430
    assert credits.customer.mails("credits_refunded") == 1


def test_a_grant_that_was_never_made_is_not_made_any_more(credits: CreditBuyer) -> None:
    credits.shop.faults.fail("refuse", "/v1/billing/credit_grants")
    purchase = credits.buy(600)
    assert purchase.state == "paid"
    released(credits)
    give_back(credits, purchase)
    credits.customer.settle()

    assert (state(credits, purchase), credits.grants()) == ("refunded", [])


def test_support_gives_back_the_share_of_what_is_left(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    use(credits, 6)
    refund = credit_refunds.return_rest(credits.gateways, credits.workspace_id, purchase.id, reason="asked")
    credits.customer.settle()

    # 594 of 600 units of $564.30
    assert (refund.units, refund.kept_units, refund.total, refund.state) == (594, 6, 55_866, "done")
    assert credits.left() == 0
    # the six that were used stay paid for on this month's invoice
    assert counting(credits) == [594]


def test_two_workers_at_the_same_refund_give_back_once(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    use(credits, 400)
    credits.shop.faults.fail("timeout_before", f"{NOTES}/preview", method="*", times=9)
    refund = credit_refunds.return_rest(credits.gateways, credits.workspace_id, purchase.id, reason="asked")
    assert (refund.state, refund.step, refund.tried_at) == ("open", "note", None)
    credits.shop.faults.mend()

    # Stripe was so slow that the claim ran out, and another worker has read the row in the meantime
    slow, other = (Work(credits.gateways, credits.workspace_id, refund.id) for _ in range(2))
    credit_refund_steps.give_back(other)
    credits.shop.advance(minutes=3)
    credit_refund_steps.give_back(slow)
    # 200 of 600 units of $564.30
    assert credits.shop.charges()[0].amount_refunded == 18_810


def test_what_was_used_in_a_month_that_has_just_ended_stays_paid_for(customer: Customer) -> None:
    acme, buyer = Metered.buy(customer), CreditBuyer(customer)
    purchase = buyer.buy(100)
    acme.use(5)
    acme.report()
    # ten minutes after the month's end; its invoice is made final an hour after it
    subscription = customer.subscription()
    assert subscription is not None
    assert subscription.usage_period_end is not None
    to_its_end = subscription.usage_period_end - buyer.gateways.clock.now()
    acme.advance(seconds=to_its_end.total_seconds(), minutes=10)
    refund = credit_refunds.return_rest(buyer.gateways, buyer.workspace_id, purchase.id, reason="asked")
    assert (refund.state, refund.step, refund.units) == ("open", "grant", 95)

    acme.advance(hours=2)
    credit_refunds.sweep(buyer.gateways)
    customer.settle()
    [month] = [invoice for invoice in acme.invoices() if invoice.billing_reason == "subscription_cycle"]
    assert sum(part.amount for part in month.total_pretax_credit_amounts or []) == 5 * 99
    assert (state(buyer, purchase), counting(buyer), buyer.left()) == ("refunded", [], 0)
    assert customer.incidents() == []


def test_a_chargeback_takes_what_is_left_and_keeps_what_was_used(credits: CreditBuyer) -> None:
    purchase = disputed(credits)

    assert purchase.state == "disputed"
    assert (credits.left(), counting(credits)) == (0, [])
    (refund,) = refunds(credits)
    assert (refund.kind, refund.units, refund.total, refund.state) == ("chargeback", 600, None, "done")
    assert "dispute" in credits.customer.incidents()
    assert credits.customer.mails("credits_refunded") == 1
    # the subscription is paid and goes on
    assert credits.customer.access() == "active"


def test_nobody_returns_what_a_bank_has_taken_back(credits: CreditBuyer) -> None:
    purchase = disputed(credits)

    with pytest.raises(NotRefundableError):
        give_back(credits, purchase)


def test_what_stripe_refuses_to_give_back_is_told_to_a_person(credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    credits.shop.faults.fail("refuse", NOTES)
    refund = give_back(credits, purchase)

    assert refund.state == "stuck"
    assert credits.customer.incidents() == ["credit_refund_stuck"]
    assert credits.left() == 0


def disputed(credits: CreditBuyer) -> CreditPurchase:
    """A pack whose payment the bank takes back, of which the news may come before that of the payment."""
    quote_id = credits.prepare(600)
    credits.shop.pay(credits.pay(quote_id).client_secret or "", "pm_card_createDispute")
    credits.customer.settle()
    credits.shop.advance(days=3)
    credits.customer.settle()
    credit_disputes.sweep(credits.gateways)
    credits.customer.settle()
    return credits.purchase(quote_id)


def refunds(credits: CreditBuyer) -> list[CreditRefund]:
    with unit_of_work(credits.workspace_id) as session:
        return list(session.scalars(select(CreditRefund)))


def released(credits: CreditBuyer) -> None:
    """The claims of a process that is gone have run out."""
    with unit_of_work(credits.workspace_id) as session:
        session.execute(update(CreditRefund).values(claimed_until=None))
        session.execute(update(CreditPurchase).values(claimed_until=None))


@pytest.mark.parametrize("path", ["/v1/billing/credit_grants/*", NOTES])
def test_a_key_that_stripe_has_forgotten_gives_nothing_back_twice(credits: CreditBuyer, path: str) -> None:
    purchase = credits.buy(600)
    credits.shop.faults.fail("kill_after", path)
    with pytest.raises(Killed):
        give_back(credits, purchase)
    forget_keys(credits)
    credits.shop.advance(days=2)
    released(credits)
    credit_refunds.sweep(credits.gateways)
    credits.customer.settle()

    assert state(credits, purchase) == "refunded"
    assert credits.shop.charges()[0].amount_refunded == 56_430
    assert len(credits.shop.client.v1.credit_notes.list().data) == 1
    assert credits.customer.incidents() == []
