"""The next invoice: ours and Stripe's agree to the cent, and ours stands alone when Stripe is away."""

from portal import pricing
from portal.services import changes, next_invoice
from portal.services.next_invoice import Outlook
from tests.services.buying import Customer
from tests.shop import TWELVE_BY_THE_MONTH, TWELVE_BY_THE_YEAR


def foresee(customer: Customer) -> Outlook:
    found = next_invoice.foresee(customer.gateways, customer.workspace_id)
    assert isinstance(found, Outlook)
    return found


def test_a_months_next_invoice_is_what_is_held_and_stripe_agrees(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    found = foresee(customer)

    assert found.on == customer.subscription().renews_at  # type: ignore[union-attr]
    assert found.certain == 146_200
    assert found.disagreeing == []
    assert found.preview is not None
    assert (found.preview.total, found.preview.amount_due) == (146_200, 146_200)
    assert "resolution" in found.metered


def test_what_was_foreseen_is_what_is_billed(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    foreseen = foresee(customer).preview
    customer.shop.advance(days=31, hours=2)
    customer.settle()

    assert foreseen is not None
    assert foreseen.total == customer.shop.charges()[0].amount


def test_a_years_next_invoice_is_the_months_usage(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_YEAR)
    found = foresee(customer)

    assert found.on == customer.subscription().usage_period_end  # type: ignore[union-attr]
    assert (found.due, found.certain) == ([], 0)
    assert found.preview is not None
    assert found.preview.total == 0


def test_ours_stands_alone_when_stripe_is_away(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.faults.fail("refused", "/create_preview", times=9)
    found = foresee(customer)

    assert (found.preview, found.certain, found.disagreeing) == (None, 146_200, [])


def test_without_a_subscription_nothing_is_foreseen(customer: Customer) -> None:
    assert next_invoice.foresee(customer.gateways, customer.workspace_id) == "no_subscription"


def test_a_planned_change_is_in_what_is_foreseen(customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    fewer = changes.Wanted(pricing.Selection("advanced", 10, "month", {"copilot": 5, "proactive_support": 1}))
    who = (customer.gateways, customer.workspace_id, customer.account.user_id)
    changes.confirm(*who, changes.prepare(*who, fewer))
    customer.settle()
    found = foresee(customer)

    assert found.planned
    assert (found.certain, found.disagreeing) == (126_400, [])
    assert found.preview is not None
    assert found.preview.total == 126_400
