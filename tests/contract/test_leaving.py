"""How a subscription with two intervals ends, and is kept after all."""

from portal.services import leaving
from portal.services.leaving import AT_PERIOD_END, KEEP, NOW
from tests.services.buying import Customer


def ask(customer: Customer, kind: str) -> None:
    leaving.ask(customer.gateways, customer.workspace_id, None, kind, feedback="other", comment="Bye.")


def test_seats_by_the_year_end_with_their_year_and_are_kept_from_either_field(customer: Customer) -> None:
    quote_id = customer.prepare()
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    assert customer.state(quote_id, ask_stripe=True) == "active"
    ask(customer, AT_PERIOD_END)
    ending = customer.subscription()
    ask(customer, KEEP)
    kept = customer.subscription()
    assert ending
    assert kept
    assert (ending.cancel_at, kept.cancel_at) == (ending.renews_at, None)

    update = customer.shop.client.v1.subscriptions.update
    # with two intervals the other field means the earlier end
    planned = update(kept.stripe_id, {"cancel_at_period_end": True})
    assert ending.usage_period_end
    assert planned.cancel_at == ending.usage_period_end.timestamp()
    customer.gateways.stripe.leaving.keep(kept.stripe_id, key=f"{quote_id}:keep")
    assert customer.gateways.stripe.subscription(kept.stripe_id).cancel_at is None


def test_what_is_open_is_foreseen_and_ending_at_once_is_final(customer: Customer) -> None:
    quote_id = customer.prepare()
    customer.shop.pay(customer.confirm(quote_id).client_secret or "")
    assert customer.state(quote_id, ask_stripe=True) == "active"
    found = customer.subscription()
    assert found
    usage = leaving.open_usage(customer.gateways, found)
    assert usage is None or usage.amount_due == 0
    ask(customer, NOW)
    ask(customer, NOW)

    ended = customer.gateways.stripe.subscription(found.stripe_id)
    assert (ended.status, customer.access()) == ("canceled", "ended")
