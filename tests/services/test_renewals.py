"""After the first purchase: renewals that are paid, that fail, and whose days of grace run out."""

import pytest
from sqlalchemy import delete, func, select, update

from portal.db import unit_of_work
from portal.models import BillingDetails, InboxEvent, Mail
from portal.services import inbox, notices, sweeping
from portal.services.event_handlers import HANDLERS
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def renew(customer: Customer, **delta: int) -> None:
    customer.shop.advance(**delta)
    customer.settle()


def card_that_stops_working(customer: Customer) -> None:
    """The card on file is exchanged for one whose charges fail."""
    account = customer.shop.client.v1
    [subscription] = customer.shop.subscriptions()
    method = account.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": subscription.customer})
    account.subscriptions.update(subscription.id, {"default_payment_method": method.id})


def test_a_renewal_is_charged_receipted_and_not_held_against_the_old_quote(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    before = customer.subscription().renews_at
    renew(customer, days=31, hours=2)

    assert customer.access() == "active"
    assert customer.subscription().renews_at > before
    assert [charge.amount for charge in customer.shop.charges()] == [146_200, 146_200]
    assert customer.mails("receipt") == 2
    assert customer.proof() == [("before_payment", True), ("final", True)]


def test_a_renewal_that_fails_is_mailed_and_work_goes_on(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    renew(customer, days=31, hours=2)

    assert (customer.subscription().status, customer.access()) == ("past_due", "active")
    assert customer.mails("payment_failed") == 1
    with unit_of_work(system=True) as session:
        subject = session.scalar(select(Mail.subject).where(Mail.kind == "payment_failed"))
    assert subject.startswith("Payment for invoice ")


def test_when_the_grace_is_over_access_is_limited_without_an_event(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    renew(customer, days=31, hours=2)
    looked = sweeping.sweep_grace(customer.gateways)
    during = customer.access()
    # eight days later by our clock; Stripe has not said a word meanwhile
    customer.shop.sandbox.clock.offset += 8 * 24 * 3600
    sweeping.sweep_grace(customer.gateways)

    assert (looked, during) == (1, "active")
    assert customer.access() == "limited"


def test_usage_invoices_after_a_failed_yearly_renewal_begin_no_new_grace(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    for _month in range(11):
        renew(customer, days=30)
    card_that_stops_working(customer)
    renew(customer, days=36)
    at_first = customer.access()
    seen = []
    for _week in range(8):
        renew(customer, days=7, hours=12)
        sweeping.sweep_grace(customer.gateways)
        seen.append(customer.access())

    assert at_first == "active"
    # Stripe gives up in the third week
    assert seen == ["limited", *["ended"] * 7]


def test_paying_the_old_invoice_gives_access_again(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    renew(customer, days=31, hours=2)
    customer.shop.sandbox.clock.offset += 8 * 24 * 3600
    sweeping.sweep_grace(customer.gateways)
    limited = customer.access()
    [owed] = [each for each in customer.shop.client.v1.invoices.list().data if each.status == "open"]
    customer.shop.client.v1.invoices.pay(owed.id, {"payment_method": "pm_card_visa"})
    customer.settle()

    assert (limited, customer.access()) == ("limited", "active")


def test_a_subscription_that_stripe_refuses_to_tell_is_looked_at_again(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    card_that_stops_working(customer)
    renew(customer, days=31, hours=2)
    customer.shop.faults.fail("refuse", "/v1/subscriptions/*", method="GET")
    looked = [sweeping.sweep_grace(customer.gateways), sweeping.sweep_grace(customer.gateways)]

    assert looked == [1, 1]
    assert customer.access() == "active"


def test_a_reminder_that_cannot_be_written_stops_nothing(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.sandbox.clock.offset += 11 * 24 * 3600 + 60
    with unit_of_work(customer.workspace_id) as session:
        session.execute(delete(BillingDetails))
    sent = notices.sweep_trials(customer.gateways)

    assert sent == 0
    assert customer.mails("trial_reminder") == 0


def test_the_trials_reminder_is_sent_once_even_if_stripes_word_was_lost(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.sandbox.clock.offset += 11 * 24 * 3600 + 60
    sent = [notices.sweep_trials(customer.gateways), notices.sweep_trials(customer.gateways)]

    assert sent == [1, 0]
    assert customer.mails("trial_reminder") == 1


def test_stripes_word_that_a_trial_ends_soon_counts_even_if_a_clock_of_ours_is_behind(
    customer: Customer,
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.sandbox.clock.offset += 10 * 24 * 3600
    told = HANDLERS["customer.subscription.trial_will_end"](
        customer.gateways, customer.subscription().stripe_id
    )

    assert told.ours
    assert customer.mails("trial_reminder") == 1


def test_nobody_is_reminded_four_days_before(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH, trial=True)
    customer.shop.sandbox.clock.offset += 10 * 24 * 3600

    assert notices.sweep_trials(customer.gateways) == 0


def test_settled_events_are_forgotten_after_two_months_and_parked_ones_are_not(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    with unit_of_work() as session:
        [first, *_] = session.scalars(select(InboxEvent.id))
        session.execute(update(InboxEvent).where(InboxEvent.id == first).values(state="parked"))
        moment = session.scalar(select(func.now() + inbox.KEPT))
    kept_before = inbox.prune(moment - 2 * inbox.KEPT)
    inbox.prune(moment)
    with unit_of_work() as session:
        left = list(session.scalars(select(InboxEvent.id)))

    assert kept_before == 0
    assert left == [first]


@pytest.mark.parametrize(
    "kind",
    [
        "receipt",
        "debit_failed",
        "change_unpaid",
        "change_missed",
        "payment_failed",
        "access_limited",
        "ended_unpaid",
        "card_expiring",
        "trial_reminder",
        "incident",
    ],
)
def test_every_mail_reads_as_text_and_as_a_page(customer: Customer, kind: str) -> None:
    facts: dict[str, object] = {
        "company_name": "Acme & Sons <b>",
        "base_url": "https://billing.example.com",
        "invoice_id": "in_1",
        "number": "A-0001",
        "currency": "usd",
        "lines": [{"description": "12 × Advanced", "amount": 118_800, "total": 118_800}],
        "tax": 22_572,
        "total": 141_372,
        "amount_due": 141_372,
        "amount_paid": 140_000,
        "payment": {"error": {"message": "Your card was declined."}},
        "limited_on": customer.gateways.clock.now(),
        "limited": False,
        "next_attempt": None,
        "method": {"type": "card", "brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2030},
        "last_day": customer.gateways.clock.now().date(),
        "renewed": True,
        "on": customer.gateways.clock.now(),
        "hosted_invoice_url": None,
        "trial_end": customer.gateways.clock.now(),
        "kind": "price_mismatch",
        "incident_id": 7,
        "summary": "Something <is> wrong",
        "details": {"a": 1},
    }
    letter = customer.gateways.letters.write(kind, facts)

    assert letter.subject
    assert "\n" not in letter.subject
    assert "{" not in letter.text.replace("{\n", "").replace('"a"', "")
    assert "<b>" not in (letter.html or "")
    assert "<is>" not in (letter.html or "")
