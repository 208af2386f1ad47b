"""What a workspace can be charged with: listed once, the default in both places, removed by rule."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.models import AuditEntry, Mail, PaymentMethod, Subscription
from portal.services import checkout, method_changes, payment_methods, payment_sweeping
from portal.services.ids import new_id
from portal.services.payment_actions import ArrangingError, StillWorkingError
from tests.services.buying import Customer
from tests.services.failing import add, answer_bank, methods, stripes_customer
from tests.shop import TWELVE_BY_THE_MONTH


def make_default(customer: Customer, method: str) -> None:
    method_changes.make_default(customer.gateways, customer.workspace_id, customer.account.user_id, method)


def remove(customer: Customer, method: str) -> None:
    method_changes.remove(customer.gateways, customer.workspace_id, customer.account.user_id, method)


def begin(customer: Customer, action: str, *, default: bool = True) -> str | None:
    return method_changes.begin_adding(
        customer.gateways, customer.workspace_id, customer.account.user_id, action, make_default=default
    )


def adding(customer: Customer, action: str, **options: bool) -> str:
    return method_changes.adding(customer.gateways, customer.workspace_id, action, **options)


def listed(customer: Customer) -> list[tuple[str | None, bool]]:
    """Last four digits of each, and whether it is the default."""
    return [(method.last4, method.default) for method in methods(customer)]


def at_stripe(customer: Customer) -> tuple[str | None, str | None]:
    """The default of the customer and of the subscription there."""
    found = customer.shop.client.v1.customers.retrieve(stripes_customer(customer))
    [subscription] = customer.shop.subscriptions("active")
    return found.invoice_settings.default_payment_method, subscription.default_payment_method  # type: ignore[return-value, union-attr]


def actions_written(customer: Customer) -> list[str]:
    with unit_of_work(customer.workspace_id) as session:
        statement = select(AuditEntry.action).where(AuditEntry.action.startswith("payment_method"))
        return list(session.scalars(statement.order_by(AuditEntry.id)))


@pytest.fixture
def live(customer: Customer) -> Customer:
    """A company that has bought with the Visa that ends in 4242."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return customer


def test_the_card_that_bought_pays_the_subscription(live: Customer) -> None:
    assert listed(live) == [("4242", True)]


def test_a_card_is_added_once_per_page_and_made_the_default_in_both_places(live: Customer) -> None:
    action = new_id("P")
    secrets = {begin(live, action), begin(live, action)}
    before = adding(live, action)
    live.shop.set_up(secrets.copy().pop() or "", "pm_card_mastercard")
    live.settle()
    new = methods(live)[0]

    assert (len(secrets), before, adding(live, action)) == (1, "waiting", "saved")
    assert listed(live) == [("4444", True), ("4242", False)]
    assert at_stripe(live) == (new.id, new.id)
    assert begin(live, action) is None
    with unit_of_work(live.workspace_id) as session:
        asked = session.scalars(
            select(AuditEntry).where(AuditEntry.action == "payment_method.default_asked")
        ).one()
    assert (asked.before["method"]["last4"], asked.after["method"]["last4"]) == ("4242", "4444")
    assert asked.user_id == live.account.user_id
    assert actions_written(live) == [
        "payment_method.add_asked",
        "payment_method.add_awaiting",
        "payment_method.default_asked",
        "payment_method.add_done",
        "payment_method.default_done",
    ]


def test_a_card_that_the_bank_confirms_is_found_without_a_webhook(live: Customer) -> None:
    action = new_id("P")
    secret = begin(live, action, default=False) or ""
    live.shop.set_up(secret, "pm_card_authenticationRequired")
    before = adding(live, action, ask_stripe=True)
    answer_bank(live, secret)

    assert (before, adding(live, action, ask_stripe=True)) == ("waiting", "saved")
    assert sorted(listed(live)) == [("3184", False), ("4242", True)]


def test_when_stripe_does_not_answer_the_same_page_goes_on(live: Customer) -> None:
    action = new_id("P")
    live.shop.faults.fail("timeout_after", "/v1/setup_intents", times=3)
    with pytest.raises(StillWorkingError):
        begin(live, action)
    secret = begin(live, action)

    assert secret
    assert len(set(live.shop.faults.keys("/v1/setup_intents"))) == 1


def test_if_the_second_half_of_a_new_default_fails_the_sweeper_finishes_it(live: Customer) -> None:
    card = add(live, "pm_card_mastercard")
    [subscription] = live.shop.subscriptions()
    live.shop.faults.fail("timeout_before", f"/v1/subscriptions/{subscription.id}", times=3)
    with pytest.raises(StillWorkingError):
        make_default(live, card)
    half = at_stripe(live)
    live.shop.faults.mend()
    payment_sweeping.sweep(live.gateways, left_behind_after=-payment_sweeping.LEFT_BEHIND_AFTER)

    assert half[0] == card != half[1]
    assert at_stripe(live) == (card, card)
    assert listed(live) == [("4444", True), ("4242", False)]


def test_the_default_is_not_changed_while_somebody_else_changes_it(live: Customer) -> None:
    card = add(live, "pm_card_mastercard")

    def second() -> None:
        with pytest.raises(ArrangingError):
            make_default(live, methods(live)[0].id)

    live.shop.faults.fail("then", f"/v1/customers/{stripes_customer(live)}", action=second)
    make_default(live, card)

    assert at_stripe(live) == (card, card)


