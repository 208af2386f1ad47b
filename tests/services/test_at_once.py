"""What happens at the same moment, with real commits and real threads: one result, and everybody gets it."""

import threading
from collections.abc import Callable

from flask import Flask
from sqlalchemy import func, select

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.models import Attempt, InboxEvent, Mail, QuoteMatch
from portal.services import checkout, inbox
from tests import factories
from tests.services.buying import Customer
from tests.shop import CALIFORNIA, TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR

DELIVERIES = 20


def at_once(*work: Callable[[], object]) -> list[object]:
    """Run all of it in threads that start together; results, or the refusals that were raised."""
    barrier = threading.Barrier(len(work))
    done: list[object] = [None] * len(work)

    def run(number: int) -> None:
        barrier.wait()
        try:
            done[number] = work[number]()
        except PortalError as refusal:
            done[number] = refusal

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def count(model: type, *where: object, workspace_id: int | None = None) -> int:
    with unit_of_work(workspace_id) as session:
        return session.scalar(select(func.count()).select_from(model).where(*where))  # type: ignore[arg-type]


def test_a_double_click_is_one_purchase_and_both_get_it(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    first, second, third = at_once(*[lambda: customer.confirm(quote_id)] * 3)

    assert first == second == third
    assert isinstance(first, checkout.Confirmation)
    assert len(customer.shop.subscriptions()) == 1
    assert count(Attempt, workspace_id=customer.workspace_id) == 1


def test_two_tabs_with_two_choices_end_in_one_subscription(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    month = customer.prepare(TWELVE_BY_THE_MONTH)
    results = at_once(
        lambda: customer.confirm(month),
        lambda: customer.confirm(customer.prepare(TWELVE_BY_THE_YEAR)),
    )
    open_ones = [each for each in customer.shop.subscriptions() if each.status == "incomplete"]

    assert len(open_ones) == 1
    assert any(isinstance(each, checkout.Confirmation) for each in results)
    live = Attempt.state.in_(("open", "awaiting_payment", "processing"))
    assert count(Attempt, live, workspace_id=customer.workspace_id) == 1


def test_an_event_delivered_twenty_times_at_once_has_one_effect(open_shop: tuple[Flask, Customer]) -> None:
    app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    kept: list[tuple[bytes, dict[str, str]]] = []
    customer.shop.post = lambda body, headers: kept.append((body, headers)) or 200  # type: ignore[func-returns-value]
    customer.shop.deliver()
    paid = next(each for each in kept if b'"invoice.paid"' in each[0])

    def deliver() -> int:
        return app.test_client().post("/webhooks/stripe", data=paid[0], headers=paid[1]).status_code

    statuses = at_once(*[deliver] * DELIVERIES)
    with unit_of_work() as session:
        [event_id] = session.scalars(select(InboxEvent.id))
    states = at_once(*[lambda: inbox.process(customer.gateways, event_id)] * 4)

    assert statuses == [200] * DELIVERIES
    assert sorted(map(str, states)) == ["busy", "busy", "busy", "done"]
    assert count(Mail, Mail.kind == "receipt", workspace_id=customer.workspace_id) == 1
    assert count(QuoteMatch, workspace_id=customer.workspace_id) == 2
    assert customer.state(quote_id) == "active"


def test_all_events_worked_on_at_once_end_in_stripes_state(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    customer.shop.deliver()
    with unit_of_work() as session:
        waiting = list(session.scalars(select(InboxEvent.id).where(InboxEvent.state == "received")))
    states = at_once(*[lambda event_id=each: inbox.process(customer.gateways, event_id) for each in waiting])

    assert set(states) <= {"done", "ignored"}
    assert customer.state(quote_id) == "active"
    assert count(Mail, Mail.kind == "receipt", workspace_id=customer.workspace_id) == 1


def test_an_event_is_settled_while_somebody_settles_another_of_the_same_purchase(
    open_shop: tuple[Flask, Customer],
) -> None:
    _app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    customer.shop.deliver()
    of_invoice = select(InboxEvent.id).where(InboxEvent.type.in_(["invoice.finalized", "invoice.paid"]))
    with unit_of_work() as session:
        first, second = session.scalars(of_invoice)
    with unit_of_work() as session:
        session.execute(select(InboxEvent).where(InboxEvent.id == second).with_for_update())
        states = at_once(lambda: inbox.process(customer.gateways, first))

    assert states == ["done"]
    assert inbox.process(customer.gateways, second) == "done"


def test_saving_details_twice_at_once_makes_one_customer(open_shop: tuple[Flask, Customer]) -> None:
    app, customer = open_shop
    other = factories.account(app)

    def save() -> object:
        return checkout.save_details(customer.gateways, other.workspace_id, other.user_id, CALIFORNIA)

    at_once(save, save)
    made = customer.shop.client.v1.customers.list().data

    assert [each.metadata["workspace"] for each in made].count(str(other.workspace_id)) == 1


def test_several_choices_can_be_priced_at_the_same_moment(
    open_shop: tuple[Flask, Customer],
) -> None:
    _app, customer = open_shop
    sizes = [pricing.Selection("essential", seats) for seats in range(1, 6)]
    made = at_once(*[lambda chosen=each: customer.prepare(chosen) for each in sizes])

    assert len({str(quote_id) for quote_id in made}) == 5
