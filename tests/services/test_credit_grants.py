"""One grant for a paid pack: whatever fails, repeats, comes in another order or is forgotten."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import CreditPurchase, InboxEvent
from portal.sandbox import idempotency
from portal.services import credit_grants, credit_purchase_sweeping, credit_refunds, inbox, sweeping
from portal.services.credit_purchases import TooManyGrantsError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.shop import TWELVE_BY_THE_MONTH

GRANTS = "/v1/billing/credit_grants"


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def paid(credits: CreditBuyer, units: int = 600) -> str:
    """A pack that is paid at Stripe, of which nobody here has heard; its quote."""
    quote_id = credits.prepare(units)
    credits.shop.pay(credits.pay(quote_id).client_secret or "")
    return quote_id


def make(credits: CreditBuyer, quote_id: str) -> None:
    """The worker's turn, whoever was at it before."""
    purchase = credits.purchase(quote_id)
    run_out(credits)
    credit_grants.make(credits.gateways, credits.workspace_id, purchase.id)


def run_out(credits: CreditBuyer) -> None:
    """The time in which only one worker may be at it is over."""
    with unit_of_work(credits.workspace_id) as session:
        session.execute(update(CreditPurchase).values(claimed_until=None))


def heard(credits: CreditBuyer) -> None:
    """Our rows know that it is paid, and the worker has not come to the grant."""
    credits.shop.deliver()
    with unit_of_work() as session:
        waiting = list(session.scalars(select(InboxEvent.id).where(InboxEvent.state == "received")))
    for event_id in waiting:
        inbox.process(credits.gateways, event_id)


def test_a_grant_is_worth_all_units_at_the_price_by_which_they_are_billed(credits: CreditBuyer) -> None:
    purchase = credits.buy(1200)
    (grant,) = credits.grants()
    (lot,) = credits.lots()

    # sold for $1,069.20, worth 1,200 × $0.99
    assert (purchase.state, purchase.amount, grant.value) == ("granted", 106_920, 118_800)
    assert (lot.stripe_credit_grant_id, lot.grant_value) == (grant.id, 118_800)
    assert grant.expires_at == int((lot.expires_at + timedelta(days=7)).timestamp())
    assert grant.metadata["purchase"] == purchase.id
    assert grant.metadata["units"] == "1200"


def test_of_packs_that_end_together_the_one_bought_first_is_drawn_first_here_and_at_stripe(
    credits: CreditBuyer,
) -> None:
    bought = [credits.buy(100).id for _number in range(3)]
    in_order = sorted(credits.grants(), key=lambda grant: int(grant.expires_at or 0))
    lots = credits.lots()

    assert len({lot.expires_at for lot in lots}) == 1
    assert [lot.purchase_id for lot in lots] == bought
    # Stripe draws what ends first: a second lies between the ends of two
    assert [grant.metadata["purchase"] for grant in in_order] == bought
    assert len({grant.expires_at for grant in in_order}) == 3


def test_a_fraction_of_a_cent_is_rounded_up_so_that_every_unit_is_paid_for() -> None:
    purchase = CreditPurchase(unit_amount=Decimal("98.765"))
    assert credit_grants.worth(purchase, 101) == 9976  # 9,975.265


@pytest.mark.parametrize("fault", ["kill_before", "kill_after", "timeout_after", "reset", "error_after"])
def test_whatever_happens_round_the_call_one_grant_comes_of_it(credits: CreditBuyer, fault: str) -> None:
    quote_id = paid(credits)
    heard(credits)
    credits.shop.faults.fail(fault, GRANTS, times=3)
    with pytest.raises((Killed, StripeUnknownError)):
        make(credits, quote_id)
    credits.shop.faults.mend()
    make(credits, quote_id)
    make(credits, quote_id)

    assert credits.purchase(quote_id).state == "granted"
    assert len(credits.grants()) == 1
    assert len(credits.lots()) == 1
    keys = {key for key in credits.shop.faults.keys(GRANTS) if key}
    assert keys == {f"{credits.purchase(quote_id).id}:grant"}


def test_a_grant_whose_key_was_forgotten_is_found_by_what_is_noted_with_it(credits: CreditBuyer) -> None:
    quote_id = paid(credits)
    heard(credits)
    credits.shop.faults.fail("kill_after", GRANTS)
    with pytest.raises(Killed):
        make(credits, quote_id)
    forget_keys(credits)
    credits.shop.advance(days=3)
    make(credits, quote_id)

    assert credits.purchase(quote_id).state == "granted"
    assert [grant.id for grant in credits.grants()] == [credits.lots()[0].stripe_credit_grant_id]


def test_a_crash_between_payment_and_grant_is_made_up_for_by_the_sweeper(credits: CreditBuyer) -> None:
    quote_id = paid(credits)
    heard(credits)
    assert (credits.purchase(quote_id).state, credits.left(), credits.grants()) == ("paid", 600, [])

    credit_purchase_sweeping.sweep(credits.gateways)
    assert credits.purchase(quote_id).state == "granted"
    assert credit_purchase_sweeping.sweep(credits.gateways) == 0


