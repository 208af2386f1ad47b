"""Roles, ownership and leaving, also by two at the same moment."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from portal.db import unit_of_work
from portal.errors import ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.models import Member
from portal.services import members, sign_ins
from portal.services.members import Filter, LastOwnerError
from tests import factories
from tests.services.buying import Customer
from tests.services.inviting import Company
from tests.services.test_at_once import at_once


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


@pytest.fixture
def committed(open_shop: tuple[Flask, Customer]) -> Company:
    """A company whose rows every thread sees."""
    app, customer = open_shop
    return Company(app, customer.gateways, customer.account)


def change(company: Company, who: factories.Account, role: str, *, by: factories.Account, was: str) -> None:
    member_id = company.person(who).id
    with unit_of_work(company.id) as session:
        members.change_role(session, member_id, role, by=by.user_id, was=was)


def remove(company: Company, who: factories.Account, *, by: factories.Account) -> None:
    member_id = company.person(who).id
    with unit_of_work(company.id) as session:
        members.remove(session, member_id, by=by.user_id)


def leave(company: Company, who: factories.Account) -> None:
    with unit_of_work(company.id) as session:
        members.leave(session, user_id=who.user_id)


def owners(company: Company) -> list[str]:
    with unit_of_work(company.id) as session:
        return [each.email for each in members.listing(session, Filter(role="owner"))]


@pytest.mark.parametrize(
    ("actor", "target", "new", "allowed"),
    [
        ("owner", "admin", "owner", True),
        ("owner", "owner", "member", True),
        ("admin", "billing", "admin", True),
        ("admin", "admin", "member", True),
        ("admin", "member", "owner", False),
        ("admin", "owner", "member", False),
        ("billing", "member", "billing", False),
        ("member", "member", "admin", False),
    ],
)
def test_who_may_give_whom_which_role(
    company: Company, actor: str, target: str, new: str, allowed: bool
) -> None:
    by, who = company.join(role=actor), company.join(role=target)
    if allowed:
        change(company, who, new, by=by, was=target)
    else:
        with pytest.raises(ConflictError, match="Your own role"):
            change(company, who, new, by=by, was=target)

    assert company.person(who).role == (new if allowed else target)
    assert members.may_change(actor, target, new) == allowed


def test_the_last_owner_is_neither_unmade_nor_removed_and_does_not_leave(company: Company) -> None:
    owner = company.account
    with pytest.raises(LastOwnerError):
        change(company, owner, "admin", by=owner, was="owner")
    with pytest.raises(LastOwnerError):
        leave(company, owner)
    with pytest.raises(ConflictError, match="cannot remove yourself"):
        remove(company, owner, by=owner)
    other = company.join(role="owner")
    remove(company, owner, by=other)
    with pytest.raises(LastOwnerError):
        leave(company, other)

    assert owners(company) == [other.email]


def test_two_owners_who_leave_at_the_same_moment_leave_one(committed: Company) -> None:
    other = committed.join(role="owner")
    results = at_once(lambda: leave(committed, committed.account), lambda: leave(committed, other))

    assert sorted(type(each).__name__ for each in results) == ["LastOwnerError", "NoneType"]
    assert len(owners(committed)) == 1


def test_two_owners_who_unmake_each_other_at_the_same_moment_leave_one(committed: Company) -> None:
    first, second = committed.account, committed.join(role="owner")
    at_once(
        lambda: change(committed, second, "member", by=first, was="owner"),
        lambda: change(committed, first, "member", by=second, was="owner"),
    )

    assert len(owners(committed)) == 1


def test_two_admins_who_change_a_role_at_once_one_wins_and_the_other_is_told(committed: Company) -> None:
    who, admin = committed.join(), committed.join(role="admin")
    results = at_once(
        lambda: change(committed, who, "billing", by=committed.account, was="member"),
        lambda: change(committed, who, "admin", by=admin, was="member"),
    )

    assert sorted(type(each).__name__ for each in results) == ["ConflictError", "NoneType"]
    assert [action for action, _ in committed.audit()].count("member.role_changed") == 1


def test_an_admin_who_was_unmade_a_moment_ago_changes_nothing(company: Company) -> None:
    admin, who = company.join(role="admin"), company.join()
    change(company, admin, "member", by=company.account, was="admin")
    with pytest.raises(ConflictError):
        remove(company, who, by=admin)
    remove(company, admin, by=company.account)
    with pytest.raises(ConflictError, match="not a member of this workspace any more"):
        leave(company, admin)


def test_ownership_handed_over_twice_at_once_goes_to_one(committed: Company) -> None:
    heirs = [committed.person(committed.join()) for _ in range(2)]

    def hand_over(member_id: int) -> object:
        with unit_of_work(committed.id) as session:
            by = committed.account.user_id
            return members.transfer(session, committed.gateways, member_id, by=by).email

    results = at_once(*[lambda heir=heir: hand_over(heir.id) for heir in heirs])

    assert sum(isinstance(each, str) for each in results) == 1
    assert owners(committed) == [each for each in results if isinstance(each, str)]
    assert committed.person(committed.account).role == "admin"


def test_members_of_another_workspace_are_not_touched(app: Flask, company: Company) -> None:
    other = factories.account(app)
    with unit_of_work(other.workspace_id) as session:
        foreign = session.scalars(select(Member.id)).one()
    by = company.account.user_id
    acts: list[Callable[..., object]] = [
        lambda session: members.get(session, foreign),
        lambda session: members.remove(session, foreign, by=by),
        lambda session: members.change_role(session, foreign, "member", by=by, was="owner"),
        lambda session: members.transfer(session, company.gateways, foreign, by=by),
    ]
    for act in acts:
        with pytest.raises(NotFoundError), unit_of_work(company.id, user_id=other.user_id) as session:
            act(session)


def test_activity_is_noted_once_an_hour(company: Company) -> None:
    who = company.join()
    sign_ins.note_activity(company.id, who.user_id)
    first = company.person(who).last_active_at
    sign_ins.note_activity(company.id, who.user_id)
    again = company.person(who).last_active_at
    with unit_of_work(company.id) as session:
        an_hour_ago = func.now() - timedelta(minutes=61)
        session.execute(update(Member).values(last_active_at=an_hour_ago))
    sign_ins.note_activity(company.id, who.user_id)
    later = company.person(who).last_active_at

    assert first is not None
    assert first == again
    assert later is not None
    assert later > first


def test_the_list_goes_on_after_somebody_who_is_gone_by_then(company: Company) -> None:
    people = sorted([company.join() for _ in range(3)], key=lambda each: each.email)
    gone = company.person(people[0])
    remove(company, people[0], by=company.account)
    with unit_of_work(company.id) as session:
        listed = members.listing(session, after=gone.id)
        behind = members.listing(session, after=company.person(people[1]).id)

    assert people[1].email in [each.email for each in listed]
    assert people[1].email not in [each.email for each in behind]


def test_five_thousand_members_are_listed_a_page_at_a_time(company: Company) -> None:
    with unit_of_work(company.id) as session:
        session.execute(
            text(
                "INSERT INTO user_account (email, active, fs_uniquifier)"
                " SELECT 'm' || n || '@many.example', true, 'many-' || n FROM generate_series(1, 5000) n"
            )
        )
        session.execute(
            text(
                "INSERT INTO member (workspace_id, user_id, role, seat)"
                " SELECT app_workspace_id(), id, 'member', 'none' FROM user_account"
                " WHERE email LIKE '%@many.example'"
            )
        )
        first = members.listing(session, Filter(search="many"))
        second = members.listing(session, Filter(search="many"), after=first[-1].id)

        assert members.count(session) == 5001
    assert len({each.id for each in (*first, *second)}) == 100
