"""A pack is bought by itself when the balance is low: only where it was chosen, and within its limits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from portal.db import unit_of_work
from portal.services import (
    credit_disputes,
    credit_refunds,
    credit_top_ups,
    leaving,
    limits,
    payment_methods,
)
from portal.services.credit_purchases import CreditsUnpaidError
from portal.services.credit_top_ups import Choice, TopUpError
from portal.services.limits import LimitError
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.failing import fall_behind
from tests.services.metering import Metered
from tests.services.test_credit_renewals import decline_from_now_on
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH, Shop, taken_once

# 600 for $564.30 once fewer than 700 are left, at most twice a month and for at most $2,000.00
CHOICE = Choice(enabled=True, below=700, units=600, most_times=2, most_amount=200_000, pause_hours=24)


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


@taken_once
def choose(credits: CreditBuyer, choice: Choice = CHOICE) -> None:
    credit_top_ups.choose(credits.gateways, credits.workspace_id, credits.customer.account.user_id, choice)


@taken_once
def look(credits: CreditBuyer) -> str | None:
    """The sweeper's turn, and what follows from it."""
    result = credit_top_ups.top_up(credits.gateways, credits.workspace_id)
    credits.customer.settle()
    return result


def test_nothing_is_bought_unless_it_was_chosen(credits: CreditBuyer) -> None:
    assert credit_top_ups.sweep(credits.gateways) == 0
    choose(credits, replace(CHOICE, enabled=False))
    assert credit_top_ups.sweep(credits.gateways) == 0
    assert credits.purchases() == []


def test_a_low_balance_buys_one_pack_which_is_mailed_and_pauses(credits: CreditBuyer) -> None:
    choose(credits)

    assert look(credits) == "bought"
    assert credits.left() == 600
    assert [(each.kind, each.state) for each in credits.purchases()] == [("top_up", "granted")]
    assert credits.customer.mails("credits_bought") == 1
    # still below 700, and the pause is not over
    assert look(credits) is None
    credits.shop.advance(hours=25)
    assert look(credits) == "bought"
    assert credits.left() == 1200
    credits.shop.advance(hours=25)
    # enough is left now
    assert look(credits) is None


def test_no_more_packs_are_bought_in_a_month_than_allowed_and_that_is_mailed_once(
    credits: CreditBuyer,
) -> None:
    choose(credits, replace(CHOICE, below=5_000, most_times=1))
    look(credits)
    for _ in range(2):
        credits.shop.advance(hours=25)
        assert look(credits) == "times"

    assert len(credits.purchases()) == 1
    assert credits.customer.mails("credits_blocked") == 1


def test_what_is_blocked_is_mailed_once_in_each_month_of_usage_whatever_the_calendar_says(
    shop: Shop, customer: Customer
) -> None:
    shop.stand_at(datetime(2026, 11, 20, tzinfo=UTC))
    customer.buy(TWELVE_BY_THE_MONTH)
    credits = CreditBuyer(customer)
    choose(credits, replace(CHOICE, below=5_000, most_times=1))
    told = []
    for days in (0, 2, 13, 16, 2):
        shop.advance(days=days)
        customer.settle()
        told.append((look(credits), customer.mails("credits_blocked")))

    # from 20 November, in December, and in the month from 20 December
    assert told == [("bought", 0), ("times", 1), ("times", 1), ("bought", 1), ("times", 2)]


def test_a_limit_that_was_raised_and_is_reached_again_is_mailed_again(credits: CreditBuyer) -> None:
    told = []
    for most_times in (1, 2):
        choose(credits, replace(CHOICE, below=5_000, most_times=most_times))
        bought = look(credits)
        credits.shop.advance(hours=25)
        told.append((bought, look(credits), credits.customer.mails("credits_blocked")))

    assert told == [("bought", "times", 1), ("bought", "times", 2)]


def test_a_price_that_somebody_looks_at_holds_while_a_pack_is_bought_by_itself(credits: CreditBuyer) -> None:
    quote_id = credits.prepare(1200)
    choose(credits)
    assert look(credits) == "bought"

    with unit_of_work(credits.workspace_id) as session:
        method_id = payment_methods.default_id(session)
    assert credits.pay(quote_id, method_id).name == "paid"
    credits.customer.settle()
    assert credits.left() == 1800


def give_back(credits: CreditBuyer) -> None:
    (purchase,) = credits.purchases()
    credit_refunds.return_unused(credits.gateways, credits.workspace_id, None, purchase.id)


def dispute(credits: CreditBuyer) -> None:
    (purchase,) = credits.purchases()
    credit_refunds.charged_back(
        credits.gateways, credits.workspace_id, str(purchase.stripe_invoice_id), reason="fraudulent"
    )


@pytest.mark.parametrize("take_back", [give_back, dispute])
def test_after_a_pack_was_taken_back_nothing_is_bought_until_it_is_chosen_anew(
    credits: CreditBuyer, take_back: Callable[[CreditBuyer], None]
) -> None:
    credits.buy(600)
    choose(credits, replace(CHOICE, below=100))
    credits.shop.advance(hours=1)
    take_back(credits)
    credits.customer.settle()

    for _ in range(2):
        assert look(credits) == "taken_back"
        credits.shop.advance(hours=25)
    assert (credits.left(), len(credits.purchases())) == (0, 1)
    assert credits.customer.mails("credits_blocked") == 1
    choose(credits, replace(CHOICE, below=100))
    assert look(credits) == "bought"


