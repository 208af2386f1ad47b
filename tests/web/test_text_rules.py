"""Every text of every form follows one rule about invisible characters."""

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict
from wtforms import Form, StringField

from portal.web.text_rules import NOT_PLAIN, PlainText, is_plain


class NameForm(Form):
    name = StringField(
        filters=[lambda value: " ".join(value.split()) if value else value], validators=[PlainText()]
    )


@pytest.mark.parametrize(
    "text", ["a\0b", "a\x1bb", "a\x7fb", "a\x85b", "a\u2028b", "\ud800", *"\u202a\u202b\u202c\u202d\u202e"]
)
def test_control_characters_and_overrides_are_not_plain(text: str) -> None:
    assert not is_plain(text)
    assert not is_plain(text, lines=True)


@pytest.mark.parametrize("text", ["", "Müller & Söhne GmbH", "株式会社", "שלום", "👩‍👩‍👧", "O’Brien  Ltd"])
def test_names_of_every_script_are_plain(text: str) -> None:
    assert is_plain(text)


def test_line_ends_are_plain_only_where_there_may_be_lines() -> None:
    assert is_plain("a\tb\r\nc", lines=True)
    assert not is_plain("a\nb")


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "Acme \u202eDtl", "Acme \u2066Ltd"])
def test_a_field_refuses_it_even_if_a_filter_takes_it_out(app: Flask, text: str) -> None:
    form = NameForm(MultiDict({"name": text}))

    with app.test_request_context():
        assert not form.validate()
        assert form["name"].errors == [str(NOT_PLAIN)]
