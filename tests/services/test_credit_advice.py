"""Which pack suits a workspace: its own months, at its own price, and none where none is best."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from portal import pricing
from portal.db import unit_of_work
from portal.models import CreditLot, UsageDay, UsagePeriod
from portal.pricing import advice
from portal.services import credit_advice, credit_outlook, credits
from portal.services.credit_advice import Advised
from portal.services.credit_quotes import NoPacksError, NoSubscriptionForCreditsError
from tests.factories import Account
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.shop import TWELVE_BY_THE_MONTH, Shop

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
SEASON = (100, 100, 100, 100, 100, 700, 900, 900, 700, 100, 100, 100)


@pytest.fixture
def subscribed(shop: Shop, customer: Customer) -> Customer:
    """Twelve seats since the first of November 2026."""
    shop.stand_at(NOVEMBER)
    customer.buy(TWELVE_BY_THE_MONTH)
    return customer


def used(
    customer: Customer, units: Sequence[int], *, until: datetime = NOVEMBER, trial: bool = False
) -> None:
    """So many resolutions in each of the months that end ``until`` then, the oldest first."""
    months = [_first(until, back) for back in range(len(units), -1, -1)]
    with unit_of_work(customer.workspace_id) as session:
        for starts_at, ends_at, count in zip(months[:-1], months[1:], units, strict=True):
            session.add(
                UsagePeriod(
                    starts_at=starts_at,
                    ends_at=ends_at,
                    stripe_subscription_id="sub_before",
                    state="closed",
                    trial=trial,
                    used=count,
                )
            )
            session.add(
                UsageDay(
                    period_start=starts_at,
                    key="resolution",
                    channel="chat",
                    day=starts_at.date(),
                    quantity=count,
                    charged=count,
                )
            )


def _first(moment: datetime, months_back: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 - months_back, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def advised(customer: Customer) -> Advised:
    with unit_of_work(customer.workspace_id) as session:
        balance = credits.read(session, customer.gateways.clock.now())
        return credit_advice.advise(session, balance)


def test_without_a_subscription_there_is_nothing_to_advise_on(customer: Customer) -> None:
    with pytest.raises(NoSubscriptionForCreditsError):
        advised(customer)


def test_a_history_that_is_too_short_is_said_to_be(subscribed: Customer) -> None:
    found = advised(subscribed)

    assert found.found.because == advice.TOO_SHORT
    assert found.found.recommended is None
    # the open month and two more
    assert found.enough_at == datetime(2027, 2, 1, tzinfo=UTC)
    assert found.suggested == 600


def test_a_steady_year_gets_the_pack_that_saves_most(subscribed: Customer) -> None:
    used(subscribed, [300] * 12)
    found = advised(subscribed)

    assert [month.units for month in found.months] == [300] * 12
    assert found.unit_amount == Decimal(99)
    assert found.found.because == advice.SAFE
    best = found.found.recommended
    assert best is not None
    assert best.pack is not None
    assert best.low.saving >= 0
    assert found.suggested == best.pack.units
    assert best.expected.saving == max(
        each.expected.saving for each in found.found.options if each.low.saving >= 0
    )


def test_hardly_any_use_gets_no_pack(subscribed: Customer) -> None:
    used(subscribed, [3] * 12)
    found = advised(subscribed)

    assert found.found.because == advice.NONE_SAVES
    assert found.found.recommended is not None
    assert found.found.recommended.pack is None


def test_the_season_shows_in_the_month_in_which_a_pack_runs_out(subscribed: Customer) -> None:
    used(subscribed, SEASON)
    options = {each.pack.units: each for each in advised(subscribed).found.options if each.pack}

    # five quiet months, then the summer takes what is left
    assert options[600].expected.runs_out == 6


def test_months_before_a_gap_do_not_count(subscribed: Customer) -> None:
    used(subscribed, [500, 500], until=_first(NOVEMBER, 6))
    used(subscribed, [200, 200, 200])
    with_gap = advised(subscribed)

    assert [month.units for month in with_gap.months] == [200, 200, 200]


def test_trial_months_do_not_count(subscribed: Customer) -> None:
    used(subscribed, [500] * 4, trial=True)

    assert advised(subscribed).months == []


def test_599_become_600_because_they_cost_less(subscribed: Customer) -> None:
    offer = advised(subscribed).buyer.offer(599)

    # 599 × $0.99 = $593.01; 600 × $0.99 less 5 % = $564.30
    assert (offer.asked.total, offer.pack.units, offer.pack.total) == (59_301, 600, 56_430)
    assert offer.costs_less_by == 2_871


def test_fewer_than_a_hundred_are_not_sold(subscribed: Customer) -> None:
    buyer = advised(subscribed).buyer
    with pytest.raises(pricing.PricingError) as refusal:
        buyer.offer(99)

    assert refusal.value.param == "units"


def test_older_prices_that_sell_no_packs_are_told_so(shop: Shop, customer: Customer, buyer: Account) -> None:
    customer.at_the_time_of("2023-05").buy(pricing.Selection("pro", 10, "month"))

    with pytest.raises(NoPacksError):
        advised(customer)


def test_what_is_left_of_a_pack_that_ends_soon_is_no_reason_against_another(subscribed: Customer) -> None:
    used(subscribed, [300] * 12)
    CreditBuyer(subscribed).buy(1200)
    now = subscribed.gateways.clock.now()
    with unit_of_work(subscribed.workspace_id) as session:
        session.execute(update(CreditLot).values(expires_at=now + timedelta(days=7)))
    found = advised(subscribed).found

    # 300 in a twelfth of a year are 69 in seven days
    assert found.held == 69
    assert found.options[0].expected.units == 3_531
    assert found.because == advice.SAFE


def test_months_before_the_first_use_tell_nothing_of_how_long_a_pack_lasts(subscribed: Customer) -> None:
    used(subscribed, [0, 0, 300, 300, 300])
    CreditBuyer(subscribed).buy(1200)
    with unit_of_work(subscribed.workspace_id) as session:
        balance = credits.read(session, subscribed.gateways.clock.now())
        outlook = credit_outlook.read(session, balance)

    assert outlook is not None
    # as the advisor says on the same page, which plays 3,600 a year
    assert outlook.monthly == 300
