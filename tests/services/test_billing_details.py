"""Whom invoices are made out to: checked here and by Stripe, each objection at its field."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeUnknownError
from portal.models import AuditEntry, BillingDetails
from portal.services import billing_details, checkout
from portal.services.billing_details import Details
from tests.factories import Account
from tests.faults import Killed
from tests.shop import BERLIN, CALIFORNIA, Shop

GERMAN = replace(BERLIN, tax_id_type="eu_vat", tax_id_value="DE 123.456.789")


@pytest.fixture
def save(selling: Gateways, workspace: Account) -> Callable[[Details], BillingDetails]:
    """Fill in the form of one company."""
    return lambda details: checkout.save_details(selling, workspace.workspace_id, workspace.user_id, details)


def fields(save: Callable[[Details], BillingDetails], details: Details) -> dict[str, str]:
    with pytest.raises(checkout.DetailsError) as refused:
        save(details)
    return refused.value.fields


def test_details_reach_our_row_and_stripes_customer(
    save: Callable[[Details], BillingDetails], shop: Shop, workspace: Account
) -> None:
    row = save(GERMAN)
    [customer] = shop.client.v1.customers.list().data
    [number] = shop.client.v1.customers.tax_ids.list(customer.id).data

    assert (row.stripe_customer_id, row.tax_id_stripe_id) == (customer.id, number.id)
    assert (customer.name, customer.address.city) == ("Acme GmbH", "Berlin")
    assert customer.metadata["workspace"] == str(workspace.workspace_id)
    assert (number.type, number.value, row.tax_id_status) == ("eu_vat", "DE123456789", "pending")


def test_empty_fields_are_named_one_by_one(save: Callable[[Details], BillingDetails], shop: Shop) -> None:
    empty = Details(company_name=" ", email="", address={})

    assert fields(save, empty) == {
        "company_name": "Fill this in.",
        "email": "Fill this in.",
        "address.line1": "Fill this in.",
        "address.country": "Fill this in.",
    }
    assert shop.client.v1.customers.list().data == []


def at(**address: str) -> Details:
    return replace(CALIFORNIA, address={**CALIFORNIA.address, **address})


@pytest.mark.parametrize(
    ("details", "field"),
    [
        (replace(CALIFORNIA, email="nobody"), "email"),
        (replace(CALIFORNIA, company_name="x" * 201), "company_name"),
        (replace(CALIFORNIA, address=dict(CALIFORNIA.address) | {"country": "XX"}), "address.country"),
        (
            replace(CALIFORNIA, address=dict(CALIFORNIA.address) | {"postal_code": "nowhere"}),
            "address.postal_code",
        ),
        (replace(BERLIN, tax_id_type="eu_vat", tax_id_value="FR40303265045"), "tax_id_value"),
        (replace(BERLIN, tax_id_type="eu_vat", tax_id_value="DE12"), "tax_id_value"),
        (replace(BERLIN, tax_id_type="gb_vat", tax_id_value="GB980780684"), "tax_id_value"),
    ],
    ids=["e-mail", "too long", "no country", "no such place", "other country", "too short", "other kind"],
)
def test_an_objection_stands_at_its_field(
    save: Callable[[Details], BillingDetails], details: Details, field: str
) -> None:
    assert list(fields(save, details)) == [field]


def test_another_tax_number_replaces_the_first(save: Callable[[Details], BillingDetails], shop: Shop) -> None:
    save(GERMAN)
    row = save(replace(GERMAN, tax_id_value="DE987654321"))
    numbers = shop.client.v1.customers.tax_ids.list(row.stripe_customer_id).data

    assert [number.value for number in numbers] == ["DE987654321"]


def test_a_tax_number_taken_back_is_gone(save: Callable[[Details], BillingDetails], shop: Shop) -> None:
    save(GERMAN)
    row = save(BERLIN)

    assert shop.client.v1.customers.tax_ids.list(row.stripe_customer_id).data == []
    assert (row.tax_id_value, row.tax_id_status) == (None, None)


def test_the_same_details_again_change_nothing(
    save: Callable[[Details], BillingDetails], workspace: Account
) -> None:
    save(GERMAN)
    save(GERMAN)
    with unit_of_work(workspace.workspace_id) as session:
        entries = list(
            session.scalars(select(AuditEntry.action).where(AuditEntry.action == "billing_details.saved"))
        )

    assert entries == ["billing_details.saved"]


def test_the_registrys_answer_arrives_by_webhook(
    save: Callable[[Details], BillingDetails],
    shop: Shop,
    workspace: Account,
    run_jobs: Callable[[], list[str]],
) -> None:
    row = save(GERMAN)
    shop.advance(minutes=10)
    shop.sandbox.tick()
    shop.deliver()
    run_jobs()
    with unit_of_work(workspace.workspace_id) as session:
        status = billing_details.current(session).tax_id_status
    [known] = shop.client.v1.customers.tax_ids.list(row.stripe_customer_id).data

    assert (row.tax_id_status, status) == ("pending", "unverified")
    assert known.verification.status == "unverified"


@pytest.mark.parametrize("when", ["kill_before", "kill_after", "timeout_after"])
def test_a_customer_is_made_once_whatever_fails(
    save: Callable[[Details], BillingDetails], shop: Shop, when: str
) -> None:
    shop.faults.fail(when, "/v1/customers", times=3 if when == "timeout_after" else 1)
    with pytest.raises((Killed, StripeUnknownError)):
        save(CALIFORNIA)
    save(CALIFORNIA)

    assert len(shop.client.v1.customers.list().data) == 1


@pytest.mark.parametrize("path", ["/tax_ids", "/v1/customers/*"])
def test_a_number_is_added_once_whatever_fails(
    save: Callable[[Details], BillingDetails], shop: Shop, path: str
) -> None:
    save(CALIFORNIA)
    shop.faults.fail("kill_after", path)
    with pytest.raises(Killed):
        save(GERMAN)
    row = save(GERMAN)

    assert len(shop.client.v1.customers.tax_ids.list(row.stripe_customer_id).data) == 1


def test_an_answer_that_comes_before_the_number_is_stored_is_not_lost(
    save: Callable[[Details], BillingDetails], shop: Shop, run_jobs: Callable[[], list[str]]
) -> None:
    def answered() -> None:
        shop.advance(minutes=10)
        shop.sandbox.tick()
        shop.deliver()
        run_jobs()

    save(CALIFORNIA)
    shop.faults.fail("then", "/v1/customers/*/tax_ids", action=answered)
    row = save(GERMAN)

    assert row.tax_id_status == "unverified"


def test_a_customer_is_looked_for_only_when_stripe_has_forgotten_the_key(
    save: Callable[[Details], BillingDetails], shop: Shop, workspace: Account
) -> None:
    looked = []
    for hours in (22, 24):
        shop.faults.fail("kill_before", "/v1/customers", times=1)
        with pytest.raises(Killed):
            save(CALIFORNIA)
        with unit_of_work(workspace.workspace_id) as session:
            session.execute(
                update(BillingDetails).values(
                    stripe_customer_asked_at=func.clock_timestamp() - timedelta(hours=hours)
                )
            )
        before = len(shop.faults.calls)
        shop.faults.fail("kill_before", "/v1/customers", times=1)
        with pytest.raises(Killed):
            save(CALIFORNIA)
        looked.append(len(shop.faults.calls) - before)

    assert looked == [1, 2]
