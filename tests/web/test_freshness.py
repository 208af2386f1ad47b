"""Showing again who one is, before money moves or ways of signing in change."""

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal.app import create_app
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.models import LoginSession
from portal.web.freshness import FACTORS, KEYS, MARK, MONEY
from tests import factories
from tests.browsing import Browser
from tests.one_time_codes import code, next_code
from tests.web.reading import words

KEPT = re.compile(r'name="kept" value="([^"]+)"')
# views that move money or change what a workspace has and who owns it, and those that change how one signs in
MUST_BE_FRESH = {
    "api_keys.make": KEYS,
    "api_keys.revoke": KEYS,
    "api_keys.rotate": KEYS,
    "checkout.confirm": MONEY,
    "invoices.correct": MONEY,
    "leaving.archive": MONEY,
    "leaving.end": MONEY,
    "leaving.end_now": MONEY,
    "leaving.request_deletion": MONEY,
    "passkeys.add": FACTORS,
    "passkeys.ask_remove": FACTORS,
    "passkeys.options": FACTORS,
    "passkeys.remove": FACTORS,
    "paying.confirm": MONEY,
    "payment.begin": MONEY,
    "payment.make_default": MONEY,
    "payment.remove": MONEY,
    "seats.members.ownership": FACTORS,
    "security.change_email": FACTORS,
    "subscription.confirm": MONEY,
    "two_step.ask_off": FACTORS,
    "two_step.renew_codes": FACTORS,
    "two_step.set_up": FACTORS,
    "two_step.turn_off": FACTORS,
    "usage_limits.allow": MONEY,
    "usage_limits.change": MONEY,
}


def grow_old(minutes: int) -> None:
    """Let the last proof of every sign-in be so long ago."""
    with unit_of_work() as session:
        ago = func.clock_timestamp() - func.make_interval(0, 0, 0, 0, 0, minutes)
        session.execute(update(LoginSession).values(verified_at=ago))


def is_fresh() -> bool:
    with unit_of_work() as session:
        age = session.scalars(select(func.clock_timestamp() - LoginSession.verified_at)).one()
    return bool(age.total_seconds() < 60)


def test_what_moves_money_or_changes_ways_of_signing_in_asks_for_a_fresh_proof(app: Flask) -> None:
    marked = {name: getattr(view, MARK, None) for name, view in app.view_functions.items()}

    assert {name: marked[name] for name in MUST_BE_FRESH} == MUST_BE_FRESH


@pytest.mark.parametrize(("minutes", "asks"), [(14, False), (16, True)])
def test_a_way_of_signing_in_changes_within_a_quarter_of_an_hour(
    signed_in: Browser, minutes: int, asks: bool
) -> None:
    grow_old(minutes)

    assert (signed_in.get("/account/two-step/app").status_code == 303) is asks


@pytest.mark.parametrize(("minutes", "asks"), [(59, False), (61, True)])
def test_money_moves_within_an_hour(signed_in: Browser, minutes: int, asks: bool) -> None:
    token = signed_in.token("/account")
    grow_old(minutes)
    answer = signed_in.post(
        "/checkout/Q-0000000000/confirm",
        json={},
        headers={"X-CSRFToken": token, "Accept": "application/json"},
    )

    assert (answer.status_code == 401) is asks


def test_the_spans_are_settings(settings: Settings, gateways: Gateways, workspace: factories.Account) -> None:
    app = create_app(replace(settings, fresh_factors=settings.fresh_money), gateways)
    app.test_client_class = Browser
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(workspace.email, workspace.password)
    grow_old(16)

    assert browser.get("/account/two-step/app").status_code == 200


def test_a_page_is_shown_after_the_password(signed_in: Browser, workspace: factories.Account) -> None:
    grow_old(16)
    asked = signed_in.get("/account/two-step/app")
    page = signed_in.get(asked.location)
    answer = signed_in.submit(
        asked.location, {"password": workspace.password, "next": "/account/two-step/app"}
    )

    assert urlsplit(asked.location).path == "/account/verify"
    assert parse_qs(urlsplit(asked.location).query)["next"] == ["/account/two-step/app"]
    assert "You are about to change how you sign in" in words(page)
    assert answer.location == "/account/two-step/app"
    assert signed_in.get(answer.location).status_code == 200
    assert is_fresh()


def test_a_wrong_password_proves_nothing(signed_in: Browser) -> None:
    grow_old(16)
    answer = signed_in.submit("/account/verify", {"password": "not the password"})

    assert "That is not your password." in words(answer)
    assert signed_in.get("/account/two-step/app").status_code == 303


def test_a_code_of_the_app_proves_it_once(app: Flask, signed_in: Browser) -> None:
    secret = re.findall(r'id="app-secret">([A-Z2-7 ]+)<', signed_in.get("/account/two-step/app").text)[0]
    secret = secret.replace(" ", "")
    signed_in.submit("/account/two-step/app", {"code": code(secret)})
    shown = next_code(secret)
    grow_old(16)
    other_way = signed_in.submit("/account/verify/other-way?to=code", page="/account/verify")
    right = signed_in.submit("/account/verify?with=code", {"code": shown, "next": "/account/two-step"})
    grow_old(16)
    again = signed_in.submit("/account/verify?with=code", {"code": shown})

    assert "Six digits, from your authenticator app." in words(other_way)
    assert right.location == "/account/two-step"
    assert "That code is not right, or it was used before." in words(again)


