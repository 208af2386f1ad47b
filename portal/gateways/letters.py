"""Who words the mails: templates that the web layer owns, since only there money and dates become text."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Letter:
    """A mail that is worded and ready to be queued."""

    subject: str
    text: str
    html: str | None = None


class Letters(Protocol):
    """Words the mail ``kind`` (a template's name) from ``facts``: plain values, amounts in minor units."""

    def write(self, kind: str, facts: dict[str, object]) -> Letter: ...
