"""Conversations around a month's end, late and with returns, while Stripe hears of them now and then."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from portal.services import limits
from portal.services.conversations import ConversationEvent
from portal.services.limits import Wanted
from tests.services.buying import Customer
from tests.services.counting import listed, shown
from tests.services.metering import Metered
from tests.services.test_month_ends import carry_out, go_to_end
from tests.services.test_usage_matches import matches
from tests.services.using import happened

CONVERSATIONS = 60
CAP = 15
RETURNS = ("customer_asked", "reopened", "human_replied")


def conversation(chance: random.Random, name: str, end: datetime) -> Iterator[ConversationEvent]:
    """What happens in one conversation that begins up to a day and a half before ``end``."""
    at = end + timedelta(minutes=chance.uniform(-36 * 60, 60))
    yield happened(name, "ai_answered", at)
    if chance.random() < 0.5:
        yield happened(name, "customer_confirmed", at + timedelta(minutes=chance.uniform(1, 30)))
    if chance.random() < 0.5:
        back = at + timedelta(minutes=chance.uniform(5, 26 * 60))
        yield happened(name, chance.choice(RETURNS), back)
        if chance.random() < 0.4:
            yield happened(name, "ai_answered", back + timedelta(minutes=3))


def stream(chance: random.Random, end: datetime) -> list[tuple[datetime, ConversationEvent]]:
    """Each event with the moment at which it is sent, which may be hours later."""
    return [
        (event.occurred_at + timedelta(minutes=chance.choice([0, 0, 0, 45, 600]) * chance.random()), event)
        for number in range(CONVERSATIONS)
        for event in conversation(chance, f"k{number}", end)
    ]


def play(acme: Metered, chance: random.Random, heard: float) -> None:
    """Send all of it at its time; Stripe hears of it with the chance ``heard`` every quarter of an hour."""
    wait = stream(chance, acme.periods()[0].ends_at)
    go_to_end(acme, hours=-36)
    while wait:
        now = acme.gateways.clock.now()
        if due := [event for at, event in wait if at <= now]:
            acme.feed(*due)
        wait = [each for each in wait if each[0] > now]
        acme.catch_up()
        if chance.random() < heard:
            carry_out(acme)
        acme.advance(minutes=chance.choice([7, 15, 25]))


def see_to_the_end(acme: Metered) -> None:
    """All matures, and both months are billed."""
    for days in (2, 33):
        acme.advance(days=days)
        acme.catch_up()
        carry_out(acme)
        acme.credit()
        carry_out(acme)


@pytest.fixture(params=[1])
def seed(request: pytest.FixtureRequest) -> int:
    """One stream of each kind; ``make soak`` plays more."""
    number: int = request.param
    return number


@pytest.mark.parametrize("heard", [0.7, 0.04], ids=["heard soon", "heard late"])
@pytest.mark.parametrize("capped", [False, True], ids=["without a cap", "with a cap"])
def test_each_month_is_billed_what_its_ledger_has(
    customer: Customer, seed: int, capped: bool, heard: float
) -> None:
    acme = Metered.buy(customer)
    if capped:
        limits.save(acme.gateways, acme.workspace_id, customer.account.user_id, Wanted(cap_units=CAP))
    play(acme, random.Random(f"{seed} {capped} {heard}"), heard)
    see_to_the_end(acme)
    billed, credited = Counter[datetime](), 0
    for entry in acme.entries():
        billed[entry.period_start] += entry.quantity if entry.charge == "meter" else 0
        credited += entry.quantity if entry.charge == "credited" else 0

    assert {state for *_, state in matches(acme)} == {"matched"}
    assert sorted(acme.billed()) == sorted(billed.values())
    assert billed.total() + credited == sum(u.counts and u.charge == "meter" for u in acme.units())
    assert not capped or max(billed.values()) <= CAP
    assert customer.incidents() == []
    assert listed(acme) == shown(acme)
