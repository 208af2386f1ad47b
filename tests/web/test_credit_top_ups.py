"""The page of what is bought by itself: off at first, limited, and by those who pay."""

from portal.services import credit_top_ups
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words

CHOSEN = {
    "enabled": "y", "below": "50", "units": "600", "most_times": "2", "most_amount": "1200.00",
    "pause_hours": "12",
}  # fmt: skip
THERE = "/credits/automatic"


def test_it_is_off_until_it_is_switched_on(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    page = buyer.get(THERE)
    assert "Off unless you switch it on." in words(page)
    assert " checked" not in page.text

    answer = buyer.submit(THERE, CHOSEN, follow_redirects=True)
    assert "A pack is bought by itself from now on." in words(answer)
    assert " checked" in answer.text
    assert 'value="1200.00"' in answer.text


def test_what_cannot_be_is_said_at_its_field(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    answer = buyer.submit(THERE, CHOSEN | {"most_amount": "100.00"})

    assert answer.status_code == 422
    assert "One pack of this size costs more than you allow in a month." in words(answer)


def test_an_empty_field_is_said(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)

    assert buyer.submit(THERE, CHOSEN | {"most_amount": ""}).status_code == 422


def test_without_a_subscription_it_cannot_be_switched_on(buyer: Browser) -> None:
    answer = buyer.submit(THERE, CHOSEN)

    assert answer.status_code == 422
    assert "Choose a tier first" in words(answer)


def test_a_pause_is_told_of_while_it_lasts(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    buyer.submit(THERE, CHOSEN)
    assert credit_top_ups.top_up(customer.gateways, customer.workspace_id) == "bought"
    assert "Pauses until" in words(buyer.get(THERE))

    customer.shop.advance(hours=13)
    assert "Pauses until" not in words(buyer.get(THERE))
