"""Billing details after the purchase: what is changed at once, what goes to support, and Link's address."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import NotFoundError
from portal.models import AuditEntry, BillingDetails, Invoice
from portal.services import details_changes
from portal.services.billing_details import DetailsError
from portal.services.details_changes import RequestUnderWayError, Wanted, WantedElsewhere
from tests.services.buying import Customer
from tests.shop import BERLIN, CALIFORNIA, TWELVE_BY_THE_MONTH

WANTED = Wanted("Acme Holdings Inc", "money@acme.example", CALIFORNIA.address, "PO-2026-17")
TO_BERLIN = WantedElsewhere(BERLIN.address, "DE136695976", "We moved in November")


def change(customer: Customer, wanted: Wanted = WANTED) -> BillingDetails:
    return details_changes.change(customer.gateways, customer.workspace_id, customer.account.user_id, wanted)


def at_stripe(customer: Customer) -> dict[str, object]:
    [found] = customer.shop.client.v1.customers.list({"limit": 1}).data
    return found.to_dict()


def test_a_change_is_kept_brought_to_stripe_and_audited(customer: Customer) -> None:
    change(customer)
    found = at_stripe(customer)
    with unit_of_work(customer.workspace_id) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "billing_details.changed"))

    assert found["name"] == "Acme Holdings Inc"
    assert found["invoice_settings"]["custom_fields"] == [  # type: ignore[index]
        {"name": "PO number", "value": "PO-2026-17"}
    ]
    assert (entry.after or {})["purchase_order"] == "PO-2026-17"


def test_the_number_stands_on_later_invoices_until_it_is_taken_away(customer: Customer) -> None:
    change(customer)
    customer.buy(TWELVE_BY_THE_MONTH)
    change(customer, replace(WANTED, purchase_order=" "))
    customer.shop.advance(days=31, hours=2)
    customer.settle()
    with unit_of_work(customer.workspace_id) as session:
        rows = session.scalars(select(Invoice).order_by(Invoice.issued_at))
        numbers = [row.billing["custom_fields"] for row in rows]

    assert numbers == [[{"name": "PO number", "value": "PO-2026-17"}], []]


def test_the_address_that_link_knows_stays_unless_it_is_asked_for(customer: Customer) -> None:
    kept = change(customer)
    assert (kept.email, kept.stripe_email, at_stripe(customer)["email"]) == (
        "money@acme.example",
        "billing@acme.example",
        "billing@acme.example",
    )

    moved = change(customer, replace(WANTED, email_at_stripe=True))
    assert (moved.stripe_email, at_stripe(customer)["email"]) == (None, "money@acme.example")


def test_going_back_to_the_old_address_leaves_one(customer: Customer) -> None:
    change(customer)

    assert change(customer, replace(WANTED, email="billing@acme.example")).stripe_email is None


def test_what_is_not_right_is_said_beside_its_field(customer: Customer) -> None:
    with pytest.raises(DetailsError) as refused:
        change(customer, Wanted("", "nobody", {"line1": ""}, "9" * 141))

    assert set(refused.value.fields) == {"company_name", "email", "address.line1", "purchase_order"}
    with pytest.raises(DetailsError) as nowhere:
        change(customer, replace(WANTED, address={"line1": "1 A St", "postal_code": "ABC"}))
    assert set(nowhere.value.fields) == {"address.postal_code"}


def test_the_country_is_not_changed_by_the_way(customer: Customer) -> None:
    kept = change(customer, replace(WANTED, address=CALIFORNIA.address | {"country": "DE"}))

    assert (kept.address or {})["country"] == "US"


def test_another_country_goes_to_support_and_changes_nothing(customer: Customer) -> None:
    made = details_changes.ask_support(
        customer.gateways, customer.workspace_id, customer.account.user_id, TO_BERLIN
    )

    assert made.wanted["tax_id_value"] == "DE136695976"
    assert customer.incidents() == ["details_request"]
    assert customer.mails("incident") == 1
    assert at_stripe(customer)["address"]["country"] == "US"  # type: ignore[index]


def test_one_request_at_a_time_and_it_can_be_withdrawn(customer: Customer) -> None:
    who = (customer.gateways, customer.workspace_id, customer.account.user_id)
    first = details_changes.ask_support(*who, TO_BERLIN)
    with pytest.raises(RequestUnderWayError):
        details_changes.ask_support(*who, TO_BERLIN)
    details_changes.withdraw(customer.workspace_id, customer.account.user_id)

    assert details_changes.ask_support(*who, TO_BERLIN).id != first.id


def test_a_request_that_asks_for_nothing_new_is_refused(customer: Customer) -> None:
    with pytest.raises(DetailsError):
        details_changes.ask_support(
            customer.gateways,
            customer.workspace_id,
            customer.account.user_id,
            WantedElsewhere(CALIFORNIA.address, "", ""),
        )


def test_before_the_first_purchase_there_is_nothing_to_change(customer: Customer) -> None:
    with unit_of_work(customer.workspace_id) as session:
        row = session.scalars(select(BillingDetails)).one()
        row.address = None
    with pytest.raises(NotFoundError):
        change(customer)


def test_support_carries_the_request_out_and_the_tax_follows(customer: Customer) -> None:
    change(customer)
    details_changes.ask_support(customer.gateways, customer.workspace_id, customer.account.user_id, TO_BERLIN)
    done = details_changes.resolve(customer.gateways, customer.workspace_id, accepted=True)
    with unit_of_work(customer.workspace_id) as session:
        details = session.scalars(select(BillingDetails)).one()
        waiting = details_changes.open_request(session)

    assert (done.state, waiting) == ("done", None)
    assert (details.address or {})["country"] == "DE"
    assert (details.tax_id_value, details.purchase_order) == ("DE136695976", "PO-2026-17")
    assert (details.email, details.stripe_email) == ("money@acme.example", "billing@acme.example")
    assert at_stripe(customer)["email"] == "billing@acme.example"
    assert customer.mails("details_answer") == 1


def test_a_refused_request_changes_nothing(customer: Customer) -> None:
    details_changes.ask_support(customer.gateways, customer.workspace_id, customer.account.user_id, TO_BERLIN)
    done = details_changes.resolve(customer.gateways, customer.workspace_id, accepted=False)

    assert done.state == "refused"
    assert at_stripe(customer)["address"]["country"] == "US"  # type: ignore[index]
    with pytest.raises(NotFoundError):
        details_changes.resolve(customer.gateways, customer.workspace_id, accepted=True)
