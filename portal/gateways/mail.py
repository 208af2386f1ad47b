"""The way out for mail: an SMTP server when one is set, else one file per mail in a folder."""

import smtplib
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from portal.config import Settings
from portal.errors import UnavailableError

SMTP_TIMEOUT = 15.0


@dataclass(frozen=True)
class Message:
    """One mail. ``id`` is ours and becomes the Message-ID, so that a repeated send can be told."""

    id: str
    recipient: str
    subject: str
    text: str
    html: str | None = None


class MailGateway(Protocol):
    """Hands one mail over; raises UnavailableError when it could not."""

    def send(self, message: Message) -> None: ...


def mail_gateway(settings: Settings) -> MailGateway:
    """SMTP when a server is named, else the folder ``mail`` in the data folder."""
    if settings.smtp_host:
        return SmtpMail(settings)
    return FolderMail(settings.data_dir / "mail", sender=settings.mail_sender, domain=settings.base_url)


def compose(message: Message, *, sender: str, domain: str) -> EmailMessage:
    """The mail as it goes over the wire: plain text first, HTML as the alternative."""
    mail = EmailMessage(policy=policy.SMTP)
    mail["From"] = sender
    mail["To"] = message.recipient
    mail["Subject"] = " ".join(message.subject.split())
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = f"<{message.id}@{urlsplit(domain).hostname or domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    if message.html:
        mail.add_alternative(message.html, subtype="html")
    return mail


class SmtpMail:
    """Delivers to the configured SMTP server, one connection a mail."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, message: Message) -> None:
        mail = compose(message, sender=self._settings.mail_sender, domain=self._settings.base_url)
        try:
            with self._connect() as server:
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:
            raise UnavailableError(
                "The mail server did not take the mail.", log=f"{type(error).__name__}: {error}"
            ) from error

    def _connect(self) -> smtplib.SMTP:
        settings = self._settings
        host, port = settings.smtp_host or "", settings.smtp_port
        if settings.smtp_tls == "implicit":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SMTP_TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, port, timeout=SMTP_TIMEOUT)
        try:
            if settings.smtp_tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.smtp_user:
                server.login(settings.smtp_user, settings.smtp_password or "")
        except BaseException:
            server.close()
            raise
        return server


class FolderMail:
    """Writes each mail as an .eml file, named by time and id; development shows the folder as a page."""

    def __init__(self, folder: Path, *, sender: str, domain: str) -> None:
        self.folder = folder
        self._sender = sender
        self._domain = domain

    def send(self, message: Message) -> None:
        mail = compose(message, sender=self._sender, domain=self._domain)
        name = f"{time.time_ns()}-{message.id}.eml"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            unfinished = self.folder / f".{name}"
            unfinished.write_bytes(mail.as_bytes())
            unfinished.rename(self.folder / name)
        except OSError as error:
            raise UnavailableError("The mail could not be written.", log=str(error)) from error

    def read(self) -> list[tuple[str, EmailMessage]]:
        """All mails as (file name, mail), newest first."""
        found: list[tuple[str, EmailMessage]] = []
        with suppress(FileNotFoundError):
            for path in sorted(self.folder.glob("[0-9]*.eml"), reverse=True):
                found.append((path.name, message_from_bytes(path.read_bytes(), policy=policy.default)))
        return found
