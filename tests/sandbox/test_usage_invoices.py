"""Metered lines at the end of a period: what counts, what is too late, and what it costs by tier."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as some

from portal.sandbox import amounts, usage_parts
from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, HOUR, MINUTE, MONTH, MONTH_END, MeteredWorld, lines_of

PER_UNIT = {"currency": "usd", "recurring": {"interval": "month", "interval_count": 1}}


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def invoices_of(world: MeteredWorld, subscription: stripe.Subscription) -> list[stripe.Invoice]:
    """Oldest first."""
    found = world.v1.invoices.list({"subscription": subscription.id, "limit": 100})
    return list(reversed(found.data))


def test_a_period_bills_what_was_used_from_its_first_second_to_before_its_end(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900), world.usage_price())
    world.use(customer, 1000, at=START - 1)
    world.use(customer, 7, at=START)
    world.at(MONTH_END - 1)
    world.use(customer, 5)
    world.use(customer, 2000, at=MONTH_END)
    world.sandbox.advance(seconds=2 * HOUR)
    invoice = world.latest_invoice(subscription)
    line = invoice.lines.data[1]

    assert lines_of(invoice) == [
        ("1 × Seat (at $99.00 / month)", 9900),
        ("12 segment × SMS (at $0.06 / month)", 72),
    ]
    assert (line.quantity, line.quantity_decimal, line.period.start, line.period.end) == (
        12, Decimal(12), START, MONTH_END,
    )  # fmt: skip
    assert (invoice.status, invoice.total) == ("paid", 9972)
    world.sandbox.advance(seconds=31 * DAY)
    assert lines_of(world.latest_invoice(subscription))[1] == (
        "2000 segment × SMS (at $0.06 / month)",
        12_000,
    )


def test_usage_that_arrives_in_the_drafts_hour_is_billed_and_later_usage_is_lost(
    world: MeteredWorld,
) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    world.use(customer, 3)
    world.sandbox.advance(seconds=MONTH + 50 * MINUTE)
    draft = world.latest_invoice(subscription)
    world.use(customer, 4, at=MONTH_END - 1)
    world.use(customer, 90, at=MONTH_END)
    world.sandbox.advance(seconds=11 * MINUTE)
    final = world.latest_invoice(subscription)
    world.use(customer, 500, at=MONTH_END - 1)
    world.sandbox.advance(seconds=31 * DAY)

    assert (draft.status, lines_of(draft)) == ("draft", [("3 segment × SMS (at $0.06 / month)", 18)])
    assert (final.status, lines_of(final)) == ("paid", [("7 segment × SMS (at $0.06 / month)", 42)])
    assert [line.id for line in final.lines.data] == [line.id for line in draft.lines.data]
    assert [invoice.total for invoice in invoices_of(world, subscription)] == [42, 540]


def test_a_clock_that_jumps_makes_the_draft_and_then_the_final_invoice(world: MeteredWorld) -> None:
    """In one jump nobody can send anything in the draft's hour; both steps are there all the same."""
    clock = world.v1.test_helpers.test_clocks.create({"frozen_time": START})
    customer = world.customer(test_clock=clock.id)
    subscription = world.subscribe(customer, world.usage_price())
    world.use(customer, 3)
    world.v1.test_helpers.test_clocks.advance(clock.id, {"frozen_time": MONTH_END + 2 * HOUR})
    invoice = world.latest_invoice(subscription)

    assert (invoice.status, invoice.total) == ("paid", 18)
    assert (invoice.created, invoice.status_transitions.finalized_at) == (MONTH_END, MONTH_END + HOUR + 1)
    made = [name for name in world.event_types() if name in ("invoice.created", "invoice.finalized")]
    assert made == ["invoice.created", "invoice.finalized"]


def test_an_invoice_that_is_made_final_by_hand_counts_then(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    world.sandbox.advance(seconds=MONTH)
    world.use(customer, 4, at=MONTH_END - 1)
    final = world.v1.invoices.finalize_invoice(str(world.latest_invoice(subscription).id))

    assert lines_of(final) == [("4 segment × SMS (at $0.06 / month)", 24)]


@pytest.mark.parametrize(
    ("used", "lines"),
    [
        (0, [("0 segment × SMS (Tier 1 at $0.04 / month)", 0)]),
        (1000, [("1000 segment × SMS (Tier 1 at $0.04 / month)", 4000)]),
        (
            1002,
            [
                ("1000 segment × SMS (Tier 1 at $0.04 / month)", 4000),
                ("2 segment × SMS (Tier 2 at $0.032 / month)", 6),
            ],
        ),
        (
            12_001,
            [
                ("1000 segment × SMS (Tier 1 at $0.04 / month)", 4000),
                ("9000 segment × SMS (Tier 2 at $0.032 / month)", 28_800),
                ("2001 segment × SMS (Tier 3 at $0.025 / month)", 5003),
            ],
        ),
        (-5, [("0 segment × SMS (Tier 1 at $0.04 / month)", 0)]),
    ],
)
def test_a_graduated_price_has_a_line_for_each_tier(
    world: MeteredWorld, used: int, lines: list[tuple[str, int]]
) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.tiered_price())
    if used:
        world.use(customer, used)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert lines_of(world.latest_invoice(subscription)) == lines


