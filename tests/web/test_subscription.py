"""/billing/subscription: the form, the binding quote of a change, confirming it, and what is planned.

Bought on 1 March 2027; half of March is over, so half a period is left to the second.
"""

import re
from datetime import UTC, datetime

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from portal.db import unit_of_work
from portal.models import Member
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.lots import buy
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import block, words

PAGE = "/billing/subscription"
FIRST_OF_MARCH = datetime(2027, 3, 1, tzinfo=UTC)
FORM = {
    "whole": "1",
    "tier": "advanced",
    "interval": "month",
    "seats": "12",
    "copilot": "5",
    "proactive_support": "1",
    "when": "due",
}


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """Time stands at the first of March until a test turns the clock."""
    shop.stand_at(FIRST_OF_MARCH)
    return shop


@pytest.fixture
def subscriber(shop: Shop, buyer: Browser, customer: Customer) -> Browser:
    """The browser of a company that bought on 1 March, at noon of the 16th."""
    customer.buy(TWELVE_BY_THE_MONTH)
    shop.advance(days=15, hours=12)
    customer.settle()
    return buyer


def ask(browser: Browser, **changed: str) -> TestResponse:
    """Send the form with this changed; where it leads."""
    answer = browser.submit(PAGE, {name: value for name, value in (FORM | changed).items() if value})
    return browser.get(answer.location) if answer.status_code == 303 else answer


def quote_of(page: TestResponse) -> str:
    found = re.search(r"Q-[0-9A-Z]{10}", page.request.path)
    assert found, page.request.path
    return found.group()


def confirm(browser: Browser, page: TestResponse) -> TestResponse:
    """Press the button of a quote's page, without scripts."""
    quote = page.request.path
    answer = browser.submit(f"{quote}/confirm", page=quote)
    assert answer.status_code == 303, words(answer)
    return browser.get(answer.location)


def test_the_form_shows_what_is_had_and_the_address_changes_only_what_it_names(subscriber: Browser) -> None:
    page, prefilled = subscriber.get(PAGE), subscriber.get(f"{PAGE}?seats=13")
    text = words(page)

    assert "Advanced seat × 12 $1,188.00" in text
    assert "Each month, before tax $1,462.00" in text
    assert "You have 12. One more: $49.50 now, then $99.00 a month, before tax." in text
    assert "Nothing changes yet." in text
    assert "Seats: 13 instead of 12" in block(prefilled, "preview")
    assert "Then each month $1,561.00" in words(prefilled)
    assert re.search(r'name="proactive_support" value="1" checked', prefilled.text)


def test_what_is_wrong_or_there_already_is_said_and_makes_no_quote(subscriber: Browser) -> None:
    wrong, same = ask(subscriber, seats="0", copilot="x"), ask(subscriber)

    assert (wrong.status_code, same.status_code) == (422, 409)
    assert "Seats: enter a number from 1 to 5,000." in block(wrong, "seats-error")
    assert "enter a whole number" in block(wrong, "copilot-error")
    assert "This is what you have already." in words(same)


def test_one_more_seat_is_explained_charged_as_quoted_and_proven(
    shop: Shop, subscriber: Browser, customer: Customer
) -> None:
    page = ask(subscriber, seats="13")
    text = words(page)
    confirm(subscriber, page)
    customer.settle()
    done = words(subscriber.get(f"{page.request.path}/done"))

    assert "Unused: Advanced seat × 12 16 March 2027 to 1 April 2027 −$594.00" in text
    assert "Advanced seat × 13 16 March 2027 to 1 April 2027 $643.50" in text
    assert "13 seats × $99.00 a month = $1,287.00" in text
    assert "15 days 12 hours of 31 days are left: $1,287.00 × 1,339,200 ÷ 2,678,400 seconds = $643.50" in text
    assert "Charged now $49.50" in text
    assert "Pay $49.50 now" in text
    assert "Renews on 1 April 2027 for $1,561.00 a month before tax, instead of $1,462.00 a month." in text
    assert "The change is done" in done
    assert f"Quote {quote_of(page)} matched to the cent" in done
    assert [charge.amount for charge in shop.charges()] == [4_950, 146_200]


def test_fewer_seats_wait_for_the_renewal_cost_nothing_and_are_undone(
    shop: Shop, subscriber: Browser, customer: Customer
) -> None:
    page = ask(subscriber, seats="10")
    done = confirm(subscriber, page)
    overview = subscriber.get("/billing")
    undone = subscriber.submit(f"{PAGE}/undo", page=PAGE)

    assert "Change at renewal on 1 April 2027" in words(page)
    assert "Charged now $0.00" in words(page)
    assert "It takes effect on 1 April 2027. You can undo it until then." in words(done)
    assert "Seats: 10 instead of 12. Then $1,264.00 a month before tax." in words(overview)
    assert "after the planned change, before tax, with the usage before $1,264.00" in words(overview)
    assert "The planned change is undone." in words(subscriber.get(undone.location))
    assert len(shop.charges()) == 1


