"""Many invitations from one table: each row is judged, and all good ones are sent or none."""

import pytest
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.errors import ConflictError, PortalError
from portal.gateways import Gateways
from portal.models import Invitation
from portal.services import invitation_import as tables
from portal.services.invitation_import import Row, TableChangedError, TableError
from tests import factories
from tests.services.inviting import Company
from tests.services.test_at_once import at_once

TABLE = "email,role,seat\nada@oak.example,admin,full\njoan@oak.example\n"


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


def judge(company: Company, text: str) -> list[Row]:
    with unit_of_work(company.id) as session:
        return tables.judge(session, company.gateways, text)


def run(company: Company, text: str, *, by: int | None = None, seal: str = "") -> list[Row]:
    seal = seal or tables.sealed(judge(company, text))
    with unit_of_work(company.id) as session:
        return tables.run(session, company.gateways, text, seal=seal, by=by or company.account.user_id)


def invited(company: Company) -> dict[str, tuple[str, str]]:
    with unit_of_work(company.id) as session:
        return {each.email: (each.role, each.seat) for each in session.scalars(select(Invitation))}


def results(company: Company, text: str) -> list[tuple[int, str, str]]:
    return [(row.line, row.outcome, str(row.reason)) for row in judge(company, text)]


def test_every_good_row_is_invited_with_its_role_and_seat(company: Company) -> None:
    run(company, TABLE)

    assert invited(company) == {
        "ada@oak.example": ("admin", "full"),
        "joan@oak.example": ("member", "none"),
    }
    assert company.mailed("invitation") == ["ada@oak.example", "joan@oak.example"]
    assert company.audit() == [("invitation.sent", company.account.email)] * 2


@pytest.mark.parametrize(
    "text",
    [
        "ada@oak.example,admin,full",
        "\ufeffemail;role;seat\r\nADA@oak.example;Admin;FULL\r\n",
        "Seat\tName\tE-mail\tRole\nfull\tAda L.\tada@oak.example\tadmin\n",
        '\n"ada@oak.example", "admin",full\n\n',
        "ada@oak.example,admin,full\r\n,,\r\n",
    ],
)
def test_a_table_is_read_as_spreadsheets_write_it(company: Company, text: str) -> None:
    [row] = [row for row in judge(company, text) if row.outcome == "invite"]

    assert (row.email, row.role, row.seat) == ("ada@oak.example", "admin", "full")


@pytest.mark.parametrize(
    "data",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        "email,name\njürgen@oak.example".encode("cp1252"),
    ],
)
def test_a_file_is_read_in_the_encodings_of_spreadsheets(data: bytes) -> None:
    assert tables.decode(data).startswith("email,")


@pytest.mark.parametrize("data", [b"PK\x03\x04\x00\x00", b"\xff\xfea", b"a" * (100 * 1024 + 1)])
def test_what_is_no_table_or_too_large_is_refused(data: bytes) -> None:
    with pytest.raises(TableError):
        tables.decode(data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "There is no row in it"),
        ("email,role,seat\n\n", "There is no row in it"),
        ("role,seat\nadmin,full", "must name one column e-mail"),
        ("email,email\na@oak.example,b@oak.example", "must name one column e-mail"),
        ('a@oak.example,"admin\nb@oak.example', "Line 2 cannot be read"),
        ("\n".join(f"a{n}@oak.example" for n in range(251)), "more than 250 rows"),
        ("x" * (100 * 1024 + 1), "larger than 100 kB"),
    ],
)
def test_a_table_that_cannot_be_used_as_a_whole_says_why(company: Company, text: str, said: str) -> None:
    with pytest.raises(TableError) as refused:
        judge(company, text)

    assert said in refused.value.message


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("nobody", "That is no e-mail address."),
        (",admin", "That is no e-mail address."),
        ('"=HYPERLINK(""http://evil.example"")",member', "A cell begins as a formula does"),
        ("a@oak.example,member,+1", "A cell begins as a formula does"),
        ("@evil", "A cell begins as a formula does"),
        ("a@oak.example,owner", "Nobody is invited as an owner"),
        ("a@oak.example,king", "The role must be admin, billing or member."),
        ("a@oak.example,member,golden", "The seat must be full, lite or none."),
        ("a@oak.example,member,full,more", "There are more cells than columns."),
        ("a@oak.example b@oak.example", "That is no e-mail address."),
    ],
)
def test_a_bad_row_says_why_and_the_others_are_sent(company: Company, row: str, said: str) -> None:
    text = f"joan@oak.example\n{row}"
    [good, bad] = results(company, text)

    assert good == (1, "invite", "")
    assert bad[:2] == (2, "wrong")
    assert said in bad[2]
    run(company, text)
    assert list(invited(company)) == ["joan@oak.example"]


def test_who_is_here_or_invited_or_twice_in_it_is_left_out(company: Company) -> None:
    company.invite("known@oak.example")
    text = f"{company.account.email}\nknown@oak.example\nnew@oak.example\nNEW@oak.example"

    assert results(company, text) == [
        (1, "skip", "Is a member already."),
        (2, "skip", "Is invited already."),
        (3, "invite", ""),
        (4, "skip", "The same address as in line 3."),
    ]


def test_nothing_is_sent_when_the_result_is_another_one_than_was_looked_at(company: Company) -> None:
    seal = tables.sealed(judge(company, TABLE))
    company.invite("ada@oak.example")
    with pytest.raises(TableChangedError):
        run(company, TABLE, seal=seal)

    assert list(invited(company)) == ["ada@oak.example"]


def test_more_than_may_be_sent_in_a_day_sends_none(company: Company) -> None:
    with pytest.raises(PortalError, match="at most 50"):
        run(company, "\n".join(f"a{n}@oak.example" for n in range(51)))

    assert invited(company) == {}


def test_somebody_who_may_not_invite_sends_none(company: Company) -> None:
    login = company.join(role="billing")
    with pytest.raises(ConflictError):
        run(company, TABLE, by=login.user_id)

    assert invited(company) == {}


def test_the_same_table_sent_twice_at_once_is_sent_once(open_shop: tuple[Flask, object]) -> None:
    app, customer = open_shop
    company = Company(app, customer.gateways, customer.account)  # type: ignore[attr-defined]
    seal = tables.sealed(judge(company, TABLE))
    sent = at_once(*[lambda: run(company, TABLE, seal=seal)] * 2)

    assert sorted(type(each).__name__ for each in sent) == ["TableChangedError", "list"]
    assert company.mailed("invitation") == ["ada@oak.example", "joan@oak.example"]
