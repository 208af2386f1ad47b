"""Deleting a workspace: when, what goes, what stays, and taking it back."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.models import (
    AuditEntry,
    Base,
    BillingDetails,
    Counted,
    DeletionRequest,
    Invoice,
    Mail,
    Member,
    Quote,
    Subscription,
    User,
    Workspace,
    WorkspaceOwned,
)
from portal.services import deletion, leaving
from portal.services.deletion import StillSubscribedError
from tests import factories
from tests.services.buying import Customer
from tests.shop import Shop

MARGIN = timedelta(minutes=5)


def end(customer: Customer, kind: str = leaving.NOW) -> None:
    leaving.ask(customer.gateways, customer.workspace_id, customer.account.user_id, kind)
    customer.settle()


def request(customer: Customer) -> DeletionRequest:
    deletion.request(customer.gateways, customer.workspace_id, customer.account.user_id)
    customer.settle()
    return newest(customer)


def newest(customer: Customer) -> DeletionRequest:
    with unit_of_work(customer.workspace_id) as session:
        return session.scalars(select(DeletionRequest)).one()


def test_while_the_subscription_renews_nothing_can_be_deleted(customer: Customer) -> None:
    customer.buy()
    with pytest.raises(StillSubscribedError):
        request(customer)


def test_thirty_days_after_the_end_people_go_and_invoices_stay(customer: Customer, shop: Shop) -> None:
    quote_id = customer.buy()
    end(customer)
    asked = request(customer)
    assert asked.due_at - asked.requested_at == timedelta(days=30)
    assert customer.mails("deletion_requested") == 1
    assert customer.incidents() == ["deletion_requested"]

    shop.advance(days=29)
    assert deletion.sweep(customer.gateways) == 0
    shop.advance(days=2)
    assert deletion.sweep(customer.gateways) == 1
    with unit_of_work(customer.workspace_id) as session:
        assert session.scalars(select(Member.id)).all() == []
        assert session.scalars(select(Workspace.name)).one() == f"Deleted workspace {customer.workspace_id}"
        details = session.scalars(select(BillingDetails)).one()
        assert (details.address, details.tax_id_value, details.email.rpartition("@")[2]) == (
            None,
            None,
            "deleted.invalid",
        )
        paid = session.scalars(select(Invoice).where(Invoice.total > 0)).one()
        assert (paid.total, paid.billing["name"]) == (1398000, "Acme Inc")
        assert session.scalars(select(Quote.id)).all() == [quote_id]
        assert session.scalars(select(Subscription.default_payment_method)).one() is None
        actors = set(session.scalars(select(AuditEntry.actor)))
        assert customer.account.email in actors
    with unit_of_work() as session:
        login = session.get_one(User, customer.account.user_id)
        assert (login.active, login.password, login.email) == (
            False,
            None,
            f"login-{login.id}@deleted.invalid",
        )
    assert newest(customer).state == "done"
    assert customer.incidents() == ["deletion_requested", "deletion_done"]
    assert deletion.sweep(customer.gateways) == 0


def test_a_login_of_another_workspace_stays(app: Flask, customer: Customer, shop: Shop) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=customer.account.user_id, role="member", seat="none"))
    request(customer)
    shop.advance(days=31)
    assert deletion.sweep(customer.gateways) == 1

    with unit_of_work() as session:
        assert session.get_one(User, customer.account.user_id).email == customer.account.email
    with unit_of_work(other.workspace_id) as session:
        assert session.scalar(select(func.count()).select_from(Member)) == 2
        assert session.scalars(select(Workspace.name)).one() == "Oak Inc"


def test_with_a_planned_end_the_days_count_from_it(customer: Customer) -> None:
    customer.buy()
    end(customer, leaving.AT_PERIOD_END)
    subscription = customer.subscription()

    assert subscription
    assert subscription.cancel_at
    asked = request(customer)
    assert asked.due_at == subscription.cancel_at + timedelta(days=30)
    end(customer)
    assert (newest(customer).due_at - asked.requested_at).days == 30


def test_it_is_taken_back_by_a_click_and_by_keeping_the_subscription(customer: Customer) -> None:
    request(customer)
    deletion.withdraw(customer.gateways, customer.workspace_id, customer.account.user_id)
    deletion.withdraw(customer.gateways, customer.workspace_id, customer.account.user_id)
    assert newest(customer).state == "withdrawn"
    customer.buy()
    end(customer, leaving.AT_PERIOD_END)
    deletion.request(customer.gateways, customer.workspace_id, customer.account.user_id)
    end(customer, leaving.KEEP)

    with unit_of_work(customer.workspace_id) as session:
        assert set(session.scalars(select(DeletionRequest.state))) == {"withdrawn"}


def test_who_subscribes_again_is_not_deleted(customer: Customer, shop: Shop) -> None:
    request(customer)
    customer.buy()
    shop.advance(days=31)
    assert deletion.sweep(customer.gateways) == 0

    assert newest(customer).state == "withdrawn"
    with unit_of_work(customer.workspace_id) as session:
        assert len(session.scalars(select(Member.id)).all()) == 1


def test_an_open_invoice_keeps_it_and_support_is_told_once(customer: Customer, shop: Shop) -> None:
    customer.buy()
    end(customer)
    request(customer)
    with unit_of_work(customer.workspace_id) as session:
        session.execute(update(Invoice).where(Invoice.total > 0).values(status="open"))
    shop.advance(days=31)
    assert deletion.sweep(customer.gateways) == 0
    assert deletion.sweep(customer.gateways) == 0

    assert newest(customer).state == "pending"
    assert customer.incidents() == ["deletion_requested", "deletion_waits"]


def test_two_clicks_are_one_request(customer: Customer) -> None:
    request(customer)
    request(customer)

    assert customer.mails("deletion_requested") == 1


def test_mails_go_too_once_they_are_sent(customer: Customer, shop: Shop) -> None:
    request(customer)
    shop.advance(days=31)
    deletion.sweep(customer.gateways)

    with unit_of_work(system=True) as session:
        kinds = session.scalars(select(Mail.kind).where(Mail.workspace_id == customer.workspace_id)).all()
    # what support is told names nobody
    assert set(kinds) == {"incident"}


def test_of_every_table_of_a_login_nothing_is_left() -> None:
    """What refers to a login: removed with it, kept as evidence, or gone with the workspace's rows."""
    refer = {
        column.table.name
        for table in Base.metadata.tables.values()
        for column in table.columns
        for key in column.foreign_keys
        if key.column.table.name == "user_account"
    }
    removed = {"login_session", "webauthn", "recovery_code", "passkey_challenge"}

    # nobody has one of the library's own roles
    assert refer - removed - set(deletion.DECIDED) == {"roles_users"}


def test_of_every_table_of_a_workspace_it_is_decided_what_becomes_of_it() -> None:
    tables = {each.__tablename__ for each in (*WorkspaceOwned.__subclasses__(), *Counted.__subclasses__())}

    assert tables == set(deletion.DECIDED)
