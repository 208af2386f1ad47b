"""Invoices that are voided: what packs paid of them counts again, once, here and at Stripe."""

import pytest

from portal.services import credit_disputes, credit_further_grants, credit_ledger, credit_refunds
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.test_credit_by_hand import counting, decide, disputed, paid_by_credits
from tests.services.test_credit_repricing import month_ends, moves_to
from tests.services.test_credit_returns import (
    billed,
    come_back,
    entries,
    free,
    further,
    left_at_stripe,
    settled,
)


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company with seats by the month, whose invoices wait to be paid by transfer."""
    acme = Metered.buy(customer)
    pay_by_transfer(acme)
    return acme


def pay_by_transfer(acme: Metered) -> None:
    """Whoever looks after it at Stripe has its invoices sent, which are open until they are paid."""
    shop = acme.customer.shop
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.update(
        subscription.id, {"collection_method": "send_invoice", "days_until_due": 30}
    )


@pytest.fixture
def packs(acme: Metered) -> CreditBuyer:
    """It also buys packs."""
    return CreditBuyer(acme.customer)


def void_newest(acme: Metered) -> None:
    """Somebody voids the last month's invoice in Stripe's dashboard, twice heard of."""
    [newest, *_older] = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"]
    acme.customer.shop.client.v1.invoices.void_invoice(newest.id)
    acme.customer.settle()


def test_what_a_voided_invoice_took_counts_again(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    billed(acme, 5)
    void_newest(acme)

    assert (packs.left(), entries(acme)) == (100, [("given_back", 5)])
    assert (left_at_stripe(acme), counting(packs), further(acme)) == (100 * 99, [9900], [])
    settled(acme)


def test_a_unit_that_had_come_back_before_counts_once(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    come_back(acme, unit)
    assert (packs.left(), counting(packs)) == (96, [9900, 99])
    void_newest(acme)

    assert (packs.left(), left_at_stripe(acme), counting(packs)) == (100, 100 * 99, [9900])
    assert entries(acme) == [("given_back", 1), ("given_back", 5), ("given_back", -1)]
    assert [(row.kind, row.units, row.state) for row in further(acme)] == [
        ("returned", 1, "done"),
        ("replaced", 100, "done"),
    ]
    settled(acme)


def test_also_when_all_that_was_billed_had_come_back(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    come_back(acme, *billed(acme, 2))
    void_newest(acme)

    assert (packs.left(), left_at_stripe(acme), counting(packs)) == (100, 100 * 99, [9900])
    settled(acme)


def test_also_when_it_was_used_again_meanwhile(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 100)
    come_back(acme, unit)
    acme.use(1)
    acme.report()
    acme.advance(days=31)
    assert (paid_by_credits(acme), packs.left()) == ([99, 9900], 0)
    older = [each for each in acme.invoices() if each.billing_reason == "subscription_cycle"][1]
    acme.customer.shop.client.v1.invoices.void_invoice(older.id)
    acme.customer.settle()

    assert (packs.left(), left_at_stripe(acme), counting(packs)) == (99, 99 * 99, [99 * 99])
    settled(acme)


def test_a_grant_that_was_not_made_yet_is_part_of_what_is_made(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    acme.customer.shop.faults.fail("refuse", "/v1/billing/credit_grants")
    come_back(acme, unit)
    void_newest(acme)
    [credit] = acme.credits()

    assert [(row.kind, row.state) for row in further(acme)] == [("returned", "dropped"), ("replaced", "done")]
    assert credit.grant_id == further(acme)[-1].id
    assert (packs.left(), left_at_stripe(acme), counting(packs)) == (100, 100 * 99, [9900])
    assert acme.balanced()


def test_a_month_that_waits_for_its_invoice_is_paid_by_the_grants_of_its_time(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    come_back(acme, unit)
    acme.use(7)
    acme.report()
    [month] = [each for each in acme.periods() if each.state == "open"]
    acme.customer.shop.advance(seconds=(month.ends_at - acme.gateways.clock.now()).total_seconds() + 60)
    acme.customer.settle()
    [voided] = [
        each for each in acme.invoices() if each.billing_reason == "subscription_cycle" and each.number
    ]
    acme.customer.shop.client.v1.invoices.void_invoice(voided.id)
    acme.customer.settle()
    assert [row.state for row in further(acme)] == ["done", "open"]

    acme.advance(hours=2)
    free(acme)
    credit_further_grants.sweep(acme.gateways)
    assert (paid_by_credits(acme)[0], packs.left()) == (7 * 99, 93)
    assert (left_at_stripe(acme), counting(packs)) == (93 * 99, [93 * 99])
    settled(acme)


def test_what_was_taken_at_an_older_price_comes_back_at_the_present_one(customer: Customer) -> None:
    acme = Metered.buy(customer)
    packs = CreditBuyer(customer)
    packs.buy(100)
    acme.use(10)
    moves_to(acme, "2023-05")
    pay_by_transfer(acme)
    month_ends(acme)
    assert (paid_by_credits(acme)[0], packs.left(), counting(packs)) == (990, 90, [90 * 190])
    void_newest(acme)
    acme.advance(minutes=1)

    assert (packs.left(), counting(packs)) == (100, [100 * 190])
    settled(acme)


def test_what_comes_back_pays_what_the_open_month_has_beyond_its_pack(
    acme: Metered, packs: CreditBuyer
) -> None:
    packs.buy(100)
    billed(acme, 100)
    acme.use(3)
    acme.report()
    void_newest(acme)
    assert packs.left() == 97
    acme.advance(days=31)

    assert paid_by_credits(acme)[0] == 3 * 99
    assert left_at_stripe(acme) == 97 * 99
    settled(acme)


def test_what_comes_back_to_a_pack_that_was_refunded_may_be_used(acme: Metered, packs: CreditBuyer) -> None:
    purchase = packs.buy(100)
    billed(acme, 2)
    credit_refunds.return_rest(acme.gateways, acme.workspace_id, purchase.id, reason="asked")
    acme.customer.settle()
    assert (packs.left(), counting(packs)) == (0, [])
    void_newest(acme)
    acme.advance(minutes=1)
    assert (packs.left(), left_at_stripe(acme), counting(packs)) == (2, 2 * 99, [2 * 99])

    acme.use(3)
    acme.report()
    acme.advance(days=31)
    assert (paid_by_credits(acme)[0], packs.left()) == (2 * 99, 0)
    assert acme.customer.incidents() == []


def test_what_comes_back_to_a_pack_that_a_bank_took_counts_once_the_dispute_is_won(
    acme: Metered, packs: CreditBuyer
) -> None:
    disputed(packs)
    acme.report()
    acme.advance(days=33)
    assert paid_by_credits(acme)[0] == 6 * 99
    void_newest(acme)
    assert packs.left() == 0
    decide(packs, "winning")
    credit_disputes.sweep(acme.gateways)
    credit_further_grants.sweep(acme.gateways)
    acme.advance(days=9)

    assert (packs.left(), left_at_stripe(acme)) == (600, 600 * 99)


def test_of_a_pack_whose_year_is_over_all_of_it_lapses(acme: Metered, packs: CreditBuyer) -> None:
    packs.buy(100)
    [unit, *_others] = billed(acme, 5)
    come_back(acme, unit)
    invoice = next(each for each in acme.invoices() if each.billing_reason == "subscription_cycle")
    for _month in range(13):
        acme.advance(days=31)
    credit_ledger.sweep(acme.gateways)
    acme.customer.shop.client.v1.invoices.void_invoice(invoice.id)
    acme.advance(days=1)

    assert entries(acme)[-4:] == [("lapsed", -96), ("given_back", 5), ("given_back", -1), ("lapsed", -4)]
    assert (packs.left(), left_at_stripe(acme)) == (0, 0)
    settled(acme)
