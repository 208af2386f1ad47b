"""Events: stored once, worked on once, whatever order they come in and whichever never come."""

import json
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
import stripe as sdk
from flask import Flask
from sqlalchemy import delete, func, select, update

from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways.stripe import API_VERSION
from portal.gateways.stripe_webhooks import WebhookDoor
from portal.models import AuditEntry, InboxEvent
from portal.services import inbox, invoices
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH

AT_ONCE = 20
NOW = timedelta(0)


def signed(body: bytes, secret: str, at: int | None = None) -> dict[str, str]:
    header = sdk.WebhookSignature.generate_signature_header(body.decode(), secret, at)
    return {"Stripe-Signature": header}


def event(**changes: object) -> bytes:
    """A subscription's event as Stripe posts it, of an object that does not exist."""
    shape: dict[str, object] = {
        "id": "evt_1",
        "object": "event",
        "type": "customer.subscription.updated",
        "api_version": "2026-10-28.endive",
        "created": 1_790_000_000,
        "livemode": False,
        "data": {"object": {"id": "sub_gone", "object": "subscription"}},
    }
    return json.dumps(shape | changes).encode()


def keep_only(type: str, customer: Customer) -> None:
    """Let one event of the purchase wait in the inbox, and forget the others."""
    customer.shop.deliver()
    with unit_of_work() as session:
        session.execute(delete(InboxEvent).where(InboxEvent.type != type))


def make_due() -> None:
    """Whatever waits for its next try has waited long enough."""
    with unit_of_work() as session:
        session.execute(update(InboxEvent).values(next_try_at=func.now()))


def door(*secrets: str, version: str = API_VERSION) -> WebhookDoor:
    """Another door for webhooks: other secrets, or pinned to another version."""
    return WebhookDoor(secrets, livemode=False, api_version=version, account_id=None)


def rows(*columns: object) -> list[tuple[object, ...]]:
    with unit_of_work() as session:
        return [tuple(row) for row in session.execute(select(*columns).order_by(InboxEvent.id))]


@pytest.fixture
def post(app: Flask, customer: Customer) -> Callable[..., int]:
    """Post a signed delivery to the portal; the status."""

    def send(body: bytes, headers: dict[str, str] | None = None) -> int:
        given = signed(body, customer.shop.webhook_secret) if headers is None else headers
        return app.test_client().post("/webhooks/stripe", data=body, headers=given).status_code

    return send


def test_a_delivery_is_stored_with_its_job_and_answered(customer: Customer, post: Callable[..., int]) -> None:
    status = post(event())
    ran = customer.run_jobs()

    assert status == 200
    assert ran == ["inbox.process"]
    assert rows(InboxEvent.id, InboxEvent.source, InboxEvent.state) == [("evt_1", "webhook", "ignored")]


def test_a_second_delivery_of_an_event_changes_nothing(customer: Customer, post: Callable[..., int]) -> None:
    statuses = [post(event()), post(event())]

    assert statuses == [200, 200]
    assert customer.run_jobs() == ["inbox.process"]


def test_an_event_of_no_use_is_kept_without_a_job(customer: Customer, post: Callable[..., int]) -> None:
    post(event(type="product.created"))

    assert customer.run_jobs() == []
    assert rows(InboxEvent.state, InboxEvent.outcome) == [("ignored", "no use for this type")]


def test_of_an_event_of_no_use_only_its_name_is_kept(customer: Customer, post: Callable[..., int]) -> None:
    post(event(type="product.created", data={"object": {"id": "prod_1", "name": "long " * 1000}}))

    assert rows(InboxEvent.payload) == [({"id": "evt_1", "type": "product.created", "object_id": "prod_1"},)]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "half a pair"])
@pytest.mark.parametrize("type", ["customer.subscription.updated", "product.created"])
def test_what_the_database_cannot_hold_is_replaced_and_the_event_kept(
    customer: Customer, post: Callable[..., int], type: str, text: str
) -> None:
    status = post(event(type=type, data={"object": {"id": "sub_gone", text: [text], "smile": "\U0001f600"}}))
    [(payload,)] = rows(InboxEvent.payload)

    assert status == 200
    if type == "customer.subscription.updated":
        assert payload["data"]["object"] == {
            "id": "sub_gone",
            "a\ufffdb": ["a\ufffdb"],
            "smile": "\U0001f600",
        }


