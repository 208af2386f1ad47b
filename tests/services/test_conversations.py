"""Conversation events taken in: once each, in any order, and what they come to in the same commit."""

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from portal.app import create_app
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.jobs import Jobs
from portal.gateways.mail import mail_gateway
from portal.models import ConversationEvent as Row
from portal.models import Reservation
from portal.pricing.outcomes import EVENT_TYPES
from portal.services import conversations, reservations
from portal.services.conversations import ConversationEvent
from portal.services.units import unit_of
from tests import factories
from tests.database import TestDatabase
from tests.services.using import DAY, HOUR, HandClock, Workspace, happened, new_conversation, subscribe
from tests.shop import Shop

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def facts(workspace: Workspace, conversation_id: str) -> list[tuple[Any, ...]]:
    """What the events of a conversation decide."""
    return [
        (
            u.episode,
            u.state,
            u.kind,
            u.because,
            u.channel,
            u.answered_at,
            u.billable_at,
            u.reversed_at,
            u.counts,
        )
        for u in workspace.units(conversation_id)
    ]


def net(workspace: Workspace, conversation_id: str) -> dict[int, int]:
    """What the ledger counts of each episode of a conversation."""
    found: dict[int, int] = {}
    for entry in workspace.entries():
        owner, episode = unit_of(entry.source)
        if owner == conversation_id:
            found[episode] = found.get(episode, 0) + entry.quantity
    return {episode: total for episode, total in found.items() if total}


def test_a_confirmed_answer_is_in_ledger_rollup_and_outbox(acme: Workspace, clock: HandClock) -> None:
    now = clock.now()
    taken = acme.feed(
        happened("c1", "ai_answered", now - HOUR, id="a"), happened("c1", "customer_confirmed", now, id="b")
    )

    assert [(each.id, each.result) for each in taken] == [("a", "accepted"), ("b", "accepted")]
    assert acme.states("c1") == ["billable"]
    assert [(e.source, e.kind, e.quantity, e.at, e.charge) for e in acme.entries()] == [
        ("c1#1", "billable", 1, now, "meter")
    ]
    assert [(d.confirmed, d.assumed, d.quantity, d.charged, d.reversed) for d in acme.days()] == [
        (1, 0, 1, 1, 0)
    ]
    assert [(m.state, m.quantity, m.event_name, m.at) for m in acme.outbox()] == [
        ("waiting", 1, "resolution", now)
    ]
    assert [p.used for p in acme.periods()] == [1]


def test_the_same_batch_twice_changes_nothing(acme: Workspace, clock: HandClock) -> None:
    batch = [
        happened("c1", "ai_answered", clock.now() - HOUR, id="a"),
        happened("c1", "customer_confirmed", clock.now(), id="b"),
    ]
    once = acme.feed(*batch, batch[0])
    before = (facts(acme, "c1"), len(acme.entries()), len(acme.outbox()))
    again = acme.feed(*batch, batch[0])

    assert [each.result for each in once] == ["accepted", "accepted", "duplicate"]
    assert [each.result for each in again] == ["duplicate", "duplicate", "duplicate"]
    assert (facts(acme, "c1"), len(acme.entries()), len(acme.outbox())) == before


def test_an_id_is_used_for_one_event_only(acme: Workspace, clock: HandClock) -> None:
    first = happened("c1", "ai_answered", clock.now(), id="a")
    others = [
        replace(first, type="ai_greeted"),
        replace(first, occurred_at=clock.now() - HOUR),
        replace(first, conversation_id="c2"),
        replace(first, channel="email"),
        replace(first, test=True),
    ]
    same_batch = acme.feed(first, *others)
    later = acme.feed(*others[2:], others[0], first)

    assert [each.result for each in same_batch] == ["accepted", *["rejected"] * 5]
    assert {each.reason for each in same_batch[1:]} == {"id_reused"}
    assert [(each.result, each.reason) for each in later] == [
        *[("rejected", "id_reused")] * 4,
        ("duplicate", None),
    ]
    assert acme.units("c2") == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": ""}, "id_invalid"),
        ({"id": "x" * 101}, "id_invalid"),
        ({"id": "a\x00b"}, "id_invalid"),
        ({"id": "\ud800"}, "id_invalid"),
        ({"conversation_id": "c" * 201}, "conversation_id_invalid"),
        ({"conversation_id": "c#1"}, "conversation_id_invalid"),
        ({"channel": "c" * 41}, "channel_invalid"),
        ({"type": "ai_yawned"}, "type_unknown"),
        ({"occurred_at": datetime(2026, 11, 20, 12)}, "time_without_zone"),  # noqa: DTZ001
        ({"occurred_at": START + timedelta(minutes=5, microseconds=1)}, "in_the_future"),
        ({"occurred_at": START - timedelta(days=40, microseconds=1)}, "too_old"),
    ],
)
def test_what_cannot_be_taken_in_is_rejected_with_its_reason_and_alone(
    acme: Workspace, change: dict[str, Any], reason: str
) -> None:
    good = happened("c1", "ai_answered", START, id="good")
    taken = acme.feed(replace(good, **{"id": "bad"} | change), good)

    assert [(each.result, each.reason) for each in taken] == [("rejected", reason), ("accepted", None)]
    assert taken[0].message == conversations.REASONS[reason]


