"""What is given up for the renewal beside a change that a bank debit pays, whatever becomes of the debit."""

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import AuditEntry
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.services.test_change_payments import debit_payer, failing_account, pays_with
from tests.services.test_change_waits import later, until_the_renewal
from tests.services.test_own_price import of_may_2023
from tests.shop import Shop

SEAT_OF_2023 = "2023-05:seat:pro:month"
SEAT = "2026-11:seat:{}:month".format
ADD_ONS = {"copilot": 5, "proactive_support": 1}


@pytest.fixture
def old(selling: Gateways, shop: Shop, run_jobs) -> Changer:  # type: ignore[no-untyped-def]
    """Eight seats of the catalogue of May 2023."""
    return of_may_2023(selling, shop, run_jobs)


def by_failing_debit(customer: Customer, **wanted: object) -> tuple[Changer, str]:
    """A change that is made now and whose debit comes back in four days; its quote's id."""
    changer = debit_payer(customer)
    pays_with(changer, failing_account(customer))
    return changer, changer.change(**wanted)


def comes_back(changer: Changer) -> None:
    """The debit fails, and a card pays from then on."""
    later(changer.customer, days=6)
    pays_with(changer, "pm_card_visa")


def renew(changer: Changer) -> None:
    until_the_renewal(changer)
    later(changer.customer, hours=3)


def planned_phase(changer: Changer) -> dict[str, int]:
    """Lookup key → quantity of what is billed ahead in the last phase of Stripe's schedule."""
    [subscription] = changer.customer.shop.subscriptions()
    v1 = changer.customer.shop.client.v1
    schedule = v1.subscription_schedules.retrieve(str(subscription.schedule))
    items = [(v1.prices.retrieve(str(item.price)), item) for item in schedule.phases[-1]["items"]]
    return {str(price.lookup_key): item.quantity for price, item in items if "quantity" in item}


# --- it clears ------------------------------------------------------------------------------------------


def test_fewer_seats_beside_a_higher_tier_keep_it_when_its_debit_clears(customer: Customer) -> None:
    changer = debit_payer(customer)
    higher = changer.change(tier="expert", seats=12)
    fewer = changer.change(tier="expert", seats=7)
    later(customer, days=7)
    arrived = (changer.state(higher), customer.subscription().tier, planned_phase(changer)[SEAT("expert")])
    renew(changer)

    assert arrived == ("done", "expert", 7)
    assert changer.state(fewer) == "planned"
    assert (customer.subscription().tier, customer.subscription().seats) == ("expert", 7)
    assert customer.incidents() == []


# --- it comes back --------------------------------------------------------------------------------------


def test_a_higher_tier_that_was_not_paid_does_not_come_with_the_renewal(customer: Customer) -> None:
    changer, higher = by_failing_debit(customer, tier="expert", seats=12)
    changer.change(tier="expert", seats=7)
    comes_back(changer)
    failed = (changer.state(higher), changer.planned().selection["tier"], changer.planned().mirrored)
    at_stripe = planned_phase(changer)
    renew(changer)

    assert failed == ("failed", "advanced", True)
    assert at_stripe == {
        SEAT("advanced"): 7,
        "2026-11:copilot:month": 5,
        "2026-11:proactive_support:month": 1,
    }
    assert changer.at_stripe() == at_stripe
    assert (customer.subscription().tier, customer.subscription().seats) == ("advanced", 7)
    assert changer.planned() is None
    assert customer.incidents() == []


def test_no_seat_or_add_on_that_was_not_paid_comes_with_the_renewal(customer: Customer) -> None:
    changer, more = by_failing_debit(customer, seats=20, add_ons={**ADD_ONS, "copilot": 9})
    changer.change(seats=15, add_ons={"copilot": 7})
    comes_back(changer)
    left = changer.planned().selection
    renew(changer)

    assert changer.state(more) == "failed"
    # twelve seats and five of Copilot were had before; only proactive support was really given up
    assert (left["seats"], left["add_ons"]) == (12, {"copilot": 5})
    assert changer.at_stripe() == {SEAT("advanced"): 12, "2026-11:copilot:month": 5}