def test_fewer_seats_now_are_credited_to_the_balance_to_the_cent(
    subscriber: Browser, customer: Customer
) -> None:
    page = ask(subscriber, seats="10", when="now")
    text = words(page)
    confirm(subscriber, page)
    customer.settle()

    assert "Credited now −$99.00" in text
    assert "The credit goes to the balance of your account, and pays your next invoices first." in text
    assert "Confirm, nothing to pay now" in text
    assert f"Quote {quote_of(page)} matched to the cent" in words(subscriber.get(f"{page.request.path}/done"))
    assert customer.subscription().seats == 10


def test_an_add_on_that_goes_now_says_when_what_was_used_of_it_is_charged(
    shop: Shop, subscriber: Browser, customer: Customer
) -> None:
    """700 messages, 500 of them included: the others are on the invoice of their month."""
    [subscription] = shop.subscriptions()
    payload = {"stripe_customer_id": str(subscription.customer), "value": "700"}
    event = {"event_name": "proactive_message", "payload": payload, "timestamp": shop.sandbox.now() - 3600}
    shop.client.v1.billing.meter_events.create(event)  # type: ignore[arg-type]
    page = ask(subscriber, proactive_support="", when="now")
    text = words(page)
    confirm(subscriber, page)
    customer.settle()
    done = words(subscriber.get(f"{page.request.path}/done"))

    assert "when the month of usage ends Proactive messages: not sold any more" in text
    assert "What is used until 1 April 2027 is charged on that day, at the prices that you have now." in text
    assert "Credited now −$49.50" in text
    assert f"Quote {quote_of(page)} matched to the cent" in done


def test_before_another_tier_is_confirmed_it_is_said_that_packs_stay(
    subscriber: Browser, customer: Customer
) -> None:
    stays = "What is left of your packs, 100 resolutions, stays and is used to its end"
    assert stays not in words(ask(subscriber, tier="expert"))
    buy(Workspace(customer.gateways, customer.workspace_id), 100)

    assert stays in words(ask(subscriber, tier="expert"))
    assert stays in words(ask(subscriber, tier="essential"))
    assert stays not in words(ask(subscriber, seats="13"))


def test_the_same_change_at_the_other_time_is_one_click_away(subscriber: Browser) -> None:
    page = ask(subscriber, seats="10")
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    answer = subscriber.post(PAGE, data=hidden)

    assert "Show the exact credit" in words(page)
    assert "Credited now −$99.00" in words(subscriber.get(answer.location))


def test_an_add_on_for_every_seat_goes_along_with_fewer_seats(subscriber: Browser) -> None:
    page = words(subscriber.get(f"{PAGE}?seats=4"))

    assert "Seats: 4 instead of 12" in page
    assert "Copilot: for 4 seats instead of 5" in page
    assert "Check what you entered" not in page


def test_up_now_and_down_at_the_renewal_stand_in_one_quote(subscriber: Browser) -> None:
    page = ask(subscriber, tier="expert", proactive_support="")
    text = words(page)

    assert "Tier: Expert instead of Advanced" in text
    assert "Proactive Support: removed" in text
    assert "30 more lite seats (50 in all)" in text
    assert "500 messages a month that are included" in text
    assert "Pay $240.00 now" in text


def test_a_planned_change_survives_a_further_one(subscriber: Browser) -> None:
    confirm(subscriber, ask(subscriber, seats="10"))
    form = subscriber.get(f"{PAGE}?copilot=6")
    page = ask(subscriber, seats="10", copilot="6")

    assert 'name="seats" value="10"' in form.text
    assert "Copilot: for 6 seats instead of 5" in words(page)
    assert "On 1 April 2027, at the renewal Seats: 10 instead of 12" in words(page)


def test_people_who_lose_a_seat_are_chosen_by_how_long_they_were_away(
    app: Flask, subscriber: Browser, workspace: factories.Account
) -> None:
    _seat(app, workspace, "ann@acme.example", datetime(2027, 3, 10, tzinfo=UTC))
    _seat(app, workspace, "bob@acme.example", datetime(2027, 1, 2, tzinfo=UTC))
    form = subscriber.get(f"{PAGE}?seats=1&copilot=1")
    page = ask(subscriber, seats="1", copilot="1")
    too_few = ask(subscriber, seats="1", copilot="1", chosen_for="1")

    assert re.search(r'value="\d+" checked[^>]*>\s*<label[^>]*>bob@acme.example', form.text)
    assert not re.search(r'value="\d+" checked[^>]*>\s*<label[^>]*>ann@acme.example', form.text)
    assert "Last here on 2 January 2027" in words(form)
    assert "bob@acme.example: a lite seat instead of a full one" in words(page)
    assert too_few.status_code == 422
    assert "Choose as many people as there are too few seats: 1, not 0." in words(too_few)


