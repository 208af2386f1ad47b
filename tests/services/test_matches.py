"""The comparison that proves a quote: nothing that differs by a cent gets through it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from portal import pricing
from portal.gateways.stripe_words import Invoice, InvoiceLine
from portal.services import matches

KEYS = {"price_seat": "seat", "price_copilot": "copilot"}
QUOTE = pricing.quote(
    pricing.Selection("advanced", 12, "month", {"copilot": 5}), catalog=pricing.catalog("2026-11")
)


def line(price_id: str, quantity: int, amount: int) -> InvoiceLine:
    return InvoiceLine(
        id=f"il_{price_id}",
        price_id=price_id,
        subscription_item_id=None,
        description=price_id,
        quantity=quantity,
        unit_amount=Decimal(amount) / quantity,
        amount=amount,
        discount=0,
        tax=0,
        proration=False,
        period_start=0,
        period_end=0,
    )


def invoice(*lines: InvoiceLine, **changes: object) -> Invoice:
    subtotal = sum(each.amount for each in lines)
    made = Invoice(
        id="in_1",
        customer_id="cus_1",
        subscription_id="sub_1",
        metadata={},
        number="A-0001",
        status="open",
        billing_reason="subscription_create",
        currency="usd",
        subtotal=subtotal,
        discount=sum(each.discount for each in lines),
        tax=0,
        total=subtotal,
        amount_due=subtotal,
        amount_paid=0,
        starting_balance=0,
        ending_balance=None,
        lines=lines,
        taxes=(),
        tax_status="complete",
        billing={},
        hosted_invoice_url=None,
        invoice_pdf=None,
        created=0,
        finalized_at=None,
        paid_at=None,
        attempt_count=0,
        next_payment_attempt=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


SEAT = line("price_seat", 12, 118_800)
COPILOT = line("price_copilot", 5, 17_500)


def found(actual: Invoice) -> list[tuple[str, object, object]]:
    compared = matches.differences(matches.priced(QUOTE), actual, KEYS)
    return [(each.what, each.quoted, each.invoiced) for each in compared]


def test_an_invoice_that_is_the_quote_has_no_differences() -> None:
    assert found(invoice(SEAT, COPILOT)) == []


def test_the_order_of_lines_is_no_difference() -> None:
    assert found(invoice(COPILOT, SEAT)) == []


def test_usage_after_a_trial_was_never_promised() -> None:
    usage = replace(line("price_sms", 10, 500), tax=95)
    billed = invoice(SEAT, COPILOT, usage, tax=95, total=136_895, amount_due=136_895)
    compared = matches.without_usage(billed, {"price_sms"})

    assert found(billed) != []
    assert found(compared) == []
    assert (compared.subtotal, compared.tax, compared.total) == (136_300, 0, 136_300)


def test_usage_hides_no_other_difference() -> None:
    billed = invoice(replace(SEAT, amount=118_801), COPILOT, line("price_sms", 10, 500))

    assert ("seat.amount", 118_800, 118_801) in found(matches.without_usage(billed, {"price_sms"}))


def test_a_metered_line_of_nothing_is_no_difference() -> None:
    assert found(invoice(SEAT, COPILOT, line("price_sms", 1, 0))) == []


@pytest.mark.parametrize(
    ("actual", "what"),
    [
        (invoice(replace(SEAT, amount=118_801), COPILOT), "seat.amount"),
        (invoice(replace(SEAT, quantity=13), COPILOT), "seat.quantity"),
        (invoice(SEAT, replace(COPILOT, discount=1)), "copilot.discount"),
        (invoice(SEAT), "copilot.amount"),
        (invoice(SEAT, COPILOT, line("price_setup", 1, 100)), "price_setup.amount"),
        (invoice(SEAT, COPILOT, replace(SEAT, id="il_again")), "seat (il_again).amount"),
        (invoice(SEAT, COPILOT, total=136_299), "total"),
        (invoice(SEAT, COPILOT, discount=1), "discount"),
        (invoice(SEAT, COPILOT, subtotal=136_301), "amount"),
        (invoice(SEAT, COPILOT, currency="eur"), "currency"),
    ],
)
def test_a_cent_a_seat_or_a_line_more_or_less_is_found(actual: Invoice, what: str) -> None:
    assert what in [name for name, _, _ in found(actual)]


def test_a_difference_says_both_sides() -> None:
    assert found(invoice(replace(SEAT, amount=118_801), COPILOT)) == [
        ("seat.amount", 118_800, 118_801),
        ("amount", 136_300, 136_301),
        ("total", 136_300, 136_301),
    ]


def test_tax_on_top_is_not_part_of_our_price() -> None:
    taxed = invoice(replace(SEAT, tax=100), COPILOT, tax=100, total=136_400)

    assert found(taxed) == []
