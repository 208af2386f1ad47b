"""Money that comes back in Stripe's dashboard, and disputes that are won: a pack's credits follow."""

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.models import CreditGrant, CreditLot, CreditPurchase, CreditRefund, Incident
from portal.services import (
    credit_by_hand,
    credit_disputes,
    credit_further_grants,
    credit_ledger,
    credit_reconcile,
    credit_refunds,
    swaps,
)
from portal.services.credit_refunds import NotRefundableError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.shop import taken_once

GRANTS = "/v1/billing/credit_grants"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that bought seats by the month, a day ago."""
    return Metered.buy(customer)


@pytest.fixture
def packs(acme: Metered) -> CreditBuyer:
    """It also buys packs."""
    return CreditBuyer(acme.customer)


@taken_once
def refund_in_dashboard(packs: CreditBuyer, amount: int | None = None) -> None:
    """Somebody refunds the last payment, without a credit note."""
    [charge, *_older] = packs.shop.charges()
    wanted = {"charge": charge.id} | ({"amount": amount} if amount else {})
    packs.shop.client.v1.refunds.create(wanted)  # type: ignore[arg-type]
    packs.customer.settle()


def note_in_dashboard(packs: CreditBuyer, purchase: CreditPurchase, amount: int) -> None:
    """Somebody issues a credit note that refunds a part."""
    packs.shop.client.v1.credit_notes.create(
        {"invoice": str(purchase.stripe_invoice_id), "amount": amount, "refund_amount": amount}
    )
    packs.customer.settle()


def purchase(packs: CreditBuyer) -> CreditPurchase:
    with unit_of_work(packs.workspace_id) as session:
        return session.scalars(select(CreditPurchase)).one()


def refunds(packs: CreditBuyer) -> list[CreditRefund]:
    with unit_of_work(packs.workspace_id) as session:
        return list(session.scalars(select(CreditRefund).order_by(CreditRefund.created_at)))


def counting(packs: CreditBuyer) -> list[int]:
    """What those grants are worth that something can be used of, the oldest first."""
    now = int(packs.gateways.clock.now().timestamp())
    return [grant.value for grant in reversed(packs.grants()) if grant.counts(now)]


def paid_by_credits(acme: Metered) -> list[int]:
    cycles = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]
    return [sum(part.amount for part in each.total_pretax_credit_amounts or []) for each in cycles]


def explained(acme: Metered) -> bool:
    return all(each.explained for each in credit_reconcile.compare(acme.gateways, acme.workspace_id))


# --- in the dashboard ----------------------------------------------------------------------------------


def test_all_of_the_price_that_comes_back_takes_what_is_left_of_the_pack(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(600)
    acme.use(6)
    refund_in_dashboard(packs)
    [refund] = refunds(packs)

    assert (refund.kind, refund.state, refund.units, refund.total) == ("by_hand", "done", 594, 56_430)
    assert (purchase(packs).state, packs.left()) == ("refunded", 0)
    # the six stay paid for, and nothing is given back a second time
    assert counting(packs) == [594]
    assert packs.shop.charges()[0].amount_refunded == 56_430
    assert (packs.customer.incidents(), packs.customer.mails("credits_refunded")) == ([], 1)


def test_a_part_is_told_with_the_way_to_settle_it(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    refund_in_dashboard(packs, 9_405)
    with unit_of_work(system=True) as session:
        [incident] = session.scalars(select(Incident))

    assert (incident.kind, packs.left(), purchase(packs).state) == ("credit_refund_by_hand", 600, "granted")
    assert incident.details["units_of_that_price"] == 100
    assert incident.details["settle"] == (
        f"flask support purchase settle {packs.workspace_id} {made.id} --units N --reason …"
    )


def test_support_settles_a_part_and_the_rest_goes_on(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    acme.use(20)
    refund_in_dashboard(packs, 9_405)
    done = credit_by_hand.settle(packs.gateways, packs.workspace_id, made.id, units=100, reason="agreed")
    packs.customer.settle()
    credit_by_hand.sweep(packs.gateways)

    assert (done.state, done.units, done.total, done.refunded) == ("done", 100, 9_405, 9_405)
    assert (purchase(packs).state, packs.left()) == ("granted", 480)
    assert counting(packs) == [500 * 99]
    assert packs.customer.incidents() == ["credit_refund_by_hand"]
    acme.report()
    acme.advance(days=31)
    assert paid_by_credits(acme) == [20 * 99]


def test_what_is_settled_is_not_settled_again_and_a_second_part_is(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    refund_in_dashboard(packs, 9_405)
    place = (packs.gateways, packs.workspace_id, made.id)
    credit_by_hand.settle(*place, units=100, reason="agreed")
    with pytest.raises(NotRefundableError):
        credit_by_hand.settle(*place, units=100, reason="agreed")
    refund_in_dashboard(packs, 9_405)
    with pytest.raises(NotRefundableError, match="not so many"):
        credit_by_hand.settle(*place, units=501, reason="too many")
    credit_by_hand.settle(*place, units=0, reason="goodwill")

    assert [(each.kind, each.units) for each in refunds(packs)] == [("by_hand", 100), ("by_hand_2", 0)]
    assert (packs.left(), counting(packs)) == (500, [500 * 99])


def test_a_credit_note_with_its_refund_is_one_thing(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    note_in_dashboard(packs, made, 9_405)
    credit_by_hand.sweep(packs.gateways)

    assert packs.customer.incidents() == ["credit_refund_by_hand"]


def test_a_refund_of_ours_is_none_by_hand(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    credit_refunds.return_rest(packs.gateways, packs.workspace_id, made.id, reason="asked")
    packs.customer.settle()
    credit_by_hand.sweep(packs.gateways)

    assert ([each.kind for each in refunds(packs)], packs.customer.incidents()) == (["pro_rata"], [])


def test_a_swaps_invoice_pays_for_seats_too_so_that_a_person_decides(
    customer: Customer, acme: Metered, packs: CreditBuyer
) -> None:
    changer = Changer(customer)
    changer.confirm(swaps.prepare(*changer.place, dropped=2, units=600))
    customer.settle()
    refund_in_dashboard(packs)

    assert (customer.incidents(), packs.left()) == (["credit_refund_by_hand"], 600)
    assert purchase(packs).state == "granted"


def test_a_crash_while_settling_is_gone_on_with(acme: Metered, packs: CreditBuyer) -> None:
    made = packs.buy(600)
    refund_in_dashboard(packs, 9_405)
    packs.shop.faults.fail("kill_after", GRANTS)
    with pytest.raises(Killed):
        credit_by_hand.settle(packs.gateways, packs.workspace_id, made.id, units=100, reason="agreed")
    with unit_of_work(packs.workspace_id) as session:
        session.execute(update(CreditRefund).values(claimed_until=None))
        session.execute(update(CreditPurchase).values(claimed_until=None))
    credit_refunds.sweep(packs.gateways)
    packs.customer.settle()

    assert ([each.state for each in refunds(packs)], counting(packs)) == (["done"], [500 * 99])
    assert packs.left() == 500


# --- a dispute that is won -----------------------------------------------------------------------------


def disputed(packs: CreditBuyer) -> None:
    """The bank takes the payment of a pack of 600 back."""
    quote_id = packs.prepare(600)
    packs.shop.pay(packs.pay(quote_id).client_secret or "", "pm_card_createDispute")
    packs.customer.settle()
    Metered(packs.gateways, packs.workspace_id, packs.customer).use(6)
    packs.shop.advance(days=3)
    packs.customer.settle()
    credit_disputes.sweep(packs.gateways)
    packs.customer.settle()


def decide(packs: CreditBuyer, outcome: str) -> None:
    [dispute] = packs.shop.client.v1.disputes.list().data
    packs.shop.client.v1.disputes.update(
        dispute.id, {"evidence": {"uncategorized_text": f"{outcome}_evidence"}, "submit": True}
    )
    packs.customer.settle()


def test_a_dispute_that_is_won_gives_again_what_it_took(acme: Metered, packs: CreditBuyer) -> None:
    disputed(packs)
    taken = (purchase(packs).state, packs.left())
    decide(packs, "winning")
    credit_disputes.sweep(packs.gateways)
    credit_further_grants.sweep(packs.gateways)
    acme.use(4)

    assert taken == ("disputed", 0)
    assert (purchase(packs).state, packs.left()) == ("granted", 590)
    # what was used before and during the dispute, and the rest
    assert sum(counting(packs)) == 600 * 99
    assert explained(acme)
    acme.report()
    acme.advance(days=31)
    assert paid_by_credits(acme) == [990]
    assert set(packs.customer.incidents()) == {"dispute"}
    assert packs.customer.mails("credits_restored") == 1


def test_one_that_is_won_while_a_month_waits_for_its_invoice_counts_from_the_next_one_on(
    acme: Metered, packs: CreditBuyer
) -> None:
    disputed(packs)
    acme.use(4)
    acme.report()
    left = acme.periods()[-1].ends_at - acme.gateways.clock.now()
    acme.advance(minutes=40, seconds=left.total_seconds())
    decide(packs, "winning")
    credit_disputes.sweep(packs.gateways)
    assert (purchase(packs).state, packs.left()) == ("disputed", 0)

    acme.advance(hours=2)
    credit_disputes.sweep(packs.gateways)
    credit_further_grants.sweep(packs.gateways)
    assert (purchase(packs).state, packs.left(), paid_by_credits(acme)) == ("granted", 594, [594])
    assert set(packs.customer.incidents()) == {"dispute"}


def test_one_that_is_lost_changes_nothing_more(acme: Metered, packs: CreditBuyer) -> None:
    disputed(packs)
    decide(packs, "losing")
    credit_disputes.sweep(packs.gateways)

    assert (purchase(packs).state, packs.left(), counting(packs)) == ("disputed", 0, [594])


def test_what_has_ended_before_the_dispute_is_won_lapses(acme: Metered, packs: CreditBuyer) -> None:
    disputed(packs)
    with unit_of_work(packs.workspace_id) as session:
        lot = session.scalars(select(CreditLot)).one()
        lot.expires_at = packs.gateways.clock.now() - (lot.expires_at - lot.starts_at) / 300
    decide(packs, "winning")
    credit_ledger.sweep(packs.gateways)
    with unit_of_work(packs.workspace_id) as session:
        lot = session.scalars(select(CreditLot)).one()
        ended, wanted = lot.ended_why, session.scalars(select(CreditGrant)).all()

    assert (packs.left(), ended, wanted) == (0, "lapsed", [])


@pytest.mark.parametrize("fault", ["kill_before", "kill_after"])
def test_a_crash_at_its_grant_is_made_up_for(acme: Metered, packs: CreditBuyer, fault: str) -> None:
    disputed(packs)
    packs.shop.faults.fail(fault, GRANTS)
    with pytest.raises(Killed):
        decide(packs, "winning")
    packs.customer.settle()
    with unit_of_work(packs.workspace_id) as session:
        session.execute(update(CreditPurchase).values(claimed_until=None))
    credit_further_grants.sweep(packs.gateways)
    credit_further_grants.sweep(packs.gateways)

    assert (packs.left(), sum(counting(packs))) == (594, 600 * 99)
    assert explained(acme)
