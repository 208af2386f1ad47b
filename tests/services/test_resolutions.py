"""The list of resolutions, a page at a time, and the evidence of one."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.gateways import Gateways
from portal.models import Resolution
from portal.services import demo_usage, outcomes, resolution_evidence, resolutions, usage
from portal.services.demo_usage import Shape
from portal.services.resolution_evidence import Evidence
from portal.services.resolutions import Filter, Page, Place
from tests import factories
from tests.services.using import DAY, HOUR, HandClock, Workspace, happened, subscribe

INSTANT, MINUTE = timedelta(microseconds=1), timedelta(minutes=1)


@pytest.fixture
def clock() -> HandClock:  # type: ignore[override]
    """A clock turned by hand: 20 November 2026, noon."""
    return HandClock()


def listed(acme: Workspace, *, scanned: int = 2_000, **wanted: object) -> list[str]:
    """The conversations of a list, all pages of it."""
    found, after = [], None
    while True:
        page = one_page(acme, after=after, limit=3, scanned=scanned, **wanted)
        found += [unit.conversation_id for unit in page.units]
        after = page.further
        if after is None:
            return found


def one_page(
    acme: Workspace, *, after: Place | None = None, limit: int = 50, scanned: int = 2_000, **wanted: object
) -> Page:
    with unit_of_work(acme.workspace_id) as session:
        period = usage.find(session, acme.gateways.clock.now())
        which = Filter(period, **wanted)  # type: ignore[arg-type]
        return resolutions.page(session, which, after=after, limit=limit, scanned=scanned)


def evidence(acme: Workspace, conversation_id: str, episode: int = 1) -> Evidence:
    with unit_of_work(acme.workspace_id) as session:
        return resolution_evidence.find(session, conversation_id, episode)


@pytest.fixture
def busy(acme: Workspace, clock: HandClock) -> Workspace:
    """One of each kind."""
    now = clock.now()
    acme.feed(happened("assumed", "ai_answered", now - 3 * DAY, channel="email"))
    acme.resolve("confirmed")
    answered = now - 2 * DAY
    acme.feed(
        happened("helped", "ai_answered", answered), happened("helped", "human_replied", answered + HOUR)
    )
    acme.feed(happened("waiting", "ai_answered", now - HOUR))
    acme.feed(happened("back", "ai_answered", now - 4 * DAY), happened("back", "customer_asked", now - DAY))
    acme.feed(happened("greeted", "ai_greeted", now - DAY))
    return acme


def test_the_list_is_of_what_was_counted_in_the_period_newest_first(busy: Workspace) -> None:
    assert listed(busy) == ["confirmed", "assumed", "back"]


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("billable", ["confirmed", "assumed"]),
        ("reversed", ["back"]),
        ("pending", ["waiting"]),
        ("not_billable", ["helped"]),
        ("contested", []),
        ("disputed", []),
    ],
)
def test_each_state_has_its_list(busy: Workspace, state: str, names: list[str]) -> None:
    assert listed(busy, state=state) == names


def test_it_is_narrowed_by_rule_channel_and_day(busy: Workspace) -> None:
    assert listed(busy, kind="confirmed") == ["confirmed"]
    assert listed(busy, channel="email") == ["assumed"]
    assert listed(busy, day=date(2026, 11, 18)) == ["assumed"]
    assert listed(busy, day=date(2026, 11, 18), channel="chat") == []


def test_a_search_finds_what_begins_so_in_every_state(busy: Workspace) -> None:
    assert listed(busy, search="gre") == ["greeted"]
    assert listed(busy, search="w") == ["waiting"]
    assert listed(busy, search="%") == []


def test_pages_follow_each_other_without_gap_or_repetition(acme: Workspace, clock: HandClock) -> None:
    now = clock.now()
    names = [f"c{n}" for n in range(7)]
    acme.feed(*(happened(name, "ai_answered", now - 2 * DAY) for name in names))

    assert listed(acme) == sorted(names, reverse=True)
    assert listed(acme, search="c") == names


def test_a_filter_that_leaves_few_looks_at_a_bounded_number_and_says_where_it_goes_on(
    acme: Workspace, clock: HandClock
) -> None:
    with unit_of_work(acme.workspace_id) as session:
        period = usage.find(session, clock.now())
    assert period is not None
    demo_usage.fill(acme.workspace_id, period, clock.now(), 250, Shape(events=False))
    first = one_page(acme, channel="fax", scanned=100)

    assert (list(first.units), first.further is not None) == ([], True)
    assert listed(acme, channel="fax", scanned=100) == []
    assert len(listed(acme, channel="chat", scanned=100)) == sum(u.channel == "chat" for u in counted(acme))


def counted(acme: Workspace) -> list[Resolution]:
    return [unit for unit in acme.units() if unit.period_start]


def taken_back(acme: Workspace, month: datetime) -> tuple[int, list[str]]:
    """What a month's "Reversed" says, and the list that it leads to."""
    with unit_of_work(acme.workspace_id) as session:
        found = usage.read(session, acme.gateways.clock.now(), month)
        assert found is not None
        page = resolutions.page(session, Filter(found.period, "reversed"))
        return found.resolutions.count.reversed, [unit.conversation_id for unit in page.units]


