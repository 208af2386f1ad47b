"""Mails in two forms, of the same words: what people typed is text in both."""

import re
from pathlib import Path

import pytest
from flask import Flask

from portal.app import ROOT
from portal.web.letters import TemplateLetters

TYPED = '<img src=x> & "Sons"'
ESCAPED = "&lt;img src=x&gt; &amp; &#34;Sons&#34;"
FORMS = sorted((ROOT / "templates" / "mail").glob("[!_]*.html"))
FACTS: dict[str, dict[str, object]] = {
    "factor_changed": {"change": "passkey.added", "name": TYPED, "left": None},
    "api_key_changed": {
        "change": "revoked",
        "name": TYPED,
        "prefix": "bk_1",
        "scopes": ["read"],
        "by": None,
        "old_prefix": None,
        "old_ends_at": None,
        "workspace_name": "Acme",
    },
}


@pytest.mark.parametrize("kind", FACTS)
def test_what_was_typed_is_escaped_once_in_html_and_not_in_plain_text(app: Flask, kind: str) -> None:
    letter = TemplateLetters(app).write(kind, FACTS[kind])

    assert TYPED in letter.text
    assert ESCAPED in str(letter.html)
    assert "<img" not in str(letter.html)
    assert "&amp;lt;" not in str(letter.html)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_a_mail_s_html_asks_for_no_plain_text_words(form: Path) -> None:
    assert re.findall(r"mail/_\w+\.txt", form.read_text()) == []


def test_a_bank_that_takes_back_the_money_for_a_pack_that_is_used_up_is_said_to_take_no_credits(
    app: Flask,
) -> None:
    facts: dict[str, object] = {
        "kind": "chargeback",
        "units": 0,
        "total": 0,
        "refunded": 0,
        "balance": 0,
        "currency": "usd",
    }
    letter = TemplateLetters(app).write("credits_refunded", facts)

    assert "Nothing was left of it, so your balance stays as it is." in letter.text
    assert "Nothing was left of it, so your balance stays as it is." in str(letter.html)
    assert "0 resolutions" not in letter.text


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("unpaid", "The last invoice is not paid yet. Pay it first."),
        ("taken_back", "A pack was taken back, so nothing is bought by itself"),
        ("amount", "It would cost more than you allow in a month."),
    ],
)
def test_a_pack_that_is_not_bought_by_itself_says_why(app: Flask, reason: str, said: str) -> None:
    letter = TemplateLetters(app).write("credits_blocked", {"kind": "top_up", "units": 600, "reason": reason})

    assert said in letter.text