def test_the_limits_themselves_are_taken_in(acme: Workspace) -> None:
    taken = acme.feed(
        happened("c" * 200, "ai_answered", START + timedelta(minutes=5), id="x" * 100, channel="k" * 40),
        happened("[a]~2!", "ai_answered", START - timedelta(days=40), id="~"),
    )

    assert [each.result for each in taken] == ["accepted", "accepted"]


def test_without_a_subscription_nothing_is_taken_in(gateways: Gateways, workspace: factories.Account) -> None:
    nobody = Workspace(gateways, workspace.workspace_id)
    taken = nobody.feed(happened("c1", "ai_answered", START))

    assert [(each.result, each.reason) for each in taken] == [("rejected", "no_subscription")]
    assert nobody.units() == []


def test_workspaces_do_not_see_each_others_events_and_units(
    app: Flask, acme: Workspace, gateways: Gateways
) -> None:
    other_account = factories.account(app, company_name="Oak Inc")
    subscribe(gateways, other_account.workspace_id)
    other = Workspace(gateways, other_account.workspace_id)
    event = happened("c1", "ai_answered", START - HOUR, id="a")
    first, second = acme.feed(event), other.feed(replace(event, type="ai_greeted"))

    assert (first[0].result, second[0].result) == ("accepted", "accepted")
    assert (acme.states("c1"), other.states("c1")) == (["pending"], ["not_billable"])


def test_what_a_clock_ahead_of_ours_says_has_happened(acme: Workspace, clock: HandClock) -> None:
    answered = clock.now() - DAY + timedelta(minutes=2)
    acme.feed(happened("c1", "ai_answered", answered))
    acme.feed(happened("c1", "customer_asked", clock.now() + timedelta(minutes=1)))
    before_maturity = acme.states("c1")
    clock.advance(minutes=4)
    acme.catch_up()

    assert (before_maturity, acme.states("c1")) == (["not_billable"], ["not_billable"])
    assert acme.entries() == []


def test_a_batch_that_is_rolled_back_leaves_nothing_and_can_be_sent_again(acme: Workspace) -> None:
    batch = [happened("c1", "ai_answered", START - HOUR), happened("c1", "customer_confirmed", START)]
    with pytest.raises(RuntimeError), unit_of_work(acme.workspace_id) as session:
        conversations.take_in(session, acme.gateways, acme.workspace_id, batch)
        raise RuntimeError("killed")
    nothing = (acme.units(), acme.entries(), acme.outbox(), acme.days())
    taken = acme.feed(*batch)

    assert nothing == ([], [], [], [])
    assert [each.result for each in taken] == ["accepted", "accepted"]
    assert (len(acme.entries()), acme.balanced()) == (1, True)


# --- the set of events decides, not their order ------------------------------------------------------------

MOMENTS = st.integers(0, 16).map(lambda n: START + n * timedelta(hours=6))
STORIES = st.lists(
    st.tuples(st.sampled_from(EVENT_TYPES), MOMENTS, st.sampled_from(("chat", "email"))),
    min_size=1,
    max_size=7,
)


@FEW
@given(story=STORIES, data=st.data())
def test_any_order_and_any_number_of_deliveries_end_the_same(
    acme: Workspace, clock: HandClock, story: list[tuple[str, datetime, str]], data: st.DataObject
) -> None:
    """Delivered at once when all is over, and one by one, late, repeated, with units maturing in between."""
    straight, crooked = new_conversation(), new_conversation()
    events = [happened(crooked, kind, at, channel=channel) for kind, at, channel in story]
    arrivals = data.draw(st.permutations(events + events[: data.draw(st.integers(0, len(events)))]))
    clock.at = START
    for event in arrivals:
        clock.at = max(clock.at, event.occurred_at) + data.draw(st.sampled_from((HOUR, 25 * HOUR)))
        acme.feed(event)
        if data.draw(st.booleans()):
            acme.catch_up()
    clock.at = START + 22 * DAY
    acme.catch_up()
    acme.feed(*(replace(event, id=f"{event.id}s", conversation_id=straight) for event in events))

    assert facts(acme, crooked) == facts(acme, straight)
    assert net(acme, crooked) == net(acme, straight)
    assert acme.balanced()


