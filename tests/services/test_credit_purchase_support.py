"""``flask support purchase …``: a pack as support sees it, gone on with where it is stuck, and taken back."""

import pytest
from click.testing import Result
from flask import Flask

from portal.models import CreditPurchase
from portal.services import payment_methods
from tests.services.buying import Customer
from tests.services.crediting import CreditBuyer
from tests.services.test_credit_by_hand import refund_in_dashboard
from tests.services.test_credit_grants import GRANTS, forget_keys, heard, paid
from tests.services.test_credit_refunds import NOTES
from tests.services.using import Workspace
from tests.shop import TWELVE_BY_THE_MONTH


@pytest.fixture
def credits(customer: Customer) -> CreditBuyer:
    """A company with a subscription by the month."""
    customer.buy(TWELVE_BY_THE_MONTH)
    return CreditBuyer(customer)


def run(app: Flask, credits: CreditBuyer, command: str, *more: str) -> Result:
    """The command as support types it, for this company."""
    arguments = ["support", "purchase", command, str(credits.workspace_id), *more]
    return app.test_cli_runner().invoke(args=arguments)


def lines(done: Result) -> list[list[str]]:
    """What was printed, each line as its words."""
    assert done.exit_code == 0, done.output
    return [line.split() for line in done.output.splitlines()]


def test_every_purchase_is_listed_with_what_became_of_it(app: Flask, credits: CreditBuyer) -> None:
    first = credits.buy(600)
    credits.shop.advance(days=1)
    second = credits.purchase(credits.prepare(100))

    assert sorted(line[:8] for line in lines(run(app, credits, "list"))) == sorted(
        [
            [first.id, "granted", "purchase", "600", "units", "56430", "minor", "units"],
            [second.id, "open", "purchase", "100", "units", "9900", "minor", "units"],
        ]
    )


