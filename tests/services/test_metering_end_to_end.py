"""From events to the invoice: duplicates, disorder and returns end on a line that is the ledger."""

import random
from datetime import timedelta

import pytest

from portal.services import meter_countering, outcomes, reconcile, usage_moves
from portal.services.conversations import ConversationEvent
from tests.services.buying import Customer
from tests.services.metering import Metered
from tests.services.using import happened

CONVERSATIONS = 60
HOUR = timedelta(hours=1)


@pytest.fixture
def acme(customer: Customer) -> Metered:
    """A company that has bought and may use."""
    return Metered.buy(customer)


def stream(acme: Metered, chance: random.Random) -> list[ConversationEvent]:
    """What happened in the last 20 hours, some of it sent twice, in no order."""
    now = acme.gateways.clock.now()
    events = []
    for number in range(CONVERSATIONS):
        name, at = f"c{number}", now - chance.randint(2, 20) * HOUR
        events.append(happened(name, "ai_answered", at, id=f"a{number}"))
        then = chance.choice(["customer_confirmed", "customer_asked", "human_requested", None])
        if then is not None:
            events.append(happened(name, then, at + HOUR / 2, id=f"b{number}"))
        if then == "customer_confirmed" and chance.random() < 0.3:
            events.append(happened(name, "reopened", at + HOUR, id=f"r{number}"))
    events += chance.sample(events, CONVERSATIONS // 2)
    chance.shuffle(events)
    return events


def carry_out(acme: Metered) -> None:
    """What the worker does every few seconds."""
    acme.free()
    acme.report()
    meter_countering.cancel(acme.gateways)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_final_invoice_bills_what_the_ledger_has(acme: Metered, seed: int) -> None:
    chance = random.Random(seed)
    acme.customer.shop.advance(days=2)
    sent = stream(acme, chance)
    for start in range(0, len(sent), 17):
        acme.feed(*sent[start : start + 17])
        if chance.random() < 0.3:
            carry_out(acme)
    acme.customer.shop.advance(days=2)
    outcomes.mature(acme.gateways)
    carry_out(acme)
    billable = [unit for unit in acme.units() if unit.state == "billable"]
    for unit in chance.sample(billable, 5):
        acme.returns(unit.conversation_id)
    carry_out(acme)
    acme.advance(days=33)
    usage_moves.sweep(acme.gateways)
    found = reconcile.run(acme.gateways)

    assert len(billable) > 10
    assert acme.billed() == [len(billable) - 5]
    assert acme.used() == acme.counted() == len(billable) - 5
    assert (found.unexplained, acme.customer.incidents()) == (0, [])
