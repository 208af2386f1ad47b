"""The page of one member, opened by two admins at once."""

import pytest
from flask import Flask

from portal.gateways import Gateways
from tests import factories
from tests.browsing import Browser
from tests.services.inviting import Company
from tests.web.reading import words
from tests.web.test_seats import give


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


def test_a_seat_that_somebody_else_changed_meanwhile_is_not_overwritten(
    signed_in: Browser, company: Company
) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'full')}"
    seen = {"role": "billing", "was": "member", "had": "lite"}
    answer = signed_in.submit(path, {**seen, "seat": "none"})

    assert answer.status_code == 409
    assert f"{login.email} has another seat by now. Nothing was changed; look again." in words(answer)
    assert "Role now Member Seat now Full seat" in words(answer)
    assert 'name="had" value="full"' in answer.text
    assert (company.person(login).role, company.person(login).seat) == ("member", "full")


def test_who_changes_the_role_alone_leaves_the_seat_as_somebody_else_has_set_it(
    signed_in: Browser, company: Company
) -> None:
    login = company.join()
    path = f"/billing/seats/{give(company, login, 'full')}"
    signed_in.submit(path, {"role": "billing", "was": "member", "seat": "lite", "had": "lite"})

    assert (company.person(login).role, company.person(login).seat) == ("billing", "full")
