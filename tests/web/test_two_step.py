"""Two-step sign-in: an app's code after the password, recovery codes, and what neither may be used for."""

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from portal.app import create_app
from portal.config import Settings
from portal.db import unit_of_work
from portal.gateways import Gateways
from portal.gateways.mail import FolderMail
from portal.models import AuditEntry, RecoveryCode, User
from portal.services.sealing import unseal
from tests import factories
from tests.browsing import Browser
from tests.one_time_codes import code, next_code
from tests.web.reading import words

CODES = re.compile(r"<li><code>([2-9b-z-]{19})</code>")
SECRET = re.compile(r'id="app-secret">([A-Z2-7 ]+)<')


def another(app: Flask) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def shown_secret(browser: Browser) -> str:
    found = SECRET.search(browser.get("/account/two-step/app").text)
    assert found
    return found.group(1).replace(" ", "")


def turn_on(browser: Browser) -> tuple[str, list[str]]:
    """The app's secret and the recovery codes, after setting two-step sign-in up."""
    secret = shown_secret(browser)
    answer = browser.submit("/account/two-step/app", {"code": code(secret)})
    codes = CODES.findall(answer.text)
    assert len(codes) == 10, answer.text
    return secret, codes


def first_step(browser: Browser, account: factories.Account, *, then: str = "") -> str:
    """Enter address and password; returns where that leads."""
    data = {"email": account.email, "password": account.password, "next": then}
    return str(browser.submit("/login", data).location)


def newest(mailbox: FolderMail, run_jobs: Callable[[], list[str]]) -> tuple[str, str]:
    """Subject and text of the newest mail."""
    run_jobs()
    mail = mailbox.read()[0][1]
    body = mail.get_body(preferencelist=("plain",))
    return str(mail["Subject"]), str(body.get_content() if body else "")


def test_setting_up_shows_a_picture_drawn_here_and_the_secret_as_text(signed_in: Browser) -> None:
    page = signed_in.get("/account/two-step/app")
    again = signed_in.get("/account/two-step/app")

    assert "<svg viewBox=" in page.text
    assert "src=" not in page.text[page.text.index("qr-frame") : page.text.index("</svg>")]
    assert SECRET.findall(page.text) == SECRET.findall(again.text)


