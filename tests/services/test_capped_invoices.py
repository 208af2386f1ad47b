"""What a hard cap comes to at Stripe: the meter and the invoice never have more than it allows."""

import pytest

from portal.services import limits
from portal.services.limits import Wanted
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.using import happened


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def cap(acme: Metered, **wanted: object) -> None:
    limits.save(acme.gateways, acme.workspace_id, None, Wanted(**wanted))  # type: ignore[arg-type]


def billed(acme: Metered) -> list[tuple[int, int]]:
    """(quantity, amount) of the resolutions' line of the newest invoice."""
    acme.report()
    acme.advance(days=32)
    [newest, *_] = acme.invoices()
    return [
        (line.quantity or 0, line.amount)
        for line in newest.lines.data
        if line.description and "resolution" in line.description.lower() and line.amount
    ]


def test_the_invoice_bills_at_most_the_cap(acme: Metered) -> None:
    cap(acme, cap_units=5)
    acme.use(8)

    assert [entry.charge for entry in acme.entries()] == ["meter"] * 5 + ["over_cap"] * 3
    assert billed(acme) == [(5, 495)]
    assert acme.counted() == 5


def test_a_cap_in_money_is_never_passed_on_the_invoice(acme: Metered) -> None:
    cap(acme, cap_amount=500)
    acme.use(8)

    assert billed(acme) == [(5, 495)]


def test_a_reversal_makes_room_and_the_sum_stays_within_the_cap(acme: Metered) -> None:
    cap(acme, cap_units=3)
    first = acme.use(3)[0]
    acme.use(1)
    acme.customer.shop.advance(minutes=5)
    acme.feed(happened(first, "customer_asked", acme.gateways.clock.now()))
    acme.use(1)

    assert [(entry.charge, entry.quantity) for entry in acme.entries()] == [
        *[("meter", 1)] * 3,
        ("over_cap", 1),
        ("meter", -1),
        ("meter", 1),
    ]
    assert billed(acme) == [(3, 297)]