def test_a_bank_that_takes_the_money_for_a_pack_that_is_used_up_is_charged_for_no_other(
    customer: Customer,
) -> None:
    acme = Metered.buy(customer)
    credits = CreditBuyer(customer)
    choose(credits, replace(CHOICE, below=100))
    quote_id = credits.prepare(100)
    credits.shop.pay(credits.pay(quote_id).client_secret or "", "pm_card_createDispute")
    customer.settle()
    acme.use(100)
    credits.shop.advance(days=3)
    customer.settle()
    credit_disputes.sweep(credits.gateways)
    customer.settle()

    assert (credits.purchase(quote_id).state, credits.left()) == ("disputed", 0)
    assert look(credits) == "taken_back"
    assert len(credits.purchases()) == 1
    choose(credits, replace(CHOICE, below=100))
    assert look(credits) == "bought"


def test_a_dispute_that_is_won_after_the_choice_hides_no_pack_that_is_returned(credits: CreditBuyer) -> None:
    disputed = credits.buy(600)
    dispute(credits)
    credits.customer.settle()
    choose(credits, replace(CHOICE, below=1_000))
    credits.shop.advance(hours=1)
    with unit_of_work(credits.workspace_id) as session:
        credit_refunds.give_again(session, credits.gateways, disputed.id, dispute_id="dp_won")
    returned = credits.buy(600)
    credit_refunds.return_unused(credits.gateways, credits.workspace_id, None, returned.id)
    credits.customer.settle()

    assert (credits.left(), look(credits)) == (600, "taken_back")


def test_no_more_is_spent_in_a_month_than_allowed(credits: CreditBuyer) -> None:
    choose(credits, replace(CHOICE, below=5_000, most_times=9, most_amount=100_000))
    look(credits)
    credits.shop.advance(hours=25)

    # two packs would cost $1,128.60
    assert look(credits) == "amount"
    assert credits.left() == 600
    assert credits.customer.mails("credits_blocked") == 1


def test_a_declined_card_buys_nothing_owes_nothing_and_is_mailed(credits: CreditBuyer) -> None:
    choose(credits)
    decline_from_now_on(credits)

    assert look(credits) == "declined"
    assert (credits.left(), [each.state for each in credits.purchases()]) == (0, ["void"])
    assert credits.customer.mails("credits_blocked") == 1
    assert credits.customer.access() == "active"
    # the next day the same is no news
    credits.shop.advance(hours=25)
    assert look(credits) == "declined"
    assert credits.customer.mails("credits_blocked") == 1


def test_while_an_invoice_is_owed_no_pack_is_bought_by_itself_or_by_hand_and_that_is_the_reason(
    customer: Customer,
) -> None:
    fall_behind(customer)
    credits = CreditBuyer(customer)
    choose(credits)

    assert look(credits) == "unpaid"
    assert credits.customer.mails("credits_blocked") == 1
    with pytest.raises(CreditsUnpaidError) as raised:
        credits.prepare(600)
    assert raised.value.message == "The last invoice is not paid yet. Pay it first; then you can buy credits."


def test_nothing_is_bought_for_a_subscription_that_ends(credits: CreditBuyer) -> None:
    choose(credits)
    leaving.ask(credits.gateways, credits.workspace_id, None, leaving.AT_PERIOD_END)
    credits.customer.settle()

    assert look(credits) is None
    assert credits.customer.mails("credits_blocked") == 0
    assert credits.purchases() == []


def test_a_pack_that_a_month_does_not_allow_is_not_chosen(credits: CreditBuyer) -> None:
    with pytest.raises(TopUpError) as raised:
        choose(credits, replace(CHOICE, most_amount=50_000))

    assert raised.value.param == "most_amount"


@pytest.mark.parametrize(
    ("name", "value"), [("units", 99), ("most_times", 0), ("pause_hours", 0), ("below", -1)]
)
def test_what_makes_no_sense_is_not_kept(credits: CreditBuyer, name: str, value: int) -> None:
    with pytest.raises(TopUpError) as raised:
        choose(credits, replace(CHOICE, **{name: value}))

    assert raised.value.param == name


def test_at_the_cap_the_next_pack_is_drawn_and_the_ai_goes_on(credits: CreditBuyer) -> None:
    at_cap = limits.Wanted(cap_units=2, at_cap="next_pack")
    with pytest.raises(LimitError):
        save(credits, at_cap)
    choose(credits, replace(CHOICE, below=0))
    save(credits, at_cap)
    assert look(credits) is None

    workspace = Workspace(credits.gateways, credits.workspace_id)
    workspace.resolve()
    workspace.resolve()
    assert look(credits) == "bought"
    held = limits.standing(credits.gateways, credits.workspace_id)
    assert (held.state.cap, held.raised) == (602, 600)
    # the two that were used are of the pack
    assert credits.left() == 598
    credits.shop.advance(hours=25)
    assert look(credits) is None

    # what the cap relies on is not switched off under it
    with pytest.raises(TopUpError) as raised:
        choose(credits, replace(CHOICE, enabled=False))
    assert raised.value.param == "enabled"
    save(credits, limits.Wanted())
    choose(credits, replace(CHOICE, enabled=False))


def save(credits: CreditBuyer, wanted: limits.Wanted) -> None:
    limits.save(credits.gateways, credits.workspace_id, credits.customer.account.user_id, wanted)
