"""Credit grants: made, changed, ended, and what they pay of invoices when these become final."""

from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.sandbox.billing import START
from tests.sandbox.metering import DAY, HOUR, MONTH, MONTH_END, MeteredWorld

YEAR = 365 * DAY


@pytest.fixture
def world() -> MeteredWorld:
    return MeteredWorld()


def grant(
    world: MeteredWorld, customer: stripe.Customer, value: int, price: str | None = None, **params: Any
) -> stripe.billing.CreditGrant:
    """Credits in cents for one price, or for all metered ones; for a year."""
    scope: Any = {"prices": [{"id": price}]} if price else {"price_type": "metered"}
    wanted: Any = {
        "customer": customer.id,
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": value}},
        "applicability_config": {"scope": scope},
        "expires_at": world.sandbox.now() + YEAR,
        **params,
    }
    return world.v1.billing.credit_grants.create(wanted)


def transactions(
    world: MeteredWorld, customer: stripe.Customer, made: stripe.billing.CreditGrant | None = None
) -> list[tuple[str, int]]:
    """What went in and out, oldest first, in cents."""
    asked: Any = {"customer": customer.id, **({"credit_grant": made.id} if made else {})}
    rows = world.v1.billing.credit_balance_transactions.list(asked).data
    found = []
    for row in reversed(rows):
        if row.credit:
            found.append((row.credit.type, row.credit.amount.monetary.value))  # type: ignore[union-attr]
        if row.debit:
            found.append((row.debit.type, -row.debit.amount.monetary.value))  # type: ignore[union-attr]
    return found


def balance(world: MeteredWorld, customer: stripe.Customer, **scope: Any) -> tuple[int, int]:
    """What is available now and what the ledger has, in cents."""
    wanted: Any = {"type": "applicability_scope", "applicability_scope": scope or {"price_type": "metered"}}
    found = world.v1.billing.credit_balance_summary.retrieve({"customer": customer.id, "filter": wanted})
    [row] = found.balances
    return row.available_balance.monetary.value, row.ledger_balance.monetary.value  # type: ignore[union-attr]


def pay_month(world: MeteredWorld, subscription: stripe.Subscription) -> stripe.Invoice:
    """The month's end passes and the draft's hour; its invoice."""
    world.sandbox.advance(seconds=MONTH_END - world.sandbox.now() + 2 * HOUR)
    return world.latest_invoice(subscription)


