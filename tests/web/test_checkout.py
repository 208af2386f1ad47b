"""/checkout: details, the binding quote, confirming, and the page that waits."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe
from flask import Flask
from werkzeug.test import TestResponse

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import BillingDetails
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_YEAR, Shop
from tests.web.reading import block, words

CHOICE = "/checkout?tier=advanced&interval=year&seats=12&copilot=5"
IN_CALIFORNIA = {
    "company_name": "Acme Inc",
    "email": "billing@acme.example",
    "country": "US",
    "line1": "510 Townsend St",
    "postal_code": "94103",
    "city": "San Francisco",
    "state": "CA",
    "start": "now",
}
IN_BERLIN = {
    "company_name": "Acme GmbH",
    "email": "billing@acme.example",
    "country": "DE",
    "line1": "Torstraße 1",
    "postal_code": "10119",
    "city": "Berlin",
    "start": "now",
}


def follow(browser: Browser, answer: TestResponse) -> TestResponse:
    assert answer.status_code == 303, words(answer)
    return browser.get(answer.location)


def confirm(browser: Browser, quote_id: str) -> TestResponse:
    """What the page's script sends: the quote's id in the address, the token in a header, nothing else."""
    token = re.search(r'data-token="([^"]+)"', browser.get(f"/checkout/{quote_id}").text)
    assert token
    return browser.post(f"/checkout/{quote_id}/confirm", json={}, headers={"X-CSRFToken": token.group(1)})


def test_a_guest_signs_in_first_and_keeps_the_choice(client: Browser) -> None:
    answer = client.get(CHOICE)

    back = parse_qs(urlsplit(answer.location).query)["next"][0]
    assert (answer.status_code, back) == (303, CHOICE)


def test_without_a_choice_one_is_sent_to_make_it(signed_in: Browser) -> None:
    assert signed_in.get("/checkout").location == "/pricing"


def test_a_choice_that_is_not_sold_goes_back_with_all_of_it(signed_in: Browser) -> None:
    answer = signed_in.get("/checkout?tier=advanced&seats=5&copilot=6")

    assert answer.location == "/pricing?tier=advanced&seats=5&copilot=6"


def test_a_choice_made_before_signing_up_is_taken_up_again(
    app: Flask, client: Browser, workspace: factories.Account
) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        session.get_one(BillingDetails, workspace.workspace_id).draft_selection = TWELVE_BY_THE_YEAR.as_dict()
    client.sign_in(workspace.email, workspace.password)
    answer = client.get("/checkout")

    assert answer.location == ("/checkout?tier=advanced&interval=year&seats=12&copilot=5&resolution=500")


def test_the_details_page_shows_the_choice_and_the_way_back_to_it(signed_in: Browser) -> None:
    page = signed_in.get(CHOICE)

    assert "Before tax $13,980.00" in words(page)
    assert 'href="/pricing?tier=advanced&amp;interval=year&amp;seats=12&amp;copilot=5"' in page.text


def test_missing_details_are_asked_for_beside_their_fields(signed_in: Browser) -> None:
    answer = signed_in.submit(CHOICE, {"company_name": "Acme Inc", "city": "San Francisco"})

    assert answer.status_code == 422
    assert "Country: choose one." in words(answer)
    assert "Street and number: fill this in." in words(answer)
    assert 'value="San Francisco"' in answer.text


def test_a_tax_number_of_the_wrong_form_is_refused_before_paying(
    selling: Gateways, signed_in: Browser
) -> None:
    answer = signed_in.submit(CHOICE, IN_BERLIN | {"tax_id_value": "DE123"})

    assert answer.status_code == 422
    assert "VAT number: as in DE136695976." in block(answer, "tax_id_value-error")


def test_good_details_lead_to_the_binding_quote(selling: Gateways, signed_in: Browser) -> None:
    page = follow(signed_in, signed_in.submit(CHOICE, IN_CALIFORNIA))

    text = words(page)
    assert "Advanced seat × 12 $12,240.00" in text
    assert "Tax: none $0.00" in text
    assert "No tax is due on this where you are." in text
    assert "Charged today $13,980.00" in text
    assert "Pay $13,980.00 now" in text
    assert re.search(r"This price holds until \d+ \w+ \d{4}, \d\d:\d\d UTC", text)


def test_the_payment_form_is_mounted_on_the_quotes_amount(selling: Gateways, signed_in: Browser) -> None:
    page = follow(signed_in, signed_in.submit(CHOICE, IN_CALIFORNIA)).text

    assert 'data-mode="subscription" data-amount="1398000" data-currency="usd"' in page
    assert 'data-key="pk_test_sandbox"' in page
    assert re.search(r'<script src="http://localhost:1/endive/stripe\.js" nonce="[^"]+" defer>', page)


def test_german_tax_is_shown_with_its_rate_and_reason(selling: Gateways, signed_in: Browser) -> None:
    text = words(follow(signed_in, signed_in.submit(CHOICE, IN_BERLIN)))

    assert "Tax $2,656.20" in text
    assert "19% of $13,980.00 = $2,656.20" in text
    assert "Pay $16,636.20 now" in text


def test_a_vat_number_turns_the_tax_into_reverse_charge(selling: Gateways, signed_in: Browser) -> None:
    text = words(follow(signed_in, signed_in.submit(CHOICE, IN_BERLIN | {"tax_id_value": "DE136695976"})))

    assert "Tax: none, reverse charge $0.00" in text
    assert "Pay $13,980.00 now" in text
    assert "Tax number DE136695976:" in text


def test_a_trial_charges_nothing_today_and_says_when_it_does(selling: Gateways, signed_in: Browser) -> None:
    page = follow(signed_in, signed_in.submit(CHOICE, IN_CALIFORNIA | {"start": "trial"}))

    assert "Charged today $0.00" in words(page)
    assert re.search(r"On .+ the trial ends and \$13,980\.00 is charged", words(page))
    assert "Start trial – pay nothing today" in words(page)
    assert 'data-mode="setup"' in page.text


def test_a_promotion_code_makes_a_new_quote_and_says_what_it_takes_off(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    shop.promotion("LAUNCH10", percent_off=10)
    quote_id = customer.prepare()
    page = f"/checkout/{quote_id}"
    text = words(follow(buyer, buyer.submit(f"{page}/promotion", {"promotion_code": "LAUNCH10"}, page=page)))

    assert "Promotion LAUNCH10 −$1,398.00" in text
    assert "Advanced seat × 12: Discount: 10% of $12,240.00 = −$1,224.00" in text
    assert "Pay $12,582.00 now" in text


def test_a_promotion_code_that_does_not_work_says_why_and_is_kept(buyer: Browser, customer: Customer) -> None:
    page = f"/checkout/{customer.prepare()}"
    answer = buyer.submit(f"{page}/promotion", {"promotion_code": "NOSUCH"}, page=page)

    assert answer.status_code == 422
    assert "This code is not valid." in words(answer)
    assert 'value="NOSUCH"' in answer.text


def test_confirming_hands_out_the_secret_and_the_second_click_the_same(
    buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    first, second = confirm(buyer, quote_id), confirm(buyer, quote_id)

    assert first.json
    assert first.json["collect"] == "payment"
    assert re.fullmatch(r"pi_\w+_secret_\w+", first.json["client_secret"])
    assert second.json == first.json


def test_confirming_needs_the_pages_token(buyer: Browser, customer: Customer) -> None:
    answer = buyer.post(f"/checkout/{customer.prepare()}/confirm", json={})

    assert answer.status_code == 400


def test_a_quote_that_another_tab_replaced_is_not_sold_and_says_so(
    buyer: Browser, customer: Customer
) -> None:
    older, newer = customer.prepare(), customer.prepare()
    token = buyer.token(f"/checkout/{newer}")
    answer = buyer.post(f"/checkout/{older}/confirm", json={}, headers={"X-CSRFToken": token})

    assert answer.status_code == 409
    assert answer.json
    assert answer.json["location"] == f"/checkout/{older}?changed=quote"
    page = words(buyer.get(f"/checkout/{older}"))
    assert "A newer price replaced this one, perhaps in another tab." in page
    assert f"Go on with quote {newer}" in page


def test_a_promotion_that_ended_meanwhile_is_not_sold_and_the_page_says_so(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    code = shop.promotion("LAUNCH10", percent_off=10)
    older = customer.prepare(promotion_code="LAUNCH10")
    token = buyer.token(f"/checkout/{older}")
    shop.client.v1.promotion_codes.update(code, {"active": False})
    answer = buyer.post(f"/checkout/{older}/confirm", json={}, headers={"X-CSRFToken": token})
    assert answer.json
    refused = answer.json["location"]
    told = words(buyer.get(refused))
    renewed = words(follow(buyer, buyer.submit(f"/checkout/{older}/renew", page=refused)))

    assert answer.status_code == 409
    assert "The promotion code is no longer valid." in told
    assert "Promotion LAUNCH10 was taken off: This code is not valid." in renewed
    assert "Charged today: $12,582.00 before, $13,980.00 now." in renewed


def test_an_expired_quote_is_not_sold_and_leads_to_the_price_of_now(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    shop.advance(hours=24)
    page = buyer.get(f"/checkout/{quote_id}")
    renewed = follow(buyer, buyer.submit(f"/checkout/{quote_id}/renew", page=f"/checkout/{quote_id}"))

    assert "This price has expired." in words(page)
    assert "You were not charged for it." in words(page)
    assert f"This price replaces quote {quote_id}" in words(renewed)
    assert "The amounts are the same." in words(renewed)


def test_a_new_quote_names_what_changed(buyer: Browser, customer: Customer, shop: Shop) -> None:
    older = customer.prepare(promotion_code=None)
    shop.promotion("LAUNCH10", percent_off=10)
    newer = customer.prepare(promotion_code="LAUNCH10")
    text = words(buyer.get(f"/checkout/{newer}?instead_of={older}"))

    assert "Discount: $0.00 before, −$1,398.00 now." in text
    assert "Charged today: $13,980.00 before, $12,582.00 now." in text


def test_the_waiting_page_waits_until_the_webhook_came(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    shop.pay(customer.confirm(quote_id).client_secret or "")
    waiting = buyer.get(f"/checkout/{quote_id}/done?redirect_status=succeeded")
    polled = buyer.get(f"/checkout/{quote_id}/state").json
    customer.settle()
    then = buyer.get(f"/checkout/{quote_id}/state").json

    assert "Confirming your payment" in words(waiting)
    assert "You may close this page." in words(waiting)
    assert f'<meta http-equiv="refresh" content="3; url=/checkout/{quote_id}/done?waited=3">' in waiting.text
    assert polled == {
        "name": "awaiting_payment",
        "waiting": True,
        "message": "We wait for Stripe to confirm the payment. This takes a few seconds.",
        "location": None,
    }
    assert then
    assert then["location"] == f"/billing?welcome={quote_id}"


def test_a_webhook_that_never_comes_is_made_up_for_by_asking_stripe(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    shop.pay(customer.confirm(quote_id).client_secret or "")
    answer = buyer.get(f"/checkout/{quote_id}/done?waited=6")

    assert (answer.status_code, answer.location) == (303, f"/billing?welcome={quote_id}")


def test_a_declined_card_leads_back_to_the_payment_with_the_reason(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    quote_id = customer.prepare()
    secret = customer.confirm(quote_id).client_secret or ""
    with pytest.raises(stripe.CardError, match="insufficient funds"):
        shop.pay(secret, "pm_card_visa_chargeDeclinedInsufficientFunds")
    customer.settle()
    answer = buyer.get(f"/checkout/{quote_id}/done")
    text = words(follow(buyer, answer))

    assert answer.location == f"/checkout/{quote_id}"
    assert "The payment did not go through" in text
    assert "Your card has insufficient funds. You were not charged." in text
    assert "Pay $13,980.00 now" in text


def test_a_bank_debit_is_on_its_way_and_may_be_left(shop: Shop, buyer: Browser, customer: Customer) -> None:
    quote_id = customer.prepare()
    shop.pay(customer.confirm(quote_id).client_secret or "", "pm_usBankAccount_success")
    customer.settle()
    text = words(buyer.get(f"/checkout/{quote_id}/done"))

    assert "Your payment is on its way" in text
    assert "Go to the overview" in text


def test_a_payment_that_was_left_says_that_nothing_was_charged(buyer: Browser, customer: Customer) -> None:
    quote_id = customer.prepare()
    customer.confirm(quote_id)
    text = words(buyer.get(f"/checkout/{quote_id}/done?waited=5"))

    assert "The payment is not complete" in text
    assert "You were not charged." in text
    assert "Back to the payment" in text


def test_back_after_paying_shows_what_was_bought(buyer: Browser, customer: Customer) -> None:
    quote_id = customer.buy()

    assert buyer.get(f"/checkout/{quote_id}").location == f"/billing?welcome={quote_id}"


def test_who_has_bought_is_not_sold_to_again(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    answer = buyer.get(CHOICE)

    assert answer.location == "/billing"
    assert "This workspace has a subscription already." in words(buyer.get("/billing"))


def test_a_quote_of_another_workspace_does_not_exist(app: Flask, buyer: Browser, customer: Customer) -> None:
    quote_id = customer.prepare()
    stranger = app.test_client()
    other = factories.account(app, email="eve@other.example", company_name="Other Ltd")
    assert isinstance(stranger, Browser)
    stranger.sign_in(other.email, other.password)

    for path in ("", "/state", "/done"):
        assert stranger.get(f"/checkout/{quote_id}{path}").status_code == 404


def test_the_payment_page_loads_scripts_from_here_and_from_stripe_only(
    selling: Gateways, signed_in: Browser
) -> None:
    page = follow(signed_in, signed_in.submit(CHOICE, IN_CALIFORNIA)).text
    sources = re.findall(r"<script[^>]*src=\"([^\"]+)\"", page)

    assert [re.sub(r"/assets/[0-9a-f]+", "/assets", each) for each in sources] == [
        "/assets/js/page.js",
        "http://localhost:1/endive/stripe.js",
        "/assets/js/checkout.js",
    ]
    assert not re.search(r"<script(?![^>]*src)", page)
    assert not re.search(r"\son\w+=|\sstyle=", page)


def test_the_summary_stands_before_the_button_for_who_reads_in_order(
    selling: Gateways, signed_in: Browser
) -> None:
    page = follow(signed_in, signed_in.submit(CHOICE, IN_CALIFORNIA))

    assert "Quote Q-" in block(page, "summary-title")


def test_coming_back_without_a_choice_offers_the_quote_that_still_holds(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    customer.prepare()
    quote_id = customer.prepare()
    text = words(buyer.get("/checkout"))
    shop.advance(hours=24)
    afterwards = buyer.get("/checkout")

    assert re.search(rf"Your quote {quote_id} still holds until \d+ \w+ \d{{4}}, \d\d:\d\d UTC\.", text)
    assert "Charged today $13,980.00" in text
    assert f"Go on with quote {quote_id}" in text
    assert (afterwards.status_code, afterwards.location) == (303, "/pricing")


def test_an_old_quote_of_a_workspace_that_has_bought_leads_to_the_overview(
    buyer: Browser, customer: Customer
) -> None:
    older = customer.prepare()
    customer.buy()
    page = buyer.get(f"/checkout/{older}")

    assert "This workspace has a subscription already" in words(page)
    assert "Show the price of now" not in words(page)
    assert '<a class="button button-primary button-wide" href="/billing">Go to the overview</a>' in page.text