def test_a_purchase_is_shown_with_all_its_parts_and_what_it_waits_for(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = credits.buy(600)
    [lot], [grant] = credits.lots(), credits.grants()
    Workspace(credits.gateways, credits.workspace_id).resolve()
    shown = run(app, credits, "show", purchase.id).output

    assert f"quote     {purchase.quote_id}" in shown
    assert f"invoice   {purchase.stripe_invoice_id}" in shown
    assert "succeeded, step done" in shown
    assert (
        f"lot       {lot.id} 599 of 600 left, {lot.starts_at:%Y-%m-%d} to {lot.expires_at:%Y-%m-%d}" in shown
    )
    assert f"grant     {grant.id}" in shown
    assert "next      nothing" in shown


def stuck(credits: CreditBuyer) -> CreditPurchase:
    """A pack that is paid, and whose grant Stripe has refused."""
    quote_id = paid(credits)
    credits.shop.faults.fail("refuse", GRANTS)
    credits.customer.settle()
    return credits.purchase(quote_id)


def test_a_stuck_grant_says_why_and_is_made_when_support_repeats_it(app: Flask, credits: CreditBuyer) -> None:
    purchase = stuck(credits)
    before = run(app, credits, "show", purchase.id).output
    after = [run(app, credits, "repeat", purchase.id).output for _again in range(2)]

    assert "grant     not yet" in before
    assert "error     This cannot be done." in before
    assert "next      Stripe's grant; our ledger has its units" in before
    [grant] = credits.grants()
    assert all(f"grant     {grant.id}" in shown and "next      nothing" in shown for shown in after)
    assert credits.left() == 600


def test_a_payment_that_nobody_heard_of_is_found_when_support_repeats_it(
    app: Flask, credits: CreditBuyer
) -> None:
    quote_id = paid(credits)
    before = credits.purchase(quote_id)
    shown = run(app, credits, "repeat", before.id).output

    assert (before.state, credits.purchase(quote_id).state) == ("paying", "granted")
    assert "next      nothing" in shown
    assert len(credits.grants()) == 1


def test_a_grant_whose_key_is_pruned_is_found_when_support_repeats_it(
    app: Flask, credits: CreditBuyer
) -> None:
    quote_id = paid(credits)
    heard(credits)
    credits.shop.faults.fail("timeout_after", GRANTS, times=3)
    run(app, credits, "repeat", credits.purchase(quote_id).id)
    credits.shop.faults.mend()
    forget_keys(credits)
    credits.shop.advance(days=2)
    run(app, credits, "repeat", credits.purchase(quote_id).id)

    assert credits.purchase(quote_id).state == "granted"
    assert len(credits.grants()) == 1


def test_what_is_left_of_a_pack_is_taken_back_at_its_share_of_the_price(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = credits.buy(600)
    workspace = Workspace(credits.gateways, credits.workspace_id)
    for _number in range(2):
        workspace.resolve()
    credits.shop.advance(days=20)
    done = run(app, credits, "refund", purchase.id, "--reason", "closes its help desk")
    shown = run(app, credits, "show", purchase.id).output

    # 598 of 600 units for $564.30: $562.419 is rounded to $562.42
    assert "done  pro_rata  598 units  56242 minor units of usd" in done.output
    assert credits.left() == 0
    assert credits.shop.charges()[0].amount_refunded == 56_242
    assert "refund    " in shown
    assert "next      nothing: it was taken back" in shown
    assert credits.customer.mails("credits_refunded") == 1


def refused(app: Flask, credits: CreditBuyer, purchase: CreditPurchase) -> CreditPurchase:
    """A pack that support takes back, and whose credit note Stripe refuses."""
    credits.shop.faults.fail("refuse", NOTES)
    run(app, credits, "refund", purchase.id, "--reason", "closes its help desk")
    return purchase


def test_a_refund_that_stripe_refused_is_given_back_once_when_support_repeats_it(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = refused(app, credits, credits.buy(600))
    before = run(app, credits, "show", purchase.id).output
    after = [run(app, credits, "repeat", purchase.id).output for _again in range(2)]

    assert "stuck  pro_rata  600 units" in before
    assert "next      a person: repeat it" in before
    assert all("done  pro_rata  600 units  56430 minor units of usd" in shown for shown in after)
    assert all("next      nothing: it was taken back" in shown for shown in after)
    assert credits.shop.charges()[0].amount_refunded == 56_430
    assert credits.customer.mails("credits_refunded") == 1


def test_a_refund_that_somebody_made_up_for_at_stripe_is_not_made_again(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = refused(app, credits, credits.buy(600))
    refund_in_dashboard(credits)
    shown = run(app, credits, "repeat", purchase.id).output

    assert "done  pro_rata  600 units  56430 minor units of usd" in shown
    assert "next      nothing: it was taken back" in shown
    assert credits.shop.charges()[0].amount_refunded == 56_430
    customer_id = payment_methods.customer_of(credits.workspace_id) or ""
    assert credits.gateways.stripe.invoices.balance(customer_id) == 0
    assert credits.customer.mails("credits_refunded") == 1


def test_of_a_refund_that_somebody_made_up_for_in_part_the_rest_goes_on_the_balance(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = refused(app, credits, credits.buy(600))
    refund_in_dashboard(credits, 20_000)
    shown = [run(app, credits, "repeat", purchase.id).output for _again in range(2)][-1]

    assert "done  pro_rata  600 units  56430 minor units of usd" in shown
    assert credits.shop.charges()[0].amount_refunded == 20_000
    customer_id = payment_methods.customer_of(credits.workspace_id) or ""
    assert credits.gateways.stripe.invoices.balance(customer_id) == -36_430


def test_what_was_given_back_for_something_else_before_is_no_part_of_a_refund_that_is_repeated(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = credits.buy(600)
    refund_in_dashboard(credits, 2_000)
    credits.shop.advance(hours=1)
    refused(app, credits, purchase)
    shown = run(app, credits, "repeat", purchase.id).output

    assert "done  pro_rata  600 units  56430 minor units of usd" in shown


@pytest.mark.parametrize("command", [("show",), ("repeat",), ("refund", "--reason", "asked for it")])
def test_a_purchase_that_is_not_there_is_one_sentence(
    app: Flask, credits: CreditBuyer, command: tuple[str, ...]
) -> None:
    name, *more = command
    done = run(app, credits, name, "C-0000000000", *more)

    assert done.exit_code == 2
    assert done.output.strip().splitlines()[-1].endswith("There is no such purchase.")


def test_what_was_given_back_already_is_not_given_back_again(app: Flask, credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    first, second = (
        run(app, credits, "refund", purchase.id, "--reason", "asked for it") for _again in range(2)
    )

    assert first.exit_code == 0
    assert (second.exit_code, "There is nothing of this pack to return." in second.output) == (2, True)
    assert credits.shop.charges()[0].amount_refunded == 56_430


def test_no_reason_no_refund(app: Flask, credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    done = run(app, credits, "refund", purchase.id)

    assert done.exit_code == 2
    assert "--reason" in done.output
    assert credits.left() == 600


def test_what_was_given_back_by_hand_is_settled_and_shown(app: Flask, credits: CreditBuyer) -> None:
    purchase = credits.buy(600)
    [charge, *_older] = credits.shop.charges()
    credits.shop.client.v1.refunds.create({"charge": charge.id, "amount": 9_405})
    credits.customer.settle()
    [settled] = lines(run(app, credits, "settle", purchase.id, "--units", "100", "--reason", "agreed"))
    again = run(app, credits, "settle", purchase.id, "--units", "100", "--reason", "agreed")
    shown = lines(run(app, credits, "show", purchase.id))

    assert settled[1:] == ["done", "by_hand", "100", "units", "9405", "minor", "units", "of", "usd"]
    assert again.exit_code != 0
    assert ["refund", *settled] in shown
    assert credits.left() == 500


def test_a_refund_made_at_stripe_that_was_not_heard_of_yet_is_not_made_again(
    app: Flask, credits: CreditBuyer
) -> None:
    purchase = refused(app, credits, credits.buy(600))
    [charge, *_older] = credits.shop.charges()
    credits.shop.client.v1.refunds.create({"charge": charge.id})
    shown = run(app, credits, "repeat", purchase.id).output

    assert "done  pro_rata  600 units  56430 minor units of usd" in shown
    customer_id = payment_methods.customer_of(credits.workspace_id) or ""
    assert credits.gateways.stripe.invoices.balance(customer_id) == 0