def test_a_name_with_a_nul_at_stripe_does_not_stop_a_purchase(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    with customer.shop.sandbox.work():
        [invoice] = customer.shop.sandbox.store.find("invoice")
        customer.shop.sandbox.store.put("invoice", invoice | {"customer_name": "Ac\0me"})
    with unit_of_work() as session:
        [event_id] = session.scalars(select(InboxEvent.id).where(InboxEvent.type == "invoice.paid"))
    state = inbox.replay(customer.gateways, event_id)
    with unit_of_work(customer.workspace_id) as session:
        [kept] = invoices.listing(session)

    assert state == "done"
    assert kept.billing["name"] == "Ac\ufffdme"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (event(), {}),
        (event(), {"Stripe-Signature": "t=1,v1=00"}),
        (event(), {"Stripe-Signature": "nonsense"}),
        (event(), signed(event(), "whsec_of_somebody_else")),
        (event(), signed(event(id="evt_2"), "{secret}")),
        (event(), signed(event(), "{secret}", int(time.time()) - 301)),
        (b"not json", signed(b"not json", "{secret}")),
        (b"[]", signed(b"[]", "{secret}")),
        (b'{"object": "event"}', signed(b'{"object": "event"}', "{secret}")),
        (b"\xff\xfe", {"Stripe-Signature": "t=1,v1=00"}),
    ],
    ids=["unsigned", "forged", "garbled", "other secret", "other body", "stale", "no json", "no object",
         "no event", "no text"],
)  # fmt: skip
def test_what_stripe_did_not_sign_just_now_is_refused_and_not_kept(
    customer: Customer, app: Flask, body: bytes, headers: dict[str, str]
) -> None:
    customer.gateways.stripe.webhooks = door("{secret}")
    answer = app.test_client().post("/webhooks/stripe", data=body, headers=headers)

    assert answer.status_code == 400
    assert rows(InboxEvent.id) == []


def test_while_a_secret_is_rolled_both_are_good(customer: Customer, post: Callable[..., int]) -> None:
    customer.gateways.stripe.webhooks = door("whsec_new", customer.shop.webhook_secret)
    statuses = [post(event()), post(event(id="evt_2"), signed(event(id="evt_2"), "whsec_new"))]

    assert statuses == [200, 200]


def test_a_body_of_a_megabyte_is_not_read(post: Callable[..., int]) -> None:
    assert post(event(padding="x" * 1_000_000)) == 413
    assert rows(InboxEvent.id) == []


@pytest.mark.parametrize(
    "changes",
    [{"livemode": True}, {"account": "acct_somebody"}, {"api_version": "2024-06-20"}],
    ids=["other mode", "other account", "other version"],
)
def test_a_genuine_event_that_is_not_for_us_is_kept_and_never_applied(
    customer: Customer, post: Callable[..., int], changes: dict[str, object]
) -> None:
    status = post(event(**changes))

    assert status == 200
    assert rows(InboxEvent.state) == [("refused",)]
    assert "inbox.process" not in customer.run_jobs()
    assert customer.incidents() == ["webhook_refused"]


def test_an_event_of_another_mode_cannot_be_replayed(customer: Customer, post: Callable[..., int]) -> None:
    post(event(livemode=True))

    with pytest.raises(PortalError, match="not for this portal"):
        inbox.replay(customer.gateways, "evt_1")