def test_a_lost_notice_is_made_up_for_by_asking(credits: CreditBuyer) -> None:
    quote_id = paid(credits)
    attempt = credits.customer.attempt(quote_id)
    assert attempt is not None
    assert credits.lots() == []

    # no webhook comes; the sweeper asks Stripe how the payment stands
    sweeping.resume(credits.gateways, credits.workspace_id, attempt.id)
    credits.customer.run_jobs()
    assert credits.purchase(quote_id).state == "granted"
    assert len(credits.grants()) == 1


def test_a_hundred_orders_of_its_notices_make_one_grant_each(credits: CreditBuyer) -> None:
    dice = random.Random(600)
    for played in range(1, 6):
        quote_id = paid(credits, 100)
        orders = [shuffled(dice, notices(credits)) for _ in range(20)]
        for order in orders:
            for event in order:
                credits.customer.run_jobs()
                again(credits, event)
        credits.customer.settle()
        assert credits.purchase(quote_id).state == "granted"
        assert (len(credits.lots()), len(credits.grants()), credits.left()) == (played, played, played * 100)


def test_a_refusal_is_told_and_tried_again_under_another_key(credits: CreditBuyer) -> None:
    quote_id = paid(credits)
    credits.shop.faults.fail("refuse", GRANTS)
    credits.customer.settle()
    assert credits.purchase(quote_id).state == "paid"
    assert credits.left() == 600
    assert credits.customer.incidents() == ["credit_grant_refused"]

    make(credits, quote_id)
    assert credits.purchase(quote_id).state == "granted"
    assert credits.shop.faults.keys(GRANTS)[-1] == f"{credits.purchase(quote_id).id}:grant:1"


@pytest.mark.parametrize(("kind", "method"), [("then", "GET"), ("first", "POST")])
def test_a_pack_that_is_returned_while_stripe_is_slow_keeps_no_grant(
    credits: CreditBuyer, kind: str, method: str
) -> None:
    quote_id = paid(credits)
    heard(credits)
    credits.shop.faults.fail("timeout_before", GRANTS, times=3)
    with pytest.raises(StripeUnknownError):
        make(credits, quote_id)

    def returned() -> None:
        """It took so long that the claim ran out, and the customer did not wait."""
        run_out(credits)
        credit_refunds.return_unused(
            credits.gateways, credits.workspace_id, None, credits.purchase(quote_id).id
        )

    credits.shop.faults.mend()
    credits.shop.faults.fail(kind, GRANTS, method=method, action=returned)
    make(credits, quote_id)
    credits.customer.settle()

    now = int(credits.gateways.clock.now().timestamp())
    assert (credits.purchase(quote_id).state, credits.left()) == ("refunded", 0)
    assert [grant for grant in credits.grants() if grant.counts(now)] == []


def test_a_worker_whose_claim_ran_out_leaves_the_grant_to_the_next_one(credits: CreditBuyer) -> None:
    quote_id = paid(credits)
    heard(credits)
    credits.shop.faults.fail("timeout_before", GRANTS, times=3)
    with pytest.raises(StripeUnknownError):
        make(credits, quote_id)
    credits.shop.faults.mend()
    credits.shop.faults.fail("then", GRANTS, method="GET", action=lambda: run_out(credits))
    make(credits, quote_id)
    assert (credits.purchase(quote_id).state, credits.grants()) == ("paid", [])

    make(credits, quote_id)
    assert (credits.purchase(quote_id).state, len(credits.grants())) == ("granted", 1)


def test_a_hundred_packs_with_something_left_are_the_most_and_that_is_said_before_paying(
    credits: CreditBuyer,
) -> None:
    customer = credits.shop.client.v1.customers.list().data[0].id
    price = credits.purchase(credits.prepare(100)).price_id
    for _ in range(100):
        credits.shop.client.v1.billing.credit_grants.create(grant(customer, price))

    with pytest.raises(TooManyGrantsError):
        credits.prepare(600)
    assert len(credits.shop.charges()) == 1


def grant(customer: str, price: str) -> Any:
    return {
        "customer": customer,
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 100}},
        "applicability_config": {"scope": {"prices": [{"id": price}]}},
        "category": "paid",
    }


def notices(credits: CreditBuyer) -> list[str]:
    """The ids of what Stripe has to say of the last purchase; nothing of it is heard yet."""
    credits.shop.deliver()
    with unit_of_work() as session:
        waiting = select(InboxEvent.id).where(InboxEvent.state == "received")
        return list(session.scalars(waiting.order_by(InboxEvent.id)))


def shuffled(dice: random.Random, events: list[str]) -> list[str]:
    """The events in another order, some of them twice, some not at all."""
    drawn = [each for each in events for _ in range(dice.choice((0, 1, 1, 2)))]
    dice.shuffle(drawn)
    return drawn


def again(credits: CreditBuyer, event_id: str) -> None:
    """An event is handled, whether or not it was before."""
    with unit_of_work() as session:
        session.execute(update(InboxEvent).where(InboxEvent.id == event_id).values(state="received"))
    inbox.process(credits.gateways, event_id)


def forget_keys(credits: CreditBuyer) -> None:
    """Stripe prunes its idempotency keys after a day."""
    with credits.shop.sandbox.work():
        for row in credits.shop.sandbox.store.find(idempotency.KIND):
            credits.shop.sandbox.store.delete(idempotency.KIND, row["id"])
