"""Ending the subscription: at the end of what is paid, at once, and not after all."""

import pytest
from sqlalchemy import select, update

from portal.db import unit_of_work
from portal.gateways.mail import FolderMail
from portal.models import AuditEntry, Cancellation
from portal.services import leaving, notices
from portal.services.leaving import AT_PERIOD_END, KEEP, NOW, NothingToEndError, StillEndingError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.shop import TWELVE_BY_THE_MONTH, Shop, taken_once


@taken_once
def ask(customer: Customer, kind: str, **answers: str) -> None:
    leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, kind, **answers)
    customer.settle()


def intents(customer: Customer) -> list[tuple[str, str]]:
    with unit_of_work(customer.workspace_id) as session:
        return sorted((row.kind, row.state) for row in session.scalars(select(Cancellation)))


def history(customer: Customer, noun: str = "cancellation") -> list[str]:
    with unit_of_work(customer.workspace_id) as session:
        found = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        return [action for action in found if action.startswith(noun)]


def test_it_runs_to_the_end_of_what_is_paid_and_stops(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    ask(customer, AT_PERIOD_END, feedback="too_expensive", comment="Sorry.")
    kept = customer.subscription()
    assert kept
    assert (kept.access, kept.status, kept.cancel_at) == ("active", "active", kept.renews_at)
    details = shop.subscriptions()[0].cancellation_details
    assert details
    assert (details.feedback, details.comment) == ("too_expensive", "Sorry.")
    assert customer.mails("subscription_ending") == 1

    shop.advance(days=32)
    customer.settle()
    assert customer.access() == "ended"
    assert customer.mails("subscription_ended") == 1
    assert len(shop.charges()) == 1


def test_seats_by_the_year_run_for_the_whole_year_although_usage_is_billed_monthly(
    customer: Customer, shop: Shop
) -> None:
    customer.buy()
    ask(customer, AT_PERIOD_END)
    kept = customer.subscription()

    assert kept
    assert kept.renews_at
    assert kept.usage_period_end
    assert kept.cancel_at == kept.renews_at
    assert (kept.renews_at - kept.usage_period_end).days > 300


def test_a_planned_end_is_taken_back_and_the_subscription_renews(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    ask(customer, AT_PERIOD_END)
    ask(customer, KEEP)
    kept = customer.subscription()
    assert kept
    assert kept.cancel_at is None
    assert customer.mails("subscription_kept") == 1

    shop.advance(days=32)
    customer.settle()
    assert customer.access() == "active"
    assert history(customer) == ["cancellation.asked", "cancellation.done"] * 2


def test_an_end_that_support_planned_in_the_other_field_is_taken_back_too(
    customer: Customer, shop: Shop
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    shop.client.v1.subscriptions.update(shop.subscriptions()[0].id, {"cancel_at_period_end": True})
    customer.settle()
    planned = customer.subscription()
    ask(customer, KEEP)
    kept = customer.subscription()

    assert planned
    assert planned.cancel_at is not None
    assert kept
    assert kept.cancel_at is None
    assert shop.subscriptions()[0].cancel_at_period_end is False


def test_ended_at_once_access_is_over_and_nothing_is_given_back(customer: Customer, shop: Shop) -> None:
    customer.buy()
    ask(customer, NOW, feedback="other")

    assert customer.access() == "ended"
    assert shop.subscriptions()[0].status == "canceled"
    assert customer.mails("subscription_ended") == 1
    shop.advance(hours=2)
    customer.settle()
    invoice = shop.client.v1.invoices.list({"limit": 1}).data[0]
    # usage is on the last invoice; the sandbox counts none
    assert (invoice.billing_reason, invoice.total, invoice.amount_paid) == ("subscription_cycle", 0, 0)
    assert len(shop.charges()) == 1


def test_a_trial_that_is_ended_charges_nothing(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    ask(customer, AT_PERIOD_END)
    trial = customer.subscription()
    assert trial
    assert trial.cancel_at == trial.trial_end

    shop.advance(days=15)
    customer.settle()
    assert customer.access() == "ended"
    assert shop.charges() == []


def test_who_has_ended_a_trial_is_written_of_no_charge(
    customer: Customer, shop: Shop, mailbox: FolderMail
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    ask(customer, AT_PERIOD_END)
    shop.advance(days=12)
    customer.settle()
    reminded = notices.sweep_trials(customer.gateways), customer.mails("trial_reminder")
    shop.advance(days=3)
    customer.settle()
    told = " ".join(str(mail.get_body(("plain",)).get_content()) for _, mail in mailbox.read())

    assert reminded == (0, 0)
    assert "Nothing is charged for the trial." in told
    assert "with its trial. Nothing is charged." in told
    assert "What is used until then is billed once more" not in told
    assert "is on the last invoice" not in told
    assert "we charge" not in told


def test_who_keeps_a_trial_after_all_is_reminded_of_its_end(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    ask(customer, AT_PERIOD_END)
    shop.advance(days=12)
    customer.settle()
    ask(customer, KEEP)
    notices.sweep_trials(customer.gateways)

    assert customer.mails("trial_reminder") == 1


def test_a_subscription_whose_renewal_failed_can_be_ended(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    subscription = shop.subscriptions()[0]
    broken = shop.client.v1.payment_methods.attach(
        "pm_card_chargeCustomerFail", {"customer": str(subscription.customer)}
    )
    shop.client.v1.subscriptions.update(subscription.id, {"default_payment_method": broken.id})
    shop.advance(days=32)
    customer.settle()
    late = customer.subscription()
    assert late
    assert late.status == "past_due"

    ask(customer, AT_PERIOD_END)
    ending = customer.subscription()
    assert ending
    assert ending.cancel_at == ending.renews_at
    ask(customer, NOW)
    assert shop.subscriptions()[0].status == "canceled"


def test_the_second_click_changes_nothing(customer: Customer, shop: Shop) -> None:
    customer.buy()
    for kind in (KEEP, AT_PERIOD_END, AT_PERIOD_END, KEEP, KEEP, NOW, NOW):
        ask(customer, kind)

    assert intents(customer) == [(AT_PERIOD_END, "done"), (KEEP, "done"), (NOW, "done")]


def test_where_nothing_runs_nothing_can_be_ended(customer: Customer) -> None:
    for kind in (AT_PERIOD_END, NOW, KEEP):
        with pytest.raises(NothingToEndError):
            ask(customer, kind)

    assert intents(customer) == []


@pytest.mark.parametrize(
    ("kind", "fault"), [(AT_PERIOD_END, "timeout_before"), (AT_PERIOD_END, "reset"), (NOW, "error_after")]
)
def test_what_stripe_did_not_answer_goes_on_by_itself_and_is_done_once(
    customer: Customer, shop: Shop, kind: str, fault: str
) -> None:
    customer.buy()
    path = shop.subscriptions()[0].id
    method = "POST" if kind == AT_PERIOD_END else "DELETE"
    shop.faults.fail(fault, path, method=method, times=3)
    with pytest.raises(StillEndingError):
        ask(customer, kind)
    shop.faults.mend()
    assert intents(customer) == [(kind, "open")]

    leaving.sweep(customer.gateways, left_behind_after=leaving.timedelta(0))
    customer.settle()
    assert intents(customer) == [(kind, "done")]
    assert len(set(shop.faults.keys(path, method))) == 1
    assert customer.mails(leaving.LETTERS[kind]) == 1


def test_a_click_meanwhile_finishes_what_was_begun_and_then_does_its_own(
    customer: Customer, shop: Shop
) -> None:
    customer.buy()
    shop.faults.fail("timeout_after", shop.subscriptions()[0].id, times=3)
    with pytest.raises(StillEndingError):
        ask(customer, AT_PERIOD_END)
    shop.faults.mend()
    ask(customer, KEEP)
    kept = customer.subscription()

    assert intents(customer) == [(AT_PERIOD_END, "done"), (KEEP, "done")]
    assert kept
    assert kept.cancel_at is None


def test_a_definite_no_changes_nothing_and_is_said(customer: Customer, shop: Shop) -> None:
    customer.buy()
    shop.faults.fail("refuse", shop.subscriptions()[0].id)
    with pytest.raises(leaving.EndingRefusedError, match="cannot be done"):
        ask(customer, AT_PERIOD_END)

    assert intents(customer) == [(AT_PERIOD_END, "refused")]
    assert history(customer) == ["cancellation.asked", "cancellation.refused"]


def test_an_end_that_stripe_heard_of_after_the_renewal_is_reported(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    shop.faults.fail("timeout_before", shop.subscriptions()[0].id, times=3)
    with pytest.raises(StillEndingError):
        ask(customer, AT_PERIOD_END)
    shop.faults.mend()
    shop.advance(days=32)
    customer.settle()
    leaving.sweep(customer.gateways, left_behind_after=leaving.timedelta(0))
    customer.settle()

    assert customer.incidents() == ["cancellation_late"]
    assert intents(customer) == [(AT_PERIOD_END, "done")]


def test_what_is_open_is_told_before_anything_is_done(customer: Customer, shop: Shop) -> None:
    customer.buy()
    found = customer.subscription()
    assert found
    usage = leaving.open_usage(customer.gateways, found)

    assert usage
    assert usage.amount_due == 0
    assert shop.subscriptions()[0].status == "active"


def test_a_change_that_waits_for_the_renewal_is_taken_back_first(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    changer.change(seats=9)
    assert changer.planned()
    ask(customer, AT_PERIOD_END)
    ending = customer.subscription()

    assert ending
    assert ending.cancel_at == ending.renews_at
    assert changer.planned() is None
    assert history(customer, "change") == ["change.planned", "change.undone"]
    assert shop.subscriptions()[0].schedule is None


def test_a_crash_between_the_planned_change_and_the_end_is_made_good(customer: Customer, shop: Shop) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    changer = Changer(customer)
    changer.change(seats=9)
    shop.faults.fail("kill_before", "/release")
    with pytest.raises(Killed):
        ask(customer, AT_PERIOD_END)
    with unit_of_work(customer.workspace_id) as session:
        # its claim is let go by the database's time
        session.execute(update(Cancellation).values(claimed_until=None))
    assert intents(customer) == [(AT_PERIOD_END, "open")]

    leaving.sweep(customer.gateways, left_behind_after=leaving.timedelta(0))
    customer.settle()
    ending = customer.subscription()
    assert intents(customer) == [(AT_PERIOD_END, "done")]
    assert ending
    assert ending.cancel_at == ending.renews_at


def test_after_the_end_the_workspace_buys_again(customer: Customer, shop: Shop) -> None:
    customer.buy()
    ask(customer, NOW)
    shop.advance(hours=2)
    customer.settle()
    customer.buy(TWELVE_BY_THE_MONTH)

    assert customer.access() == "active"
    assert intents(customer) == [(NOW, "done")]