def test_a_grant_says_what_it_is_worth_for_what_and_for_how_long(world: MeteredWorld) -> None:
    customer, price = world.customer(), world.usage_price()
    made = grant(world, customer, 99_000, price, name="1,000", metadata={"purchase": "P-1"}, priority=10)

    assert made.amount.monetary is not None
    assert (made.amount.monetary.value, made.amount.monetary.currency) == (99_000, "usd")
    assert [row.id for row in made.applicability_config.scope.prices or []] == [price]
    assert (made.category, made.priority, made.effective_at) == ("paid", 10, START)
    assert made.expires_at == START + YEAR
    assert balance(world, customer, prices=[{"id": price}]) == (99_000, 99_000)
    assert transactions(world, customer) == [("credits_granted", 99_000)]
    assert [each.id for each in world.v1.billing.credit_grants.list({"customer": customer.id})] == [made.id]
    assert world.event_types()[-2:] == [
        "billing.credit_grant.created",
        "billing.credit_balance_transaction.created",
    ]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (
            {"amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 0}}},
            "amount[monetary][value]",
        ),
        ({"amount": {"type": "monetary"}}, "amount[monetary]"),
        ({"effective_at": START - 1}, "effective_at"),
        ({"expires_at": START}, "expires_at"),
        ({"priority": 101}, "priority"),
        ({"category": "gift"}, "category"),
        (
            {"applicability_config": {"scope": {"price_type": "metered", "prices": [{"id": "price_1"}]}}},
            "applicability_config[scope]",
        ),
    ],
)
def test_what_cannot_be_granted_is_refused_with_its_parameter(
    world: MeteredWorld, given: Any, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        grant(world, world.customer(), 100, **given)

    assert refused.value.param == param


def test_a_grant_is_only_for_prices_with_a_meter(world: MeteredWorld) -> None:
    for price in (world.price(9900), world.price(500, None)):
        with pytest.raises(stripe.InvalidRequestError, match="that have a meter"):
            grant(world, world.customer(), 100, price)


def test_a_customer_has_at_most_a_hundred_unused_grants(world: MeteredWorld) -> None:
    customer = world.customer()
    made = [grant(world, customer, 1) for _ in range(100)]
    with pytest.raises(stripe.InvalidRequestError, match="at most 100"):
        grant(world, customer, 1)
    world.v1.billing.credit_grants.void_grant(made[0].id)

    assert grant(world, customer, 1).id


def test_credits_pay_usage_after_discounts_and_before_tax_and_only_usage(world: MeteredWorld) -> None:
    customer = world.customer(address={"country": "DE", "postal_code": "10115", "city": "Berlin"})
    price = world.usage_price(unit_amount=6, tax_behavior="exclusive")
    tenth = world.v1.coupons.create({"percent_off": 10})
    items: Any = [
        {"price": world.price(9900, tax_behavior="exclusive")},
        {"price": price, "discounts": [{"coupon": tenth.id}]},
    ]
    subscription = world.v1.subscriptions.create(
        {"customer": customer.id, "items": items, "automatic_tax": {"enabled": True}}
    )
    made = grant(world, customer, 3000, price)
    world.use(customer, 1000)  # 60.00, less a tenth: 54.00
    invoice = pay_month(world, subscription)
    [seat, used] = sorted(invoice.lines.data, key=lambda line: -line.amount)
    [own] = [entry for entry in used.pretax_credit_amounts or [] if entry.type != "discount"]

    assert (seat.amount, used.amount) == (9900, 6000)
    assert seat.pretax_credit_amounts == []
    assert (own.amount, own.type) == (3000, "credit_balance_transaction")
    assert [(each.type, each.amount) for each in invoice.total_pretax_credit_amounts or []] == [
        ("discount", 600),
        ("credit_balance_transaction", 3000),
    ]
    assert invoice.total_excluding_tax == 9900 + 6000 - 600 - 3000
    assert invoice.total == 12_300 + 2337  # 19 % of 123.00
    assert (invoice.status, invoice.amount_paid) == ("paid", 14_637)
    row = world.v1.billing.credit_balance_transactions.retrieve(str(own.credit_balance_transaction))
    assert row.debit is not None
    assert row.debit.credits_applied is not None
    assert row.debit.credits_applied.invoice == invoice.id
    assert row.debit.credits_applied.invoice_line_item == used.id
    assert transactions(world, customer, made) == [("credits_granted", 3000), ("credits_applied", -3000)]


def test_a_preview_and_a_draft_show_what_would_be_paid_and_take_nothing(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    grant(world, customer, 500)
    world.use(customer, 100)
    preview = world.v1.invoices.create_preview({"subscription": subscription.id})
    world.sandbox.advance(seconds=MONTH + 60)
    draft = world.latest_invoice(subscription)
    before = balance(world, customer)
    world.use(customer, 50, at=MONTH_END - 1)
    final = pay_month(world, subscription)

    assert (preview.subtotal, preview.total, preview.amount_due) == (600, 100, 100)
    assert (draft.status, draft.total, before) == ("draft", 100, (500, 500))
    assert (final.subtotal, final.total, balance(world, customer)) == (900, 400, (0, 0))


def test_a_grant_made_in_mid_month_pays_for_the_whole_month(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    world.use(customer, 10)
    world.sandbox.advance(seconds=20 * DAY)
    grant(world, customer, 500)

    assert pay_month(world, subscription).total == 0
    assert balance(world, customer) == (440, 440)


@pytest.mark.parametrize(("expires_at", "total"), [(MONTH_END, 60), (MONTH_END + 1, 0)])
def test_a_grant_pays_an_invoice_whose_period_ends_before_it(
    world: MeteredWorld, expires_at: int, total: int
) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    grant(world, customer, 500, expires_at=expires_at)
    world.use(customer, 10)
    world.sandbox.advance(seconds=MONTH)
    draft = world.latest_invoice(subscription)

    assert world.v1.invoices.finalize_invoice(draft.id).total == total


def test_a_grant_that_begins_after_the_period_pays_nothing_of_it(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    grant(world, customer, 500, effective_at=MONTH_END + 1)
    world.use(customer, 10)

    assert balance(world, customer) == (0, 500)
    assert pay_month(world, subscription).total == 60


def test_what_comes_first_pays_first(world: MeteredWorld) -> None:
    customer, now = world.customer(), world.sandbox.now()
    subscription = world.subscribe(customer, world.usage_price())
    last = grant(world, customer, 10, priority=90, expires_at=now + 40 * DAY)
    late = grant(world, customer, 10, expires_at=now + 300 * DAY)
    paid = grant(world, customer, 10, expires_at=now + 200 * DAY)
    promised = grant(world, customer, 10, expires_at=now + 200 * DAY, category="promotional")
    other = grant(world, customer, 1000, world.usage_price())
    world.use(customer, 6)  # 36 cents
    invoice = pay_month(world, subscription)
    left = {
        made.id: sum(amount for _, amount in transactions(world, customer, made))
        for made in (promised, paid, late, last, other)
    }

    assert invoice.total == 0
    assert list(left.values()) == [0, 0, 0, 4, 1000]


def test_what_is_left_goes_at_the_end(world: MeteredWorld) -> None:
    customer = world.customer()
    made = grant(world, customer, 500, expires_at=START + 10 * DAY)
    world.sandbox.advance(seconds=10 * DAY - 1)
    before = balance(world, customer)
    world.sandbox.advance(seconds=1)

    assert (before, balance(world, customer)) == ((500, 500), (0, 0))
    assert transactions(world, customer, made) == [("credits_granted", 500), ("credits_expired", -500)]
    with pytest.raises(stripe.InvalidRequestError, match="has expired"):
        world.v1.billing.credit_grants.update(made.id, {"expires_at": START + 20 * DAY})


def test_a_grant_can_be_prolonged_ended_and_voided(world: MeteredWorld) -> None:
    customer = world.customer()
    longer, ended, void = (grant(world, customer, amount) for amount in (1, 20, 300))
    grants = world.v1.billing.credit_grants
    changed = grants.update(longer.id, {"expires_at": START + 2 * YEAR, "metadata": {"why": "asked"}})
    over = grants.expire(ended.id)
    gone = grants.void_grant(void.id)

    assert (changed.expires_at, changed.metadata.to_dict()) == (START + 2 * YEAR, {"why": "asked"})
    assert (over.expires_at, gone.voided_at) == (START, START)
    assert balance(world, customer) == (1, 1)
    assert transactions(world, customer)[3:] == [("credits_expired", -20), ("credits_voided", -300)]
    with pytest.raises(stripe.InvalidRequestError, match="has been voided"):
        grants.expire(void.id)


def test_a_grant_that_has_paid_cannot_be_voided(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    made = grant(world, customer, 500)
    world.use(customer, 1)
    pay_month(world, subscription)
    with pytest.raises(stripe.InvalidRequestError, match="was applied to an invoice"):
        world.v1.billing.credit_grants.void_grant(made.id)
    world.v1.billing.credit_grants.expire(made.id)

    assert balance(world, customer) == (0, 0)


def test_a_voided_invoice_gives_its_credits_back(world: MeteredWorld) -> None:
    customer = world.customer("pm_card_chargeCustomerFail")
    subscription = world.subscribe(customer, world.usage_price())
    lasting = grant(world, customer, 300)
    short = grant(world, customer, 200, expires_at=MONTH_END + DAY)
    world.use(customer, 100)
    invoice = pay_month(world, subscription)
    world.sandbox.advance(seconds=2 * DAY)
    world.v1.invoices.void_invoice(invoice.id)
    world.sandbox.advance(seconds=1)

    assert (invoice.status, invoice.amount_due) == ("open", 100)
    assert transactions(world, customer, lasting) == [
        ("credits_granted", 300),
        ("credits_applied", -300),
        ("credits_application_invoice_voided", 300),
    ]
    assert transactions(world, customer, short)[2:] == [
        ("credits_application_invoice_voided", 200),
        ("credits_expired", -200),
    ]


def test_a_credit_note_gives_back_the_charged_part_and_no_credits(world: MeteredWorld) -> None:
    customer = world.customer()
    subscription = world.subscribe(customer, world.usage_price())
    grant(world, customer, 300)
    world.use(customer, 100)
    invoice = pay_month(world, subscription)
    [line] = invoice.lines.data
    note = world.v1.credit_notes.create(
        {
            "invoice": invoice.id,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": line.id, "amount": 600}],
            "refund_amount": 300,
        }
    )

    assert (note.subtotal, note.total) == (600, 300)
    assert balance(world, customer) == (0, 0)


def test_the_same_key_makes_one_grant(world: MeteredWorld) -> None:
    customer = world.customer()
    wanted: Any = {
        "customer": customer.id,
        "amount": {"type": "monetary", "monetary": {"currency": "usd", "value": 5}},
        "applicability_config": {"scope": {"price_type": "metered"}},
    }
    made = {
        world.v1.billing.credit_grants.create(wanted, {"idempotency_key": "P-1:grant"}).id for _ in range(2)
    }

    assert len(made) == 1
    assert balance(world, customer) == (5, 5)
