"""Seats of people: never more than were bought, and who gives one up when there are fewer."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.db import unit_of_work
from portal.errors import ConflictError, NotFoundError
from portal.models import AuditEntry, Invitation, Member, Subscription
from portal.services import seats
from portal.services.seats import SeatUsage
from tests import factories
from tests.services.buying import Customer
from tests.services.test_at_once import at_once
from tests.shop import TWELVE_BY_THE_MONTH

Crew = Callable[..., list[int]]


@pytest.fixture
def crew(app: Flask, workspace: factories.Account) -> Crew:
    """Make members with these seats, the first of them active most recently; their ids."""

    def make(*chosen: str) -> list[int]:
        made = []
        for days, seat in enumerate(chosen):
            account = factories.member(app, workspace.workspace_id)
            with unit_of_work(workspace.workspace_id) as session:
                mine = Member.user_id == account.user_id
                active = func.now() - timedelta(days=days)
                session.execute(update(Member).where(mine).values(seat=seat, last_active_at=active))
                made.append(session.scalars(select(Member.id).where(mine)).one())
        return made

    return make


def settle(workspace: factories.Account, bought: int, lite: int = 0, **more: object) -> None:
    with unit_of_work(workspace.workspace_id) as session:
        seats.settle(session, bought=bought, lite_included=lite, **more)  # type: ignore[arg-type]


def seated(workspace: factories.Account, members: list[int]) -> list[str]:
    with unit_of_work(workspace.workspace_id) as session:
        found = dict(session.execute(select(Member.id, Member.seat)).all())  # type: ignore[arg-type]
    return [found[member_id] for member_id in members]


def test_with_enough_seats_nobody_loses_one(workspace: factories.Account, crew: Crew) -> None:
    members = crew("full", "lite", "none")
    settle(workspace, bought=1, lite=1)

    assert seated(workspace, members) == ["full", "lite", "none"]


def test_fewer_seats_take_them_from_those_who_were_active_least_recently(
    workspace: factories.Account, crew: Crew
) -> None:
    members = crew("full", "full", "full")
    settle(workspace, bought=1)

    assert seated(workspace, members) == ["full", "none", "none"]


def test_whoever_was_named_gives_up_a_seat_first_and_takes_a_lite_one_while_there_is_room(
    workspace: factories.Account, crew: Crew
) -> None:
    members = crew("full", "full", "full", "lite")
    leavers = [{"member_id": members[0], "seat": "lite"}, {"member_id": members[1], "seat": "lite"}]
    settle(workspace, bought=1, lite=2, leavers=lambda: leavers)

    assert seated(workspace, members) == ["lite", "none", "full", "lite"]


def test_a_leaver_who_is_to_have_none_leaves_the_lite_seat_to_others(
    workspace: factories.Account, crew: Crew
) -> None:
    members = crew("full", "full", "full")
    settle(workspace, bought=1, lite=1, leavers=lambda: [{"member_id": members[0], "seat": "none"}])

    assert seated(workspace, members) == ["none", "full", "lite"]


def test_a_leaver_keeps_the_seat_when_somebody_else_left_meanwhile(
    workspace: factories.Account, crew: Crew
) -> None:
    members = crew("full", "none")
    settle(workspace, bought=1, leavers=lambda: [{"member_id": members[0], "seat": "none"}])

    assert seated(workspace, members) == ["full", "none"]


def test_without_lite_seats_in_the_tier_those_on_them_have_none(
    workspace: factories.Account, crew: Crew
) -> None:
    members = crew("lite", "lite", "lite")
    settle(workspace, bought=0, lite=1)

    assert seated(workspace, members) == ["lite", "none", "none"]


def test_each_seat_that_is_withdrawn_is_on_record(workspace: factories.Account, crew: Crew) -> None:
    crew("full")
    settle(workspace, bought=0)
    with unit_of_work(workspace.workspace_id) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "seat.withdrawn"))

    assert entry.actor == "system"
    assert entry.before and entry.before["seat"] == "full"  # noqa: PT018
    assert entry.after and entry.after["seat"] == "none"  # noqa: PT018


def test_seats_of_another_workspace_of_the_same_login_do_not_count(
    app: Flask, workspace: factories.Account, crew: Crew
) -> None:
    other = factories.account(app)
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=workspace.user_id, role="member", seat="full"))
    with unit_of_work(workspace.workspace_id, user_id=workspace.user_id) as session:
        now = seats.usage(session)

    assert (now.members, now.full_used) == (1, 0)


def test_what_was_bought_and_what_the_tier_includes_come_from_the_paid_subscription(
    customer: Customer, crew: Crew
) -> None:
    crew("full", "lite", "none")
    with unit_of_work(customer.workspace_id) as session:
        before = seats.usage(session)
        expires = func.now() + timedelta(days=1)
        session.add_all(
            Invitation(
                email=f"{n}@acme.example",
                role="member",
                seat="full",
                state="open",
                key="k",
                sent_at=func.now(),
                expires_at=expires,
            )
            for n in range(2)
        )
    customer.buy(TWELVE_BY_THE_MONTH)
    with unit_of_work(customer.workspace_id) as session:
        after = seats.usage(session)

    assert (before.bought, before.lite_included) == (0, 0)
    assert after == SeatUsage(
        bought=12,
        full_used=1,
        full_invited=2,
        lite_included=20,
        lite_used=1,
        lite_invited=0,
        members=4,
    )
    assert (after.full_free, after.lite_free, after.missing(9), after.missing(10)) == (11, 19, 0, 1)


def test_when_the_subscription_is_over_nobody_has_a_seat(customer: Customer, crew: Crew) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    members = crew("full", "lite")
    customer.shop.client.v1.subscriptions.cancel(customer.shop.subscriptions()[0].id)
    customer.settle()

    assert seated(customer.account, members) == ["none", "none"]


def assign(customer: Customer, members: list[int], seat: str) -> int:
    with unit_of_work(customer.workspace_id) as session:
        return seats.assign(session, members, seat, by=customer.account.user_id)


def test_assigning_seats_is_all_or_nothing(customer: Customer, crew: Crew) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    members = crew(*["none"] * 13)
    with pytest.raises(seats.NoSeatFreeError) as refused:
        assign(customer, members, "full")
    assert seated(customer.account, members) == ["none"] * 13

    assert refused.value.missing == 1
    assert assign(customer, members[:12], "full") == 12
    assert assign(customer, members[:12], "full") == 0
    assert assign(customer, members[11:], "lite") == 2
    assert seated(customer.account, members) == ["full"] * 11 + ["lite"] * 2


def test_no_lite_seat_is_given_that_the_tier_does_not_include(customer: Customer, crew: Crew) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    members = crew(*["none"] * 21)
    with pytest.raises(ConflictError, match="Too few lite seats are free: 20, and 21 are needed"):
        assign(customer, members, "lite")


def test_nobody_outside_the_workspace_is_seated(app: Flask, customer: Customer) -> None:
    other = factories.account(app)
    with unit_of_work(other.workspace_id) as session:
        foreign = session.scalars(select(Member.id)).one()

    with pytest.raises(NotFoundError):
        assign(customer, [foreign], "none")


def test_two_who_give_the_last_seats_at_the_same_moment(open_shop: tuple[Flask, Customer]) -> None:
    app, customer = open_shop
    customer.shop.pay(customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH)).client_secret or "")
    customer.settle()
    for _ in range(15):
        factories.member(app, customer.workspace_id)
    with unit_of_work(customer.workspace_id) as session:
        members = list(session.scalars(select(Member.id)))
    results = at_once(
        lambda: assign(customer, members[:8], "full"), lambda: assign(customer, members[8:16], "full")
    )
    with unit_of_work(customer.workspace_id) as session:
        now = seats.usage(session)

    assert sorted(type(each).__name__ for each in results) == ["NoSeatFreeError", "int"]
    assert now.full_used == 8


def test_somebody_seated_while_the_seats_become_fewer_is_never_one_too_many(
    open_shop: tuple[Flask, Customer],
) -> None:
    app, customer = open_shop
    customer.shop.pay(customer.confirm(customer.prepare(TWELVE_BY_THE_MONTH)).client_secret or "")
    customer.settle()
    for _ in range(11):
        factories.member(app, customer.workspace_id)
    with unit_of_work(customer.workspace_id) as session:
        members = list(session.scalars(select(Member.id).order_by(Member.id)))

    def fewer() -> None:
        with unit_of_work(customer.workspace_id) as session:
            row = session.scalars(select(Subscription)).one()
            row.seats = 6
            session.flush()
            seats.follow(session, row)

    assign(customer, members[:6], "full")
    at_once(fewer, lambda: assign(customer, members[6:], "full"), lambda: assign(customer, members, "lite"))
    with unit_of_work(customer.workspace_id) as session:
        now = seats.usage(session)

    assert now.bought == 6
    assert now.full_used <= 6
    assert now.lite_used <= 20


def test_whoever_manages_nobody_any_more_gives_no_seat(app: Flask, customer: Customer, crew: Crew) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    members = crew("none")
    reader = factories.member(app, customer.workspace_id)
    with pytest.raises(ConflictError, match="Your own role"), unit_of_work(customer.workspace_id) as session:
        seats.assign(session, members, "full", by=reader.user_id)