def test_a_poison_event_is_parked_and_keeps_nobody_waiting(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    keep_only("invoice.paid", customer)
    # Stripe answers something that nobody expects for one kind of object
    customer.shop.faults.fail("refuse", "/v1/subscriptions/*", method="GET", times=1000)
    for _try in range(inbox.MOST_TRIES):
        make_due()
        inbox.sweep(customer.gateways)
    parked = rows(InboxEvent.type, InboxEvent.tries, InboxEvent.outcome)
    customer.shop.faults.mend()
    with unit_of_work() as session:
        waiting = [row.id for row in inbox.listing(session, state="parked")]
    replayed = {inbox.replay(customer.gateways, each) for each in waiting}

    assert all(tries == 8 and "This cannot be done" in str(outcome) for _, tries, outcome in parked)
    assert "event_parked" in customer.incidents()
    assert replayed == {"done"}
    assert customer.access() == "active"


def test_while_stripe_is_away_events_wait_and_are_not_given_up(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    keep_only("invoice.paid", customer)
    customer.shop.faults.fail("refused", "*", method="*", times=1000)
    for _try in range(inbox.MOST_TRIES + 2):
        make_due()
        inbox.sweep(customer.gateways)
    states = set(rows(InboxEvent.state))
    customer.shop.faults.mend()
    make_due()
    inbox.sweep(customer.gateways)

    assert states == {("received",)}
    assert customer.state(quote_id) == "active"
    assert customer.incidents() == []


def test_a_stripe_that_is_away_is_not_asked_for_every_event(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.shop.deliver()
    make_due()
    customer.shop.faults.fail("refused", "*", method="*", times=1000)
    before = len(customer.shop.faults.calls)
    due = inbox.sweep(customer.gateways)

    assert due >= 4
    # one event, and the SDK's two retries
    assert len(customer.shop.faults.calls) - before == 3


def test_an_event_whose_job_was_lost_is_found_by_its_row(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.shop.deliver()
    make_due()
    inbox.sweep(customer.gateways)

    assert customer.state(quote_id) == "active"
    # there was a webhook, so nothing was missed
    assert customer.incidents() == []


def test_an_older_reading_never_overwrites_a_newer_one(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret
    subscription_id = customer.attempt(quote_id).stripe_subscription_id

    def paid_meanwhile() -> None:
        customer.shop.pay(secret)
        customer.settle()

    # a worker has read the unpaid subscription and is slow to write it
    customer.shop.faults.fail(
        "then", f"/v1/subscriptions/{subscription_id}", method="GET", action=paid_meanwhile
    )
    state = customer.state(quote_id, ask_stripe=True)

    assert (state, customer.access()) == ("active", "active")
    assert customer.mails("receipt") == 1


@pytest.mark.parametrize("when", ["first", "then"])
@pytest.mark.parametrize("reading", ["subscriptions", "invoices", "payment_intents"])
@pytest.mark.parametrize("event_type", ["invoice.finalized", "customer.subscription.created"])
def test_a_payment_between_two_readings_is_not_taken_for_a_failure(
    customer: Customer, event_type: str, reading: str, when: str
) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret
    customer.shop.deliver()
    with unit_of_work() as session:
        [event_id] = session.scalars(select(InboxEvent.id).where(InboxEvent.type == event_type))
    customer.shop.faults.fail(
        when, f"/v1/{reading}/*", method="GET", action=lambda: customer.shop.pay(secret)
    )
    inbox.process(customer.gateways, event_id)
    meanwhile = customer.state(quote_id)
    told = customer.mails("receipt")
    customer.settle()

    assert told == 0 or meanwhile == "active"
    assert meanwhile in ("awaiting_payment", "confirming", "active")
    assert customer.state(quote_id) == "active"
    assert [each.status for each in customer.shop.subscriptions()] == ["active"]


def test_a_burst_about_one_object_is_one_reading(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.shop.deliver()
    about_invoice = select(InboxEvent.id).where(InboxEvent.type.in_(("invoice.finalized", "invoice.paid")))
    with unit_of_work() as session:
        finalized, paid = session.scalars(about_invoice.order_by(InboxEvent.type))
    states = [inbox.process(customer.gateways, each) for each in (finalized, paid)]
    [told] = [outcome for event_id, outcome in rows(InboxEvent.id, InboxEvent.outcome) if event_id == paid]

    assert states == ["done", "busy"]
    assert str(told).startswith(f"with {finalized}: invoice")
    assert customer.state(quote_id) == "active"


def test_a_burst_about_one_purchase_is_one_reading(customer: Customer) -> None:
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    customer.shop.pay(customer.confirm(quote_id).client_secret)
    customer.shop.deliver()
    with unit_of_work() as session:
        [paid] = session.scalars(select(InboxEvent.id).where(InboxEvent.type == "invoice.paid"))
    inbox.process(customer.gateways, paid)
    waiting = {type_ for (type_, state) in rows(InboxEvent.type, InboxEvent.state) if state == "received"}

    assert waiting == {"customer.updated", "payment_method.attached"}
    assert customer.state(quote_id) == "active"


def test_what_comes_during_a_reading_is_read_again(open_shop: tuple[Flask, Customer]) -> None:
    _app, customer = open_shop
    quote_id = customer.prepare(TWELVE_BY_THE_MONTH)
    secret = customer.confirm(quote_id).client_secret or ""
    customer.shop.deliver()

    def paid_meanwhile() -> None:
        customer.shop.pay(secret)
        customer.shop.deliver()

    customer.shop.faults.fail("then", "/v1/payment_intents/*", method="GET", action=paid_meanwhile)
    with unit_of_work() as session:
        [finalized] = session.scalars(select(InboxEvent.id).where(InboxEvent.type == "invoice.finalized"))
    inbox.process(customer.gateways, finalized)
    waiting = {type_ for (type_, state) in rows(InboxEvent.type, InboxEvent.state) if state == "received"}
    customer.run_jobs()

    assert "invoice.paid" in waiting
    assert customer.state(quote_id) == "active"


def test_doing_every_event_twice_leaves_one_history(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        before = session.scalar(select(func.count()).select_from(AuditEntry))
    with unit_of_work() as session:
        again = [row.id for row in inbox.listing(session, state="done")]
    for event_id in again:
        inbox.replay(customer.gateways, event_id)
    with unit_of_work(customer.workspace_id) as session:
        after = session.scalar(select(func.count()).select_from(AuditEntry))

    assert len(again) >= 4
    assert after == before
    assert customer.mails("receipt") == 1


def at_once(work: Callable[[int], object], times: int) -> list[object]:
    """Run ``work`` in so many threads that start together."""
    barrier = threading.Barrier(times)
    done: list[object] = []

    def run(number: int) -> None:
        barrier.wait()
        done.append(work(number))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done
