"""Buying for the first time, against the sandbox's engine on a real database."""

from collections.abc import Callable

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.services import checkout, invoices, quotes, subscriptions
from tests.factories import Account
from tests.shop import TWELVE_BY_THE_YEAR, Shop


def test_twelve_seats_and_copilot_by_the_year_become_one_active_subscription(
    selling: Gateways, buyer: Account, shop: Shop, run_jobs: Callable[[], list[str]]
) -> None:
    quote_id = checkout.prepare(selling, buyer.workspace_id, buyer.user_id, TWELVE_BY_THE_YEAR)
    confirmation = checkout.confirm(selling, buyer.workspace_id, buyer.user_id, quote_id)
    shop.pay(confirmation.client_secret)
    shop.deliver()
    run_jobs()

    with unit_of_work(buyer.workspace_id) as session:
        quote = quotes.load(session, quote_id)
        subscription = subscriptions.current(session)
        [invoice] = invoices.listing(session)
        proof = invoices.proof(session, invoice.stripe_id)
    assert quote.total == 1_398_000
    assert (subscription.tier, subscription.seats, subscription.access) == ("advanced", 12, "active")
    assert (invoice.status, invoice.amount_paid) == ("paid", 1_398_000)
    assert [(match.stage, match.matched) for match in proof] == [("before_payment", True), ("final", True)]
    assert checkout.state(selling, buyer.workspace_id, quote_id).name == "active"