def test_a_change_that_is_planned_does_not_bring_the_old_card_back(live: Customer) -> None:
    card = add(live, "pm_card_mastercard")
    door = live.shop.client.v1.subscription_schedules
    [subscription] = live.shop.subscriptions()
    schedule = door.create({"from_subscription": subscription.id})
    items = [
        {"price": str(row.price), **({"quantity": row.quantity} if "quantity" in row else {})}
        for row in schedule.phases[0]["items"]
    ]
    now, end = schedule.phases[0].start_date, schedule.phases[0].end_date
    here: Any = {"items": items, "start_date": now, "end_date": end}
    later: Any = {"items": items, "duration": {"interval": "month", "interval_count": 1}}
    door.update(schedule.id, {"end_behavior": "release", "phases": [here, later]})
    make_default(live, card)
    live.shop.advance(days=31, hours=2)
    live.settle()

    assert at_stripe(live) == (card, card)
    assert listed(live)[0] == ("4444", True)


def test_the_only_one_of_a_live_subscription_is_kept(live: Customer) -> None:
    with pytest.raises(payment_methods.LastMethodError):
        remove(live, methods(live)[0].id)


def test_the_only_one_left_is_kept_also_where_it_is_no_default(live: Customer) -> None:
    old, new = methods(live)[0].id, add(live, "pm_card_mastercard")
    live.shop.client.v1.payment_methods.detach(old)
    live.settle()

    assert listed(live) == [("4444", False)]
    with pytest.raises(payment_methods.LastMethodError):
        remove(live, new)


def test_the_default_is_exchanged_before_it_is_removed(live: Customer) -> None:
    old, new = methods(live)[0].id, add(live, "pm_card_mastercard")
    with pytest.raises(payment_methods.DefaultMethodError):
        remove(live, old)
    make_default(live, new)
    remove(live, old)
    live.settle()

    assert listed(live) == [("4444", True)]
    with unit_of_work(live.workspace_id) as session:
        assert session.scalar(select(func.count()).where(PaymentMethod.removed_at.is_not(None))) == 1


def test_one_card_saved_twice_is_shown_and_removed_once(live: Customer) -> None:
    first, second = add(live, "pm_card_mastercard"), add(live, "pm_card_mastercard")
    shown = methods(live)[1]
    remove(live, shown.id)

    assert {shown.id, *shown.also} == {first, second}
    assert listed(live) == [("4242", True)]


def test_what_stripe_tells_of_a_method_is_followed(live: Customer) -> None:
    card = methods(live)[0].id
    live.shop.client.v1.payment_methods.update(card, {"card": {"exp_month": 3, "exp_year": 2031}})
    live.settle()
    renewed = methods(live)[0]
    other = add(live, "pm_card_mastercard")
    live.shop.client.v1.payment_methods.detach(other)
    live.settle()

    assert (renewed.exp_month, renewed.exp_year) == (3, 2031)
    assert listed(live) == [("4242", True)]


def test_a_card_that_expires_is_mailed_thirty_and_seven_days_before(live: Customer) -> None:
    """It is 2026-11-… here; the card ends in December."""
    card = methods(live)[0].id
    live.shop.client.v1.payment_methods.update(card, {"card": {"exp_month": 12, "exp_year": 2034}})
    live.settle()
    queued = [payment_sweeping.announce_expiring(live.gateways)]
    today = live.gateways.clock.now().date()
    for days_before in (30, 29, 7, 6):
        left = (payment_methods.last_day(12, 2034) - today).days - days_before  # type: ignore[operator]
        live.shop.sandbox.clock.offset += left * 24 * 3600
        today = live.gateways.clock.now().date()
        queued.append(payment_sweeping.announce_expiring(live.gateways))
    with unit_of_work(system=True) as session:
        subjects = session.scalars(select(Mail.subject).where(Mail.kind == "card_expiring")).all()

    assert queued == [0, 1, 0, 1, 0]
    assert subjects == ["Visa ending in 4242 expires on 31 December 2034"] * 2


def test_a_card_that_pays_nothing_is_not_announced(live: Customer) -> None:
    other = add(live, "pm_card_mastercard")
    with unit_of_work(live.workspace_id) as session:
        now = live.gateways.clock.now()
        expired = {"exp_month": now.month, "exp_year": now.year}
        session.execute(update(PaymentMethod).where(PaymentMethod.stripe_id == other).values(**expired))

    assert payment_sweeping.announce_expiring(live.gateways) == 0


def test_the_page_after_a_trial_waits_until_its_card_is_stored(live: Customer) -> None:
    """The news of the subscription may come a moment before that of its card."""
    quote_id = live.subscription().quote_id
    attempt = live.attempt(quote_id)
    with unit_of_work(live.workspace_id) as session:
        session.merge(attempt).collect = "setup"
        session.execute(update(Subscription).values(default_payment_method=None))
    before = live.state(quote_id)
    asked = checkout.state(live.gateways, live.workspace_id, quote_id, ask_stripe=True).name

    assert (before, asked, live.state(quote_id)) == ("confirming", "active", "active")