def test_new_tiers_join_and_go_while_the_invoice_is_a_draft(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900), world.tiered_price())
    world.use(customer, 1000)
    world.sandbox.advance(seconds=MONTH + MINUTE)
    draft = world.latest_invoice(subscription)
    world.use(customer, 10_000, at=MONTH_END - 1, identifier="mistake")
    world.use(customer, 500, at=MONTH_END - 1)
    cancelled: Any = {"event_name": "sms", "type": "cancel", "cancel": {"identifier": "mistake"}}
    world.v1.billing.meter_event_adjustments.create(cancelled)
    world.sandbox.advance(seconds=2 * HOUR)
    final = world.latest_invoice(subscription)

    assert [amount for _, amount in lines_of(draft)] == [9900, 4000]
    assert lines_of(final) == [
        ("1 × Seat (at $99.00 / month)", 9900),
        ("1000 segment × SMS (Tier 1 at $0.04 / month)", 4000),
        ("500 segment × SMS (Tier 2 at $0.032 / month)", 1600),
    ]
    listed = world.v1.invoices.line_items.list(str(final.id)).data
    assert [line.amount for line in listed] == [9900, 4000, 1600]


def test_included_units_are_a_tier_of_nothing(world: MeteredWorld) -> None:
    tiers = [
        {"up_to": 500, "unit_amount": 0},
        {"up_to": 2500, "unit_amount": 8},
        {"up_to": "inf", "unit_amount": 5},
    ]
    customer = world.customer()
    subscription = world.subscribe(customer, world.tiered_price(tiers=tiers))
    world.use(customer, 2600)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert lines_of(world.latest_invoice(subscription)) == [
        ("500 segment × SMS (Tier 1 at $0.00 / month)", 0),
        ("2000 segment × SMS (Tier 2 at $0.08 / month)", 16_000),
        ("100 segment × SMS (Tier 3 at $0.05 / month)", 500),
    ]


def test_flat_fees_have_lines_of_their_own_as_recorded(world: MeteredWorld) -> None:
    """The invoice of `Gitpod Usage`: 1,000 credits for $9.00, and 31 more at 3.6 cents."""
    tiers = [
        {"up_to": 1000, "flat_amount": 900},
        {"up_to": "inf", "unit_amount_decimal": "3.6", "flat_amount": 0},
    ]
    customer = world.customer()
    subscription = world.subscribe(customer, world.tiered_price(tiers=tiers, label="credit"))
    world.use(customer, 1031)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    invoice = world.latest_invoice(subscription)

    assert lines_of(invoice) == [
        ("1000 credit × SMS (Tier 1 at $0.00 / month)", 0),
        ("SMS (Tier 1 at $9.00 / month)", 900),
        ("31 credit × SMS (Tier 2 at $0.036 / month)", 112),
        ("SMS (Tier 2 at $0.00 / month)", 0),
    ]
    assert [line.quantity for line in invoice.lines.data] == [1000, 0, 31, 0]
    assert invoice.total == 1012


def test_a_flat_fee_of_the_first_tier_is_due_without_usage_as_recorded(world: MeteredWorld) -> None:
    """The invoice of `Basic`: 0 characters, $9.99."""
    tiers = [{"up_to": 100_000, "flat_amount": 999}, {"up_to": "inf", "unit_amount_decimal": "0.02"}]
    customer = world.customer()
    subscription = world.subscribe(customer, world.tiered_price(tiers=tiers, label="character"))
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert lines_of(world.latest_invoice(subscription)) == [
        ("0 character × SMS (Tier 1 at $0.00 / month)", 0),
        ("SMS (Tier 1 at $9.99 / month)", 999),
    ]


@pytest.mark.parametrize(
    ("used", "lines"),
    [
        (1000, [("1000 segment × SMS (Tier 1 at $0.04 / month)", 4000)]),
        (1001, [("1001 segment × SMS (Tier 2 at $0.032 / month)", 3203)]),
        (20_000, [("20000 segment × SMS (Tier 3 at $0.025 / month)", 50_000)]),
    ],
)
def test_a_volume_price_takes_all_units_at_one_rate(
    world: MeteredWorld, used: int, lines: list[tuple[str, int]]
) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.tiered_price("volume"))
    world.use(customer, used)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert lines_of(world.latest_invoice(subscription)) == lines


def test_parts_of_a_cent_and_of_a_unit_are_billed_exactly_and_rounded_once(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price(unit_amount_decimal="0.35"))
    world.use(customer, "10.5")
    world.use(customer, "2.75")
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    invoice = world.latest_invoice(subscription)
    line = invoice.lines.data[0]

    assert lines_of(invoice) == [("13.25 segment × SMS (at $0.0035 / month)", 5)]
    assert (line.quantity, line.quantity_decimal) == (13, Decimal("13.25"))


