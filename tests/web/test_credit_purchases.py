"""The pages of a pack: its price, its payment without and with a script, its steps, and returning it."""

import pytest

from portal.services import credit_refunds
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.shop import TWELVE_BY_THE_MONTH
from tests.web.reading import words


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def test_the_page_says_what_a_pack_costs_and_offers_a_larger_one_that_costs_less(
    buyer: Browser, credits: CreditBuyer
) -> None:
    page = words(buyer.get("/credits/buy?units=599"))

    assert "599 resolutions would cost $593.01. 600 cost $28.71 less, so we sell you those." in page
    assert "$564.30" in page
    # the list of packs, at the customer's own price
    assert "$8,910.00" in page


def test_without_a_subscription_the_page_says_what_comes_first(buyer: Browser) -> None:
    assert "Choose a tier first" in words(buyer.get("/credits/buy"))


@pytest.mark.parametrize("units", ["99", "0", "many", ""])
def test_a_number_that_is_not_sold_is_said_at_its_field(
    buyer: Browser, credits: CreditBuyer, units: str
) -> None:
    answer = buyer.submit("/credits/buy", {"units": units})

    assert answer.status_code == 422
    assert "Resolutions" in words(answer)


def test_the_quote_says_what_is_charged_and_what_the_credits_are(
    buyer: Browser, credits: CreditBuyer
) -> None:
    there = buyer.submit("/credits/buy", {"units": "1200"}).location
    page = words(buyer.get(there))

    assert "Pay $1,069.20 now" in page
    assert "$1,188.00" in page
    assert "10% off" in page
    assert (
        "You can return a pack within 14 days, as long as nothing of it was used, not even for what you used"
        " this month before you bought it." in page
    )


def test_a_stored_method_pays_without_a_script_and_the_steps_are_shown(
    buyer: Browser, credits: CreditBuyer
) -> None:
    there = buyer.submit("/credits/buy", {"units": "600"}).location
    method = (credits.customer.subscription().default_payment_method or {})["id"]  # type: ignore[union-attr]
    done = buyer.submit(f"{there}/confirm", {"method": method}, page="/account").location
    credits.customer.settle()
    page = words(buyer.get(done))

    assert "600 resolutions are yours" in page
    assert "600 of 600 left" in page
    assert "matched to the cent" in page
    # coming back to the price shows what became of it
    assert buyer.get(there).location == done


def test_a_new_card_is_the_scripts(buyer: Browser, credits: CreditBuyer) -> None:
    there = buyer.submit("/credits/buy", {"units": "600"}).location
    answer = buyer.submit(f"{there}/confirm", {"method": "new"}, page="/account")

    assert answer.status_code == 409
    assert "JavaScript" in words(answer)


def test_with_a_script_the_browser_gets_the_secret_it_pays_with(buyer: Browser, credits: CreditBuyer) -> None:
    there = buyer.submit("/credits/buy", {"units": "600"}).location
    answer = buyer.post(
        f"{there}/confirm", json={"method": None}, headers={"X-CSRFToken": buyer.token("/account")}
    )

    assert answer.json is not None
    assert answer.json["collect"] == "payment"
    assert answer.json["client_secret"].startswith("pi_")


def test_where_the_balance_pays_all_there_is_no_payment_step(buyer: Browser, credits: CreditBuyer) -> None:
    (customer,) = credits.shop.client.v1.customers.list().data
    credits.shop.client.v1.customers.balance_transactions.create(
        customer.id, {"amount": -60_000, "currency": "usd"}
    )
    there = buyer.submit("/credits/buy", {"units": "600"}).location
    page = words(buyer.get(there))
    assert "Buy now from your balance" in page
    assert "Loading the payment form" not in page

    done = buyer.submit(f"{there}/confirm", page="/account").location
    credits.customer.settle()
    assert "600 resolutions are yours" in words(buyer.get(done))


def test_what_is_still_open_on_the_balance_is_paid_with_the_pack_and_said(
    buyer: Browser, credits: CreditBuyer
) -> None:
    (customer,) = credits.shop.client.v1.customers.list().data
    credits.shop.client.v1.customers.balance_transactions.create(
        customer.id, {"amount": 1_000, "currency": "usd"}
    )
    page = words(buyer.get(buyer.submit("/credits/buy", {"units": "600"}).location))

    assert "Still open on the balance of your account $10.00" in page
    assert "Pay $574.30 now" in page