def test_in_a_trial_fewer_seats_take_effect_at_once_on_the_form_as_in_the_quote(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    form = words(buyer.get(f"{PAGE}?seats=10"))
    quote = ask(buyer, seats="10")
    both = ask(buyer, seats="10", when="now")

    assert "Now Seats: 10 instead of 12" in form.replace("\n", " ")
    assert "In the trial every change takes effect at once, and nothing is charged before its end." in form
    assert "What you give up stays yours" not in form
    assert "at the renewal Seats: 10" not in form.replace("\n", " ")
    for page in (quote, both):
        assert "Now Seats: 10 instead of 12" in words(page).replace("\n", " ")
        assert "What is given up can also stay until the renewal" not in words(page)


def test_whom_a_planned_change_takes_a_seat_from_is_shown_and_stays_so_through_further_ones(
    app: Flask, subscriber: Browser, workspace: factories.Account
) -> None:
    ann = _seat(app, workspace, "ann@acme.example", datetime(2027, 3, 10, tzinfo=UTC))
    _seat(app, workspace, "bob@acme.example", datetime(2027, 1, 2, tzinfo=UTC))
    other_tab = ask(subscriber, proactive_support="")
    confirm(subscriber, ask(subscriber, seats="1", copilot="1", chosen_for="1", leaver=str(ann)))
    planned, seats = words(subscriber.get(PAGE)), words(subscriber.get("/billing/seats"))
    further = ask(subscriber, seats="1", copilot="1", tier="expert")
    answer = subscriber.submit(f"{other_tab.request.path}/renew", page=other_tab.request.path)
    renewed = subscriber.get(answer.location)

    lost = "ann@acme.example: a lite seat instead of a full one"
    assert f"Who loses a seat then: {lost}" in planned.replace("\n", " ")
    assert f"Who loses a seat then: {lost}." in seats
    for page in (further, renewed):
        assert lost in words(page)
        assert "bob@acme.example" not in words(page)


def test_whom_an_old_price_was_asked_for_is_kept_when_it_is_asked_for_anew(
    app: Flask, shop: Shop, subscriber: Browser, workspace: factories.Account
) -> None:
    ann = _seat(app, workspace, "ann@acme.example", datetime(2027, 3, 10, tzinfo=UTC))
    bob = _seat(app, workspace, "bob@acme.example", datetime(2027, 1, 2, tzinfo=UTC))
    confirm(subscriber, ask(subscriber, seats="1", copilot="1", chosen_for="1", leaver=str(ann)))
    other = ask(subscriber, seats="1", copilot="1", tier="expert", chosen_for="1", leaver=str(bob))
    shop.advance(minutes=31)
    answer = subscriber.submit(f"{other.request.path}/renew", page=other.request.path)
    renewed = words(subscriber.get(answer.location))

    assert "bob@acme.example: a lite seat instead of a full one" in renewed
    assert "ann@acme.example: a lite seat" not in renewed


def _seat(app: Flask, workspace: factories.Account, email: str, active: datetime | None) -> int:
    made = factories.member(app, workspace.workspace_id, email=email)
    with unit_of_work(workspace.workspace_id) as session:
        member = session.query(Member).filter_by(user_id=made.user_id).one()
        member.seat, member.last_active_at = "full", active
        return member.id


def test_what_another_tab_changed_is_told_and_kept_in_the_new_quote(
    subscriber: Browser, customer: Customer
) -> None:
    mine = ask(subscriber, copilot="6")
    confirm(subscriber, ask(subscriber, seats="13"))
    customer.settle()
    told = subscriber.get(mine.request.path)
    answer = subscriber.submit(f"{mine.request.path}/renew", page=mine.request.path)
    renewed = words(subscriber.get(answer.location))

    assert "Seats: 13 instead of 12" in words(told)
    assert "You were not charged for it, and nothing of it was changed." in words(told)
    assert "Copilot: for 6 seats instead of 5" in renewed
    assert "Seats:" not in renewed


def test_a_quote_expires_after_half_an_hour_and_is_renewed_in_one_click(
    shop: Shop, subscriber: Browser
) -> None:
    mine = ask(subscriber, seats="13")
    shop.advance(minutes=31)
    told = subscriber.get(mine.request.path)
    answer = subscriber.submit(f"{mine.request.path}/renew", page=mine.request.path)

    assert "This price no longer holds" in words(told)
    assert re.search(r"Pay \$49\.\d\d now", words(subscriber.get(answer.location)))


def test_who_may_not_spend_sees_no_form_and_no_links_to_it(
    app: Flask, subscriber: Browser, workspace: factories.Account
) -> None:
    reader = factories.member(app, workspace.workspace_id)
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(reader.email, reader.password)

    assert other.get(PAGE).status_code == 403
    assert "Add seats" not in words(other.get("/billing"))


def test_the_quote_of_a_first_purchase_is_no_change_and_the_other_way_round(
    subscriber: Browser, customer: Customer
) -> None:
    first = customer.subscription().quote_id
    change = quote_of(ask(subscriber, seats="13"))

    assert subscriber.get(f"{PAGE}/{first}/done").status_code == 404
    assert subscriber.get(f"/checkout/{change}").location == f"{PAGE}/{change}"


def test_without_a_subscription_there_is_nothing_to_change(signed_in: Browser) -> None:
    assert signed_in.get(PAGE).location == "/billing"
