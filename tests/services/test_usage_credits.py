"""Units that come back after their month was billed, and no meter can take: credited, refunded, shown."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Adjustment, UsageCredit
from portal.services import checkout, usage_credits
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.using import happened
from tests.shop import BERLIN

NOTES = "/v1/credit_notes"


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def billed(acme: Metered, count: int = 2) -> list[str]:
    """Units of a month whose invoice is final and paid; the next month has none."""
    used = acme.use(count)
    acme.report()
    acme.advance(days=33)
    return used


def notes(acme: Metered) -> list[Adjustment]:
    with unit_of_work(acme.workspace_id) as session:
        return list(session.scalars(select(Adjustment).where(Adjustment.kind == "credit_note")))


def test_its_price_comes_back_to_the_card_by_a_credit_note(acme: Metered) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.credit()
    [note] = notes(acme)
    [credit] = acme.credits()

    assert acme.billed() == [2]
    assert (note.amount, note.details["refunded"], note.details["balance"]) == (99, 99, 0)
    assert note.details["memo"] == f"Resolution taken back: conversation {unit}, episode 1"
    assert (credit.state, credit.amount, credit.total, credit.refunded) == ("done", 99, 99, 99)
    assert (credit.credit_note_id, credit.stripe_invoice_id) == (note.stripe_id, note.stripe_invoice_id)
    assert acme.outbox_states() == ["sent", "sent", "credited"]


def test_the_credit_note_names_the_episode_of_a_unit_that_was_counted_anew(acme: Metered) -> None:
    answered = acme.gateways.clock.now()
    acme.feed(happened("c1", "ai_answered", answered))
    acme.advance(hours=25)
    acme.catch_up()
    acme.feed(happened("c1", "customer_confirmed", answered + timedelta(hours=1)))
    acme.use(1)
    acme.report()
    acme.advance(days=33)
    acme.returns("c1")
    acme.credit()

    assert "c1#1~2" in [entry.source for entry in acme.entries()]
    assert notes(acme)[0].details["memo"] == "Resolution taken back: conversation c1, episode 1"


def test_two_workers_at_the_same_unit_credit_it_once(acme: Metered) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)

    def another() -> None:
        """Stripe was so slow that the claim ran out; the next worker has it done and is killed."""
        acme.free()
        acme.customer.shop.faults.fail("kill_after", NOTES)
        with pytest.raises(Killed):
            usage_credits.sweep(acme.gateways)
        acme.customer.shop.advance(minutes=3)

    acme.customer.shop.faults.fail("then", f"{NOTES}/preview", method="*", action=another)
    acme.credit()
    assert [note.amount for note in notes(acme)] == [99]


def test_the_tax_comes_back_with_it(customer: Customer) -> None:
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    acme = Metered.buy(customer)
    for unit in billed(acme, 3):
        acme.returns(unit)
    acme.credit()

    assert sorted(note.amount for note in notes(acme)) == [117, 118, 118]
    assert sum(int(str(note.details["tax"])) for note in notes(acme)) == 56  # 19 % of 2.97


def test_it_is_found_by_the_units_name(acme: Metered) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.credit()
    with unit_of_work(acme.workspace_id) as session:
        found = usage_credits.of_unit(session, "resolution", f"{unit}#1")
        assert found is not None
        assert [row.source for row in usage_credits.of_invoice(session, str(found.stripe_invoice_id))] == [
            f"{unit}#1"
        ]


def test_while_the_invoice_is_open_less_is_to_be_paid(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    shop = acme.customer.shop
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.update(
        subscription.id, {"collection_method": "send_invoice", "days_until_due": 30}
    )
    acme.advance(days=31)
    acme.advance(days=1)
    [unit, _other] = [row.conversation_id for row in acme.units()]
    acme.returns(unit)
    acme.credit()
    [note] = notes(acme)

    assert (note.amount, note.details["unpaid"], note.details["refunded"]) == (99, 99, 0)


@pytest.mark.parametrize("kind", ["timeout_after", "timeout_before", "error_after"])
def test_a_silent_stripe_is_asked_again_under_the_same_key(acme: Metered, kind: str) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.customer.shop.faults.fail(kind, NOTES, times=3)
    acme.credit()
    between = acme.credits()[0].state
    acme.customer.shop.faults.mend()
    acme.credit()

    assert (between, acme.credits()[0].state) == ("open", "done")
    assert [note.amount for note in notes(acme)] == [99]
    assert len(set(acme.customer.shop.faults.keys(NOTES))) == 1


@pytest.mark.parametrize("kind", ["kill_before", "kill_after"])
@pytest.mark.parametrize("path", [NOTES, "/v1/credit_notes/preview"])
def test_a_process_that_dies_is_taken_up_where_it_stood(acme: Metered, kind: str, path: str) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.customer.shop.faults.fail(kind, path, method="*")
    with pytest.raises(Killed):
        acme.credit()
    acme.credit()

    assert acme.credits()[0].state == "done"
    assert [note.amount for note in notes(acme)] == [99]


def test_after_stripe_forgot_the_key_the_note_is_found_by_reading(acme: Metered) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.customer.shop.faults.fail("timeout_after", NOTES, times=3)
    acme.credit()
    acme.customer.shop.faults.mend()
    asked = len(acme.customer.shop.faults.keys(NOTES))
    with unit_of_work(acme.workspace_id) as session:
        row = session.scalars(select(UsageCredit)).one()
        assert row.tried_at is not None
        row.tried_at -= timedelta(hours=24)
    acme.credit()

    assert acme.credits()[0].state == "done"
    assert len(acme.customer.shop.faults.keys(NOTES)) == asked
    assert len(notes(acme)) == 1


def test_what_stripe_will_not_credit_is_for_a_person(acme: Metered) -> None:
    [unit, _other] = billed(acme)
    acme.returns(unit)
    acme.customer.shop.faults.fail("refuse", "/v1/credit_notes/preview", method="GET", times=50)
    acme.credit()
    [credit] = acme.credits()

    assert (credit.state, notes(acme)) == ("stuck", [])
    assert acme.customer.incidents() == ["usage_credit_stuck"]


def test_after_the_subscription_ended_it_is_credited_on_its_last_invoice(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    shop = acme.customer.shop
    [subscription] = shop.subscriptions()
    shop.client.v1.subscriptions.cancel(subscription.id, {"invoice_now": True})
    acme.advance(hours=2)
    acme.advance(days=2)
    acme.returns(unit)
    acme.credit()

    assert [note.amount for note in notes(acme)] == [99]
    assert [credit.state for credit in acme.credits()] == ["done"]


def test_two_units_are_two_credit_notes(acme: Metered) -> None:
    for unit in billed(acme):
        acme.returns(unit)
    acme.credit()
    acme.credit()

    assert sorted(note.amount for note in notes(acme)) == [99, 99]
    assert len({credit.credit_note_id for credit in acme.credits()}) == 2
