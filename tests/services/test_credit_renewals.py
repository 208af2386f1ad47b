"""A pack is renewed at its end if that was chosen: once, or a mail says why it was not."""

from datetime import UTC, datetime, timedelta

import pytest

from portal.gateways.mail import FolderMail
from portal.services import (
    credit_grants,
    credit_ledger,
    credit_reconcile,
    credit_renewals,
    payment_methods,
    sweeping,
)
from portal.services.credit_renewals import NotRenewableError
from tests.faults import Killed
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.lots import covered
from tests.services.metering import Metered
from tests.services.test_attempts import NOW, let_claims_run_out
from tests.shop import TWELVE_BY_THE_MONTH, Shop


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a pack."""
    customer.buy(TWELVE_BY_THE_MONTH)
    made = CreditBuyer(customer)
    made.buy(600)
    return made


def choose(credits: CreditBuyer, *, renews: bool) -> None:
    (purchase, *_more) = credits.purchases()
    credit_renewals.choose(
        credits.gateways, credits.workspace_id, credits.customer.account.user_id, purchase.id, renews=renews
    )


def renew(credits: CreditBuyer) -> str:
    """The end of the pack, without the year before it."""
    (purchase, *_more) = credits.purchases()
    result = credit_renewals.renew(credits.gateways, credits.workspace_id, purchase.id)
    credits.customer.settle()
    return result


def test_nothing_is_renewed_unless_it_was_chosen(credits: CreditBuyer) -> None:
    assert credit_renewals.sweep(credits.gateways) == 0
    choose(credits, renews=True)
    choose(credits, renews=False)
    assert [purchase.renews for purchase in credits.purchases()] == [False]


def test_a_pack_is_not_renewed_before_it_ends(credits: CreditBuyer) -> None:
    choose(credits, renews=True)

    assert credit_renewals.sweep(credits.gateways) == 0
    assert len(credits.purchases()) == 1


def test_a_pack_that_has_ended_is_not_bought_again_by_choosing_its_renewal(credits: CreditBuyer) -> None:
    (lot,) = credits.lots()
    credits.shop.advance(seconds=int((lot.expires_at - credits.gateways.clock.now()).total_seconds()) + 1)
    credits.customer.settle()

    with pytest.raises(NotRenewableError):
        choose(credits, renews=True)
    assert credit_renewals.sweep(credits.gateways) == 0
    assert len(credits.purchases()) == 1


def test_a_renewal_is_paid_from_the_default_method_and_mailed(
    credits: CreditBuyer, mailbox: FolderMail
) -> None:
    choose(credits, renews=True)

    credits.shop.advance(seconds=60)
    assert renew(credits) == "bought"
    old, new = credits.purchases()
    assert (new.kind, new.state, new.units, new.renewal_of) == ("renewal", "granted", 600, old.id)
    assert new.created_by is None
    assert credits.left() == 1200
    told = [mail for _path, mail in mailbox.read() if "are yours" in str(mail["Subject"])]
    bodies = sorted(" ".join(mail.get_body(("plain",)).get_content().split()) for mail in told)  # type: ignore[union-attr]
    assert ["renewed" in body for body in bodies] == [False, True]
    assert "The new pack is not renewed unless you switch that on for it." in bodies[1]


def test_a_pack_that_renews_is_followed_by_another_at_the_end_of_its_year(
    shop: Shop, customer: Customer
) -> None:
    shop.stand_at(datetime(2026, 11, 20, tzinfo=UTC))
    acme = Metered.buy(customer)
    buyer = CreditBuyer(customer)
    buyer.buy(600)
    choose(buyer, renews=True)
    ends = buyer.lots()[0].expires_at
    for _month in range(12):
        acme.use(2)
        acme.report()
        until = acme.periods()[-1].ends_at + timedelta(hours=2) - acme.gateways.clock.now()
        acme.advance(seconds=int(until.total_seconds()))
        assert credit_renewals.sweep(acme.gateways) == 0
    # the last second is the old pack's, the first one after it waits for the new one
    acme.advance(seconds=int((ends - acme.gateways.clock.now()).total_seconds()) - 1)
    acme.use(1)
    acme.report()
    acme.advance(seconds=1)
    acme.use(1)
    assert credit_renewals.sweep(acme.gateways) == 1
    customer.settle()
    acme.advance(hours=3)
    credit_grants.sweep(acme.gateways)
    credit_ledger.sweep(acme.gateways)

    old, new = buyer.lots()
    assert new.starts_at == old.expires_at == ends
    assert covered(acme) == {old.id: 25, new.id: 1}
    # 575 of the old one lapsed
    assert (buyer.left(), old.ended_why) == (599, "lapsed")
    assert [(each.kind, each.state, each.renews) for each in buyer.purchases()] == [
        ("purchase", "granted", True),
        ("renewal", "granted", False),
    ]
    assert credit_renewals.sweep(acme.gateways) == 0
    assert credit_reconcile.run(acme.gateways) == 0
    assert customer.incidents() == []


def test_a_renewal_that_is_declined_buys_nothing_and_is_told_once(credits: CreditBuyer) -> None:
    choose(credits, renews=True)
    decline_from_now_on(credits)

    assert renew(credits) == "declined"
    assert [purchase.renews for purchase in credits.purchases()] == [False, False]
    assert credits.purchases()[1].state == "void"
    assert credits.left() == 600
    assert credits.customer.mails("credits_blocked") == 1
    assert credits.customer.mails("payment_failed") == 0
    assert credits.customer.access() == "active"


def test_a_renewal_that_a_crash_left_unpaid_is_given_up_and_bought_anew(credits: CreditBuyer) -> None:
    choose(credits, renews=True)
    faults = credits.shop.faults
    killed = lambda: faults.fail("kill_before", "/v1/invoices/*", method="GET")  # noqa: E731
    faults.fail("then", "/finalize", action=killed)
    with pytest.raises(Killed):
        renew(credits)
    faults.mend()
    let_claims_run_out(credits.customer)
    sweeping.sweep_attempts(credits.gateways, left_behind_after=NOW)
    credits.customer.settle()
    # nobody is there who could pay it
    assert [purchase.state for purchase in credits.purchases()] == ["granted", "void"]

    assert renew(credits) == "bought"
    assert credits.left() == 1200
    assert len(credits.shop.charges()) == 3


def test_a_price_that_stripe_does_not_confirm_renews_nothing_and_is_told_once(credits: CreditBuyer) -> None:
    choose(credits, renews=True)
    credits.shop.faults.fail("then", "/add_lines", action=lambda: add_a_cent(credits))

    assert renew(credits) == "refused"
    assert credits.purchases()[0].renews is False
    assert credits.customer.incidents() == ["price_mismatch"]
    assert credits.customer.mails("credits_blocked") == 1


def add_a_cent(credits: CreditBuyer) -> None:
    """Somebody puts another line on the draft."""
    client = credits.shop.client
    (draft,) = client.v1.invoices.list({"status": "draft"}).data
    client.v1.invoices.add_lines(draft.id, {"lines": [{"description": "A cent", "amount": 1}]})


def decline_from_now_on(credits: CreditBuyer) -> None:
    """The default method is a card that is always declined when it is charged."""
    client = credits.shop.client
    (customer,) = client.v1.customers.list().data
    method = client.v1.payment_methods.attach("pm_card_chargeCustomerFail", {"customer": customer.id})
    client.v1.customers.update(customer.id, {"invoice_settings": {"default_payment_method": method.id}})
    (subscription,) = credits.shop.subscriptions()
    client.v1.subscriptions.update(subscription.id, {"default_payment_method": method.id})
    credits.customer.settle()
    payment_methods.refresh(credits.gateways, customer.id)
