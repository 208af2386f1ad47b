"""/developers: a key is shown once, to those in charge, and ends when they say so."""

import re
from collections.abc import Callable

import pytest
import structlog
from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import ApiKey
from portal.services import api_keys
from tests import factories
from tests.browsing import Browser
from tests.web.reading import words
from tests.web.test_freshness import grow_old

NEW = "/developers/keys/new"
SECRET = re.compile(r"bk_[0-9A-Z]{10}_[\w-]{43}")
FORM_KEY = re.compile(r'name="key"[^>]*value="(K-[0-9A-Z]{10})"')
BOTH = {"name": "Help desk", "scopes": ["events:write", "read"]}


def made(browser: Browser, **given: object) -> str:
    """The key of a form that was filled in."""
    page = browser.get(NEW).text
    data = {**BOTH, "key": FORM_KEY.findall(page)[0], **given}
    answer = browser.submit(NEW, data)
    return str(SECRET.findall(answer.text)[0])


def only_key(account: factories.Account) -> ApiKey:
    with unit_of_work(account.workspace_id) as session:
        return session.scalars(select(ApiKey)).one()


def comes_in(gateways: Gateways, secret: str) -> bool:
    return api_keys.admit(secret, gateways.clock.now()) is not None


def test_a_key_is_shown_once_and_works(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account
) -> None:
    empty = words(signed_in.get("/developers"))
    secret = made(signed_in)
    listing = signed_in.get("/developers")

    assert "No keys yet" in empty
    assert comes_in(gateways, secret)
    assert SECRET.findall(listing.text) == []
    assert f"{secret[:13]}…" in listing.text
    assert "Send events and usage · Read usage, resolutions, credits and quotes" in words(listing)
    assert f"by {workspace.email}" in words(listing)


def test_the_page_with_the_key_is_kept_by_no_browser(signed_in: Browser) -> None:
    page = signed_in.get(NEW).text
    answer = signed_in.submit(NEW, {**BOTH, "key": FORM_KEY.findall(page)[0]})

    assert answer.headers["Cache-Control"] == "no-store"
    assert "It is not shown again" in words(answer)


def test_sending_the_form_twice_makes_one_key(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account
) -> None:
    key = FORM_KEY.findall(signed_in.get(NEW).text)[0]
    first = signed_in.submit(NEW, {**BOTH, "key": key})
    again = signed_in.submit(NEW, {**BOTH, "key": key}, follow_redirects=True)

    assert SECRET.findall(first.text) != []
    assert SECRET.findall(again.text) == []
    assert "was made before, and is shown only once" in words(again)
    assert only_key(workspace).id == key


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": ""}, "Give the key a name."),
        ({"name": "x" * 65}, "Use at most 64 characters."),
        ({"name": "a‮b"}, "Remove the invisible characters"),
        ({"scopes": []}, "Choose what the key may do."),
    ],
)
def test_what_is_not_right_is_said_and_makes_no_key(
    signed_in: Browser, workspace: factories.Account, given: dict[str, object], said: str
) -> None:
    key = FORM_KEY.findall(signed_in.get(NEW).text)[0]
    answer = signed_in.submit(NEW, {**BOTH, "key": key, **given})

    assert said in words(answer)
    with unit_of_work(workspace.workspace_id) as session:
        assert session.scalars(select(ApiKey)).all() == []


@pytest.mark.parametrize("given", [{"scopes": ["everything"]}, {"key": "K-1"}, {"key": ""}])
def test_a_form_that_no_page_shows_makes_no_key(
    signed_in: Browser, workspace: factories.Account, given: dict[str, object]
) -> None:
    key = FORM_KEY.findall(signed_in.get(NEW).text)[0]
    signed_in.submit(NEW, {**BOTH, "key": key, **given})

    with unit_of_work(workspace.workspace_id) as session:
        assert session.scalars(select(ApiKey)).all() == []


