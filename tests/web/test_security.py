"""What must hold on every route, and what signing in and out must not let through."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import func, select, update
from werkzeug.routing import IntegerConverter, Rule

from portal.app import create_app
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.mail import FolderMail
from portal.models import LoginSession, RateLimit
from portal.web.incoming import InvoiceId, QuoteId
from portal.web.security import policy
from tests import factories
from tests.browsing import Browser

SAMPLES = {IntegerConverter: 1, QuoteId: "Q-0000000000", InvoiceId: "in_sample"}


def addresses(app: Flask, method: str) -> Iterator[tuple[str, str]]:
    """(endpoint, path) of every route that takes ``method``, with something in place of its arguments."""
    adapter = app.url_map.bind("localhost")
    for rule in app.url_map.iter_rules():
        if method in (rule.methods or ()):
            yield rule.endpoint, adapter.build(rule.endpoint, _arguments(rule), method=method)


def _arguments(rule: Rule) -> dict[str, object]:
    return {name: SAMPLES.get(type(rule._converters[name]), "sample") for name in rule.arguments}


def test_every_answer_carries_the_security_headers(app: Flask, client: Browser) -> None:
    for endpoint, path in addresses(app, "GET"):
        headers = client.get(path).headers

        assert headers["X-Content-Type-Options"] == "nosniff", endpoint
        assert headers["Content-Security-Policy"], endpoint
        assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin", endpoint
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin-allow-popups", endpoint
        assert headers["Cache-Control"], endpoint
        assert re.fullmatch(r"[\w-]{8,64}", headers["X-Request-Id"]), endpoint


def test_the_policy_has_no_inline_and_no_foreign_script_but_stripes(settings: Settings) -> None:
    real = policy(replace(settings, sandbox_url=None), "abc")

    assert "script-src 'self' https://js.stripe.com https://*.js.stripe.com 'nonce-abc'" in real
    assert "default-src 'none'" in real
    assert "frame-ancestors 'none'" in real
    assert "unsafe" not in real


def test_with_the_sandbox_the_policy_names_its_origin_and_not_stripe(settings: Settings) -> None:
    sandbox = policy(replace(settings, sandbox_url="http://localhost:5001"), "abc")

    assert "script-src 'self' http://localhost:5001 'nonce-abc'" in sandbox
    assert "stripe.com" not in sandbox


def test_the_nonce_is_new_in_every_answer_and_stands_at_every_inline_element(client: Browser) -> None:
    first, second = client.get("/login"), client.get("/login")
    nonces = [
        re.findall(r"'nonce-([^']+)'", page.headers["Content-Security-Policy"])[0] for page in (first, second)
    ]

    assert nonces[0] != nonces[1]
    assert set(re.findall(r'nonce="([^"]+)"', first.text)) == {nonces[0]}
    assert " style=" not in first.text
    assert not re.search(r"\son\w+=", first.text)


def test_no_unsafe_request_passes_without_its_token(app: Flask, signed_in: Browser) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for endpoint, path in addresses(app, method):
            answer = signed_in.open(path, method=method)

            # signing out shows a page that asks, and does nothing
            assert answer.status_code == 400 or "csrf_token" in answer.text, f"{method} {endpoint}"
    assert signed_in.get("/account").status_code == 200


def test_a_token_of_another_browser_is_worth_nothing(app: Flask, signed_in: Browser) -> None:
    stranger = app.test_client()
    assert isinstance(stranger, Browser)
    answer = signed_in.post("/account/browsers/others/end", data={"csrf_token": stranger.token()})

    assert answer.status_code == 400


def test_the_token_of_before_signing_in_is_worth_nothing_after(
    client: Browser, workspace: factories.Account
) -> None:
    before = client.token()
    client.sign_in(workspace.email, workspace.password)

    assert client.post("/account/browsers/others/end", data={"csrf_token": before}).status_code == 400


def test_signing_in_changes_the_cookie(client: Browser, workspace: factories.Account) -> None:
    client.get("/login")
    before = client.get_cookie("session")
    client.sign_in(workspace.email, workspace.password)
    after = client.get_cookie("session")

    assert before
    assert after
    assert before.value != after.value
    client.set_cookie("session", before.value)
    assert client.get("/account").status_code == 303


def test_signing_out_ends_a_copied_cookie_too(signed_in: Browser) -> None:
    cookie = signed_in.get_cookie("session")
    assert cookie
    signed_in.submit("/logout", page="/account")
    signed_in.set_cookie("session", cookie.value)

    assert signed_in.get("/account").status_code == 303


def test_an_idle_sign_in_ends(signed_in: Browser, settings: Settings) -> None:
    with unit_of_work() as session:
        session.execute(update(LoginSession).values(last_seen_at=func.now() - settings.session_idle))

    assert signed_in.get("/account").status_code == 303


def test_every_sign_in_ends_however_much_it_is_used(signed_in: Browser, settings: Settings) -> None:
    with unit_of_work() as session:
        session.execute(update(LoginSession).values(created_at=func.now() - settings.session_absolute))

    assert signed_in.get("/account").status_code == 303


def test_using_the_portal_keeps_a_sign_in_alive(signed_in: Browser) -> None:
    with unit_of_work() as session:
        session.execute(update(LoginSession).values(last_seen_at=func.now() - func.make_interval(0, 0, 0, 1)))
    signed_in.get("/account")
    with unit_of_work() as session:
        seen = session.scalars(select(func.clock_timestamp() - LoginSession.last_seen_at)).one()

    assert seen.total_seconds() < 60


def test_a_tampered_cookie_is_a_guest(signed_in: Browser) -> None:
    cookie = signed_in.get_cookie("session")
    assert cookie
    signed_in.set_cookie("session", cookie.value[:-2] + "xx")

    assert signed_in.get("/account").status_code == 303


def test_cookies_are_kept_from_scripts_and_other_sites(client: Browser) -> None:
    cookie = client.get("/login").headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie


@pytest.fixture
def production(settings: Settings, gateways: Gateways) -> Flask:
    """The portal as it runs behind https."""
    made = replace(
        settings, environment="production", base_url="https://billing.example.com", sandbox_url=None
    )
    return create_app(made, gateways)


def test_in_production_the_cookie_is_bound_to_the_host_and_https_is_demanded(production: Flask) -> None:
    answer = production.test_client().get("/login", base_url="https://billing.example.com")

    assert answer.headers["Set-Cookie"].startswith("__Host-session=")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert "Domain" not in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"] == "max-age=63072000; includeSubDomains"


def test_in_production_there_are_no_development_pages(production: Flask) -> None:
    answer = production.test_client().get("/development/mail", base_url="https://billing.example.com")

    assert answer.status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "localhost@evil.example"])
def test_a_foreign_host_name_is_refused(client: Browser, host: str) -> None:
    answer = client.get("/login", headers={"Host": host})

    assert answer.status_code == 400
    assert "evil" not in answer.text


def test_mails_carry_the_configured_address_whatever_the_request_says(
    client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]], workspace: factories.Account
) -> None:
    client.submit("/reset", {"email": workspace.email}, headers={"X-Forwarded-Host": "evil.example"})
    run_jobs()

    assert b"http://localhost/reset/" in mailbox.read()[0][1].as_bytes().replace(b"=\n", b"")


@pytest.mark.parametrize(
    "address",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "https:evil.example",
        "///evil.example",
        "\\\\evil.example",
    ],
)
def test_no_address_outside_is_gone_on_to(
    client: Browser, workspace: factories.Account, address: str
) -> None:
    login = f"/login?{urlencode({'next': address})}"
    data = {"email": workspace.email, "password": workspace.password, "next": address}
    answer = client.submit(login, data)

    assert answer.status_code == 302
    assert urlsplit(urljoin("http://localhost/login", answer.location)).netloc == "localhost"


def test_the_way_back_from_colours_stays_on_this_site(client: Browser) -> None:
    answer = client.submit("/appearance", {"theme": "dark", "next": "//evil.example"}, page="/login")

    assert answer.location == "/"


def shape(text: str) -> str:
    """The page without what is new in every answer."""
    return re.sub(r'nonce="[^"]+"|value="[^"]*"|Reference: \S+|[\w.+-]+@[\w.-]+', "", text)


def test_signing_in_answers_the_same_for_known_and_unknown(
    client: Browser, workspace: factories.Account
) -> None:
    known = client.submit("/login", {"email": workspace.email, "password": "not the password"})
    unknown = client.submit("/login", {"email": "nobody@acme.example", "password": "not the password"})

    assert (known.status_code, shape(known.text)) == (unknown.status_code, shape(unknown.text))


@pytest.mark.parametrize("path", ["/reset", "/confirm"])
def test_asking_for_a_mail_answers_the_same_for_known_and_unknown(
    client: Browser, app: Flask, path: str
) -> None:
    account = factories.account(app, confirmed=path == "/reset")
    known = client.submit(path, {"email": account.email})
    unknown = client.submit(path, {"email": "nobody@acme.example"})

    assert (known.status_code, shape(known.text)) == (unknown.status_code, shape(unknown.text))


def test_signing_up_answers_the_same_for_a_known_address_which_gets_a_mail(
    client: Browser, workspace: factories.Account, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    data = {"company_name": "Acme", "password": "quite another password"}
    known = client.submit("/signup", {**data, "email": workspace.email})
    seen = client.get(known.location).text
    run_jobs()
    unknown = client.submit("/signup", {**data, "email": "nobody@acme.example"})

    assert (known.status_code, known.location) == (unknown.status_code, unknown.location)
    assert shape(seen) == shape(client.get(unknown.location).text)
    assert mailbox.read()[0][1]["To"] == workspace.email
    body = mailbox.read()[0][1].get_body(preferencelist=("plain",))
    assert body
    assert "has an account already" in body.get_content()


def test_pages_of_an_account_are_not_kept_by_any_cache(signed_in: Browser) -> None:
    assert signed_in.get("/account").headers["Cache-Control"] == "no-store"


def test_a_request_that_is_too_large_is_refused(client: Browser) -> None:
    answer = client.post("/login", data={"email": "x" * 600_000})

    assert answer.status_code == 413
    assert "too large" in answer.text


@pytest.fixture
def limited(settings: Settings, gateways: Gateways) -> Browser:
    """A browser of a portal that counts."""
    app = create_app(replace(settings, limits_enabled=True), gateways)
    app.test_client_class = Browser
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def test_the_seventh_try_to_sign_in_within_a_minute_is_refused(limited: Browser) -> None:
    token = limited.token()
    statuses = [
        limited.post(
            "/login", data={"csrf_token": token, "email": "a@acme.example", "password": "x"}
        ).status_code
        for _ in range(7)
    ]

    assert statuses == [200] * 6 + [429]


def test_a_login_is_limited_from_all_addresses_together(limited: Browser) -> None:
    token = limited.token()
    data = {"csrf_token": token, "email": "a@acme.example", "password": "x"}
    statuses = [
        limited.post("/login", data=data, environ_base={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code
        for n in range(7)
    ]

    assert statuses == [200] * 6 + [429]


def test_a_refused_try_says_when_to_come_back(limited: Browser) -> None:
    data = {"csrf_token": limited.token(), "email": "a@acme.example"}
    answers = [limited.post("/reset", data=data) for _ in range(6)]

    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["Retry-After"]) == 60
    assert "Too many attempts" in answers[-1].text


def test_a_window_that_is_over_counts_anew(limited: Browser) -> None:
    data = {"csrf_token": limited.token(), "email": "a@acme.example"}
    for _ in range(6):
        limited.post("/reset", data=data)
    with unit_of_work() as session:
        session.execute(update(RateLimit).values(expires_at=func.clock_timestamp()))

    assert limited.post("/reset", data=data).status_code == 200


def test_a_form_that_outlived_its_sign_in_says_what_to_do(signed_in: Browser) -> None:
    answer = signed_in.post("/account/browsers/others/end", data={"csrf_token": "stale"})

    assert answer.status_code == 400
    assert "Go back, reload the page, and send it again." in answer.text


def test_a_new_secret_key_keeps_passwords_and_sign_ins(
    signed_in: Browser, workspace: factories.Account, settings: Settings, gateways: Gateways
) -> None:
    new = replace(settings, secret_key="a new key, " * 4, previous_secret_keys=(settings.secret_key,))
    app = create_app(new, gateways)
    app.test_client_class = Browser
    later, guest = app.test_client(), app.test_client()
    assert isinstance(guest, Browser)
    cookie = signed_in.get_cookie("session")
    assert cookie
    later.set_cookie("session", cookie.value)

    assert later.get("/account").status_code == 200
    assert guest.sign_in(workspace.email, workspace.password).location == "/start"
