"""Requests of one workspace that arrive together go together, and each gets its own answers."""

import threading
from collections.abc import Callable, Sequence

import pytest
from flask import Flask

from portal.errors import UnavailableError
from portal.web.api.combining import Combined
from tests.programs import program
from tests.services.buying import Customer
from tests.services.conftest import open_shop  # noqa: F401
from tests.services.test_at_once import at_once
from tests.services.using import Workspace, subscribe


class Work:
    """Answers each thing with itself and its workspace; the first turn waits until it is let go."""

    def __init__(self) -> None:
        self.turns: list[tuple[int, list[str]]] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, workspace_id: int, things: Sequence[str]) -> list[str]:
        self.turns.append((workspace_id, list(things)))
        self.begun.set()
        assert self.go.wait(30)
        if "poison" in things:
            raise ValueError("poison")
        return [f"{workspace_id}:{thing}" for thing in things]


def started(*work: Callable[[], object]) -> tuple[list[threading.Thread], list[object]]:
    """Threads that run it, and where their results will be."""
    results: list[object] = [None] * len(work)

    def run(number: int) -> None:
        try:
            results[number] = work[number]()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(work))]
    for thread in threads:
        thread.start()
    return threads, results


def together(work: Work, combined: Combined[str, str], *sent: Sequence[str]) -> list[object]:
    """The first is at work when the others arrive; their results."""
    first, done = started(lambda: combined.answers(1, sent[0]))
    assert work.begun.wait(30)
    others, more = started(*(lambda things=things: combined.answers(1, things) for things in sent[1:]))
    until(lambda: len(combined._waiting[1]) == len(sent) - 1)
    work.go.set()
    for thread in [*first, *others]:
        thread.join(30)
    return done + more


def until(true: Callable[[], bool]) -> None:
    """Let the other threads run until it is so."""
    tries = threading.Event()
    for _ in range(3_000):
        if true():
            return
        tries.wait(0.01)
    raise AssertionError("it never was")


@pytest.fixture
def work() -> Work:
    return Work()


def test_who_arrives_meanwhile_goes_in_one_turn_and_gets_its_own_answers(work: Work) -> None:
    combined = Combined(work, most=100)
    results = together(work, combined, ["a"], ["b", "c"], ["d"], ["e"])

    assert results == [["1:a"], ["1:b", "1:c"], ["1:d"], ["1:e"]]
    assert [len(things) for _, things in work.turns] == [1, 4]
    assert combined._waiting == {}


def test_a_turn_holds_no_more_than_the_most(work: Work) -> None:
    results = together(work, Combined(work, most=3), ["a"], ["b", "c"], ["d", "e"], ["f"])

    assert results == [["1:a"], ["1:b", "1:c"], ["1:d", "1:e"], ["1:f"]]
    assert all(len(things) <= 3 for _, things in work.turns)


def test_nobody_fails_for_what_another_one_sent(work: Work) -> None:
    results = together(work, Combined(work, most=100), ["a"], ["b"], ["poison"], ["c"])

    assert [results[0], results[1], results[3]] == [["1:a"], ["1:b"], ["1:c"]]
    assert isinstance(results[2], ValueError)


def test_workspaces_do_not_wait_for_one_another(work: Work) -> None:
    combined = Combined(work, most=100)
    first, done = started(lambda: combined.answers(1, ["a"]))
    assert work.begun.wait(30)
    second, more = started(lambda: combined.answers(2, ["a"]))
    until(lambda: len(work.turns) == 2)
    work.go.set()
    for thread in [*first, *second]:
        thread.join(30)

    assert done + more == [["1:a"], ["2:a"]]


def test_who_waited_too_long_is_told_to_send_it_again(work: Work) -> None:
    combined = Combined(work, most=100, longest_wait=0.01)
    first, done = started(lambda: combined.answers(1, ["a"]))
    assert work.begun.wait(30)
    with pytest.raises(UnavailableError):
        combined.answers(1, ["b"])
    work.go.set()
    first[0].join(30)

    assert done == [["1:a"]]
    assert combined._waiting == {}


def test_of_requests_at_the_same_moment_every_event_counts_once(
    open_shop: tuple[Flask, Customer],  # noqa: F811
) -> None:
    app, customer = open_shop
    subscribe(customer.gateways, customer.workspace_id)
    tool = program(app, customer.account)
    now = customer.gateways.clock.now().isoformat()

    def send(conversation: int) -> object:
        base = {"conversation_id": f"conv_{conversation}", "occurred_at": now, "channel": "chat"}
        sent = [
            {**base, "id": f"evt_{conversation}_{type}", "type": type}
            for type in ("ai_answered", "customer_confirmed")
        ]
        client = app.test_client()
        headers = {"Authorization": f"Bearer {tool.secret}"}
        return client.post("/v1/events", json=sent, headers=headers).json

    # each of ten conversations is sent twice
    answers = at_once(*[lambda n=n: send(n % 10) for n in range(20)])
    counts = [(answer["accepted"], answer["duplicate"]) for answer in answers]  # type: ignore[index]

    assert sum(accepted for accepted, _ in counts) == 20
    assert sum(duplicate for _, duplicate in counts) == 20
    assert Workspace(customer.gateways, customer.workspace_id).used() == 10
