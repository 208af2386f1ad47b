"""Seats into resolutions: fewer seats and a pack as one change, one invoice, both or neither."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from portal import pricing
from portal.db import unit_of_work
from portal.models import CreditLot, CreditPurchase, PlannedChange, Subscription
from portal.services import catalogs, swap_purchases, swaps, sweeping
from portal.services.attempts import PurchaseRefusedError, StillConfirmingError
from portal.services.credit_quotes import NoPacksError
from portal.services.swaps import (
    NoSeatToSwapError,
    Swap,
    SwapInTrialError,
    SwapPlannedError,
    SwapUnpaidError,
)
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.services.test_change_payments import UPDATE, pays_with
from tests.shop import Shop

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
TWELVE = pricing.Selection("advanced", 12, "month")


@pytest.fixture
def changer(shop: Shop, customer: Customer) -> Changer:
    """Twelve Advanced seats at $99.00 since the first of November, half of which is over."""
    shop.stand_at(NOVEMBER)
    customer.buy(TWELVE)
    shop.advance(days=15)
    customer.settle()
    return Changer(customer)


def simulated(changer: Changer, dropped: int, units: int | None = None) -> Swap:
    gateways, workspace_id, _ = changer.place
    with unit_of_work(workspace_id) as session:
        found = swaps.swappable(session)
        return swaps.simulate(session, found, gateways.clock.now(), dropped=dropped, units=units)


def prepare(changer: Changer, dropped: int, units: int | None = None) -> str:
    return swaps.prepare(*changer.place, dropped=dropped, units=units)


def purchases(changer: Changer) -> list[CreditPurchase]:
    with unit_of_work(changer.customer.workspace_id) as session:
        return list(session.scalars(select(CreditPurchase).order_by(CreditPurchase.created_at)))


def lots(changer: Changer) -> list[int]:
    with unit_of_work(changer.customer.workspace_id) as session:
        return list(session.scalars(select(CreditLot.units)))


def grants(changer: Changer) -> int:
    return len(changer.customer.shop.client.v1.billing.credit_grants.list().data)


def balance(changer: Changer) -> int:
    [customer] = changer.customer.shop.client.v1.customers.list().data
    return customer.balance or 0


def last_invoice(changer: Changer) -> tuple[int, str | None]:
    """Total and status of the newest invoice."""
    newest = changer.customer.shop.client.v1.invoices.list().data[0]
    return newest.total, newest.status


def test_the_value_of_the_seats_time_buys_as_many_resolutions_as_it_pays_for(changer: Changer) -> None:
    swap = simulated(changer, 4)

    # half a month of 4 × $99.00; 200 × $0.99
    assert (swap.value, swap.offer.pack.units, swap.offer.pack.total) == (19_800, 200, 19_800)
    assert swap.rest == 0
    assert (swap.before.amount, swap.then.amount) == (118_800, 79_200)
    assert swap.renews_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_a_larger_number_costs_the_difference_and_is_never_undercut(changer: Changer) -> None:
    swap = simulated(changer, 4, 599)

    # 600 × $0.99 less 5 % is $564.30
    assert (swap.offer.pack.units, swap.rest) == (600, 36_630)


def test_a_swap_with_a_charge_is_one_quote_one_invoice_one_lot_and_one_grant(changer: Changer) -> None:
    quote_id = prepare(changer, 4, 600)

    assert changer.amounts(quote_id) == [
        ("seat", "credit", 12, -59_400),
        ("seat", "debit", 8, 39_600),
        ("credits", "debit", 1, 56_430),
    ]
    assert changer.quote(quote_id).amount_due == 36_630

    changer.confirm(quote_id)
    changer.customer.settle()

    assert changer.state(quote_id) == "done"
    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 8}
    assert last_invoice(changer) == (36_630, "paid")
    [purchase] = purchases(changer)
    assert (purchase.kind, purchase.units, purchase.amount) == ("swap", 600, 56_430)
    assert purchase.state == "granted"
    assert lots(changer) == [600]
    assert grants(changer) == 1
    assert all(matched for _, matched in changer.proof(quote_id))


def test_its_line_says_what_it_is_and_is_taxed_as_resolutions_are(changer: Changer) -> None:
    changer.confirm(prepare(changer, 4, 1200))
    changer.customer.settle()
    client = changer.customer.shop.client
    [line] = [each for each in client.v1.invoices.list().data[0].lines.data if each.amount == 106_920]
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    product = client.v1.products.retrieve(str(line.pricing.price_details.product))

    assert (line.description, product.tax_code) == ("1,200 resolutions, annual credits", catalogs.TAX_CODE)


def test_a_surplus_stays_on_the_balance(changer: Changer) -> None:
    quote_id = prepare(changer, 4, 100)

    # $198.00 given back, $99.00 for a hundred
    assert (changer.quote(quote_id).total, changer.quote(quote_id).amount_due) == (-9_900, 0)

    changer.confirm(quote_id)
    changer.customer.settle()

    assert changer.state(quote_id) == "done"
    assert balance(changer) == -9_900
    assert lots(changer) == [100]
    assert grants(changer) == 1


def test_two_who_swap_for_the_same_pack_at_once_share_its_price(changer: Changer) -> None:
    both: list[str] = []
    shop = changer.customer.shop
    shop.faults.fail("first", "/v1/prices", action=lambda: both.append(prepare(changer, 4, 600)))
    both.append(prepare(changer, 3, 600))

    prices = shop.client.v1.prices.list({"limit": 100}).data
    assert len([price for price in prices if ":pack:600:" in (price.lookup_key or "")]) == 1
    assert [changer.quote(each).lines[-1]["amount"] for each in both] == [56_430, 56_430]


def test_a_declined_card_changes_neither_seats_nor_credits(changer: Changer) -> None:
    pays_with(changer, "pm_card_chargeCustomerFail")
    quote_id = prepare(changer, 4, 600)
    confirmation = changer.confirm(quote_id)
    changer.customer.settle()

    assert changer.state(quote_id) == "declined"
    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 12}
    assert lots(changer) == []
    assert purchases(changer)[0].state == "paying"

    changer.customer.shop.pay(confirmation.client_secret or "")
    changer.customer.settle()

    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 8}
    assert lots(changer) == [600]


def test_what_is_never_paid_leaves_seats_and_no_credits(changer: Changer) -> None:
    pays_with(changer, "pm_card_authenticationRequired")
    quote_id = prepare(changer, 4, 600)
    changer.confirm(quote_id)
    changer.customer.settle()
    changer.customer.shop.advance(hours=23, minutes=30)
    changer.customer.settle()
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    changer.customer.settle()

    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 12}
    assert purchases(changer)[0].state == "void"
    assert lots(changer) == []
    assert balance(changer) == 0


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "reset", "error_after", "rate_limit"])
def test_an_answer_that_is_lost_is_settled_and_nothing_is_done_twice(changer: Changer, kind: str) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.customer.shop.faults.fail(kind, UPDATE)
    with suppress(StillConfirmingError):
        changer.confirm(quote_id)
    settle_attempts(changer)

    assert_swapped_once(changer, quote_id)


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
def test_killed_at_the_update_it_is_taken_up_again(changer: Changer, kind: str) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.customer.shop.faults.fail(kind, UPDATE)
    with pytest.raises(Killed):
        changer.confirm(quote_id)
    changer.customer.shop.faults.mend()
    let_claims_run_out(changer.customer)
    settle_attempts(changer)

    assert_swapped_once(changer, quote_id)


def test_a_definite_refusal_leaves_everything_as_it_was(changer: Changer) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.customer.shop.faults.fail("refuse", UPDATE)
    with pytest.raises(PurchaseRefusedError):
        changer.confirm(quote_id)
    settle_attempts(changer)

    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 12}
    assert lots(changer) == []

    # the next click does it
    changer.confirm(quote_id)
    changer.customer.settle()
    assert_swapped_once(changer, quote_id)


def settle_attempts(changer: Changer) -> None:
    changer.customer.settle()
    sweeping.sweep_attempts(changer.customer.gateways, left_behind_after=NOW)
    changer.customer.settle()


def assert_swapped_once(changer: Changer, quote_id: str) -> None:
    """The seats went, the pack came with one grant, and the invoice is the one that was quoted."""
    assert changer.state(quote_id) == "done"
    assert changer.at_stripe() == {"2026-11:seat:advanced:month": 8}
    assert lots(changer) == [600]
    assert grants(changer) == 1
    assert last_invoice(changer) == (36_630, "paid")


def test_a_second_click_swaps_once(changer: Changer) -> None:
    quote_id = prepare(changer, 4, 600)
    changer.confirm(quote_id)
    changer.confirm(quote_id)
    changer.customer.settle()

    assert lots(changer) == [600]
    assert len(purchases(changer)) == 1


def test_a_new_quote_ends_the_purchase_of_the_one_before(changer: Changer) -> None:
    prepare(changer, 4, 600)
    prepare(changer, 2, 600)

    assert swap_purchases.sweep(changer.customer.gateways) == 1
    assert sorted(each.state for each in purchases(changer)) == ["open", "void"]


def test_the_last_invoice_must_be_paid(changer: Changer) -> None:
    with unit_of_work(changer.customer.workspace_id) as session:
        session.execute(update(Subscription).values(status="past_due"))

    with pytest.raises(SwapUnpaidError):
        simulated(changer, 4)


def test_what_is_planned_is_decided_first(changer: Changer) -> None:
    changer.change(seats=10)
    with unit_of_work(changer.customer.workspace_id) as session:
        assert session.scalars(select(PlannedChange)).first() is not None

    with pytest.raises(SwapPlannedError):
        simulated(changer, 4)


def test_a_trial_has_paid_for_nothing(customer: Customer) -> None:
    customer.buy(TWELVE, trial=True)

    with pytest.raises(SwapInTrialError):
        simulated(Changer(customer), 4)


def test_the_last_seat_stays(customer: Customer) -> None:
    customer.buy(pricing.Selection("advanced", 1, "month"))

    with pytest.raises(NoSeatToSwapError):
        simulated(Changer(customer), 1)


def test_older_prices_sell_no_packs(customer: Customer) -> None:
    customer.at_the_time_of("2023-05").buy(pricing.Selection("pro", 10, "month"))

    with pytest.raises(NoPacksError):
        simulated(Changer(customer), 1)
