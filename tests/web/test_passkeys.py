"""Passkeys without a browser: what is accepted as an answer, and above all what is not."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways.mail import FolderMail
from portal.models import PasskeyChallenge, User
from portal.services import housekeeping
from tests import factories
from tests.authenticator import Authenticator
from tests.browsing import Browser
from tests.web.reading import words
from tests.web.test_freshness import grow_old

NOT_ACCEPTED = "That passkey was not accepted."


def another(app: Flask) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def asked(browser: Browser, path: str, page: str) -> dict[str, Any]:
    """The options that a page's script fetches."""
    answer = browser.post(path, headers={"X-CSRFToken": browser.token(page), "Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    options: dict[str, Any] = answer.get_json()
    return options


def add(browser: Browser, device: Authenticator, name: str = "Office laptop", **more: Any) -> str:
    """Add the device's passkey through the page; what the person then reads."""
    options = asked(browser, "/account/passkeys/options", "/account/passkeys/new")
    data = {"name": name, "credential": device.create(options, **more)}
    answer = browser.submit("/account/passkeys/new", data)
    return words(browser.get(answer.location) if answer.status_code == 303 else answer)


def sign_in(browser: Browser, device: Authenticator, *, then: str = "", **more: Any) -> str:
    """Sign in with the device's passkey; where that leads."""
    options = asked(browser, "/login/passkey/options", "/login")
    data = {"credential": device.get(options, **more), "next": then}
    return str(browser.submit("/login/passkey", data, page="/login").location)


@pytest.fixture
def device(signed_in: Browser) -> Authenticator:
    """A device whose passkey the owner has added."""
    made = Authenticator()
    add(signed_in, made)
    return made


def test_a_passkey_is_listed_by_its_name_and_ends_the_other_browsers(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    other = another(app)
    other.sign_in(workspace.email, workspace.password)
    page = add(signed_in, Authenticator(), "  Phone   of Ada ")
    run_jobs()

    assert "The passkey Phone of Ada was added." in page
    assert "not used yet" in page
    assert other.get("/account").status_code == 303
    assert str(mailbox.read()[0][1]["Subject"]) == "A passkey was added"


def test_a_name_with_markup_is_text_in_the_mail(
    signed_in: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    add(signed_in, Authenticator(), "<b>Phone</b>")
    run_jobs()
    html = mailbox.read()[0][1].get_body(("html",))

    assert html is not None
    assert "“&lt;b&gt;Phone&lt;/b&gt;”" in html.get_content()


def test_a_passkey_signs_in_without_a_password_and_leads_on(app: Flask, device: Authenticator) -> None:
    guest = another(app)

    assert sign_in(guest, device, then="/billing/invoices") == "/billing/invoices"
    assert "last used" in words(guest.get("/account/passkeys"))


def test_an_answer_counts_once(app: Flask, device: Authenticator) -> None:
    first, second = another(app), another(app)
    options = asked(first, "/login/passkey/options", "/login")
    cookie = first.get_cookie("session")
    assert cookie
    data = {"credential": device.get(options)}
    right = first.submit("/login/passkey", data, page="/login")
    # all that a thief could have copied: the cookie of before, and the answer
    second.set_cookie("session", cookie.value)
    again = second.submit("/login/passkey", data, page="/login")

    assert right.location == "/start"
    assert again.location == "/login"
    assert second.get("/account").status_code == 303


def test_an_answer_that_was_refused_uses_its_challenge_up(app: Flask, device: Authenticator) -> None:
    guest = another(app)
    options = asked(guest, "/login/passkey/options", "/login")
    cookie = guest.get_cookie("session")
    assert cookie
    guest.submit("/login/passkey", {"credential": "{}"}, page="/login")
    guest.set_cookie("session", cookie.value)

    assert (
        guest.submit("/login/passkey", {"credential": device.get(options)}, page="/login").location
        == "/login"
    )


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "https://evil.example"}, {"origin": "http://localhost:5000"}, {"verified": False}],
)
def test_what_another_site_or_a_device_that_nobody_unlocked_signed_is_not_accepted(
    app: Flask, device: Authenticator, wrong: dict[str, Any]
) -> None:
    guest = another(app)

    assert sign_in(guest, device, **wrong) == "/login"
    assert NOT_ACCEPTED in words(guest.get("/login"))


def test_a_device_that_counts_backwards_was_copied_and_is_not_accepted(
    app: Flask, device: Authenticator
) -> None:
    sign_in(another(app), device)
    device.sign_count = 0

    assert sign_in(another(app), device) == "/login"


def test_a_passkey_that_nobody_knows_is_answered_like_a_wrong_one(app: Flask, device: Authenticator) -> None:
    pages = []
    for stranger, more in ((Authenticator(), {}), (device, {"verified": False})):
        guest = another(app)
        sign_in(guest, stranger, **more)
        pages.append(words(guest.get("/login")))

    assert pages[0] == pages[1]
    assert NOT_ACCEPTED in pages[0]


def test_the_options_of_signing_in_name_nobody(app: Flask, device: Authenticator) -> None:
    options = asked(another(app), "/login/passkey/options", "/login")

    assert options["allowCredentials"] == []
    assert options["rpId"] == "localhost"
    assert options["userVerification"] == "required"


def test_a_challenge_is_good_for_five_minutes(app: Flask, device: Authenticator) -> None:
    guest = another(app)
    options = asked(guest, "/login/passkey/options", "/login")
    with unit_of_work() as session:
        session.execute(update(PasskeyChallenge).values(expires_at=func.clock_timestamp()))

    answer = guest.submit("/login/passkey", {"credential": device.get(options)}, page="/login")
    assert answer.location == "/login"


def test_a_challenge_of_signing_in_adds_no_passkey(signed_in: Browser) -> None:
    options = asked(signed_in, "/login/passkey/options", "/account")
    with signed_in.session_transaction() as kept:
        kept["new_passkey_challenge"] = kept.pop("passkey_challenge")
    data = {"name": "Laptop", "credential": Authenticator().create(options)}

    assert NOT_ACCEPTED in words(signed_in.submit("/account/passkeys/new", data))


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", '{"id": "!"}', '{"id": 5}', "not JSON"])
def test_what_is_no_answer_at_all_is_refused_politely(
    app: Flask, signed_in: Browser, device: Authenticator, answer: str
) -> None:
    guest = another(app)
    asked(guest, "/login/passkey/options", "/login")
    asked(signed_in, "/account/passkeys/options", "/account/passkeys/new")
    added = signed_in.submit("/account/passkeys/new", {"name": "Laptop", "credential": answer})

    assert guest.submit("/login/passkey", {"credential": answer}, page="/login").location == "/login"
    assert NOT_ACCEPTED in words(added)


def test_a_passkey_of_somebody_else_proves_nothing(
    app: Flask, signed_in: Browser, device: Authenticator, workspace: factories.Account
) -> None:
    stranger = factories.account(app)
    theirs = another(app)
    theirs.sign_in(stranger.email, stranger.password)
    foreign = Authenticator()
    add(theirs, foreign)
    grow_old(16)
    options = asked(signed_in, "/account/verify/passkey/options", "/account/verify")
    wrong = signed_in.submit("/account/verify/passkey", {"credential": foreign.get(options)}, page="/account")
    still = signed_in.get("/account/passkeys/new").status_code
    options = asked(signed_in, "/account/verify/passkey/options", "/account/verify")
    data = {"credential": device.get(options), "next": "/account/passkeys/new"}
    right = signed_in.submit("/account/verify/passkey", data, page="/account")

    assert NOT_ACCEPTED in words(wrong)
    assert still == 303
    assert right.location == "/account/passkeys/new"
    assert signed_in.get(right.location).status_code == 200


def test_a_removed_passkey_lets_nobody_in(app: Flask, signed_in: Browser, device: Authenticator) -> None:
    found = re.search(r"/account/passkeys/\d+/remove", signed_in.get("/account/passkeys").text)
    assert found
    answer = signed_in.submit(found.group(0))

    assert answer.location == "/account/passkeys"
    assert "The passkey Office laptop was removed." in words(signed_in.get(answer.location))
    assert sign_in(another(app), device) == "/login"


def test_a_passkey_of_somebody_else_does_not_exist(
    app: Flask, signed_in: Browser, device: Authenticator
) -> None:
    found = re.search(r"/account/passkeys/\d+/remove", signed_in.get("/account/passkeys").text)
    assert found
    stranger = factories.account(app)
    theirs = another(app)
    theirs.sign_in(stranger.email, stranger.password)
    token = theirs.token("/account")

    assert theirs.get(found.group(0)).status_code == 404
    assert theirs.post(found.group(0), data={"csrf_token": token}).status_code == 404
    assert sign_in(another(app), device) == "/start"


def test_a_closed_login_is_not_let_in_with_its_passkey(
    app: Flask, device: Authenticator, workspace: factories.Account
) -> None:
    with unit_of_work() as session:
        session.execute(update(User).where(User.id == workspace.user_id).values(active=False))
    guest = another(app)
    sign_in(guest, device)

    assert guest.get("/account").status_code == 303


def test_the_same_device_is_not_added_twice(signed_in: Browser, device: Authenticator) -> None:
    options = asked(signed_in, "/account/passkeys/options", "/account/passkeys/new")

    assert len(options["excludeCredentials"]) == 1
    assert NOT_ACCEPTED in add(signed_in, device, "Again")


def test_a_challenge_that_nobody_answered_is_forgotten(client: Browser, settings: Settings) -> None:
    asked(client, "/login/passkey/options", "/login")
    with unit_of_work() as session:
        session.execute(update(PasskeyChallenge).values(expires_at=func.now()))
    housekeeping.forget(settings)

    with unit_of_work() as session:
        assert session.scalars(select(PasskeyChallenge)).all() == []
