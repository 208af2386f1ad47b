"""What was billed, month by month, and what it would have cost at the prices that are sold now."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import update

from portal import pricing
from portal.db import unit_of_work
from portal.models import Invoice, Subscription
from portal.services import replay
from portal.services.billed_months import BilledMonth, billed_months
from portal.services.replay import CURRENT_PRICES, NO_MONTHS, NO_SUBSCRIPTION, Nothing, Replayed
from tests.factories import Account
from tests.services.buying import Customer
from tests.services.changing import Changer
from tests.shop import TWELVE_BY_THE_MONTH, Shop

TEN_PRO = pricing.Selection("pro", 10, "month")
MARCH, MID_MARCH, APRIL, MID_APRIL, MAY, JUNE = (
    int(datetime(2026, month, day, tzinfo=UTC).timestamp())
    for month, day in ((3, 1), (3, 16), (4, 1), (4, 16), (5, 1), (6, 1))
)
NOW = datetime(2026, 6, 2, tzinfo=UTC)


@pytest.fixture
def older(shop: Shop, customer: Customer) -> Customer:
    """The company as it bought ten seats of Pro while the prices of May 2023 were sold."""
    customer.at_the_time_of("2023-05").buy(TEN_PRO)
    return customer


def months_pass(customer: Customer, count: int) -> None:
    for _month in range(count):
        customer.shop.advance(days=31, hours=2)
        customer.settle()


def replayed(customer: Customer, **choice: Any) -> Replayed:
    found = asked(customer, **choice)
    assert isinstance(found, Replayed)
    return found


def asked(customer: Customer, **choice: Any) -> Replayed | Nothing:
    with unit_of_work(customer.workspace_id) as session:
        return replay.replay(session, customer.gateways, **choice)


def test_the_months_of_an_older_customer_are_replayed_at_the_current_prices(older: Customer) -> None:
    months_pass(older, 3)
    found = replayed(older)

    assert [each.own for each in found.found.months] == [74_000] * 3
    assert [each.cost for each in found.found.months] == [39_000] * 3
    assert dict(found.found.replaced) == {"pro": "essential"}
    assert (found.own.version, found.catalog.version, found.currency) == ("2023-05", "2026-11", "usd")
    assert [each.ends_at for each in found.billed][:-1] == [each.starts_at for each in found.billed][1:]


def test_the_tier_and_the_interval_can_be_chosen(older: Customer) -> None:
    months_pass(older, 1)

    assert replayed(older, tier="advanced").found.cost == 99_000
    assert replayed(older, tier="advanced", interval="year").found.cost == 85_000
    with pytest.raises(pricing.PricingError):
        asked(older, tier="pro")


def test_seats_added_within_a_month_count_for_their_days(older: Customer) -> None:
    older.shop.advance(days=10)
    older.settle()
    Changer(older).change(seats=15)
    months_pass(older, 1)
    [month] = replayed(older, tier="advanced").found.months
    [line] = month.lines

    # what was billed in proportion at 74.00 is, at 99.00, the same days of the same seats
    assert month.own > 74_000
    assert [part.quantity for part in month.month.changes] == [10, 15]
    assert abs(line.total * 74 - month.own * 99) <= 99 * 3


def test_only_the_last_twelve_complete_months_are_shown(older: Customer) -> None:
    months_pass(older, 14)

    assert len(replayed(older).billed) == 12


def test_before_the_first_month_is_complete_there_is_nothing_to_replay(older: Customer) -> None:
    subscription = older.subscription()

    assert asked(older) == Nothing(NO_MONTHS, subscription.usage_period_end)  # type: ignore[union-attr]


def test_who_is_on_the_current_prices_has_nothing_to_compare(customer: Customer) -> None:
    assert asked(customer) == Nothing(NO_SUBSCRIPTION)

    customer.buy(TWELVE_BY_THE_MONTH)

    assert asked(customer) == Nothing(CURRENT_PRICES)


# invoices written out, for what takes long to happen


class Book:
    """Invoices of a workspace, written as projections have them."""

    def __init__(self, workspace_id: int) -> None:
        self.workspace_id = workspace_id
        self._count = 0

    def invoice(self, *lines: dict[str, Any], issued: int, **facts: Any) -> None:
        self._count += 1
        total = sum(each["total"] for each in lines)
        values: dict[str, Any] = {
            "stripe_id": f"in_{self._count}",
            "number": f"A-{self._count}",
            "status": "paid",
            "billing_reason": "subscription_cycle",
            "currency": "usd",
            "billing": {},
            "lines": list(lines),
            "issued_at": datetime.fromtimestamp(issued, UTC),
            "synced_at": NOW,
        }
        sums = ("subtotal", "total", "amount_due", "amount_paid")
        values |= dict.fromkeys(sums, total) | dict.fromkeys(("discount", "tax", "starting_balance"), 0)
        with unit_of_work(self.workspace_id) as session:
            session.add(Invoice(**(values | facts)))

    def months(self, most: int = 12) -> list[BilledMonth]:
        with unit_of_work(self.workspace_id) as session:
            return billed_months(session, now=NOW, most=most)


@pytest.fixture
def book(workspace: Account) -> Book:
    return Book(workspace.workspace_id)


def line(key: str, amount: int, start: int, end: int, **facts: Any) -> dict[str, Any]:
    """A line of an invoice, without discount unless told."""
    found = {
        "key": key,
        "catalog": "2023-11",
        "tier": "advanced" if key == "seat" else None,
        "interval": "month",
        "description": key,
        "quantity": 10,
        "amount": amount,
        "discount": 0,
        "discounts": [],
        "period_start": start,
        "period_end": end,
        "proration": False,
        **facts,
    }
    return found | {"total": amount - found["discount"]}


def used(quantity: int, start: int, end: int, **facts: Any) -> dict[str, Any]:
    return line("resolution", 99 * quantity, start, end, quantity=quantity, **facts)


def test_seats_add_ons_and_usage_of_a_month_come_from_two_invoices(book: Book) -> None:
    book.invoice(
        line("seat", 99_000, MARCH, APRIL), line("copilot", 14_000, MARCH, APRIL, quantity=4), issued=MARCH
    )
    book.invoice(used(500, MARCH, APRIL), line("seat", 99_000, APRIL, MAY), issued=APRIL)
    [billed] = book.months()
    month = billed.month

    assert (month.period, month.seats, month.tier, month.interval) == ("2026-03-01", 10, "advanced", "month")
    assert (dict(month.add_ons), dict(month.usage)) == ({"copilot": 4}, {"resolution": 500})
    assert (month.paid, month.usage_paid) == (113_000, 49_500)
    assert [(each.key, each.amount, each.invoice_number) for each in billed.shares] == [
        ("seat", 99_000, "A-1"),
        ("copilot", 14_000, "A-1"),
        ("resolution", 49_500, "A-2"),
    ]


def test_usage_in_bands_is_one_quantity(book: Book) -> None:
    bands = [line("sms", 4_000, MARCH, APRIL, quantity=1_000), line("sms", 640, MARCH, APRIL, quantity=200)]
    book.invoice(line("seat", 99_000, MARCH, APRIL), issued=MARCH)
    book.invoice(*bands, issued=APRIL)
    [billed] = book.months()

    assert (dict(billed.month.usage), billed.month.usage_paid) == ({"sms": 1_200}, 4_640)


def test_what_annual_credits_paid_is_left_out(book: Book) -> None:
    book.invoice(line("seat", 99_000, MARCH, APRIL), issued=MARCH)
    book.invoice(used(500, MARCH, APRIL, credits=99 * 400), issued=APRIL)
    [billed] = book.months()

    assert (dict(billed.month.usage), billed.month.usage_paid) == ({"resolution": 100}, 9_900)
    assert billed.by_credits
    assert billed.shares[-1].amount == 9_900


def test_a_change_is_told_by_what_it_gave_back_and_what_it_brought(book: Book) -> None:
    book.invoice(line("seat", 99_000, MARCH, APRIL), issued=MARCH)
    book.invoice(
        line("seat", -51_097, MID_MARCH, APRIL, proration=True),
        line("seat", 76_645, MID_MARCH, APRIL, proration=True, quantity=15),
        issued=MID_MARCH,
    )
    book.invoice(used(0, MARCH, APRIL), issued=APRIL)
    [billed] = book.months()
    rest, whole = APRIL - MID_MARCH, APRIL - MARCH

    assert billed.month.changes == (
        pricing.Part("seat", 10, -rest, whole, "advanced"),
        pricing.Part("seat", 15, rest, whole, "advanced"),
    )
    assert billed.month.paid == 99_000 - 51_097 + 76_645
    assert [each.part for each in billed.shares] == [False, True, True, False]


def test_a_year_in_advance_counts_a_twelfth_each_month_and_twelve_are_the_whole(book: Book) -> None:
    last_june = int(datetime(2025, 6, 1, tzinfo=UTC).timestamp())
    months = [int(datetime(2025, 6 + at, 1, tzinfo=UTC).timestamp()) for at in range(7)]
    months += [int(datetime(2026, 1 + at, 1, tzinfo=UTC).timestamp()) for at in range(6)]
    year = line("seat", 100_003, last_june, JUNE, catalog="2026-11", interval="year")
    book.invoice(year | {"discount": 3, "total": 100_000}, issued=last_june)
    for start, end in pairwise(months):
        book.invoice(used(1, start, end, catalog="2026-11"), issued=end)
    found = book.months()

    assert len(found) == 12
    assert {each.month.paid for each in found} == {8_333, 8_334}
    assert sum(each.month.paid for each in found) == 100_000
    assert {(each.month.seats, each.month.interval) for each in found} == {(10, "year")}


def test_a_change_of_a_year_counts_in_the_months_that_are_left(book: Book) -> None:
    end = int(datetime(2027, 3, 1, tzinfo=UTC).timestamp())
    facts = {"catalog": "2026-11", "interval": "year"}
    book.invoice(line("seat", 1_020_000, MARCH, end, **facts), issued=MARCH)
    book.invoice(line("seat", 97_808, MID_APRIL, end, quantity=1, proration=True, **facts), issued=MID_APRIL)
    for start, until in ((MARCH, APRIL), (APRIL, MAY), (MAY, JUNE)):
        book.invoice(used(0, start, until, catalog="2026-11"), issued=until)
    march, april, may = book.months()
    a_month = (end - MARCH) // 12

    assert march.month.changes == ()
    assert april.month.changes == (pricing.Part("seat", 1, MAY - MID_APRIL, a_month, "advanced"),)
    assert may.month.changes == (pricing.Part("seat", 1, a_month, a_month, "advanced"),)
    assert [each.month.paid for each in (march, april, may)] == [85_000, 85_000 + 4_599, 85_000 + 9_504]


def test_a_month_that_a_change_of_catalogue_cut_in_two_is_one(book: Book) -> None:
    book.invoice(line("seat", 74_000, MARCH, APRIL, catalog="2023-05", tier="pro"), issued=MARCH)
    book.invoice(
        used(100, MARCH, MID_MARCH, catalog="2023-05"),
        line("seat", -38_194, MID_MARCH, APRIL, proration=True, catalog="2023-05", tier="pro"),
        line("seat", 51_097, MID_MARCH, APRIL, proration=True),
        issued=MID_MARCH,
    )
    book.invoice(used(50, MID_MARCH, APRIL), issued=APRIL)
    [billed] = book.months()

    assert dict(billed.month.usage) == {"resolution": 150}
    assert [part.tier for part in billed.month.changes] == ["pro", "advanced"]


def test_discounts_go_along(book: Book) -> None:
    off = [{"name": "Agreed", "percent_off": "10", "amount_off": None, "amount": 9_900}]
    order = [{"name": "Five", "percent_off": None, "amount_off": 500, "amount": 122}]
    book.invoice(
        line("seat", 99_000, MARCH, APRIL, discount=9_900, discounts=off),
        line("copilot", 14_000, MARCH, APRIL, quantity=4, discount=122, discounts=order),
        issued=MARCH,
    )
    book.invoice(used(0, MARCH, APRIL), issued=APRIL)
    [billed] = book.months()
    [replayed] = pricing.replay([billed.month], catalog=pricing.catalog("2026-11")).months

    assert billed.month.paid == 89_100 + 13_878
    assert replayed.difference == 0


def test_trials_void_invoices_replacements_and_what_is_not_ours_are_left_out(book: Book) -> None:
    book.invoice(line("seat", 0, MARCH, APRIL), issued=MARCH)
    book.invoice(used(0, MARCH, APRIL), line("seat", 99_000, APRIL, MAY), issued=APRIL)
    book.invoice(line("seat", 99_000, APRIL, MAY), issued=APRIL, status="void")
    book.invoice(line("seat", 99_000, APRIL, MAY), issued=APRIL, billing={"corrects": "in_2"})
    book.invoice(line("seat", 5_000, APRIL, MAY) | {"key": None}, issued=APRIL)
    book.invoice(used(7, APRIL, MAY), line("seat", 9_000, MAY, JUNE) | {"catalog": None}, issued=MAY)
    book.invoice(used(7, MAY, JUNE), issued=JUNE)
    [billed] = book.months()

    assert (billed.month.period, billed.month.paid, billed.month.usage_paid) == ("2026-04-01", 99_000, 693)


def test_a_subscription_of_no_catalogue_of_ours_is_not_replayed(older: Customer) -> None:
    with unit_of_work(older.workspace_id) as session:
        session.execute(update(Subscription).values(catalog="1999-01"))

    assert asked(older) == Nothing(NO_SUBSCRIPTION)