def test_who_comes_back_in_the_last_call_of_a_month_stands_in_the_list_of_the_month_that_it_lowers(
    acme: Workspace, clock: HandClock
) -> None:
    names = ("before", "at its end", "in the last call", "after it")
    for name in names:
        acme.resolve(name.replace(" ", "-"))
    [month] = acme.periods()
    for name, after in zip(names, (-INSTANT, timedelta(0), 29 * MINUTE, 30 * MINUTE), strict=True):
        clock.at = month.ends_at + after
        acme.feed(happened(name.replace(" ", "-"), "customer_asked", clock.at))

    assert taken_back(acme, month.starts_at) == (3, ["in-the-last-call", "before", "at-its-end"])
    assert taken_back(acme, month.ends_at) == (1, ["after-it"])


def test_a_contest_that_is_accepted_after_its_month_stands_in_the_list_that_counts_it(
    acme: Workspace, clock: HandClock
) -> None:
    acme.resolve("c1")
    [month] = acme.periods()
    clock.at = month.ends_at + 2 * DAY
    acme.resolve("other")
    with unit_of_work(acme.workspace_id) as session:
        outcomes.take_out(session, acme.gateways, acme.workspace_id, "c1", 1)

    assert taken_back(acme, month.starts_at) == (0, [])
    assert taken_back(acme, month.ends_at) == (1, ["c1"])


def test_what_was_decided_is_disputed_no_more(busy: Workspace) -> None:
    with unit_of_work(busy.workspace_id) as session:
        refused = update(Resolution).where(Resolution.conversation_id == "assumed").values(contest="refused")
        session.execute(refused)

    assert listed(busy, state="contested") == ["assumed"]
    assert listed(busy, state="disputed") == []


def test_the_contested_have_their_list(busy: Workspace) -> None:
    with unit_of_work(busy.workspace_id) as session:
        session.execute(
            update(Resolution).where(Resolution.conversation_id == "assumed").values(contest="open")
        )

    assert listed(busy, state="contested") == ["assumed"]
    assert listed(busy, state="disputed") == ["assumed"]
    with unit_of_work(busy.workspace_id) as session:
        found = usage.read(session, busy.gateways.clock.now())
    assert found is not None
    assert found.disputed == 1


def test_the_evidence_has_the_conversation_the_rule_and_the_price(busy: Workspace, clock: HandClock) -> None:
    found = evidence(busy, "assumed")

    assert [event.type for event in found.events] == ["ai_answered"]
    assert (found.unit.because, found.prevented_by) == ("assumed", "within_window")
    assert (found.charged, found.unit_price, found.currency) == (True, Decimal(99), "usd")
    assert [(entry.kind, entry.quantity) for entry in found.entries] == [("billable", 1)]
    assert [meter.state for meter in found.sent.values()] == ["waiting"]
    assert found.period is not None
    assert found.invoice is None


def test_what_was_taken_back_has_both_entries_and_nothing_is_charged(busy: Workspace) -> None:
    found = evidence(busy, "back")

    assert [(entry.kind, entry.quantity) for entry in found.entries] == [("billable", 1), ("reversal", -1)]
    assert (found.charged, found.prevented_by) == (False, None)


def test_events_of_one_instant_stand_in_the_order_in_which_they_count(
    acme: Workspace, clock: HandClock
) -> None:
    at: datetime = clock.now() - HOUR
    acme.feed(happened("c", "customer_confirmed", at, id="a"), happened("c", "ai_answered", at, id="b"))

    assert [event.type for event in evidence(acme, "c").events] == ["ai_answered", "customer_confirmed"]


def test_each_episode_has_its_own_evidence(busy: Workspace, clock: HandClock) -> None:
    busy.feed(happened("back", "ai_answered", clock.now() - HOUR))
    second = evidence(busy, "back", 2)

    assert [(unit.episode, unit.state) for unit in second.episodes] == [(1, "reversed"), (2, "pending")]
    assert (second.unit.because, second.entries) == ("waiting", [])


def test_what_is_not_there_is_not_found(busy: Workspace) -> None:
    for conversation_id, episode in (("assumed", 2), ("nobody", 1), ("", 0)):
        with pytest.raises(NotFoundError):
            evidence(busy, conversation_id, episode)


def test_another_workspace_sees_none_of_it(busy: Workspace, app, gateways: Gateways) -> None:  # type: ignore[no-untyped-def]
    other = factories.account(app, company_name="Oak Inc")
    subscribe(gateways, other.workspace_id)
    oak = Workspace(gateways, other.workspace_id)

    assert listed(oak) == []
    with pytest.raises(NotFoundError):
        evidence(oak, "assumed")
