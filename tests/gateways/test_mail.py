"""Both ways out for mail."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from portal.config import Settings
from portal.errors import UnavailableError
from portal.gateways.mail import FolderMail, Message, SmtpMail, mail_gateway
from tests import factories

# the server speaks without TLS here, on this machine alone
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

MESSAGE = Message("mail-7.1700000000", "ada@acme.example", "Grüße – receipt", "Paid 5 €.", "<p>Paid 5 €.</p>")


class Postbox:
    """What a real SMTP server took."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse = False

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return "451 try again later"
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content))  # type: ignore[arg-type]
        return "250 taken"


def login(server: Any, session: Any, envelope: Any, mechanism: str, data: LoginPassword) -> AuthResult:
    fits = (data.login, data.password) == (b"portal", b"open sesame")
    return AuthResult(success=fits, handled=False)


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()


@pytest.fixture
def server(postbox: Postbox) -> Iterator[Controller]:
    """A real SMTP server on a free port that checks logins."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(
        postbox,
        hostname="127.0.0.1",
        port=port,
        authenticator=login,
        auth_required=True,
        auth_require_tls=False,
    )
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def smtp(server: Controller) -> Settings:
    return factories.settings(
        smtp_host="127.0.0.1",
        smtp_port=server.port,
        smtp_tls="none",
        smtp_user="portal",
        smtp_password="open sesame",
    )


def test_a_server_takes_the_mail_as_text_with_html_beside_it(smtp: Settings, postbox: Postbox) -> None:
    mail_gateway(smtp).send(MESSAGE)
    mail = postbox.mails[0]
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))

    assert (mail["To"], mail["Subject"]) == ("ada@acme.example", "Grüße – receipt")
    assert mail["Message-ID"] == "<mail-7.1700000000@localhost>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert text
    assert text.get_content().strip() == "Paid 5 €."
    assert html
    assert html.get_content().strip() == "<p>Paid 5 €.</p>"


def test_a_wrong_login_is_no_success(smtp: Settings, postbox: Postbox) -> None:
    with pytest.raises(UnavailableError):
        SmtpMail(replace(smtp, smtp_password="wrong")).send(MESSAGE)

    assert postbox.mails == []


def test_a_server_that_says_later_is_no_success(smtp: Settings, postbox: Postbox) -> None:
    postbox.refuse = True

    with pytest.raises(UnavailableError):
        SmtpMail(smtp).send(MESSAGE)


def test_without_encryption_nothing_is_sent_where_it_is_wanted(smtp: Settings, postbox: Postbox) -> None:
    with pytest.raises(UnavailableError):
        SmtpMail(replace(smtp, smtp_tls="starttls")).send(MESSAGE)

    assert postbox.mails == []


def test_nobody_there_is_no_success() -> None:
    with pytest.raises(UnavailableError):
        SmtpMail(factories.settings(smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none")).send(MESSAGE)


def test_without_a_server_mails_are_files_and_none_is_half_written(tmp_path: Path) -> None:
    gateway = mail_gateway(factories.settings(data_dir=tmp_path))
    assert isinstance(gateway, FolderMail)
    gateway.send(MESSAGE)
    gateway.send(replace(MESSAGE, subject="Second"))

    assert [mail["Subject"] for _, mail in gateway.read()] == ["Second", "Grüße – receipt"]
    assert all(not path.name.startswith(".") for path in gateway.folder.iterdir())


def test_a_folder_that_cannot_be_written_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file where the folder should be")

    with pytest.raises(UnavailableError):
        mail_gateway(factories.settings(data_dir=tmp_path)).send(MESSAGE)
