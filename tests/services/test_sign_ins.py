"""Sign-ins and their end."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import func, select, update

from portal.config import Settings
from portal.db import unit_of_work
from portal.models import LoginSession, Member, RateLimit, User
from portal.services import housekeeping, sign_ins
from tests import factories

LONG = timedelta(days=1)


def found(identifier: str, user_id: int, *, mark: str | None = None) -> sign_ins.SignIn | None:
    with unit_of_work() as session:
        known = session.get_one(User, user_id).fs_uniquifier
        return sign_ins.find(session, identifier, user_id, mark=mark or known, idle=LONG, absolute=LONG)


def begin(account: factories.Account, replaces: str | None = None) -> str:
    return sign_ins.begin(account.user_id, ip="127.0.0.1", user_agent="tests", replaces=replaces)


def test_a_sign_in_knows_the_workspaces_of_its_login_and_no_others(
    app: Flask, workspace: factories.Account
) -> None:
    factories.account(app, company_name="Oak Inc")
    sign_in = found(begin(workspace), workspace.user_id)

    assert sign_in is not None
    assert [each.workspace_name for each in sign_in.memberships] == ["Acme Ltd"]
    assert sign_in.current == sign_in.memberships[0]


def test_a_sign_in_of_another_login_is_none(app: Flask, workspace: factories.Account) -> None:
    stranger = factories.account(app)

    assert found(begin(workspace), stranger.user_id) is None


def test_a_sign_in_is_found_with_its_login(workspace: factories.Account) -> None:
    sign_in = found(begin(workspace), workspace.user_id)

    assert sign_in is not None
    assert sign_in.user.email == workspace.email


def test_a_sign_in_of_a_login_that_was_shut_is_none(workspace: factories.Account) -> None:
    identifier = begin(workspace)
    with unit_of_work() as session:
        session.get_one(User, workspace.user_id).active = False

    assert found(identifier, workspace.user_id) is None


def test_a_cookie_that_knows_an_old_mark_of_the_login_finds_none(workspace: factories.Account) -> None:
    assert found(begin(workspace), workspace.user_id, mark="an old one") is None


def test_signing_in_again_ends_what_this_browser_had(workspace: factories.Account) -> None:
    first = begin(workspace)
    second = begin(workspace, replaces=first)

    assert found(first, workspace.user_id) is None
    assert found(second, workspace.user_id) is not None


def test_a_member_that_was_removed_loses_the_workspace_at_once(workspace: factories.Account) -> None:
    identifier = begin(workspace)
    with unit_of_work(workspace.workspace_id) as session:
        session.delete(session.scalars(select(Member)).one())
    sign_in = found(identifier, workspace.user_id)

    assert sign_in is not None
    assert (sign_in.memberships, sign_in.current) == ((), None)


def test_a_chosen_workspace_stays_chosen(app: Flask, workspace: factories.Account) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=workspace.user_id, role="billing", seat="none"))
    identifier = begin(workspace)
    sign_in = found(identifier, workspace.user_id)
    assert sign_in is not None
    sign_ins.choose_workspace(sign_in, other.workspace_id)
    after = found(identifier, workspace.user_id)

    assert after is not None
    assert after.current is not None
    assert (after.current.workspace_name, after.current.role) == ("Oak Inc", "billing")


def test_what_is_over_is_forgotten_and_the_rest_is_kept(
    workspace: factories.Account, settings: Settings
) -> None:
    old, new = begin(workspace), begin(workspace)
    with unit_of_work() as session:
        ended = func.clock_timestamp() - settings.session_idle - timedelta(minutes=1)
        session.execute(update(LoginSession).where(LoginSession.id == old).values(last_seen_at=ended))
        session.add(RateLimit(key="over", count=1, expires_at=func.clock_timestamp() - timedelta(hours=2)))
        session.add(RateLimit(key="running", count=1, expires_at=func.clock_timestamp() + timedelta(hours=2)))
    forgotten = housekeeping.forget(settings)

    assert forgotten == 2
    with unit_of_work() as session:
        assert session.scalars(select(LoginSession.id)).all() == [new]
        assert session.scalars(select(RateLimit.key)).all() == ["running"]
