"""Packs of who leaves and comes back: what is left counts again, by the months of the new subscription."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from portal import pricing
from portal.db import unit_of_work
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import CreditPurchase
from portal.services import credit_further_grants, credit_ledger, credit_reconcile, leaving
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.metering import Metered
from tests.services.test_usage_matches import matches
from tests.shop import Shop, taken_once

TWELVE = pricing.Selection("advanced", 12, "month")
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def acme(shop: Shop, customer: Customer) -> Metered:
    """Twelve seats by the calendar's month, with a pack of a hundred and two units of it used."""
    shop.stand_at(NOVEMBER)
    customer.buy(TWELVE)
    shop.advance(days=3)
    acme = Metered(customer.gateways, customer.workspace_id, customer)
    CreditBuyer(customer).buy(100)
    acme.use(2)
    acme.report()
    return acme


def go_to(acme: Metered, year: int, month: int, day: int, *, hours: float = 0) -> None:
    until = datetime(year, month, day, tzinfo=UTC) + timedelta(hours=hours) - acme.gateways.clock.now()
    acme.advance(seconds=until.total_seconds())


@taken_once
def leave(acme: Metered) -> None:
    """The subscription ends now; what was used is billed."""
    leaving.ask(acme.gateways, acme.workspace_id, acme.customer.account.user_id, leaving.NOW)
    acme.advance(hours=2)


def left(acme: Metered) -> int:
    return CreditBuyer(acme.customer).left()


def test_the_last_invoice_is_paid_by_credits_too_and_the_rest_stays(acme: Metered) -> None:
    leave(acme)

    assert matches(acme) == [("resolution", 2, 2, "matched")]
    assert left(acme) == 98
    assert credit_reconcile.run(acme.gateways) == 0
    assert acme.customer.incidents() == []


def test_who_comes_back_uses_what_is_left(acme: Metered) -> None:
    leave(acme)
    go_to(acme, 2027, 2, 17)
    acme.customer.buy(TWELVE)
    acme.customer.shop.advance(days=1)
    acme.use(5)
    acme.report()
    assert left(acme) == 93
    go_to(acme, 2027, 3, 17, hours=2)

    assert matches(acme) == [("resolution", 2, 2, "matched"), ("resolution", 5, 5, "matched")]
    assert left(acme) == 93
    assert credit_reconcile.run(acme.gateways) == 0
    assert acme.customer.incidents() == []


def ends(acme: Metered) -> tuple[datetime, int | None]:
    """When the pack ends here, and its grant at Stripe."""
    buyer = CreditBuyer(acme.customer)
    [lot], [grant] = buyer.lots(), buyer.grants()
    return lot.expires_at, grant.expires_at


def test_a_pack_that_would_end_within_a_new_month_counts_to_its_end(acme: Metered) -> None:
    """It ended on the first of December; the new months begin on the 17th."""
    leave(acme)
    go_to(acme, 2027, 9, 17)
    before = ends(acme)
    acme.customer.buy(TWELVE)
    after = ends(acme)
    go_to(acme, 2027, 11, 17, hours=2)
    acme.use(5)
    acme.report()
    assert left(acme) == 93
    go_to(acme, 2027, 12, 16, hours=23)
    acme.use(1)
    acme.report()
    go_to(acme, 2027, 12, 17, hours=1)
    acme.use(1)
    go_to(acme, 2027, 12, 17, hours=3)
    credit_ledger.sweep(acme.gateways)

    week = timedelta(days=7)
    ended, extended = datetime(2027, 12, 1, tzinfo=UTC), datetime(2027, 12, 17, tzinfo=UTC)
    assert before == (ended, int((ended + week).timestamp()))
    assert after == (extended, int((extended + week).timestamp()))
    # 2 in November of the year before, 6 in the last month; what comes after is paid by use
    assert matches(acme)[-1] == ("resolution", 6, 6, "matched")
    [lot] = CreditBuyer(acme.customer).lots()
    assert (left(acme), lot.ended_why) == (0, "lapsed")
    assert credit_reconcile.run(acme.gateways) == 0
    assert acme.customer.incidents() == []


@pytest.mark.parametrize("kind", ["kill_before", "kill_after", "timeout_after"])
def test_a_crash_while_stripe_is_told_is_gone_on_with(acme: Metered, kind: str) -> None:
    leave(acme)
    go_to(acme, 2027, 9, 17)
    acme.customer.shop.faults.fail(kind, "/v1/billing/credit_grants/*", times=3)
    with suppress(Killed, StripeUnknownError):
        acme.customer.buy(TWELVE)
    acme.customer.shop.faults.mend()
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(CreditPurchase).values(claimed_until=None))
    acme.customer.settle()
    credit_further_grants.sweep(acme.gateways)

    assert ends(acme)[1] == int(datetime(2027, 12, 24, tzinfo=UTC).timestamp())
    assert credit_further_grants.sweep(acme.gateways) == 0
    assert credit_reconcile.run(acme.gateways) == 0


def test_who_comes_back_on_the_same_day_of_a_month_keeps_its_months(acme: Metered) -> None:
    leave(acme)
    before = ends(acme)
    go_to(acme, 2027, 2, 1)
    acme.customer.buy(TWELVE)

    assert ends(acme) == before


def test_a_pack_whose_time_is_over_does_not_come_back(acme: Metered) -> None:
    leave(acme)
    before = ends(acme)
    go_to(acme, 2027, 12, 2)
    acme.customer.buy(TWELVE)
    credit_ledger.sweep(acme.gateways)

    assert ends(acme)[0] == before[0]
    assert left(acme) == 0
