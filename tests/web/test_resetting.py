"""A new password for whoever never confirmed the address."""

from collections.abc import Callable

from flask import Flask

from portal.gateways.mail import FolderMail
from tests.browsing import Browser
from tests.web.test_accounts import SIGN_UP, link_in_mail


def test_a_password_forgotten_before_the_address_was_confirmed_is_replaced_and_the_link_confirms(
    app: Flask, client: Browser, mailbox: FolderMail, run_jobs: Callable[[], list[str]]
) -> None:
    client.submit("/signup", SIGN_UP)
    link_in_mail(mailbox, run_jobs)
    guest = app.test_client()
    assert isinstance(guest, Browser)
    asked = guest.submit("/reset", {"email": SIGN_UP["email"]})
    link = link_in_mail(mailbox, run_jobs)
    guest.submit(link, {"password": "quite another password"})

    assert "a mail with a link to set a new password is on its way" in asked.text
    assert link.startswith("/reset/")
    assert guest.sign_in(SIGN_UP["email"], "quite another password").location == "/start"