def test_nothing_is_on_before_the_first_code_was_right(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    shown_secret(signed_in)
    answer = signed_in.submit("/account/two-step/app", {"code": "000000"})

    assert "That code does not belong to this picture" in words(answer)
    assert first_step(another(app), workspace) == "/start"


def test_the_secret_is_not_readable_in_the_database(signed_in: Browser, settings: Settings) -> None:
    secret, _ = turn_on(signed_in)
    with unit_of_work() as session:
        kept = session.scalars(select(User.tf_totp_secret)).one()

    assert kept
    assert secret not in kept
    assert unseal(settings, kept) == secret


def test_turning_it_on_ends_the_other_browsers_and_is_mailed_and_written_down(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    other = another(app)
    other.sign_in(workspace.email, workspace.password)
    turn_on(signed_in)

    assert signed_in.get("/account").status_code == 200
    assert other.get("/account").status_code == 303
    subject, text = newest(mailbox, run_jobs)
    assert subject == "Two-step sign-in was turned on"
    assert "asks for a code from your authenticator app from now on" in text
    with unit_of_work(workspace.workspace_id) as session:
        assert "authenticator.added" in session.scalars(select(AuditEntry.action)).all()
    assert "Turned two-step sign-in on" in words(signed_in.get("/billing/activity"))


def test_the_password_alone_lets_nobody_in_any_more(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    turn_on(signed_in)
    guest = another(app)
    leads_to = first_step(guest, workspace, then="/billing")

    assert urlsplit(leads_to).path == "/login/second"
    assert guest.get("/billing").status_code == 303
    assert guest.get("/account").location == "/login?next=/account"
    assert "Your password is right. This is the second step." in words(guest.get(leads_to))


def test_the_code_lets_in_and_leads_on_to_where_one_wanted_to_go(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    secret, _ = turn_on(signed_in)
    guest = another(app)
    leads_to = first_step(guest, workspace, then="/billing/invoices")
    shown = next_code(secret)
    answer = guest.submit(leads_to, {"code": f" {shown[:3]} {shown[3:]}"})

    assert answer.location == "/billing/invoices"
    assert guest.get("/account").status_code == 200


def test_a_code_counts_once(app: Flask, signed_in: Browser, workspace: factories.Account) -> None:
    secret, _ = turn_on(signed_in)
    shown = next_code(secret)
    first, second = another(app), another(app)
    first_step(first, workspace)
    first_step(second, workspace)
    right = first.submit("/login/second", {"code": shown})
    replayed = second.submit("/login/second", {"code": shown})

    assert right.location == "/start"
    assert "That code is not right, or it was used before." in words(replayed)
    assert second.get("/account").status_code == 303


def test_an_older_code_than_the_last_one_does_not_count_either(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    secret, _ = turn_on(signed_in)
    before, now = code(secret), next_code(secret)
    first, second = another(app), another(app)
    first_step(first, workspace)
    first.submit("/login/second", {"code": now})
    first_step(second, workspace)

    assert second.submit("/login/second", {"code": before}).status_code == 200


def test_a_code_of_setting_up_does_not_sign_in(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    secret = shown_secret(signed_in)
    shown = code(secret)
    signed_in.submit("/account/two-step/app", {"code": shown})
    guest = another(app)
    first_step(guest, workspace)

    assert guest.submit("/login/second", {"code": shown}).status_code == 200


def test_a_recovery_code_lets_in_once_and_is_mailed(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    _, codes = turn_on(signed_in)
    first, second = another(app), another(app)
    first_step(first, workspace)
    first_step(second, workspace)
    right = first.submit("/login/second?recovery=1", {"code": codes[3].upper().replace("-", " ")})
    again = second.submit("/login/second?recovery=1", {"code": codes[3]})

    assert right.location == "/start"
    assert "That is none of your recovery codes, or it was used before." in words(again)
    assert "On, 9 recovery codes left" in words(first.get("/account"))
    subject, text = newest(mailbox, run_jobs)
    assert subject == "A recovery code was used to sign in"
    assert "9 codes are left." in text


def test_recovery_codes_are_kept_as_hashes(signed_in: Browser) -> None:
    _, codes = turn_on(signed_in)
    with unit_of_work() as session:
        kept = session.scalars(select(RecoveryCode)).all()

    assert len(kept) == 10
    assert all(row.hash.startswith("$argon2id$") for row in kept)
    assert not any(code.replace("-", "")[4:] in row.hash for row in kept for code in codes)
    assert codes[0] not in signed_in.get("/account/two-step").text


def test_recovery_codes_of_one_login_let_no_other_in(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    _, codes = turn_on(signed_in)
    stranger = factories.account(app)
    theirs = another(app)
    theirs.sign_in(stranger.email, stranger.password)
    turn_on(theirs)
    guest = another(app)
    first_step(guest, stranger)

    assert guest.submit("/login/second?recovery=1", {"code": codes[0]}).status_code == 200


def test_new_recovery_codes_replace_the_old_ones(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    _, old = turn_on(signed_in)
    answer = signed_in.submit("/account/two-step/codes", page="/account/two-step")
    new = CODES.findall(answer.text)
    guest = another(app)
    first_step(guest, workspace)

    assert len(new) == 10
    assert not set(new) & set(old)
    assert guest.submit("/login/second?recovery=1", {"code": old[0]}).status_code == 200
    assert guest.submit("/login/second?recovery=1", {"code": new[0]}).location == "/start"


def test_turning_it_off_makes_the_password_enough_again(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    turn_on(signed_in)
    answer = signed_in.submit("/account/two-step/off")

    assert answer.location == "/account/two-step"
    assert first_step(another(app), workspace) == "/start"
    with unit_of_work() as session:
        assert session.scalars(select(RecoveryCode)).all() == []
    assert newest(mailbox, run_jobs)[0] == "Two-step sign-in was turned off"


def test_the_second_step_is_no_page_without_the_first(client: Browser) -> None:
    answer = client.get("/login/second")

    assert urlsplit(answer.location).path == "/login"


def test_the_first_step_is_forgotten_after_ten_minutes(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    secret, _ = turn_on(signed_in)
    guest = another(app)
    first_step(guest, workspace)
    token = guest.token("/login/second")
    with guest.session_transaction() as kept:
        kept["tf_since"] -= 601
    answer = guest.post("/login/second", data={"csrf_token": token, "code": next_code(secret)})

    assert urlsplit(answer.location).path == "/login"
    assert guest.get("/account").status_code == 303


def test_signing_in_with_two_steps_changes_the_cookie_and_the_token(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    secret, _ = turn_on(signed_in)
    guest = another(app)
    first_step(guest, workspace)
    token, before = guest.token("/login/second"), guest.get_cookie("session")
    guest.post("/login/second", data={"csrf_token": token, "code": next_code(secret)})
    after = guest.get_cookie("session")

    assert before
    assert after
    assert guest.post("/account/browsers/others/end", data={"csrf_token": token}).status_code == 400
    guest.set_cookie("session", before.value)
    assert guest.get("/account").status_code == 303


def test_a_wrong_password_tells_nothing_of_the_second_step(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    turn_on(signed_in)
    guest = another(app)
    wrong = {"email": workspace.email, "password": "not the password"}
    unknown = {"email": "nobody@acme.example", "password": "not the password"}
    shapes = [words(guest.submit("/login", data)) for data in (wrong, unknown)]

    assert shapes[0] == shapes[1]


def test_a_link_of_signing_up_does_not_get_round_the_second_step(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit(
        "/signup", {"company_name": "Birch", "email": "ada@birch.example", "password": factories.PASSWORD}
    )
    link = re.search(r"http://localhost(/confirm/\S+)", newest(mailbox, run_jobs)[1])
    assert link
    another(app).get(link.group(1))
    elsewhere = another(app)
    elsewhere.sign_in("ada@birch.example", factories.PASSWORD)
    turn_on(elsewhere)

    client.get(link.group(1))

    assert client.get("/account").status_code == 303


def test_a_cookie_that_claims_a_second_step_was_done_is_not_believed(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    turn_on(signed_in)
    guest = another(app)
    guest.set_cookie("tf_validity", "anything")

    assert urlsplit(first_step(guest, workspace)).path == "/login/second"


@pytest.fixture
def limited(settings: Settings, gateways: Gateways) -> Flask:
    """A portal that counts."""
    made = create_app(replace(settings, limits_enabled=True), gateways)
    made.test_client_class = Browser
    return made


def test_codes_are_limited_per_login_from_all_addresses_together(
    limited: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    turn_on(signed_in)
    guest = another(limited)
    first_step(guest, workspace)
    data = {"csrf_token": guest.token("/login/second"), "code": "000000"}
    statuses = [
        guest.post("/login/second", data=data, environ_base={"REMOTE_ADDR": f"10.0.0.{n}"}).status_code
        for n in range(7)
    ]

    assert statuses == [200] * 6 + [429]


def test_a_new_secret_key_keeps_two_step_sign_in_working(
    signed_in: Browser, workspace: factories.Account, settings: Settings, gateways: Gateways
) -> None:
    secret, _ = turn_on(signed_in)
    new = replace(settings, secret_key="a new key, " * 4, previous_secret_keys=(settings.secret_key,))
    app = create_app(new, gateways)
    app.test_client_class = Browser
    guest = another(app)
    first_step(guest, workspace)

    assert guest.submit("/login/second", {"code": next_code(secret)}).location == "/start"
