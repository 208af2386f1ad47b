"""The link of an invitation: for a login that is there, for a new person, for somebody else, for nobody."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.mail import FolderMail
from portal.models import Member, User, Workspace
from portal.services import invitations
from tests import factories
from tests.browsing import Browser
from tests.factories import PASSWORD
from tests.services.inviting import Company, path_in
from tests.web.reading import words


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


def path_of(company: Company, email: str = "grace@oak.example", **more: str) -> str:
    return f"/invitations/{company.token(company.invite(email, **more))}"  # type: ignore[arg-type]


def test_a_new_person_joins_with_a_password_and_gets_no_workspace_of_their_own(
    company: Company, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    company.invite("grace@oak.example", role="billing")
    run_jobs()
    body = mailbox.read()[0][1].get_body(preferencelist=("plain",))
    assert body
    path = path_in(body.get_content())
    page = words(client.get(path))
    answer = client.submit(f"{path}/sign-up", {"name": "Grace", "password": PASSWORD}, page=path)
    overview = words(client.get("/billing"))
    with unit_of_work() as session:
        user = session.scalars(select(User).where(User.email == "grace@oak.example")).one()
    with unit_of_work(system=True) as session:
        workspaces = session.scalars(select(Workspace.name)).all()
    with unit_of_work(company.id) as session:
        member = session.scalars(select(Member).where(Member.user_id == user.id)).one()

    assert "Join Acme Ltd" in page
    assert company.account.email in page
    assert (answer.status_code, answer.location) == (303, "/billing")
    assert "You have joined Acme Ltd." in overview
    assert (user.name, user.confirmed_at is not None, member.role) == ("Grace", True, "billing")
    assert workspaces == ["Acme Ltd"]
    client.submit("/logout", page="/account")
    assert client.sign_in("grace@oak.example", PASSWORD).location == "/start"


def test_a_password_that_will_not_do_is_said_at_its_field(company: Company, client: Browser) -> None:
    path = path_of(company)
    for password, said in (
        ("", "Enter a password."),
        ("short", "Use at least 8 characters."),
        ("Password123", "one of the first that anyone would try"),
        ("grace is my name", "does not contain your e-mail address"),
    ):
        page = client.submit(f"{path}/sign-up", {"password": password}, page=path)
        assert said in words(page)
    assert company.mailed("invitation") == ["grace@oak.example"]


def test_somebody_with_a_login_signs_in_comes_back_and_joins(
    app: Flask, company: Company, client: Browser
) -> None:
    grace = factories.account(app, email="grace@oak.example", company_name="Oak Inc")
    path = path_of(company)
    guest = client.get(path)
    client.submit("/login", {"email": grace.email, "password": grace.password, "next": path})
    page = words(client.get(path))
    before = company.is_member(grace)
    joined = client.submit(path)

    assert f"/login?next={path}" in guest.text.replace("%2F", "/")
    assert 'type="password"' not in guest.text
    assert "Join Acme Ltd" in page
    # following the link alone changes nothing
    assert not before
    assert joined.location == "/billing"
    assert company.is_member(grace)
    # the browser looks at the new workspace, and the other one is there to switch to
    assert "Switch to Oak Inc" in client.get("/billing").text
    assert client.get(path).location == "/billing"


def test_somebody_else_is_told_whom_the_invitation_is_for_and_cannot_use_it(
    company: Company, signed_in: Browser
) -> None:
    path = path_of(company)
    page = signed_in.get(path)
    signed_in.post(path, data={"csrf_token": signed_in.token("/account")})
    signed_in.post(f"{path}/sign-up", data={"csrf_token": signed_in.token("/account"), "password": PASSWORD})
    out = signed_in.post(f"/logout?next={path}", data={"csrf_token": signed_in.token("/account")})

    assert "You are signed in as somebody else" in words(page)
    assert company.found(_only(company)).state == "open"
    assert out.location == path


def _only(company: Company) -> invitations.Invitation:
    with unit_of_work(company.id) as session:
        return session.scalars(select(invitations.Invitation)).one()


def test_a_login_that_was_begun_with_the_address_and_never_confirmed_becomes_the_invited_person_s(
    app: Flask, company: Company, client: Browser
) -> None:
    squatter = factories.account(app, email="grace@oak.example", confirmed=False)
    path = path_of(company)
    client.submit(f"{path}/sign-up", {"password": "quite another password"}, page=path)
    client.submit("/logout", page="/account")
    old = client.submit("/login", {"email": squatter.email, "password": squatter.password})

    assert company.is_member(squatter)
    assert "do not belong together" in words(old)
    assert client.sign_in(squatter.email, "quite another password").location == "/start"


def test_links_that_cannot_be_used_say_why(app: Flask, company: Company, client: Browser) -> None:
    revoked, used = company.invite("a@oak.example"), company.invite("b@oak.example")
    with unit_of_work(company.id) as session:
        invitations.revoke(session, company.gateways, revoked.id, by=company.account.user_id)
    company.accept(used, factories.account(app, email="b@oak.example"))
    expired = company.invite("c@oak.example")
    with unit_of_work(company.id) as session:
        session.get_one(invitations.Invitation, (company.id, expired.id)).expires_at = used.sent_at
    for invitation, status, said in (
        (revoked, 410, "This invitation was taken back"),
        (used, 410, "This invitation was used"),
        (expired, 410, "This invitation has expired"),
    ):
        path = f"/invitations/{company.token(invitation)}"
        page = client.get(path)
        form = client.post(
            f"{path}/sign-up", data={"csrf_token": client.token("/login"), "password": PASSWORD}
        )

        assert (page.status_code, form.status_code) == (status, status)
        assert said in words(page)
    tampered = client.get(f"/invitations/{company.token(expired)[:-3]}abc")
    assert tampered.status_code == 404
    assert "This link is not valid" in words(tampered)


def test_two_clicks_on_joining_are_one_person(company: Company, client: Browser) -> None:
    path = path_of(company)
    data = {"csrf_token": client.token(path), "password": PASSWORD}
    first = client.post(f"{path}/sign-up", data=data)
    second = client.post(f"{path}/sign-up", data={**data, "csrf_token": client.token("/account")})

    assert (first.location, second.location) == ("/billing", "/billing")
    with unit_of_work() as session:
        assert len(session.scalars(select(User).where(User.email == "grace@oak.example")).all()) == 1


def test_a_closed_login_is_told_so_and_joins_nothing(app: Flask, company: Company, client: Browser) -> None:
    closed = factories.account(app, email="grace@oak.example", confirmed=False)
    with unit_of_work() as session:
        session.get_one(User, closed.user_id).active = False
    path = path_of(company)
    answer = client.submit(f"{path}/sign-up", {"password": "quite another password"}, page=path)
    page = words(client.get(answer.location))

    assert "The login of this address is closed." in page
    assert not company.is_member(closed)
