"""/billing/leaving: what leaving means, said before it is done; the export; the deletion."""

import io
import zipfile

from flask import Flask
from sqlalchemy import update

from portal.db import unit_of_work
from portal.models import Invoice, Member, Subscription
from portal.pricing import Selection
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.lots import buy
from tests.services.test_change_payments import debit_payer, pays_with
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import words

LEAVING = "/billing/leaving"


def submit(browser: Browser, path: str, page: str = LEAVING, **data: str) -> str:
    answer = browser.submit(path, data, page=page, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return words(answer)


def test_who_has_nothing_has_nothing_to_end(signed_in: Browser) -> None:
    text = words(signed_in.get(LEAVING))

    assert "There is none, so nothing is charged and there is nothing to end." in text
    assert signed_in.get(f"{LEAVING}/end").location == LEAVING


def test_before_it_ends_it_says_what_happens_to_everything(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    subscription = customer.subscription()
    assert subscription
    assert subscription.renews_at
    day = f"{subscription.renews_at:%-d %B %Y}"
    text = words(buyer.get(f"{LEAVING}/end"))

    assert f"Everything works as now until {day}. You can take this back until then." in text
    assert "They are paid until that day and do not renew." in text
    assert f"What is used until {day} is billed then, for the last time." in text
    assert "An estimate: $0.00 so far, with tax" in text
    assert "Everybody keeps their login and sees the invoices here as before." in text
    assert f"End it on {day}" in text


def test_a_trial_that_is_ended_costs_nothing_on_any_page(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    before, at_once = (words(buyer.get(f"{LEAVING}/{end}")) for end in ("end", "end-now"))
    ended = submit(buyer, f"{LEAVING}/end", f"{LEAVING}/end")
    overview = words(buyer.get("/billing"))

    for page in (before, at_once):
        assert "Usage It is free in the trial, and nothing of it will be billed." in page
        assert "Last invoice There is none: a trial that ends without being continued costs nothing." in page
        assert "billed then" not in page
        assert "is billed now" not in page
        assert "what you paid for" not in page
    assert "and the subscription with it. Until then everything works. Nothing is ever charged." in ended
    assert "Until then everything works. Nothing is charged for the trial." in overview
    assert "Nothing is charged: the subscription ends with the trial." in overview
    assert "On that day the first payment is taken" not in overview
    assert "so nothing is billed." in words(buyer.get("/billing/invoices/next"))


def test_it_is_ended_and_kept_with_a_click_each(buyer: Browser, customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    ended = submit(buyer, f"{LEAVING}/end", f"{LEAVING}/end", feedback="unused", comment="Too quiet.")
    assert "Keep the subscription" in ended
    assert "It ends on" in ended
    assert "Your subscription ends on" in words(buyer.get("/billing"))
    details = shop.subscriptions()[0].cancellation_details
    assert details
    assert details.feedback == "unused"

    kept = submit(buyer, f"{LEAVING}/keep")
    assert "Done. Your subscription goes on as before." in kept
    assert shop.subscriptions()[0].cancel_at is None


def test_ended_now_it_says_what_is_not_given_back_and_leads_back_with_the_old_choice(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy()
    page = words(buyer.get(f"{LEAVING}/end-now"))
    assert "It ends at once, for everybody, and cannot be taken back." in page
    assert "The unused time is not refunded and not credited" in page
    assert "Nothing is open, so nothing more is charged." in page

    ended = buyer.submit(f"{LEAVING}/end-now", page=f"{LEAVING}/end-now", follow_redirects=True)
    back = "/pricing?tier=advanced&amp;interval=year&amp;seats=12&amp;copilot=5"
    assert f'href="{back}"' in ended.text
    assert f'href="{back}"' in buyer.get("/billing").text
    assert "the price is today's" in words(ended)
    choice = words(buyer.get("/pricing?tier=advanced&interval=year&seats=12&copilot=5"))
    assert "$13,980.00" in choice


def test_what_is_not_paid_is_not_called_paid(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Subscription).values(status="past_due"))
        session.execute(update(Invoice).values(status="open"))
    page, end = words(buyer.get(LEAVING)), words(buyer.get(f"{LEAVING}/end"))

    assert "Its last invoice is not paid." in page
    assert "They do not renew. The invoice for the present period is not paid and stays due." in end
    assert "is not paid. It stays due, whichever way you leave." in end
    assert "paid until" not in page + end
    assert "It stays as it is now only if the open invoice is paid in time" in end
    assert "what you paid for" not in words(buyer.get(f"{LEAVING}/end-now"))
    assert "Everything works as now" not in end


def test_by_the_year_what_was_used_so_far_is_not_told_as_part_of_the_last_invoice(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy()
    subscription = customer.subscription()
    assert subscription
    assert subscription.usage_period_end
    end = words(buyer.get(f"{LEAVING}/end"))

    day = f"{subscription.usage_period_end:%-d %B %Y}"
    assert "It bills what is used in the last month before the end, which nobody knows yet." in end
    assert f"What was used so far and not billed yet, $0.00 with tax, is billed on {day}." in end


def test_a_debit_that_is_on_its_way_is_not_called_unpaid(buyer: Browser, customer: Customer) -> None:
    changer = debit_payer(customer)
    changer.change(seats=15)
    end = words(buyer.get(f"{LEAVING}/end"))

    assert "is on its way, and is taken whichever way you leave." in end
    assert "is not paid" not in end


def test_a_change_that_was_not_paid_is_not_said_to_stay_due(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    pays_with(changer, "pm_card_authenticationRequired")
    quote = changer.prepare(seats=15)
    changer.confirm(quote)
    customer.settle()
    end = words(buyer.get(f"{LEAVING}/end"))
    submit(buyer, f"{LEAVING}/end", f"{LEAVING}/end")
    customer.settle()

    assert changer.quote(quote).amount_due == 29700
    assert "$297.00" not in end
    assert "stays due" not in end
    assert changer.state(quote) == "expired"


def test_stripe_being_away_keeps_nobody_from_leaving(buyer: Browser, customer: Customer, shop: Shop) -> None:
    customer.buy()
    shop.faults.fail("refused", "create_preview", times=3)
    shop.faults.fail("timeout_before", shop.subscriptions()[0].id, times=3)
    assert "It cannot be reckoned right now." in words(buyer.get(f"{LEAVING}/end"))
    waiting = submit(buyer, f"{LEAVING}/end", f"{LEAVING}/end")

    assert "We have noted it, and Stripe has not answered yet." in waiting
    assert "We are telling Stripe about it" in waiting


def test_a_comment_that_is_too_long_is_said_beside_the_field(buyer: Browser, customer: Customer) -> None:
    customer.buy()
    answer = buyer.submit(f"{LEAVING}/end", {"comment": "x" * 501, "feedback": "nonsense"})

    assert answer.status_code == 422
    assert "Use at most 500 characters." in words(answer)
    assert 'id="comment-error"' in answer.text
    assert customer.subscription().cancel_at is None  # type: ignore[union-attr]


def test_the_export_is_a_zip_for_the_owner_alone(app: Flask, buyer: Browser, customer: Customer) -> None:
    customer.buy()
    answer = buyer.submit(f"{LEAVING}/export", page=LEAVING)

    assert answer.mimetype == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="workspace.zip"'
    assert "invoices.json" in zipfile.ZipFile(io.BytesIO(answer.data)).namelist()
    assert "Exported the workspace's data" in words(buyer.get("/billing/activity"))
    admin = app.test_client()
    assert isinstance(admin, Browser)
    account = factories.member(app, customer.workspace_id, role="admin")
    admin.sign_in(account.email, account.password)
    assert admin.submit(f"{LEAVING}/export", page="/account").status_code == 403


def test_deletion_says_what_goes_and_what_stays_and_can_be_taken_back(signed_in: Browser) -> None:
    page = words(signed_in.get(f"{LEAVING}/deletion"))
    assert "Kept for 10 years" in page
    assert "every login that belongs to no other workspace" in page
    assert "who changed what, with the e-mail address of whoever did it" in page

    asked = submit(signed_in, f"{LEAVING}/deletion", f"{LEAVING}/deletion")
    assert "This workspace will be deleted on" in asked
    assert signed_in.get(f"{LEAVING}/deletion").location == LEAVING
    assert "Done. Nothing will be deleted." in submit(signed_in, f"{LEAVING}/deletion/withdraw")


def test_a_subscription_that_renews_is_ended_first(buyer: Browser, customer: Customer) -> None:
    customer.buy()

    assert "First end the subscription" in words(buyer.get(LEAVING))
    assert buyer.get(f"{LEAVING}/deletion").location == LEAVING
    assert "End the subscription first. Nothing was changed." in submit(buyer, f"{LEAVING}/deletion")


def test_what_becomes_of_credits_is_said_before_it_ends(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    without = words(buyer.get(f"{LEAVING}/end"))
    buy(Workspace(customer.gateways, customer.workspace_id), 100)
    text = words(buyer.get(f"{LEAVING}/end"))

    assert "Credits 100 resolutions" not in without
    assert "100 resolutions are left of your packs, for which you paid $99.00 before tax." in text
    assert "The last invoice still draws on them." in text
    assert "its price is not paid back" in text


def test_inviting_promises_no_price_of_a_seat_that_a_subscription_that_ends_cannot_add(
    buyer: Browser, customer: Customer
) -> None:
    customer.buy(Selection("essential", 1, "month"))
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Member).values(seat="full"))
    submit(buyer, f"{LEAVING}/end", f"{LEAVING}/end")
    form = words(buyer.get("/billing/seats/invite"))
    asked = {"email": "joan@oak.example", "role": "member", "seat": "full"}
    answer = buyer.submit("/billing/seats/invite", asked)
    after = words(buyer.get(answer.location))

    assert "$39.00" not in form
    assert "Needs one more seat. If one can be added, you see its exact price" in form
    assert answer.location == "/billing/seats"
    assert "Here is what one more costs" not in after
    assert "1 invited person will find no free seat" in after
