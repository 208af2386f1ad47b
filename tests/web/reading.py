"""A page as a person reads it: its words without tags, each line of a price as one string."""

import re
from html.parser import HTMLParser

from werkzeug.test import TestResponse

SILENT = {"script", "style", "noscript", "head"}


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT
        self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT
        self.parts.append("\n" if tag in ("li", "p", "div", "h1", "h2", "h3") else " ")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data.replace("\n", " "))


def words(answer: TestResponse | str) -> str:
    """The text of a page, one paragraph a line, spaces collapsed."""
    reader = _Words()
    reader.feed(answer if isinstance(answer, str) else answer.text)
    lines = (re.sub(r"[ \xa0]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return "\n".join(line for line in lines if line)


def block(answer: TestResponse | str, identifier: str) -> str:
    """The words of the element with this id, to the end of its section."""
    text = answer if isinstance(answer, str) else answer.text
    start = text.index(f'id="{identifier}"')
    opening = text.rfind("<", 0, start)
    tag = re.match(r"<(\w+)", text[opening:])
    assert tag
    return words(text[opening : text.index(f"</{tag.group(1)}>", start)])
