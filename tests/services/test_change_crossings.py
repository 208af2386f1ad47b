"""What becomes of a change by debit when something else happens before the debit has arrived."""

from portal.services import leaving
from tests.services.buying import Customer
from tests.services.test_change_payments import debit_payer


def test_an_end_that_was_asked_for_meanwhile_stays_when_the_debit_arrives(customer: Customer) -> None:
    changer = debit_payer(customer)
    quote_id = changer.prepare(seats=8, tier="expert")
    changer.confirm(quote_id)
    customer.settle()
    leaving.ask(*changer.place, leaving.AT_PERIOD_END)
    customer.settle()
    ends_at = customer.subscription().cancel_at
    customer.shop.advance(days=7)
    customer.settle()

    assert (changer.state(quote_id), customer.subscription().tier) == ("done", "expert")
    assert changer.planned() is None
    assert ends_at is not None
    assert customer.subscription().cancel_at == ends_at
