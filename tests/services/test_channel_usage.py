"""Units of channels: each sending once, calls by the minute, in the month and at Stripe's meter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import UsagePeriod
from portal.services import channel_usage
from portal.services.channel_usage import ChannelUsage, Taken
from tests import factories
from tests.services.using import DAY, HandClock, Workspace, subscribe

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
BEGAN, ENDS = datetime(2026, 11, 10, 12, tzinfo=UTC), datetime(2026, 12, 10, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand."""
    return HandClock(START)


def send(workspace: Workspace, *sendings: ChannelUsage) -> list[Taken]:
    with unit_of_work(workspace.workspace_id) as session:
        return channel_usage.take_in(session, workspace.gateways, workspace.workspace_id, list(sendings))


def results(taken: list[Taken]) -> list[tuple[str, str | None]]:
    return [(each.result, each.reason) for each in taken]


def test_each_key_is_counted_in_its_units_and_told_to_its_meter(acme: Workspace) -> None:
    taken = send(
        acme,
        ChannelUsage("a", "sms", 3, START),
        ChannelUsage("b", "whatsapp", 1, START),
        ChannelUsage("c", "phone_seconds", 61, START),
        ChannelUsage("d", "bulk_email", 5000, START),
    )

    assert results(taken) == [("accepted", None)] * 4
    assert sorted((d.key, d.channel, d.quantity, d.charged) for d in acme.days()) == [
        ("bulk_email", "email", 5000, 5000),
        ("phone_minute", "phone", 2, 2),
        ("sms", "sms", 3, 3),
        ("whatsapp", "whatsapp", 1, 1),
    ]
    assert {(m.event_name, m.quantity, m.state) for m in acme.outbox()} == {
        ("sms", 3, "waiting"),
        ("whatsapp", 1, "waiting"),
        ("phone_minute", 2, "waiting"),
        ("bulk_email", 5000, "waiting"),
    }
    assert ([p.used for p in acme.periods()], acme.balanced()) == ([0], True)


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 1), (59, 1), (60, 1), (61, 2), (3600, 60)])
def test_each_call_is_rounded_up_to_a_minute(acme: Workspace, seconds: int, minutes: int) -> None:
    send(acme, ChannelUsage("a", "phone_seconds", seconds, START))

    assert acme.used("phone_minute") == minutes


def test_a_sending_counts_once_and_its_id_for_nothing_else(acme: Workspace) -> None:
    first = ChannelUsage("a", "phone_seconds", 61, START)
    others = [
        replace(first, quantity=62),
        replace(first, key="sms"),
        replace(first, occurred_at=START - timedelta(microseconds=1)),
    ]
    once = send(acme, first, first, *others)
    again = send(acme, *others, first)

    assert results(once) == [("accepted", None), ("duplicate", None), *[("rejected", "id_reused")] * 3]
    assert results(again) == [*[("rejected", "id_reused")] * 3, ("duplicate", None)]
    assert (len(acme.entries()), len(acme.outbox())) == (1, 1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": " " * 101}, "id_invalid"),
        ({"key": "fax"}, "key_unknown"),
        ({"quantity": 0}, "quantity_invalid"),
        ({"quantity": 1_000_001}, "quantity_invalid"),
        ({"key": "phone_seconds", "quantity": 86_401}, "quantity_invalid"),
        ({"occurred_at": START + timedelta(minutes=6)}, "in_the_future"),
        ({"occurred_at": START - timedelta(days=41)}, "too_old"),
        ({"occurred_at": BEGAN - timedelta(seconds=1)}, "no_subscription"),
        ({"key": "proactive_message"}, "not_sold"),
    ],
)
def test_what_cannot_be_taken_in_is_rejected_with_its_reason_and_alone(
    acme: Workspace, change: dict[str, Any], reason: str
) -> None:
    good = ChannelUsage("good", "sms", 1, START)
    taken = send(acme, replace(good, **{"id": "bad"} | change), good)

    assert results(taken) == [("rejected", reason), ("accepted", None)]
    assert taken[0].message == channel_usage.REASONS[reason]


def test_what_comes_after_its_month_was_closed_is_in_the_open_one(acme: Workspace, clock: HandClock) -> None:
    clock.at = ENDS + DAY
    with unit_of_work(acme.workspace_id) as session:
        session.execute(update(UsagePeriod).values(state="closed"))
    late = ChannelUsage("a", "sms", 2, ENDS - DAY)
    once, again = send(acme, late), send(acme, late)

    assert (results(once), results(again)) == ([("accepted", None)], [("duplicate", None)])
    assert [(e.period_start, e.at, e.occurred_at, e.note) for e in acme.entries()] == [
        (ENDS, clock.now(), ENDS - DAY, "late")
    ]


def test_in_a_trial_it_is_free_and_never_sent(
    gateways: Gateways, workspace: factories.Account, clock: HandClock
) -> None:
    subscribe(gateways, workspace.workspace_id, since=START - DAY, trial_days=14)
    trying = Workspace(gateways, workspace.workspace_id)
    send(trying, ChannelUsage("a", "sms", 2, START))

    assert [(e.charge, e.quantity) for e in trying.entries()] == [("trial", 2)]
    assert trying.outbox() == []
