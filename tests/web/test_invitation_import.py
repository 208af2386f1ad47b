"""The pages of a table of invitations: what becomes of each row, then all good ones or none."""

import io
import re

import pytest
from flask import Flask

from portal import pricing
from portal.gateways import Gateways
from tests import factories
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.inviting import Company
from tests.web.reading import words

PAGE = "/billing/seats/import"
TABLE = "email,role,seat\nada@oak.example,admin,none\nnobody,,\n"


@pytest.fixture
def company(app: Flask, gateways: Gateways, workspace: factories.Account) -> Company:
    return Company(app, gateways, workspace)


def seal(page: str) -> str:
    found = re.search(r'name="seal" value="(\w+)"', page)
    assert found
    return found.group(1)


def test_a_pasted_table_is_judged_row_by_row_and_sent_after_the_click(
    signed_in: Browser, company: Company
) -> None:
    preview = signed_in.submit(PAGE, {"text": TABLE})
    before = company.mailed("invitation")
    sent = signed_in.submit(f"{PAGE}/confirm", {"text": TABLE, "seal": seal(preview.text)}, page=PAGE)

    assert "1 person will be invited. 1 row is left out, for the reason beside it." in words(preview)
    assert re.search(r"nobody\s+Line 3\s+That is no e-mail address.\s+Wrong", words(preview))
    assert before == []
    assert "1 invitation is on its way" in words(sent)
    assert company.mailed("invitation") == ["ada@oak.example"]


def test_an_uploaded_file_is_read(signed_in: Browser, company: Company) -> None:
    file = (io.BytesIO(TABLE.replace(",", ";").encode("utf-16")), "people.csv")
    preview = signed_in.submit(PAGE, {"file": file, "text": ""}, content_type="multipart/form-data")

    assert "1 person will be invited." in words(preview)
    assert "Admin, No seat" in words(preview)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a" * (100 * 1024 + 1), "The table is larger than 100 kB"),
        (b"PK\x03\x04\x00\x00\x00", "This is not a table in text form"),
        ("ada@oak.example\u202e".encode(), "There are invisible characters in it"),
        (b"", "There is no row in it"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(signed_in: Browser, data: bytes, said: str) -> None:
    answer = signed_in.submit(
        PAGE, {"file": (io.BytesIO(data), "x.csv"), "text": ""}, content_type="multipart/form-data"
    )

    assert answer.status_code == 422
    assert said in words(answer)
    assert "Nothing was sent." in words(answer)


@pytest.mark.parametrize("text", [TABLE + "eve@oak.example,admin,none\n", TABLE.replace("admin", "member")])
def test_another_table_than_was_looked_at_is_shown_again_and_not_sent(
    signed_in: Browser, company: Company, text: str
) -> None:
    looked_at = seal(signed_in.submit(PAGE, {"text": TABLE}).text)
    answer = signed_in.submit(f"{PAGE}/confirm", {"text": text, "seal": looked_at}, page=PAGE)

    assert answer.status_code == 409
    assert "Look at the new result. Nothing was sent." in words(answer)
    assert company.mailed("invitation") == []


def test_a_table_with_too_few_seats_says_what_one_more_costs(customer: Customer, buyer: Browser) -> None:
    customer.buy(pricing.Selection("essential", 1, "month"))
    text = "ada@oak.example,member,full\ngrace@oak.example,member,full"
    page = words(buyer.submit(PAGE, {"text": text}))

    assert "find no free seat" in page
    assert "Adds a seat: + $39.00 now, then $39.00 a month from" in page
