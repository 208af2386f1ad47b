"""/billing/swap: what seats are worth, what they become, and the one quote for both."""

import pytest

from portal import pricing
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_swaps import NOVEMBER, TWELVE
from tests.shop import Shop
from tests.web.reading import words

PAGE = "/billing/swap"


@pytest.fixture
def changer(shop: Shop, customer: Customer) -> Changer:
    """Twelve Advanced seats at $99.00 since the first of November, half of which is over."""
    shop.stand_at(NOVEMBER)
    customer.buy(TWELVE)
    shop.advance(days=15)
    customer.settle()
    return Changer(customer)


def test_the_simulator_shows_value_resolutions_and_the_renewal(buyer: Browser, changer: Changer) -> None:
    page = words(buyer.get(f"{PAGE}?seats=4"))

    assert "4 seats become 200 resolutions." in page
    assert "Seats: 8 instead of 12" in page
    assert "Unused time of what you give up" in page
    assert "−$198.00" in page
    assert "Nothing to pay $0.00" in page
    assert "At the renewal on 1 December 2026" in page
    assert "Before the swap, for a month $1,188.00" in page
    assert "After it $792.00" in page


def test_what_is_left_of_the_value_is_said_to_stay_on_the_balance(buyer: Browser, changer: Changer) -> None:
    assert "Stays on your balance $99.00" in words(buyer.get(f"{PAGE}?seats=4&units=100"))


def test_599_become_600_here_as_well(buyer: Browser, changer: Changer) -> None:
    page = words(buyer.get(f"{PAGE}?seats=4&units=599"))

    assert "600 cost less than 599" in page
    assert "To pay, before tax $366.30" in page


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("seats=0", "Seats to give up: enter a number from 1 to 11."),
        ("seats=12", "Seats to give up: enter a number from 1 to 11."),
        ("seats=x", "Seats to give up: enter a whole number, such as 12."),
        ("seats=2&units=50", "Resolutions: the smallest pack has 100."),
    ],
)
def test_a_wrong_number_is_told_at_its_field(buyer: Browser, changer: Changer, query: str, said: str) -> None:
    assert said in words(buyer.get(f"{PAGE}?{query}"))


def test_one_quote_for_both_is_confirmed_on_the_page_of_every_change(
    buyer: Browser, changer: Changer
) -> None:
    answer = buyer.submit(PAGE, {"seats": "4", "units": "600"})
    quote = buyer.get(answer.location)
    page = words(quote)

    assert "Unused: Advanced seat × 12" in page
    assert "600 resolutions, annual credits" in page
    assert "600 resolutions as credits, in the same step: both happen or neither." in page
    assert "Pay $366.30 now" in page
    assert "5% off for a pack of this size: −$29.70" in page
    assert "Renews on 1 December 2026 for $792.00 a month before tax, instead of $1,188.00 a month." in page


def test_confirming_swaps_and_the_way_back_keeps_the_choice(buyer: Browser, changer: Changer) -> None:
    answer = buyer.submit(PAGE, {"seats": "4", "units": "100"})
    assert f"{PAGE}?seats=4&amp;units=100" in buyer.get(answer.location).text

    buyer.submit(f"{answer.location}/confirm", page=answer.location)
    changer.customer.settle()
    done = words(buyer.get(f"{answer.location}/done"))

    assert "The swap is done" in done
    assert changer.held().selection.seats == 8


def test_the_pack_of_a_swap_is_renewed_if_that_is_chosen_on_the_balance(
    buyer: Browser, changer: Changer
) -> None:
    answer = buyer.submit(PAGE, {"seats": "4", "units": "100"})
    buyer.submit(f"{answer.location}/confirm", page=answer.location)
    changer.customer.settle()
    renewal = f"/credits/purchases/{answer.location.rsplit('/', 1)[-1]}/renewal"
    before = words(buyer.get("/credits"))
    chosen = buyer.submit(renewal, {"renews": "yes"}, page="/credits")
    after = words(buyer.get("/credits"))
    buyer.submit(renewal, {"renews": "no"}, page="/credits")

    assert "Renew it at its end" in before
    assert chosen.location == "/credits"
    assert "The pack is renewed once, at its end." in after
    assert "On 1 December 2027 another of this size is bought by itself." in after
    assert "Do not renew it" in after
    assert words(buyer.get("/credits")).count("Renew it at its end") == 1


def test_a_trial_is_told_why_not(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE, trial=True)

    assert "During the trial nothing was paid for your seats" in words(buyer.get(PAGE))


def test_the_last_seat_is_told_to_stay(buyer: Browser, customer: Customer) -> None:
    customer.buy(pricing.Selection("advanced", 1, "month"))

    assert "There is no seat that could be swapped." in words(buyer.get(PAGE))