def test_an_expired_price_says_so_and_leads_to_the_price_of_now(buyer: Browser, credits: CreditBuyer) -> None:
    quote_id = credits.prepare(600)
    credits.shop.advance(hours=25)
    there = f"/credits/purchases/{quote_id}"
    assert "This price no longer holds" in words(buyer.get(there))

    assert buyer.submit(f"{there}/renew", page="/account").location != there


def test_a_price_that_another_tab_replaced_leads_to_the_newer_one(
    buyer: Browser, credits: CreditBuyer
) -> None:
    first = buyer.submit("/credits/buy", {"units": "600"}).location
    second = buyer.submit("/credits/buy", {"units": "1200"}).location
    page = buyer.get(first)

    assert "This price no longer holds" in words(page)
    assert f'href="{second}"' in page.text
    # the first tab's button, pressed all the same
    method = (credits.customer.subscription().default_payment_method or {})["id"]  # type: ignore[union-attr]
    refused = buyer.submit(f"{first}/confirm", {"method": method}, page="/account")
    assert "This price no longer holds" in words(buyer.get(refused.location))
    assert len(credits.shop.charges()) == 1


def test_more_than_is_sold_at_once_is_refused_in_words(buyer: Browser, credits: CreditBuyer) -> None:
    answer = buyer.submit("/credits/buy", {"units": "2000000"})

    assert answer.status_code == 422
    assert "So many units are not sold. Choose another number." in words(answer)


def test_a_pack_that_has_ended_offers_no_renewal(buyer: Browser, credits: CreditBuyer) -> None:
    quote_id = credits.buy(600).quote_id
    (lot,) = credits.lots()
    credits.shop.advance(seconds=int((lot.expires_at - credits.gateways.clock.now()).total_seconds()) + 1)
    credits.customer.settle()
    there = f"/credits/purchases/{quote_id}"
    page = words(buyer.get(f"{there}/done"))

    assert "It ended on" in page
    assert "Renew it at its end" not in page
    # from a tab that was open before
    buyer.submit(f"{there}/renewal", {"renews": "yes"}, page="/account")
    assert "nothing to renew" in words(buyer.get(f"{there}/done"))


def test_an_unused_pack_is_returned_with_one_confirmation(buyer: Browser, credits: CreditBuyer) -> None:
    quote_id = credits.buy(600).quote_id
    there = f"/credits/purchases/{quote_id}/refund"
    page = words(buyer.get(there))
    assert "To where it was paid from, in five to ten days $564.30" in page

    done = buyer.submit(there).location
    credits.customer.settle()
    page = words(buyer.get(done))
    assert "The pack was taken back" in page
    assert "600 resolutions · $564.30" in page


def test_the_page_looks_again_by_itself_while_a_pack_is_being_taken_back(
    buyer: Browser, credits: CreditBuyer
) -> None:
    there = f"/credits/purchases/{credits.buy(600).quote_id}"
    assert not follows(buyer, there)
    credits.shop.faults.fail("timeout_before", "/v1/credit_notes", times=9)
    buyer.submit(f"{there}/refund")
    assert "Being taken back" in words(buyer.get(f"{there}/done"))
    assert follows(buyer, there)

    credits.shop.faults.mend()
    credits.customer.settle()
    credit_refunds.sweep(credits.gateways)
    assert "The pack was taken back" in words(buyer.get(f"{there}/done"))
    assert not follows(buyer, there)


def follows(buyer: Browser, there: str) -> bool:
    """Whether the page after paying looks again, with a script and without one alike."""
    page, state = buyer.get(f"{there}/done").text, buyer.get(f"{there}/state").get_json()
    found = {"data-follows" in page, '<meta http-equiv="refresh"' in page, state["waiting"]}
    assert len(found) == 1
    return found.pop()


def test_renewal_is_off_until_it_is_chosen_and_then_happens_once(
    buyer: Browser, credits: CreditBuyer
) -> None:
    once = "The new pack is not renewed unless you switch that on for it."
    offered = words(buyer.get(buyer.submit("/credits/buy", {"units": "600"}).location))
    assert (
        "The pack is not renewed at its end unless you switch that on, and then it is renewed once."
        in offered
    )
    quote_id = credits.buy(600).quote_id
    there = f"/credits/purchases/{quote_id}"
    assert "is not renewed" in words(buyer.get(f"{there}/done"))
    assert "renewed" not in words(buyer.get("/credits"))

    buyer.submit(f"{there}/renewal", {"renews": "yes"}, page="/account")
    page = words(buyer.get(f"{there}/done"))
    assert "The pack is renewed once, at its end." in page
    assert "bought by itself" in page
    assert once in page
    held = words(buyer.get("/credits"))
    assert f"another of this size is bought by itself. {once}" in held
