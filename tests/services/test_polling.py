"""Events in every order, and those that never come: the poller makes up for them and says so."""

import itertools
from datetime import timedelta

import pytest
from sqlalchemy import Connection, select

from portal.db import unit_of_work
from portal.models import InboxEvent, Mail
from portal.services import inbox, polling
from tests.services.buying import Customer
from tests.services.test_inbox import door, rows
from tests.shop import TWELVE_BY_THE_MONTH

NOW = timedelta(0)


def history(customer: Customer) -> list[InboxEvent]:
    """The events of a life: bought, paid, cancelled; stored, none worked on."""
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.shop.client.v1.subscriptions.cancel(customer.attempt(quote_id).stripe_subscription_id)
    customer.shop.deliver()
    with unit_of_work() as session:
        kept = (
            "customer.subscription.created",
            "invoice.paid",
            "customer.subscription.updated",
            "customer.subscription.deleted",
        )
        found = {row.type: row for row in session.scalars(select(InboxEvent).order_by(InboxEvent.created))}
        return [found[type] for type in kept]


def outcome(customer: Customer) -> tuple[object, ...]:
    """All that a customer or the bookkeeping can see of it."""
    subscription = customer.subscription()
    with unit_of_work(customer.workspace_id) as session:
        mails = sorted(session.scalars(select(Mail.kind)))
    return (
        (subscription.status, subscription.access) if subscription else None,
        customer.proof(),
        mails,
        customer.incidents(),
    )


def test_every_order_of_a_life_ends_in_the_same_state(customer: Customer, connection: Connection) -> None:
    events = history(customer)
    seen = set()
    for order in itertools.permutations(events):
        undo = connection.begin_nested()
        for each in order:
            inbox.process(customer.gateways, each.id)
        seen.add(repr(outcome(customer)))
        undo.rollback()

    assert len(seen) == 1
    assert "'canceled', 'ended'" in seen.pop()


@pytest.mark.parametrize("lost", range(4))
def test_any_event_that_never_comes_is_made_up_for_and_the_gap_is_told(customer: Customer, lost: int) -> None:
    events = history(customer)
    with unit_of_work() as session:
        # as if Stripe's delivery had failed for good
        session.delete(session.get_one(InboxEvent, events[lost].id))
    customer.run_jobs()
    polling.poll(customer.gateways, patience=NOW)
    inbox.sweep(customer.gateways)

    assert customer.incidents() == ["webhooks_missed"]
    assert outcome(customer)[0] == ("canceled", "ended")
    assert customer.mails("receipt") == 1


def test_all_webhooks_lost_is_the_same_as_none_lost(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    polling.poll(customer.gateways)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    polling.poll(customer.gateways, patience=NOW)
    inbox.sweep(customer.gateways)

    assert customer.state(quote_id) == "active"
    assert customer.mails("receipt") == 1


def test_a_webhook_that_comes_a_moment_after_the_poller_is_no_gap(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    polling.poll(customer.gateways)
    inbox.sweep(customer.gateways)
    before = customer.access()
    customer.settle()

    assert before == "none"
    assert customer.access() == "active"
    assert customer.incidents() == []


def test_an_event_refused_for_its_version_is_made_up_for_by_the_poller(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.gateways.stripe.webhooks = door(customer.shop.webhook_secret, version="2027-01-01.next")
    customer.settle()
    refused = set(rows(InboxEvent.state))
    polling.poll(customer.gateways, patience=NOW)
    inbox.sweep(customer.gateways)

    assert refused == {("refused",)}
    assert customer.state(quote_id) == "active"


def test_the_poller_reads_on_from_where_it_was(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    polling.poll(customer.gateways)
    kept = polling.poll(customer.gateways)

    assert kept == 0