def test_a_negative_sum_bills_nothing_and_is_not_carried_on(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    world.use(customer, 2)
    world.use(customer, -10)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)
    world.use(customer, 5)
    world.sandbox.advance(seconds=31 * DAY)

    assert [lines_of(invoice) for invoice in invoices_of(world, subscription)] == [
        [("0 segment × SMS (at $0.06 / month)", 0)],
        [("5 segment × SMS (at $0.06 / month)", 30)],
    ]


def test_a_cancelled_event_is_not_billed_unless_its_invoice_is_final(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    world.at(MONTH_END - HOUR)
    for name in ("before", "after"):
        world.use(customer, 10, identifier=name)
    adjust = world.v1.billing.meter_event_adjustments.create
    adjust({"event_name": "sms", "type": "cancel", "cancel": {"identifier": "before"}})
    world.sandbox.advance(seconds=4 * HOUR)
    adjust({"event_name": "sms", "type": "cancel", "cancel": {"identifier": "after"}})

    assert world.latest_invoice(subscription).total == 60
    assert world.used(customer) == 0


def test_usage_in_a_trial_is_never_billed(world: MeteredWorld) -> None:
    customer = world.customer()
    price = world.usage_price()
    subscription = world.subscribe(customer, world.price(9900), price, trial_period_days=14)
    end = START + 14 * DAY
    world.use(customer, 30)
    world.at(end - 1)
    world.use(customer, 20)
    world.sandbox.advance(seconds=1)
    world.use(customer, 9, at=end - 1)
    world.use(customer, 4, at=end)
    world.sandbox.advance(seconds=2 * HOUR)
    first = world.latest_invoice(subscription)
    world.sandbox.advance(seconds=32 * DAY)
    second = world.latest_invoice(subscription)

    assert lines_of(first) == [("1 × Seat (at $99.00 / month)", 9900)]
    assert lines_of(second)[1] == ("4 segment × SMS (at $0.06 / month)", 24)


def test_monthly_usage_is_billed_beside_seats_of_a_year(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(102_000, "year"), world.usage_price())
    for value in (10, 20, 30):
        world.use(customer, value)
        world.sandbox.advance(seconds=31 * DAY)

    assert [lines_of(invoice) for invoice in invoices_of(world, subscription)[1:3]] == [
        [("10 segment × SMS (at $0.06 / month)", 60)],
        [("20 segment × SMS (at $0.06 / month)", 120)],
    ]


def test_two_subscriptions_of_one_meter_bill_the_same_usage_twice(world: MeteredWorld) -> None:
    """Stripe's trap: a meter belongs to the customer, not to a subscription."""
    customer = world.customer()
    made = [world.subscribe(customer, world.usage_price()) for _ in range(2)]
    world.use(customer, 3)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert [world.latest_invoice(subscription).total for subscription in made] == [18, 18]


def test_the_preview_shows_the_sum_so_far_and_is_the_invoice(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.price(9900), world.tiered_price())
    before = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.at(START + 10 * DAY)
    world.use(customer, 1500)
    shown = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.sandbox.advance(seconds=MONTH)
    billed = world.latest_invoice(subscription)

    assert before.total == 9900
    assert lines_of(shown) == lines_of(billed)
    assert (shown.total, billed.total) == (15_500, 15_500)
    assert [row.billing_reason for row in (shown, billed)] == ["upcoming", "subscription_cycle"]


def test_usage_is_never_discounted_by_a_coupon_for_seats(world: MeteredWorld) -> None:
    seat = world.price(10_000)
    product = str(world.v1.prices.retrieve(seat).product)
    half: Any = {"percent_off": 50, "duration": "forever", "applies_to": {"products": [product]}}
    coupon = world.v1.coupons.create(half)
    customer = world.customer()
    subscription = world.subscribe(customer, seat, world.usage_price(), discounts=[{"coupon": coupon.id}])
    world.use(customer, 100)
    world.sandbox.advance(seconds=MONTH + 2 * HOUR)

    assert world.latest_invoice(subscription).total == 5600


@settings(max_examples=200, deadline=None)
@given(
    bounds=some.lists(some.integers(1, 500), min_size=0, max_size=4, unique=True),
    rates=some.lists(some.decimals(0, 20, places=4), min_size=5, max_size=5),
    used=some.decimals(0, 1000, places=3),
)
def test_the_lines_of_tiers_make_up_the_price_to_less_than_a_cent_each(
    bounds: list[int], rates: list[Decimal], used: Decimal
) -> None:
    tops = [*sorted(bounds), None]
    tiers = [
        {"up_to": top, "unit_amount_decimal": str(rate), "flat_amount_decimal": None}
        for top, rate in zip(tops, rates, strict=False)
    ]
    price = {**PER_UNIT, "billing_scheme": "tiered", "tiers_mode": "graduated", "_tiers": tiers}
    parts = usage_parts.of(price, used)
    exact = sum((Fraction(part.quantity) * Fraction(part.rate) for part in parts), Fraction(0))
    whole = Fraction(amounts.for_quantity(price, int(used)))

    assert sum(part.quantity for part in parts) == used
    assert abs(sum(part.amount for part in parts) - exact) <= Fraction(len(parts), 2)
    assert exact >= whole