def test_a_form_of_a_page_left_open_is_kept_and_does_nothing_until_it_is_sent_again(
    signed_in: Browser, workspace: factories.Account, run_jobs: Callable[[], list[str]]
) -> None:
    token = signed_in.token("/account/email")
    grow_old(16)
    data = {"csrf_token": token, "email": "new <b>@acme.example"}
    asked = signed_in.post("/account/email", data=data, headers={"Referer": "http://localhost/account/email"})
    kept = KEPT.findall(asked.text)[0]
    done = signed_in.post(
        "/account/verify",
        data={"csrf_token": token, "password": workspace.password, "kept": kept, "next": "/account/email"},
    )

    assert asked.status_code == 401
    assert "What you entered is kept; nothing was done yet." in words(asked)
    assert run_jobs() == []
    assert 'action="/account/email"' in done.text
    assert 'name="email" value="new &lt;b&gt;@acme.example"' in done.text
    assert 'href="/account/email"' in done.text


def test_what_was_kept_survives_a_wrong_password(signed_in: Browser, workspace: factories.Account) -> None:
    token = signed_in.token("/account/email")
    grow_old(16)
    asked = signed_in.post("/account/email", data={"csrf_token": token, "email": "new@acme.example"})
    data = {"csrf_token": token, "kept": KEPT.findall(asked.text)[0]}
    wrong = signed_in.post("/account/verify", data={**data, "password": "not the password"})
    right = signed_in.post(
        "/account/verify", data={**data, "password": workspace.password, "kept": KEPT.findall(wrong.text)[0]}
    )

    assert 'name="email" value="new@acme.example"' in right.text


def test_a_form_without_input_leads_back_to_its_page(
    signed_in: Browser, workspace: factories.Account
) -> None:
    token = signed_in.token("/account/two-step/off")
    grow_old(16)
    page = "http://localhost/account/two-step/off"
    asked = signed_in.post("/account/two-step/off", data={"csrf_token": token}, headers={"Referer": page})

    assert asked.status_code == 401
    assert KEPT.findall(asked.text) == []
    assert 'name="next" value="/account/two-step/off"' in asked.text


def test_what_somebody_else_kept_is_not_sent(signed_in: Browser, workspace: factories.Account) -> None:
    token = signed_in.token("/account")
    data = {"csrf_token": token, "password": workspace.password, "next": "/account"}
    answer = signed_in.post("/account/verify", data={**data, "kept": "WyIvIixbXV0.forged"})

    assert answer.location == "/account"


def test_passwords_are_not_kept(signed_in: Browser) -> None:
    token = signed_in.token("/account/email")
    grow_old(16)
    data = {"csrf_token": token, "email": "new@acme.example", "new_password": "a secret of mine"}
    asked = signed_in.post("/account/email", data=data)

    assert "a secret" not in asked.text
    assert token not in KEPT.findall(asked.text)[0]


def test_a_script_hears_where_to_go(signed_in: Browser) -> None:
    token = signed_in.token("/account")
    grow_old(61)
    answer = signed_in.post(
        "/checkout/Q-0000000000/confirm",
        json={},
        headers={
            "X-CSRFToken": token,
            "Accept": "application/json",
            "Referer": "http://localhost/checkout/Q-0000000000?changed=tax",
        },
    )
    told = answer.get_json()

    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
    assert told["detail"] == "It has been a while since you signed in. Nothing was done or charged."
    location = urlsplit(told["location"])
    assert (location.path, parse_qs(location.query)["next"]) == (
        "/account/verify",
        ["/checkout/Q-0000000000?changed=tax"],
    )


@pytest.mark.parametrize(
    "address", ["//evil.example", "/\\evil.example", "https://evil.example", "/\t/evil.example"]
)
def test_the_way_back_stays_on_this_site(
    signed_in: Browser, workspace: factories.Account, address: str
) -> None:
    answer = signed_in.submit("/account/verify", {"password": workspace.password, "next": address})

    assert answer.location == "/start"


def test_a_referrer_of_another_site_is_not_gone_back_to(signed_in: Browser) -> None:
    token = signed_in.token("/account/two-step/off")
    grow_old(16)
    headers = {"Referer": "https://evil.example/account"}
    asked = signed_in.post("/account/two-step/off", data={"csrf_token": token}, headers=headers)

    assert 'name="next" value="/start"' in asked.text


def test_proofs_are_limited_per_login(
    settings: Settings, gateways: Gateways, workspace: factories.Account
) -> None:
    app = create_app(replace(settings, limits_enabled=True), gateways)
    app.test_client_class = Browser
    browser = app.test_client()
    assert isinstance(browser, Browser)
    browser.sign_in(workspace.email, workspace.password)
    data = {"csrf_token": browser.token("/account/verify"), "password": "x"}
    statuses = [
        browser.post("/account/verify", data=data, environ_base={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code
        for n in range(7)
    ]

    assert statuses == [200] * 6 + [429]


def test_a_guest_is_sent_to_sign_in_and_not_to_prove_anything(client: Browser) -> None:
    assert client.get("/account/two-step/app").location == "/login?next=/account/two-step/app"