def test_where_only_the_unpaid_was_given_up_nothing_is_planned_any_more(customer: Customer) -> None:
    changer, more = by_failing_debit(customer, seats=20)
    fewer = changer.change(seats=12)
    comes_back(changer)

    assert (changer.state(more), changer.state(fewer)) == ("failed", "planned")
    assert changer.planned() is None
    assert customer.shop.subscriptions()[0].schedule is None
    assert customer.subscription().seats == 12


def test_what_was_planned_before_the_debit_and_given_up_further_beside_it_stays(customer: Customer) -> None:
    changer = debit_payer(customer)
    changer.change(seats=9)
    pays_with(changer, failing_account(customer))
    changer.change(tier="expert", seats=9)
    changer.change(tier="expert", seats=8, add_ons={"copilot": 5})
    comes_back(changer)
    left = changer.planned().selection

    assert (left["tier"], left["seats"], left["add_ons"]) == ("advanced", 8, {"copilot": 5})


def test_neither_prices_of_another_catalogue_come_with_the_renewal(old: Changer) -> None:
    """A move to the newer catalogue was not paid: seats and usage cost what they did."""
    pays_with(old, failing_account(old.customer))
    moved = old.change(tier="advanced", catalog="2026-11")
    old.change(seats=5)
    beside = old.planned().catalog
    comes_back(old)
    left = old.planned()
    renew(old)

    assert (beside, old.state(moved)) == ("2026-11", "failed")
    assert (left.catalog, left.selection["tier"], left.selection["seats"]) == ("2023-05", "pro", 5)
    assert old.at_stripe() == {SEAT_OF_2023: 5}
    found = old.customer.subscription()
    assert (found.catalog, found.seats) == ("2023-05", 5)
    assert {str(item["lookup_key"])[:7] for item in found.items} == {"2023-05"}
    assert old.customer.incidents() == []


def test_the_mail_says_that_what_is_planned_stays(customer: Customer) -> None:
    changer, _more = by_failing_debit(customer, tier="expert", seats=15)
    changer.change(tier="expert", seats=7)
    planned = changer.planned()
    assert planned is not None
    comes_back(changer)
    letters = customer.gateways.mail.read()  # type: ignore[attr-defined]
    [letter] = [mail for _, mail in letters if "for your change" in str(mail["Subject"])]
    text = " ".join(letter.get_body(("plain",)).get_content().split())
    with unit_of_work(customer.workspace_id) as session:
        done = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))

    day = f"{planned.effective_at:%-d %B %Y}"
    assert f"before. What you have planned for {day} stays planned, without what" in text
    assert [each for each in done if each.startswith("change.")] == [
        "change.planned", "change.replaced", "change.planned",
    ]  # fmt: skip


# --- it is late -----------------------------------------------------------------------------------------


def test_what_is_given_up_comes_with_the_renewal_that_the_debit_crosses(customer: Customer) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    more = changer.change(seats=15)
    fewer = changer.change(seats=7)
    later(customer, days=3)
    renewed = (changer.state(more), changer.state(fewer), customer.subscription().seats)
    later(customer, days=7)

    assert renewed == ("processing", "planned", 7)
    assert (changer.state(more), customer.subscription().seats) == ("done", 7)
    assert changer.at_stripe()[SEAT("advanced")] == 7
    assert customer.incidents() == []


def test_a_debit_that_comes_back_after_the_renewal_leaves_what_was_given_up(customer: Customer) -> None:
    changer = debit_payer(customer)
    until_the_renewal(changer, days=2)
    pays_with(changer, failing_account(customer))
    more = changer.change(seats=15)
    changer.change(seats=7)
    pays_with(changer, "pm_card_visa")
    later(customer, days=3)
    later(customer, days=2)

    assert changer.state(more) == "failed"
    assert (customer.subscription().seats, changer.at_stripe()[SEAT("advanced")]) == (7, 7)
    assert customer.incidents() == []
