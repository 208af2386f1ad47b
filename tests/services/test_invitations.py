"""Asking people in: once per address, with a link for one person and one use."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.models import Invitation, Mail
from portal.services import invitations, members
from portal.services.invitations import (
    AddressError,
    AlreadyHereError,
    AlreadyInvitedError,
    ClosedInvitationError,
    Joined,
    TooManyInvitationsError,
)
from tests import factories
from tests.services.buying import Customer
from tests.services.inviting import Company
from tests.services.test_at_once import at_once
from tests.shop import TWELVE_BY_THE_MONTH, Shop


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


@pytest.fixture
def grace(app: Flask) -> factories.Account:
    """Somebody with a login and a company of their own."""
    return factories.account(app, email="grace@oak.example", company_name="Oak Inc")


def test_who_accepts_is_a_member_with_the_role_that_was_meant(
    company: Company, grace: factories.Account
) -> None:
    invitation = company.invite("Grace@Oak.example ", role="billing")
    joined = company.accept(invitation, grace)
    person = company.person(grace)

    assert joined == Joined(company.id, "none", "none")
    assert (person.email, person.role, person.seat) == ("grace@oak.example", "billing", "none")
    assert person.last_active_at is not None
    assert company.audit() == [
        ("invitation.sent", company.account.email),
        ("invitation.accepted", "grace@oak.example"),
    ]


def test_the_mail_names_who_invites_whereto_until_when_and_holds_the_link(
    company: Company, shop: Shop
) -> None:
    invitation = company.invite("grace@oak.example")
    with unit_of_work(company.id) as session:
        mail = session.scalars(select(Mail)).one()
    until = shop.clock.now() + timedelta(days=14)

    assert mail.recipient == "grace@oak.example"
    assert "Acme Ltd" in mail.subject
    assert f"{company.account.email} invites you to join Acme Ltd." in mail.text_body
    assert f"http://localhost/invitations/{company.token(invitation)}" in mail.text_body
    assert f"good until {until.day} {until:%B %Y}" in mail.text_body


def test_the_same_address_is_invited_once_until_that_invitation_has_expired(
    company: Company, shop: Shop, grace: factories.Account
) -> None:
    first = company.invite(grace.email, seat="lite")
    stale = company.found(first)
    with pytest.raises(AlreadyInvitedError, match="is invited already"):
        company.invite("GRACE@oak.example")
    shop.advance(days=14)
    expired = company.found(first).state
    again = company.invite(grace.email, role="admin")

    assert (expired, again.id) == ("expired", first.id)
    assert invitations.find(company.gateways, company.token(first)) is None
    with pytest.raises(ClosedInvitationError), unit_of_work(company.id) as session:
        invitations.accept(session, company.gateways, stale, _user(grace))
    company.accept(again, grace)
    assert company.person(grace).role == "admin"


def _user(login: factories.Account) -> object:
    return type("Login", (), {"id": login.user_id, "email": login.email})()


def test_a_member_is_not_invited(company: Company) -> None:
    with pytest.raises(AlreadyHereError):
        company.invite(company.account.email)


@pytest.mark.parametrize("text", ["nobody", "a@b", "", "a b@acme.example", "a@acme.example, b@acme.example"])
def test_what_is_no_address_is_not_invited(company: Company, text: str) -> None:
    with pytest.raises(AddressError):
        company.invite(text)


@pytest.mark.parametrize(
    ("inviter", "role", "allowed"),
    [
        ("owner", "admin", True),
        ("admin", "admin", True),
        ("admin", "member", True),
        ("billing", "member", False),
        ("member", "member", False),
        ("owner", "owner", False),
    ],
)
def test_admins_and_owners_invite_and_nobody_is_invited_as_an_owner(
    company: Company, inviter: str, role: str, allowed: bool
) -> None:
    login = company.join(role=inviter)
    if allowed:
        company.invite("grace@oak.example", role=role, by=login.user_id)
        return
    with pytest.raises(ConflictError, match="Your own role"):
        company.invite("grace@oak.example", role=role, by=login.user_id)


def test_a_link_is_good_once_and_only_for_whom_it_was_meant(
    app: Flask, company: Company, grace: factories.Account
) -> None:
    invitation = company.invite(grace.email)
    somebody = factories.account(app)
    with pytest.raises(ClosedInvitationError):
        company.accept(invitation, somebody)
    company.accept(invitation, grace)
    with pytest.raises(ClosedInvitationError) as refused:
        company.accept(invitation, grace)

    assert refused.value.state == "accepted"
    assert not company.is_member(somebody)


def test_a_link_that_was_changed_names_nothing(company: Company) -> None:
    invitation = company.invite("grace@oak.example")
    token = company.token(invitation)
    tampered = [token[:-1], token + "x", token.swapcase(), "", "x.y", token.split(".")[0]]

    assert [invitations.find(company.gateways, each) for each in tampered] == [None] * 6


def test_a_link_names_no_row_of_another_workspace(
    app: Flask, company: Company, grace: factories.Account
) -> None:
    invitation = company.invite("a@acme.example")
    moved = Invitation(workspace_id=grace.workspace_id, id=invitation.id, key=invitation.key)

    assert invitations.find(company.gateways, company.token(moved)) is None


def test_a_revoked_invitation_lets_nobody_in(company: Company, grace: factories.Account) -> None:
    invitation = company.invite(grace.email)
    with unit_of_work(company.id) as session:
        invitations.revoke(session, company.gateways, invitation.id, by=company.account.user_id)

    assert company.found(invitation).state == "revoked"
    with pytest.raises(ClosedInvitationError):
        company.accept(invitation, grace)
    with pytest.raises(ClosedInvitationError), unit_of_work(company.id) as session:
        invitations.revoke(session, company.gateways, invitation.id, by=company.account.user_id)
    assert company.invite(grace.email).id != invitation.id


def test_sending_again_waits_ten_minutes_and_makes_the_link_good_for_longer(
    company: Company, shop: Shop, grace: factories.Account
) -> None:
    invitation = company.invite(grace.email)
    by = company.account.user_id
    with pytest.raises(ConflictError, match="less than ten minutes"), unit_of_work(company.id) as session:
        invitations.resend(session, company.gateways, invitation.id, by=by)
    shop.advance(days=20)
    with unit_of_work(company.id) as session:
        sent = invitations.resend(session, company.gateways, invitation.id, by=by)

    assert sent.expires_at == sent.sent_at + timedelta(days=14)
    assert company.mailed("invitation") == [grace.email, grace.email]
    company.accept(invitation, grace)
    assert company.is_member(grace)


def test_one_person_is_written_to_again_three_times_a_day(
    company: Company, shop: Shop, grace: factories.Account
) -> None:
    invitation, by = company.invite(grace.email), company.account.user_id
    for _ in range(3):
        shop.advance(minutes=11)
        with unit_of_work(company.id) as session:
            invitations.resend(session, company.gateways, invitation.id, by=by)
    shop.advance(minutes=11)
    with pytest.raises(TooManyInvitationsError, match="3 times"), unit_of_work(company.id) as session:
        invitations.resend(session, company.gateways, invitation.id, by=by)

    assert len(company.mailed("invitation")) == 4


def test_invitations_of_another_workspace_do_not_exist(company: Company, grace: factories.Account) -> None:
    invitation = company.invite("a@acme.example")
    for act in (invitations.resend, invitations.revoke):
        with pytest.raises(NotFoundError), unit_of_work(grace.workspace_id) as session:
            act(session, company.gateways, invitation.id, by=grace.user_id)


def test_a_workspace_that_pays_for_nothing_writes_to_fifty_people_a_day(company: Company, shop: Shop) -> None:
    with unit_of_work(company.id) as session:
        sender = invitations.sender(session, company.account.user_id)
        for number in range(50):
            invitations.send(
                session,
                company.gateways,
                f"a{number}@oak.example",
                role="member",
                seat="none",
                sender=sender,
            )
    with pytest.raises(TooManyInvitationsError, match="at most 50"):
        company.invite("one.more@oak.example")
    shop.advance(days=1)

    assert company.invite("one.more@oak.example").state == "open"


def test_who_was_a_member_already_keeps_role_and_seat(company: Company, grace: factories.Account) -> None:
    invitation = company.invite(grace.email, role="admin")
    with unit_of_work(company.id) as session:
        session.add(members.Member(user_id=grace.user_id, role="member", seat="lite"))

    assert company.accept(invitation, grace).seat == "lite"
    assert company.person(grace).role == "member"


def test_an_accepted_invitation_uses_a_seat_and_without_a_free_one_those_in_charge_are_told(
    app: Flask, customer: Customer
) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    company = Company(app, customer.gateways, customer.account)
    admin = company.join(role="admin")
    company.join(role="billing")
    people = [factories.account(app) for _ in range(13)]
    open_ones = [company.invite(login.email, seat="full") for login in people]
    joined = [company.accept(each, login) for each, login in zip(open_ones, people, strict=True)]

    assert [each.seat for each in joined] == ["full"] * 12 + ["none"]
    assert company.mailed("seat_missing") == [customer.account.email, admin.email]


def test_two_who_accept_at_once_for_the_last_seat(open_shop: tuple[Flask, Customer]) -> None:
    app, customer = open_shop
    one = TWELVE_BY_THE_MONTH.__class__("essential", 1, "month")
    customer.shop.pay(customer.confirm(customer.prepare(one)).client_secret or "")
    customer.settle()
    company = Company(app, customer.gateways, customer.account)
    people = [factories.account(app) for _ in range(2)]
    open_ones = [company.invite(login.email, seat="full") for login in people]
    results = at_once(
        *[
            lambda each=each, login=login: company.accept(each, login)
            for each, login in zip(open_ones, people, strict=True)
        ]
    )

    assert sorted(each.seat for each in results) == ["full", "none"]  # type: ignore[attr-defined]
    assert company.mailed("seat_missing") == [customer.account.email]


def test_one_invitation_accepted_twice_at_once_and_two_invitations_of_one_address_at_once(
    open_shop: tuple[Flask, Customer],
) -> None:
    app, customer = open_shop
    company = Company(app, customer.gateways, customer.account)
    login = factories.account(app)
    sent = at_once(*[lambda: company.invite(login.email)] * 3)
    [invitation] = [each for each in sent if isinstance(each, Invitation)]
    joined = at_once(*[lambda: company.accept(invitation, login)] * 3)

    assert sum(isinstance(each, AlreadyInvitedError) for each in sent) == 2
    assert sorted(type(each).__name__ for each in joined) == ["ClosedInvitationError"] * 2 + ["Joined"]
    assert company.is_member(login)