def test_a_revoked_key_stays_in_the_list_without_a_way_back(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account
) -> None:
    secret = made(signed_in)
    path = f"/developers/keys/{only_key(workspace).id}"
    asked = words(signed_in.get(f"{path}/revoke"))
    told = words(signed_in.submit(f"{path}/revoke", follow_redirects=True))
    again = words(signed_in.submit(f"{path}/revoke", page="/developers", follow_redirects=True))

    assert "are turned away from this moment on" in asked
    assert not comes_in(gateways, secret)
    assert "The key Help desk is revoked" in told
    assert "Revoked" in told
    assert "Replace Help desk" not in told
    assert "This key is over" in again


def test_a_key_is_replaced_by_one_that_may_do_the_same(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account
) -> None:
    old = made(signed_in, scopes=["read"])
    path = f"/developers/keys/{only_key(workspace).id}/rotate"
    answer = signed_in.submit(path, {"overlap": "168"})
    [new] = SECRET.findall(answer.text)
    again = signed_in.submit(path, {"overlap": "168"}, follow_redirects=True)
    listing = words(signed_in.get("/developers"))
    caller = api_keys.admit(new, gateways.clock.now())

    assert "goes on until" in words(answer)
    assert comes_in(gateways, old)
    assert caller is not None
    assert caller.scopes == {"read"}
    assert "It was replaced meanwhile" in words(again)
    assert "Replaced" in listing
    assert "ends " in listing


def test_a_key_that_is_replaced_at_once_has_ended(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account
) -> None:
    old = made(signed_in)
    path = f"/developers/keys/{only_key(workspace).id}/rotate"
    answer = signed_in.submit(path, {"overlap": "0"})

    assert "has ended" in words(answer)
    assert not comes_in(gateways, old)


@pytest.mark.parametrize("overlap", ["", "5", "-1", "99999"])
def test_no_other_overlap_is_taken(
    signed_in: Browser, gateways: Gateways, workspace: factories.Account, overlap: str
) -> None:
    old = made(signed_in)
    answer = signed_in.submit(
        f"/developers/keys/{only_key(workspace).id}/rotate", {"overlap": overlap} if overlap else {}
    )

    assert SECRET.findall(answer.text) == []
    assert comes_in(gateways, old)


def test_making_a_key_asks_again_who_one_is_after_a_quarter_of_an_hour(signed_in: Browser) -> None:
    grow_old(16)
    asked = signed_in.get(NEW)
    page = words(signed_in.get(asked.location))

    assert "/account/verify" in asked.location
    assert "makes or ends a key that programs come in with" in page


def test_the_way_to_the_keys_is_shown_to_those_in_charge(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    shown = {"owner": "/developers" in signed_in.get("/billing").text}
    for role in ("admin", "billing", "member"):
        person = factories.member(app, workspace.workspace_id, role=role)
        browser = app.test_client()
        assert isinstance(browser, Browser)
        browser.sign_in(person.email, person.password)
        shown[role] = "/developers" in browser.get("/billing").text

    assert shown == {"owner": True, "admin": True, "billing": False, "member": False}


def test_what_was_done_stands_in_the_activity(signed_in: Browser, workspace: factories.Account) -> None:
    made(signed_in)
    path = f"/developers/keys/{only_key(workspace).id}/revoke"
    signed_in.submit(path)
    page = words(signed_in.get("/billing/activity?kind=api_key"))

    assert "Made the API key Help desk" in page
    assert "Revoked the API key Help desk" in page


def test_the_key_is_in_no_line_of_the_log(
    signed_in: Browser, client: Browser, run_jobs: Callable[[], list[str]]
) -> None:
    with structlog.testing.capture_logs() as lines:
        secret = made(signed_in)
        client.get("/v1/quotes", headers={"Authorization": f"Bearer {secret}"})
        client.get(f"/v1/{secret}", headers={"Authorization": f"Bearer {secret}x"})
        client.get("/v1/quotes", query_string={"cursor": secret}, headers={"Authorization": secret})
        run_jobs()

    assert [line["event"] for line in lines].count("request") >= 5
    assert secret[14:] not in str(lines)
