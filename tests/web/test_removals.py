"""What ends when a member is taken out: their say, what they asked for, and the forms that they left open."""

import pytest
from flask import Flask
from sqlalchemy import delete

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import Member
from portal.services import deletion, seats
from tests import factories
from tests.browsing import Browser
from tests.services.inviting import Company
from tests.web.test_freshness import grow_old
from tests.web.test_seats import give


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


def test_an_owner_is_removed_by_whoever_has_just_shown_who_they_are(
    company: Company, signed_in: Browser
) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'none')}"
    signed_in.submit(path, {"role": "owner", "seat": "none", "was": "member"})
    data = {"csrf_token": signed_in.token(path)}
    grow_old(16)
    page = signed_in.get(f"{path}/remove")
    asked = signed_in.post(f"{path}/remove", data=data)

    assert page.location.startswith("/account/verify")
    assert asked.status_code == 401
    assert company.person(login).role == "owner"


def test_whoever_was_invited_by_an_admin_who_is_gone_does_not_come_in(
    company: Company, signed_in: Browser
) -> None:
    removed, demoted, stays = company.join(), company.join(), company.join()
    for login in (removed, demoted, stays):
        signed_in.submit(
            f"/billing/seats/{give(company, login, 'none')}",
            {"role": "admin", "seat": "none", "was": "member"},
        )
    asked = [
        company.invite(f"guest{number}@oak.example", by=login.user_id)
        for number, login in enumerate((removed, demoted, stays))
    ]
    signed_in.submit(f"/billing/seats/{company.person(removed).id}/remove")
    path = f"/billing/seats/{company.person(demoted).id}"
    signed_in.submit(path, {"role": "billing", "seat": "none", "was": "admin"})

    assert [company.found(each).state for each in asked] == ["revoked", "revoked", "open"]


def test_a_form_is_refused_once_a_removal_has_moved_its_browser_to_another_workspace(
    app: Flask, client: Browser, workspace: factories.Account
) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=workspace.user_id, role="owner", seat="none"))
    client.sign_in(workspace.email, workspace.password)
    still_open = {"csrf_token": client.token("/billing/leaving")}
    with unit_of_work(workspace.workspace_id) as session:
        session.execute(delete(Member).where(Member.user_id == workspace.user_id, seats.HERE))
    refused = client.post("/billing/leaving/deletion", data=still_open)
    with unit_of_work(other.workspace_id) as session:
        pending = deletion.pending(session)

    assert refused.status_code == 400
    assert pending is None
    assert "Oak Inc" in client.get("/billing").text
    assert client.submit("/account/browsers/others/end", page="/account/browsers").status_code == 303
