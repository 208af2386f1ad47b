"""What counts as a resolution: the decision table, and what holds for any events in any order."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.pricing import Episode, Event, PricingError, episodes, resolve
from portal.pricing.outcomes import (
    BECAUSE,
    EVENT_TYPES,
    KINDS,
    MAX_WINDOW,
    PREVENTED_BY,
    STATES,
)
from portal.pricing.proration import MAX_TIME
from portal.pricing.reading import MAX_ITEMS
from tests.pricing.asking import RESOLVE, ask

TABLE = Path(__file__).with_name("outcomes.md")
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
HOUR, DAY = 3_600, 86_400
ANSWERED, CONFIRMED = Event("ai_answered", 0), Event("customer_confirmed", HOUR)


@dataclass(frozen=True)
class Row:
    """One row of the decision table."""

    number: str
    events: tuple[Event, ...]
    test: bool
    now: int
    expected: list[tuple[str, str | None, int | None, str]]


def seconds(text: str) -> int:
    """``+1d3h`` in seconds."""
    assert re.fullmatch(r"\+(\d+[dhms])+", text), text
    return sum(int(count) * SECONDS[unit] for count, unit in re.findall(r"(\d+)([dhms])", text))


def tables(text: str) -> list[list[list[str]]]:
    """The cells of each Markdown table, without its head."""
    found = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in line.strip("|").split("|")] for line in each.splitlines()[2:]]
        for each in found
    ]


def rows() -> list[Row]:
    """The decision table, read."""
    (words, decisions), none = tables(TABLE.read_text("utf-8")), {"–": None}
    types = dict(words)
    assert sorted(types.values()) == sorted(EVENT_TYPES)
    read = []
    for number, happens, asked_at, *outcome in decisions:
        story = happens.removeprefix("a test: ")
        steps = [] if story == "nothing" else [step.rsplit(" ", 1) for step in story.split(", ")]
        columns = [[none.get(cell, cell) for cell in column.split("; ")] for column in outcome]
        expected = [
            (str(state), kind, moment and seconds(moment), str(because))
            for state, kind, moment, because in zip(*columns, strict=True)
        ]
        events = tuple(Event(types[word], seconds(at)) for word, at in steps)
        read.append(Row(number, events, story != happens, seconds(asked_at), expected))
    return read


def told(episode: Episode) -> tuple[str, str | None, int | None, str]:
    """An episode in the columns of the table: until when it is pending, since when it is what it is."""
    moment = episode.matures_at if episode.reversed_at is None else episode.reversed_at
    if episode.state == "billable":
        moment = episode.billable_at
    return episode.state, episode.kind, moment, episode.because


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.number)
def test_the_decision_table_is_what_is_charged(row: Row) -> None:
    found = episodes(row.events, now=row.now, test=row.test)

    assert [told(each) for each in found] == row.expected
    assert [each.number for each in found] == list(range(1, len(found) + 1))


def test_the_table_is_large_numbered_and_shows_every_state_and_every_reason() -> None:
    read = rows()

    assert len(read) >= 40
    assert [row.number for row in read] == [str(number) for number in range(1, len(read) + 1)]
    assert {state for row in read for state, *_ in row.expected} == set(STATES)
    assert {because for row in read for *_, because in row.expected} == set(BECAUSE)


def test_a_reversed_unit_keeps_when_and_how_it_was_billable() -> None:
    found = resolve([ANSWERED, CONFIRMED, Event("reopened", 45 * DAY)], now=46 * DAY)

    assert found == Episode(1, "reversed", "confirmed", 0, None, HOUR, 45 * DAY, "reopened_after")


def test_a_window_may_be_counted_in_microseconds() -> None:
    def at(now: int) -> Episode:
        return resolve([Event("ai_answered", 5)], now=now, window=DAY * 1_000_000)

    assert (at(86_400_000_004).state, at(86_400_000_004).matures_at) == ("pending", 86_400_000_005)
    assert (at(86_400_000_005).state, at(86_400_000_005).billable_at) == ("billable", 86_400_000_005)


@pytest.mark.parametrize(
    ("events", "now", "expected"),
    [
        ([ANSWERED, CONFIRMED], DAY, "before_confirmation"),
        ([ANSWERED], DAY, "within_window"),
        ([ANSWERED], HOUR, "within_window"),
        ([ANSWERED, CONFIRMED, Event("reopened", DAY)], DAY, None),
        ([ANSWERED, Event("human_replied", HOUR)], DAY, None),
        ([], DAY, None),
    ],
)
def test_what_is_charged_says_what_would_have_prevented_it(
    events: list[Event], now: int, expected: str | None
) -> None:
    assert resolve(events, now=now).prevented_by == expected


@pytest.mark.parametrize("sentence", [*BECAUSE.values(), *PREVENTED_BY.values()])
def test_each_code_has_a_sentence(sentence: str) -> None:
    assert re.fullmatch(r"(The|A|24|What) .+\.", sentence)


@pytest.mark.parametrize(
    ("make", "param"),
    [
        (lambda: Event("ai_slept", 0), "type"),
        (lambda: Event("ai_answered", True), "at"),
        (lambda: resolve([], now="0"), "now"),  # type: ignore[arg-type]
        (lambda: resolve([], now=0, window=0), "window"),
        (lambda: resolve([], now=0, window=MAX_WINDOW + 1), "window"),
    ],
)
def test_what_is_no_event_or_moment_is_refused(make: Any, param: str) -> None:
    with pytest.raises(PricingError) as refused:
        make()

    assert refused.value.param == param


# few instants, so that ties are common, and gaps on both sides of the window's end
moments = st.sampled_from([0, 1, HOUR, 23 * HOUR, DAY, DAY + 1, 25 * HOUR, 2 * DAY, 3 * DAY, 40 * DAY])
conversations = st.lists(st.builds(Event, st.sampled_from(EVENT_TYPES), moments), max_size=12)


@given(conversations, moments, st.randoms())
def test_the_order_of_arrival_changes_nothing(events: list[Event], now: int, chance: Any) -> None:
    shuffled = events.copy()
    chance.shuffle(shuffled)

    assert episodes(shuffled, now=now) == episodes(events, now=now)


@given(conversations, moments, st.data())
def test_what_arrives_again_changes_nothing(events: list[Event], now: int, data: st.DataObject) -> None:
    again = data.draw(st.lists(st.sampled_from(events), max_size=6)) if events else []

    assert episodes([*again, *events, *again], now=now) == episodes(events, now=now)


@given(conversations, moments, moments)
def test_a_return_that_arrives_late_takes_the_charge_away(events: list[Event], now: int, at: int) -> None:
    """It makes no difference whether the unit was sent before the late event arrived."""
    charged = resolve(events, now=now)
    if charged.state == "billable" and (charged.answered_at or 0) <= at <= now:
        late = episodes([*events, Event("customer_asked", at)], now=now)[charged.number - 1]

        # at the very instant of a confirmation the question counts first, and nothing becomes billable
        first = (charged.billable_at or 0) + (charged.kind == "confirmed")
        assert late.state == ("reversed" if at >= first else "not_billable")


@given(conversations, moments)
def test_the_future_is_not_looked_at(events: list[Event], now: int) -> None:
    assert episodes(events, now=now) == episodes([each for each in events if each.at <= now], now=now)


@given(conversations, moments, st.integers(-(10**18), 10**18))
def test_only_the_time_between_events_counts_not_the_date(events: list[Event], now: int, shift: int) -> None:
    def told_at(start: int) -> list[tuple[str, str | None, str]]:
        moved = [Event(each.type, each.at + start) for each in events]
        return [(each.state, each.kind, each.because) for each in episodes(moved, now=now + start)]

    assert told_at(shift) == told_at(0)


@given(conversations, moments)
def test_every_episode_is_whole(events: list[Event], now: int) -> None:
    found = episodes(events, now=now)

    assert [each.number for each in found] == list(range(1, len(found) + 1))
    for each in found:
        assert each.because in BECAUSE
        assert each.kind in (*KINDS, None)
        assert (each.kind is not None) is (each.state in ("billable", "reversed"))
        assert (each.billable_at is not None) is (each.kind is not None)
        assert (each.reversed_at is not None) is (each.state == "reversed")
        assert (each.matures_at is not None) is (each.state == "pending")
        moments = [each.answered_at, each.billable_at, each.reversed_at]
        known = [moment for moment in moments if moment is not None]
        assert known == sorted(known)
        assert all(moment <= now for moment in known)
        if each.matures_at is not None:
            assert now < each.matures_at == (each.answered_at or 0) + DAY


@given(conversations, moments)
def test_only_the_last_episode_may_still_change(events: list[Event], now: int) -> None:
    for each in episodes(events, now=now)[:-1]:
        assert each.state in ("not_billable", "reversed")


@given(conversations, moments)
def test_at_most_one_unit_of_a_conversation_is_billable(events: list[Event], now: int) -> None:
    assert sum(each.state == "billable" for each in episodes(events, now=now)) <= 1


@given(conversations, moments)
def test_nothing_is_billable_without_a_real_answer_or_in_a_test(events: list[Event], now: int) -> None:
    without = [each for each in events if each.type != "ai_answered"]

    assert {each.state for each in episodes(without, now=now)} <= {"open", "not_billable"}
    assert [each.state for each in episodes(events, now=now, test=True)] == ["not_billable"]


@given(conversations, moments)
def test_who_asks_now_is_not_charged_whatever_happened_before(events: list[Event], now: int) -> None:
    asked = [*events, Event("customer_asked", now)]

    assert resolve(asked, now=now).state in ("open", "not_billable", "reversed")


@given(conversations, moments)
def test_the_program_answers_as_the_package_does(events: list[Event], now: int) -> None:
    sent = [{"type": each.type, "at": each.at} for each in events]
    expected = resolve(events, now=now)

    assert ask({"op": "resolve", "events": sent, "now": now}).content == {
        "state": expected.state,
        "kind": expected.kind,
        "matures_at": expected.matures_at,
        "because": BECAUSE[expected.because],
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {},
            {
                "state": "not_billable",
                "kind": None,
                "matures_at": None,
                "because": "The customer asked again within 24 hours of the AI agent's last answer.",
            },
        ),
        (
            {"events": RESOLVE["events"][:1], "now": 1_790_086_399},
            {
                "state": "pending",
                "kind": None,
                "matures_at": 1_790_086_400,
                "because": "The AI agent answered, and the customer may still ask for more help within 24 "
                "hours of that.",
            },
        ),
        (
            {"events": RESOLVE["events"][:1]},
            {
                "state": "billable",
                "kind": "assumed",
                "matures_at": None,
                "because": "24 hours passed after the AI agent's last answer without a request for more "
                "help.",
            },
        ),
        (
            {"test": True},
            {
                "state": "not_billable",
                "kind": None,
                "matures_at": None,
                "because": "The conversation is a test.",
            },
        ),
        (
            {"events": [], "now": 0},
            {
                "state": "open",
                "kind": None,
                "matures_at": None,
                "because": "The AI agent has not given a real answer yet.",
            },
        ),
    ],
)
def test_the_program_resolves_a_conversation(change: dict[str, Any], expected: dict[str, Any]) -> None:
    answer = ask(RESOLVE | change)

    assert (answer.content, answer.status) == (expected, 0)


def test_an_explained_resolution_tells_its_episodes() -> None:
    again = [*RESOLVE["events"], {"type": "ai_answered", "at": 1_790_000_120}]
    told = ask(RESOLVE | {"events": again, "now": 1_790_086_520, "explain": True}).content["episodes"]

    assert told == [
        {
            "number": 1,
            "state": "not_billable",
            "kind": None,
            "answered_at": 1_790_000_000,
            "matures_at": None,
            "billable_at": None,
            "reversed_at": None,
            "because": "The customer asked again within 24 hours of the AI agent's last answer.",
            "prevented_by": None,
        },
        {
            "number": 2,
            "state": "billable",
            "kind": "assumed",
            "answered_at": 1_790_000_120,
            "matures_at": None,
            "billable_at": 1_790_086_520,
            "reversed_at": None,
            "because": "24 hours passed after the AI agent's last answer without a request for more help.",
            "prevented_by": "A question, a wish for a person, a person's reply or a reopening within the 24 "
            "hours would have prevented the charge.",
        },
    ]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"events": None}, "events"),
        ({"events": {}}, "events"),
        ({"events": "ai_answered"}, "events"),
        ({"events": RESOLVE["events"][:1] * (MAX_ITEMS + 1)}, "events"),
        ({"events": [None]}, "events[0]"),
        ({"events": [{}]}, "events[0][type]"),
        ({"events": [{"at": 1}]}, "events[0][type]"),
        ({"events": [{"type": "ai_answered"}]}, "events[0][at]"),
        ({"events": [{"type": "ai_slept", "at": 1}]}, "events[0][type]"),
        ({"events": [{"type": 1, "at": 1}]}, "events[0][type]"),
        ({"events": [{"type": "", "at": 1}]}, "events[0][type]"),
        ({"events": [{"type": "ai_answered", "at": "1"}]}, "events[0][at]"),
        ({"events": [{"type": "ai_answered", "at": 1.5}]}, "events[0][at]"),
        ({"events": [{"type": "ai_answered", "at": True}]}, "events[0][at]"),
        ({"events": [{"type": "ai_answered", "at": -1}]}, "events[0][at]"),
        ({"events": [{"type": "ai_answered", "at": MAX_TIME + 1}]}, "events[0][at]"),
        ({"events": [*RESOLVE["events"], {"type": "ai_answered", "at": None}]}, "events[2][at]"),
        ({"events": [{"type": "ai_answered", "at": 1, "id": "e1"}]}, "events[0][id]"),
        ({"now": None}, "now"),
        ({"now": "1790086400"}, "now"),
        ({"now": 1.0}, "now"),
        ({"now": -1}, "now"),
        ({"now": MAX_TIME + 1}, "now"),
        ({"test": 1}, "test"),
        ({"test": None}, "test"),
        ({"explain": "yes"}, "explain"),
        ({"window": 60}, "window"),
    ],
)
def test_a_bad_request_to_resolve_names_its_fault(change: dict[str, Any], param: str) -> None:
    assert ask(RESOLVE | change).error == (2, param)


@pytest.mark.parametrize("key", ["events", "now"])
def test_to_resolve_needs_events_and_the_moment(key: str) -> None:
    assert ask({name: value for name, value in RESOLVE.items() if name != key}).error == (2, key)
