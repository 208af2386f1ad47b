"""Time: the offset, the hooks that run on the way, and what a restart remembers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
from flask import Flask

from portal.sandbox import clock as clocks
from portal.sandbox.app import create_sandbox
from portal.sandbox.clock import Clock
from portal.sandbox.state import Sandbox

START = 1_800_000_000
HOUR = 3600


@pytest.fixture
def sandbox() -> Sandbox:
    return create_sandbox(clock=Clock(lambda: START)).extensions["sandbox"]


@pytest.fixture
def alarms(sandbox: Sandbox) -> Iterator[list[tuple[str, int]]]:
    """A hook that rings for every stored alarm, and the list of what rang when."""
    rang: list[tuple[str, int]] = []

    def hook(current: Sandbox, clock_id: str | None, until: int) -> tuple[int, clocks.Action] | None:
        waiting = current.store.find("alarm", lambda row: row["at"] <= until, clock=clock_id)
        first = min(waiting, key=lambda row: row["at"], default=None)
        if first is None:
            return None

        def ring() -> None:
            current.store.delete("alarm", first["id"])
            rang.append((first["id"], current.now({"test_clock": clock_id})))

        return first["at"], ring

    clocks.on_tick(hook)
    yield rang
    clocks._hooks.remove(hook)


def set_alarm(sandbox: Sandbox, id: str, at: int, clock: str | None = None) -> None:
    with sandbox.work():
        sandbox.store.put("alarm", {"id": id, "at": at, "clock": clock})


def test_advancing_moves_now(sandbox: Sandbox) -> None:
    sandbox.advance(HOUR)

    assert sandbox.now() == START + HOUR
    assert sandbox.clock.offset == HOUR


def test_each_thing_happens_at_its_own_second_in_due_order(
    sandbox: Sandbox, alarms: list[tuple[str, int]]
) -> None:
    set_alarm(sandbox, "late", START + 30)
    set_alarm(sandbox, "early", START + 10)
    set_alarm(sandbox, "beyond", START + HOUR + 1)
    sandbox.advance(HOUR)

    assert alarms == [("early", START + 10), ("late", START + 30)]
    assert sandbox.now() == START + HOUR


def test_what_comes_up_on_the_way_happens_too(sandbox: Sandbox, alarms: list[tuple[str, int]]) -> None:
    set_alarm(sandbox, "first", START + 10)
    original = alarms.append
    sandbox.advance(5)
    set_alarm(sandbox, "second", START + 20)
    sandbox.advance(to=START + 60)
    original(("end", sandbox.now()))

    assert alarms == [("first", START + 10), ("second", START + 20), ("end", START + 60)]


def test_time_does_not_go_back(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        sandbox.advance(to=START - 1)


def test_real_time_brings_things_about_as_well(sandbox: Sandbox, alarms: list[tuple[str, int]]) -> None:
    set_alarm(sandbox, "soon", START + 5)
    sandbox.tick()
    sandbox.clock.source = lambda: START + 8
    sandbox.tick()

    assert alarms == [("soon", START + 5)]


def test_a_test_clock_moves_its_own_customers_only(sandbox: Sandbox, alarms: list[tuple[str, int]]) -> None:
    with sandbox.work():
        sandbox.store.put("test_helpers.test_clock", {"id": "clock_1", "frozen_time": START})
    set_alarm(sandbox, "mine", START + 10, "clock_1")
    set_alarm(sandbox, "other", START + 10)
    sandbox.advance_test_clock("clock_1", START + 60)

    assert alarms == [("mine", START + 10)]
    assert sandbox.now({"test_clock": "clock_1"}) == START + 60
    assert sandbox.now() == START


def test_a_hook_that_never_finishes_is_an_error(sandbox: Sandbox) -> None:
    def stuck(current: Sandbox, clock_id: str | None, until: int) -> tuple[int, clocks.Action] | None:
        return (START, lambda: None) if clock_id is None else None

    clocks.on_tick(stuck)
    try:
        with pytest.raises(RuntimeError, match="does not finish"):
            sandbox.tick()
    finally:
        clocks._hooks.remove(stuck)


def test_the_offset_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.sqlite"
    before = create_sandbox(path).extensions["sandbox"]
    before.advance(7 * 24 * HOUR)
    before.store.close()
    after = create_sandbox(path).extensions["sandbox"]
    after.store.close()

    assert after.clock.offset == before.clock.offset
    assert after.clock.offset >= 7 * 24 * HOUR


def test_a_coupon_and_a_promotion_code_lapse(app: Flask, client: stripe.StripeClient) -> None:
    current: Sandbox = app.extensions["sandbox"]
    soon = current.now() + HOUR
    coupon = client.v1.coupons.create({"percent_off": 10, "redeem_by": soon})
    promotion = {"type": "coupon", "coupon": coupon.id}
    code = client.v1.promotion_codes.create({"promotion": promotion, "expires_at": soon})
    current.advance(HOUR + 1)

    assert client.v1.coupons.retrieve(coupon.id).valid is False
    assert client.v1.promotion_codes.retrieve(code.id).active is False
