"""A final invoice is held against the ledger of its month, unit for unit."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.models import Invoice, MeterEvent, UsageMatch
from portal.services import meter_countering, usage_matches, usage_moves
from portal.services.usage_matches import explains
from tests.services.buying import Customer
from tests.services.metering import Metered


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def matches(acme: Metered) -> list[tuple[str, int, int, str]]:
    """Key, ledger, invoice and state, the first month first."""
    with unit_of_work(acme.workspace_id) as session:
        rows = session.scalars(select(UsageMatch).order_by(UsageMatch.period_start, UsageMatch.key))
        return [(row.key, row.ledger, row.invoiced, row.state) for row in rows]


def test_the_invoices_line_is_the_ledgers_sum(acme: Metered) -> None:
    used = acme.use(5)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(used[0])
    meter_countering.cancel(acme.gateways)
    acme.advance(days=33)

    assert acme.billed() == [4]
    assert matches(acme) == [("resolution", 4, 4, "matched")]
    assert acme.customer.incidents() == []


def test_the_comparison_is_found_by_its_invoice(acme: Metered) -> None:
    acme.use(1)
    acme.report()
    acme.advance(days=33)
    with unit_of_work(acme.workspace_id) as session:
        invoice = session.scalars(select(Invoice).order_by(Invoice.issued_at.desc()).limit(1)).one()
        [match] = usage_matches.of_invoice(session, invoice.stripe_id)

    assert (match.key, match.invoiced) == ("resolution", 1)


def test_what_waited_when_the_invoice_became_final_explains_the_difference(acme: Metered) -> None:
    acme.use(3)
    acme.advance(days=33)
    between = matches(acme)
    usage_moves.sweep(acme.gateways)
    usage_matches.sweep(acme.gateways)

    assert between == [("resolution", 3, 0, "explained")]
    assert matches(acme) == [("resolution", 0, 0, "matched")]
    assert acme.customer.incidents() == []


def test_what_reached_stripe_after_the_invoice_was_final_is_billed_with_the_open_month(acme: Metered) -> None:
    acme.use(3)
    acme.advance(days=33)
    # it was claimed when the invoice was not final yet, and its call took longer
    batch = [acme.outbox()[0]]
    with unit_of_work(acme.workspace_id) as session:
        row = session.get_one(MeterEvent, (acme.workspace_id, batch[0].identifier))
        row.state, row.sent_at = "sent", acme.gateways.clock.now()
    usage_moves.sweep(acme.gateways)
    usage_matches.sweep(acme.gateways)
    acme.report()

    assert matches(acme) == [("resolution", 0, 0, "matched")]
    assert sorted((row.state, row.resent_as is not None) for row in acme.outbox()) == [
        ("sent", False),
        ("sent", False),
        ("sent", False),
        ("sent", True),
    ]
    assert acme.counted() == 3


def test_what_was_cancelled_after_the_invoice_was_final_is_taken_off_the_open_month(acme: Metered) -> None:
    [first, _second] = acme.use(2)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(first)
    acme.advance(days=33)
    between = (acme.billed(), matches(acme))
    acme.use(1)
    acme.free()
    meter_countering.cancel(acme.gateways)
    usage_matches.sweep(acme.gateways)
    acme.report()

    assert between == ([2], [("resolution", 1, 2, "explained")])
    assert matches(acme) == [("resolution", 2, 2, "matched")]
    assert [(row.quantity, row.state) for row in acme.outbox()] == [
        (1, "sent"),
        (1, "sent"),
        (1, "sent"),
        (-1, "sent"),
    ]


def test_a_month_that_ended_below_zero_is_credited(acme: Metered) -> None:
    [unit, _other] = acme.use(2)
    acme.report()
    acme.advance(days=33)
    [new] = acme.use(1)
    acme.report()
    acme.returns(unit)
    acme.report()
    acme.customer.shop.advance(hours=1)
    acme.returns(new)
    acme.free()
    meter_countering.cancel(acme.gateways)
    below = acme.counted()
    acme.advance(days=31)
    between = matches(acme)[-1]
    usage_matches.sweep(acme.gateways)
    acme.credit()

    assert below == 1  # 2 of the first month, −1 of the second
    assert between == ("resolution", -1, 0, "unexplained")
    assert matches(acme)[-1] == ("resolution", 0, 0, "matched")
    assert [(credit.state, credit.total) for credit in acme.credits()] == [("done", 99)]


def test_what_nothing_explains_is_told_once(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    acme.customer.shop.client.v1.billing.meter_events.create(
        {
            "event_name": "resolution",
            "payload": {"stripe_customer_id": acme.stripe_customer, "value": "3"},
            "timestamp": int((acme.gateways.clock.now() - timedelta(minutes=1)).timestamp()),
        }
    )
    acme.advance(days=33)
    usage_matches.sweep(acme.gateways)
    usage_matches.sweep(acme.gateways)

    assert matches(acme) == [("resolution", 2, 5, "unexplained")]
    assert acme.customer.incidents() == ["usage_mismatch"]


def test_all_months_are_compared_in_one_go(acme: Metered) -> None:
    acme.use(2)
    acme.report()
    acme.advance(days=33)
    with unit_of_work(acme.workspace_id) as session:
        session.query(UsageMatch).delete()

    assert usage_matches.compare_recent(acme.gateways) == (1, 0)
    assert matches(acme) == [("resolution", 2, 2, "matched")]


@pytest.mark.parametrize(
    ("difference", "parts", "explained"),
    [
        (2, {"waiting": 2}, True),
        (2, {"waiting": 1, "failed": 1}, True),
        (2, {"waiting": 1}, False),
        (1, {"sending": 2}, True),
        (3, {"sending": 2}, False),
        (-1, {"sending": 2}, False),
        (-1, {"cancelling": 1}, True),
        (0, {"cancelling": 1}, True),
        (-2, {"cancelling": 1}, False),
        (-1, {"cancelled_late": 1}, True),
        (1, {}, False),
    ],
)
def test_which_rows_explain_a_difference(difference: int, parts: dict[str, int], explained: bool) -> None:
    assert explains(difference, parts) is explained
