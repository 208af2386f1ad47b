"""Signing up, in and out, and changing what a login is."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Flask
from sqlalchemy import select

from portal.db import unit_of_work
from portal.gateways.mail import FolderMail
from portal.models import BillingDetails, Member, User, Workspace
from portal.services import deletion
from tests import factories
from tests.browsing import Browser
from tests.factories import PASSWORD

LINK = re.compile(r"http://localhost(/\S+)")
SIGN_UP = {"company_name": "Birch & Sons", "email": "Ada@Birch.example", "password": PASSWORD}
CHOICE = "/checkout?tier=advanced&interval=year&seats=12&copilot=5"


def link_in_mail(mailbox: FolderMail, run_jobs: Callable[[], list[str]]) -> str:
    """The path that the newest mail leads to."""
    run_jobs()
    body = mailbox.read()[0][1].get_body(preferencelist=("plain",))
    assert body
    found = LINK.search(body.get_content())
    assert found, body.get_content()
    return found.group(1)


def test_signing_up_makes_a_workspace_with_its_first_member_as_owner(client: Browser) -> None:
    answer = client.submit("/signup", SIGN_UP)

    assert (answer.status_code, answer.location) == (303, "/signup/sent")
    with unit_of_work() as session:
        user = session.scalars(select(User)).one()
    with unit_of_work(system=True) as session:
        workspace = session.scalars(select(Workspace)).one()
    assert (user.email, user.confirmed_at, workspace.name) == ("ada@birch.example", None, "Birch & Sons")
    with unit_of_work(workspace.id) as session:
        member = session.scalars(select(Member)).one()
        details = session.scalars(select(BillingDetails)).one()
    assert (member.user_id, member.role, member.seat) == (user.id, "owner", "none")
    assert (details.company_name, details.email) == ("Birch & Sons", "ada@birch.example")


def test_two_clicks_on_create_account_are_one_account(app: Flask, client: Browser) -> None:
    data = {"csrf_token": client.token("/signup"), **SIGN_UP}
    answers = [client.post("/signup", data=data) for _ in range(2)]

    assert [answer.location for answer in answers] == ["/signup/sent", "/signup/sent"]
    with unit_of_work(system=True) as session:
        assert len(session.scalars(select(Workspace)).all()) == 1


def test_the_confirmation_link_lets_the_new_login_in(
    client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    too_early = client.submit("/login", {"email": "ada@birch.example", "password": PASSWORD})

    answer = client.get(link_in_mail(mailbox, run_jobs))

    assert "Confirm your e-mail address first" in too_early.text
    assert (answer.status_code, answer.location) == (303, "/start")
    assert client.get("/start").location == "/billing"
    assert "Your e-mail address is confirmed." in client.get("/account").text


def another_browser(app: Flask) -> Browser:
    made = app.test_client()
    assert isinstance(made, Browser)
    return made


def test_the_confirmation_link_in_another_browser_asks_to_sign_in_first(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    another = another_browser(app)
    another.submit("/signup", {**SIGN_UP, "email": "eve@birch.example"})
    run_jobs()
    link = next(
        LINK.search(mail.get_body(preferencelist=("plain",)).get_content()).group(1)  # type: ignore[union-attr]
        for _, mail in mailbox.read()
        if mail["To"] == "ada@birch.example"
    )
    answer = another.get(link)

    assert urlsplit(answer.location).path == "/login"
    assert another.get("/account").status_code == 303
    assert another.sign_in("ada@birch.example", PASSWORD).location == "/start"


def test_a_link_that_a_mail_scanner_has_opened_still_lets_its_browser_go_on_once(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    link = link_in_mail(mailbox, run_jobs)
    another_browser(app).get(link)
    first = client.get(link)
    client.submit("/logout", page="/account")
    second = client.get(link)

    assert first.location == "/start"
    assert second.location != "/start"
    assert client.get("/account").status_code == 303


def test_the_cookie_after_signing_up_does_not_tell_whether_the_address_was_known(
    app: Flask, client: Browser, workspace: factories.Account
) -> None:
    shapes = []
    for email in (workspace.email, "nobody@birch.example"):
        browser = another_browser(app)
        browser.submit("/signup", {**SIGN_UP, "email": email})
        with browser.session_transaction() as kept:
            shapes.append({name: len(str(value)) for name, value in kept.items() if name != "_flashes"})

    assert shapes[0] == shapes[1]
    assert shapes[0]["signed_up"] == 64


def test_signing_up_with_a_known_address_lets_nobody_in(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    link = link_in_mail(mailbox, run_jobs)
    thief = another_browser(app)
    thief.submit("/signup", {**SIGN_UP, "password": "quite another password"})
    thief.get(link)

    assert thief.get("/account").status_code == 303


def test_a_guest_who_starts_a_purchase_signs_up_and_goes_on_to_it(
    client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    start = client.get(CHOICE)
    page = client.get(start.location)
    client.submit(start.location, {**SIGN_UP, "next": CHOICE})
    client.get(link_in_mail(mailbox, run_jobs))
    leads_to = urlsplit(client.get("/start").location)

    assert (start.status_code, urlsplit(start.location).path) == (303, "/signup")
    assert "What you chose is kept" in page.text
    assert re.search(r'href="/login\?next=/checkout\?[^"]*seats(=|%3D)12', page.text)
    assert leads_to.path == "/checkout"
    assert sorted(leads_to.query.split("&")) == ["copilot=5", "interval=year", "seats=12", "tier=advanced"]


def test_a_guest_who_returns_to_a_quote_signs_in(client: Browser) -> None:
    assert client.get("/checkout/Q-0000000000").location == "/login?next=/checkout/Q-0000000000"


def test_a_choice_made_before_signing_up_waits_in_any_browser(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", {**SIGN_UP, "next": CHOICE})
    another = app.test_client()
    assert isinstance(another, Browser)

    another.get(link_in_mail(mailbox, run_jobs))
    another.sign_in("ada@birch.example", PASSWORD)
    leads_to = urlsplit(another.get("/start").location)

    assert leads_to.path == "/checkout"
    assert sorted(leads_to.query.split("&")) == ["copilot=5", "interval=year", "seats=12", "tier=advanced"]


def test_a_choice_that_makes_no_sense_is_left_out(client: Browser) -> None:
    answer = client.submit("/signup", {**SIGN_UP, "next": "/checkout?tier=golden&seats=-1"})

    assert (answer.status_code, answer.location) == (303, "/signup/sent")
    with unit_of_work(system=True) as session:
        assert session.scalars(select(BillingDetails.draft_selection)).one() is None


def test_signing_in_leads_back_to_where_the_guest_wanted_to_go(
    client: Browser, workspace: factories.Account
) -> None:
    refused = client.get("/account")
    credentials = {"email": workspace.email, "password": workspace.password}
    answer = client.submit("/login", {**credentials, "next": "/account"})

    assert (refused.status_code, refused.location) == (303, "/login?next=/account")
    assert answer.location == "/account"


def test_an_address_is_one_login_however_it_is_typed(client: Browser, app: Flask) -> None:
    factories.account(app, email="mixed@acme.example")

    assert client.sign_in("MIXED@Acme.Example", PASSWORD).location == "/start"


def test_what_is_wrong_with_a_sign_up_stands_at_its_field(client: Browser) -> None:
    data = {"company_name": "", "email": "nobody", "password": "short"}
    answer = client.submit("/signup", data)

    assert answer.status_code == 200
    assert "Enter your company's name." in answer.text
    assert "Enter an address such as name@company.com." in answer.text
    assert "Use at least 8 characters." in answer.text
    assert 'value="nobody"' in answer.text


def test_passwords_that_everybody_tries_are_refused(client: Browser) -> None:
    answer = client.submit("/signup", {**SIGN_UP, "password": "Password123"})

    assert "one of the first that anyone would try" in answer.text


def test_a_password_must_not_contain_the_address(client: Browser) -> None:
    data = {**SIGN_UP, "email": "lovelace@birch.example", "password": "Lovelace rules"}

    assert "does not contain your e-mail address" in client.submit("/signup", data).text


def test_a_long_password_of_any_characters_is_welcome(client: Browser) -> None:
    answer = client.submit("/signup", {**SIGN_UP, "password": "é 日本 " * 12})

    assert answer.status_code == 303


def test_a_password_beyond_the_limit_is_refused(client: Browser) -> None:
    assert "Use at most 128 characters." in client.submit("/signup", {**SIGN_UP, "password": "x1" * 65}).text


def test_a_reset_link_sets_a_new_password_once_and_ends_every_sign_in(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    guest = app.test_client()
    assert isinstance(guest, Browser)
    guest.submit("/reset", {"email": workspace.email})
    link = link_in_mail(mailbox, run_jobs)

    guest.submit(link, {"password": "quite another password"})

    assert signed_in.get("/account").status_code == 303
    assert guest.sign_in(workspace.email, "quite another password").location == "/start"
    assert guest.get(link).location == "/reset"


def test_changing_the_password_keeps_this_browser_and_ends_the_others(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(workspace.email, workspace.password)

    answer = signed_in.submit(
        "/account/password", {"password": workspace.password, "new_password": "quite another password"}
    )

    assert answer.location == "/account"
    assert signed_in.get("/account").status_code == 200
    assert other.get("/account").status_code == 303


def test_the_wrong_present_password_changes_nothing(signed_in: Browser, workspace: factories.Account) -> None:
    data = {"password": "not this one", "new_password": "quite another password"}
    answer = signed_in.submit("/account/password", data)

    assert "That is not your present password." in answer.text
    assert signed_in.get("/account").status_code == 200


def test_a_new_address_counts_once_its_link_was_followed(
    signed_in: Browser, workspace: factories.Account, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    signed_in.submit("/account/email", {"email": "new@acme.example"})
    before = signed_in.get("/account").text
    signed_in.get(link_in_mail(mailbox, run_jobs))

    assert mailbox.read()[0][1]["To"] == "new@acme.example"
    assert workspace.email in before
    assert "new@acme.example" in signed_in.get("/account").text


def test_the_address_that_was_left_hears_of_it_and_other_browsers_are_signed_out(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(workspace.email, workspace.password)
    signed_in.submit("/account/email", {"email": "new@acme.example"})
    signed_in.get(link_in_mail(mailbox, run_jobs))
    run_jobs()
    told = [mail for _, mail in mailbox.read() if mail["To"] == workspace.email]

    assert [mail["Subject"].split(" –")[0] for mail in told] == [
        "The e-mail address of your login was changed"
    ]
    assert "write to our support at once" in told[0].as_string()
    assert signed_in.get("/account").status_code == 200
    assert other.get("/account").status_code == 303


def test_a_login_of_two_workspaces_switches_between_them(
    app: Flask, client: Browser, workspace: factories.Account
) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=workspace.user_id, role="billing", seat="none"))
    client.sign_in(workspace.email, workspace.password)

    assert "Switch to Oak Inc" in client.get("/account").text
    client.submit(f"/account/workspaces/{other.workspace_id}", page="/account")
    assert "Switch to Acme Ltd" in client.get("/account").text


def test_a_form_of_the_workspace_that_was_left_is_refused(
    app: Flask, client: Browser, workspace: factories.Account
) -> None:
    other = factories.account(app, company_name="Oak Inc")
    with unit_of_work(other.workspace_id) as session:
        session.add(Member(user_id=workspace.user_id, role="owner", seat="none"))
    client.sign_in(workspace.email, workspace.password)
    open_in_another_tab = {"csrf_token": client.token("/billing/leaving")}
    client.submit(f"/account/workspaces/{other.workspace_id}", page="/account")
    refused = client.post("/billing/leaving/deletion", data=open_in_another_tab)

    assert refused.status_code == 400
    assert "went to another workspace" in refused.text
    with unit_of_work(other.workspace_id) as session:
        assert deletion.pending(session) is None


def test_a_workspace_of_somebody_else_does_not_exist(app: Flask, signed_in: Browser) -> None:
    stranger = factories.account(app)

    assert (
        signed_in.submit(f"/account/workspaces/{stranger.workspace_id}", page="/account").status_code == 404
    )
    assert signed_in.submit("/account/workspaces/999999999", page="/account").status_code == 404


def test_signing_out_everywhere_else_leaves_this_browser(
    app: Flask, signed_in: Browser, workspace: factories.Account
) -> None:
    other = app.test_client()
    assert isinstance(other, Browser)
    other.sign_in(workspace.email, workspace.password)

    signed_in.submit("/account/browsers/others/end", page="/account")

    assert signed_in.get("/account").status_code == 200
    assert other.get("/account").status_code == 303


def test_mails_are_read_in_development_and_nowhere_else(
    app: Flask, client: Browser, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    run_jobs()

    listed = client.get("/development/mail")
    name = re.findall(r"/development/mail/([\w.-]+\.eml)", listed.text)[0]
    shown = client.get(f"/development/mail/{name}")

    assert "ada@birch.example" in listed.text
    assert 'href="http://localhost/confirm/' in shown.text
    assert "Confirm the address" in client.get(f"/development/mail/{name}/html").text
    assert client.get("/development/mail/../../etc/passwd").status_code == 404


def test_a_reset_link_in_the_letter_box_that_was_left_dies_with_the_address(
    app: Flask,
    signed_in: Browser,
    workspace: factories.Account,
    mailbox: FolderMail,
    run_jobs: Callable[[], list[str]],
) -> None:
    guest = app.test_client()
    assert isinstance(guest, Browser)
    guest.submit("/reset", {"email": workspace.email})
    reset = link_in_mail(mailbox, run_jobs)
    signed_in.submit("/account/email", {"email": "new@acme.example"})
    signed_in.get(link_in_mail(mailbox, run_jobs))
    guest.submit(reset, {"password": "quite another password"}, page="/reset")

    assert signed_in.get("/account").status_code == 200
    assert guest.get("/account").status_code == 303
    assert guest.sign_in("new@acme.example", workspace.password).location == "/start"
