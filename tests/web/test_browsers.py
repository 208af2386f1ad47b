"""The list of a login's signed-in browsers, and signing them out."""

import re

from flask import Flask
from sqlalchemy import func, select, update

from portal.config import Settings
from portal.db import unit_of_work
from portal.models import LoginSession
from tests import factories
from tests.browsing import Browser
from tests.web.reading import block, words


def another(app: Flask) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def test_the_list_of_browsers_names_each_in_words(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    other = another(app)
    agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:150.0) Gecko/20100101 Firefox/150.0"
    data = {"csrf_token": other.token(), "email": workspace.email, "password": workspace.password}
    other.post("/login", data=data, headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": "10.9.8.7"})
    page = words(signed_in.get("/account/browsers"))

    assert "This browser" in page
    assert "Firefox on Windows" in page
    assert "10.9.8.7 · signed in on" in page


def test_one_browser_is_signed_out_by_its_handle_which_lets_nobody_in(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    other = another(app)
    other.sign_in(workspace.email, workspace.password)
    page = signed_in.get("/account/browsers").text
    handles = re.findall(r"/account/browsers/(\w+)/end", page)
    with unit_of_work() as session:
        identifiers = session.scalars(select(LoginSession.id)).all()

    assert not any(identifier in page for identifier in identifiers)
    signed_in.submit(f"/account/browsers/{handles[0]}/end", page="/account/browsers")
    assert other.get("/account").status_code == 303
    assert signed_in.get("/account").status_code == 200


def test_a_browser_of_somebody_else_does_not_exist(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    stranger, theirs = factories.account(app), another(app)
    theirs.sign_in(stranger.email, stranger.password)
    another_of_theirs = another(app)
    another_of_theirs.sign_in(stranger.email, stranger.password)
    handles = re.findall(r"/account/browsers/(\w+)/end", theirs.get("/account/browsers").text)

    answer = signed_in.submit(f"/account/browsers/{handles[0]}/end", page="/account/browsers")

    assert answer.status_code == 404
    assert another_of_theirs.get("/account").status_code == 200


def test_sign_ins_that_are_over_are_not_listed(
    app: Flask, signed_in: Browser, workspace: factories.Account, settings: Settings
) -> None:
    other = another(app)
    other.sign_in(workspace.email, workspace.password)
    before = words(signed_in.get("/account"))
    with other.session_transaction() as kept:
        theirs = kept["sign_in"]
    with unit_of_work() as session:
        over = {"last_seen_at": func.now() - settings.session_idle}
        session.execute(update(LoginSession).where(LoginSession.id == theirs).values(over))

    assert "2 signed in" in before
    assert "This one only" in words(signed_in.get("/account"))
    assert block(signed_in.get("/account/browsers"), "list-title") == "Signed-in browsers"
