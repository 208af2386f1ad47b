"""Why a line is what it is: only steps that come out to the cent are told."""

from datetime import UTC, datetime
from typing import Any

import pytest

from portal.models import Invoice
from portal.services import line_traces
from portal.services.line_traces import Earlier

MAY, JUNE, JULY = (int(datetime(2026, month, 10, tzinfo=UTC).timestamp()) for month in (5, 6, 7))
MIDDLE = int(datetime(2026, 6, 25, tzinfo=UTC).timestamp())


def line(**facts: Any) -> dict[str, Any]:
    return {
        "id": "il_1",
        "key": "seat",
        "catalog": "2026-11",
        "tier": "advanced",
        "interval": "month",
        "quantity": 12,
        "unit_amount": "9900",
        "amount": 118_800,
        "discount": 0,
        "total": 118_800,
        "tax": 0,
        "period_start": JUNE,
        "period_end": JULY,
        "proration": False,
        "credited": None,
        **facts,
    }


def results(found: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(step["rule"], step["result"]) for step in found]


def test_a_price_times_a_quantity() -> None:
    assert results(line_traces.trace(line(), {})) == [("price", 118_800)]
    assert line_traces.trace(line(amount=118_801), {}) == []
    assert line_traces.trace(line(unit_amount=None), {}) == []


def test_usage_by_its_bands() -> None:
    messages = line(key="proactive_message", tier=None, quantity=2600, unit_amount=None, amount=16_500)

    assert results(line_traces.trace(messages, {})) == [
        ("included", 0),
        ("graduated", 16_000),
        ("graduated", 500),
    ]
    assert line_traces.trace(messages | {"amount": 16_501}, {}) == []


def test_a_line_of_one_band_by_its_own_rate() -> None:
    """Stripe lays a line for each band of a rate."""
    sms = line(key="sms", tier=None, quantity=501, unit_amount="3.2", amount=1603)

    assert results(line_traces.trace(sms, {})) == [("price", 1603)]
    assert line_traces.trace(sms | {"amount": 1604}, {}) == []


def test_the_rest_of_a_period_at_the_catalogues_price() -> None:
    rest = line(unit_amount=None, proration=True, period_start=MIDDLE, amount=59_400)

    assert results(line_traces.trace(rest, {})) == [("price", 118_800), ("proration_debit", 59_400)]


@pytest.mark.parametrize("change", [{"amount": 59_401}, {"catalog": "1999-01"}, {"tier": "gold"}])
def test_what_does_not_come_out_is_not_told(change: dict[str, Any]) -> None:
    rest = line(unit_amount=None, proration=True, period_start=MIDDLE, amount=59_400)

    assert line_traces.trace(rest | change, {}) == []


def test_a_period_from_the_last_day_of_a_month_is_found() -> None:
    end = int(datetime(2027, 2, 28, tzinfo=UTC).timestamp())
    start = int(datetime(2027, 2, 14, tzinfo=UTC).timestamp())
    # from 31 January: 28 days, of which 14 are left
    rest = line(unit_amount=None, proration=True, period_start=start, period_end=end, amount=59_400)

    assert results(line_traces.trace(rest, {}))[1] == ("proration_debit", 59_400)


def test_a_credit_is_a_share_of_what_was_billed_after_its_discount() -> None:
    billed = line(id="il_0", discount=11_880, total=106_920)
    credit = line(
        unit_amount=None,
        proration=True,
        period_start=MIDDLE,
        amount=-53_460,
        credited={"invoice": "in_0", "lines": ["il_0"]},
    )
    earlier = {"il_0": Earlier(Invoice(stripe_id="in_0"), billed)}
    [step] = line_traces.trace(credit, earlier)

    assert (step["rule"], step["result"], step["inputs"]["amount"]) == ("proration_credit", -53_460, 106_920)
    assert line_traces.trace(credit | {"amount": -53_461}, earlier) == []
    assert line_traces.trace(credit, {}) == []