@FEW
@given(story=STORIES, data=st.data())
def test_all_at_once_is_the_same_in_every_order_to_the_last_row(
    acme: Workspace, clock: HandClock, story: list[tuple[str, datetime, str]], data: st.DataObject
) -> None:
    clock.at = START + 10 * DAY
    one, two = new_conversation(), new_conversation()
    events = [happened(one, kind, at, channel=channel) for kind, at, channel in story]
    acme.feed(*events)
    shuffled = data.draw(st.permutations(events))
    acme.feed(*(replace(event, id=f"{event.id}t", conversation_id=two) for event in shuffled))

    def rows(conversation_id: str) -> list[tuple[Any, ...]]:
        return sorted(
            (e.source.removeprefix(conversation_id), e.kind, e.basis, e.quantity, e.at, e.channel, e.charge)
            for e in acme.entries()
            if unit_of(e.source)[0] == conversation_id
        )

    assert facts(acme, one) == facts(acme, two)
    assert rows(one) == rows(two)


# --- at the same time ---------------------------------------------------------------------------------------


@pytest.fixture
def busy(committing: TestDatabase, tmp_path: Path) -> Workspace:
    """A workspace whose rows are there for every thread."""
    clock = HandClock(START)
    configured = replace(factories.settings(), database_url=committing.app_url, data_dir=tmp_path)
    shop = Shop()
    made = Gateways(configured, shop.gateway, clock, mail_gateway(configured), Jobs(), letters=None)  # type: ignore[arg-type]
    app = create_app(configured, made)
    connected: Gateways = app.extensions["portal"]
    account = factories.account(app)
    subscribe(connected, account.workspace_id)
    return Workspace(connected, account.workspace_id)


def at_once(*actions: Any) -> list[BaseException]:
    """Run the actions in threads that start together; what they raised."""
    barrier, raised = threading.Barrier(len(actions)), []

    def run(action: Any) -> None:
        barrier.wait()
        try:
            action()
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_batches_of_the_same_conversations_at_once_end_as_one_after_the_other(busy: Workspace) -> None:
    """Eight senders deliver overlapping parts of the same stories while units mature under their hands."""
    dice = random.Random(4)
    events: list[ConversationEvent] = []
    for number in range(30):
        for _ in range(dice.randint(1, 6)):
            at = START - timedelta(minutes=dice.randint(0, 5 * 24 * 60))
            events.append(happened(f"c{number}", dice.choice(EVENT_TYPES), at))

    def sender(seed: int) -> Any:
        own = random.Random(seed)
        mine = own.sample(events, len(events))

        def send() -> None:
            while mine:
                batch = [mine.pop() for _ in range(min(len(mine), own.randint(1, 25)))]
                busy.feed(*batch)

        return send

    def sweeper() -> None:
        for _ in range(20):
            busy.catch_up()

    raised = at_once(*(sender(seed) for seed in range(8)), sweeper, sweeper)
    busy.catch_up()
    alone = {f"c{number}": facts(busy, f"c{number}") for number in range(30)}
    busy.feed(*(replace(e, id=f"{e.id}x", conversation_id=f"x{e.conversation_id}") for e in events))

    assert raised == []
    assert busy.balanced()
    assert {name: facts(busy, f"x{name}") for name in alone} == alone
    assert all(net(busy, f"x{name}") == net(busy, name) for name in alone)


def test_one_event_sent_twenty_times_at_once_counts_once(busy: Workspace) -> None:
    batch = [
        happened("c1", "ai_answered", START - HOUR, id="a"),
        happened("c1", "customer_confirmed", START, id="b"),
    ]
    results: list[str] = []
    raised = at_once(*[lambda: results.extend(t.result for t in busy.feed(*batch))] * 20)

    with unit_of_work(busy.workspace_id) as session:
        stored = session.scalar(select(func.count()).select_from(Row))
    assert raised == []
    assert (results.count("accepted"), results.count("duplicate"), stored) == (2, 38, 2)
    assert (len(busy.entries()), len(busy.outbox()), busy.balanced()) == (1, 1, True)


def test_what_is_held_for_an_answer_is_free_once_its_unit_is_decided(
    acme: Workspace, clock: HandClock
) -> None:
    """Held, answered and confirmed in one batch; held, answered, and decided later; never held."""
    held = [reservations.hold(acme.gateways, acme.workspace_id, name) for name in ("c1", "c2")]
    acme.feed(
        happened("c1", "ai_answered", clock.now()),
        happened("c1", "customer_confirmed", clock.now()),
        happened("c2", "ai_answered", clock.now()),
        happened("c3", "ai_answered", clock.now()),
    )
    between = (reserved(acme), acme.balanced())
    acme.feed(happened("c2", "human_replied", clock.now()))
    clock.advance(days=1)
    acme.catch_up()

    assert all(isinstance(each, reservations.Held) for each in held)
    assert between == ({"c1": "settled", "c2": "answered"}, True)
    assert (reserved(acme), acme.balanced()) == ({"c1": "settled", "c2": "settled"}, True)


def reserved(workspace: Workspace) -> dict[str, str]:
    with unit_of_work(workspace.workspace_id) as session:
        rows = session.execute(select(Reservation.conversation_id, Reservation.state))
        return {row.conversation_id: row.state for row in rows}
