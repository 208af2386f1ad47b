"""The texts of a page follow its language, whatever the page before was in."""

from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from flask import Flask, render_template_string
from flask_babel import force_locale, gettext

from portal.errors import N_
from portal.web.language import page_locale, translated
from tests.apps import Apps


@pytest.fixture
def apps() -> Apps:
    """An app of its own for each test: its texts are others."""
    return Apps()


@pytest.fixture
def german(app: Flask, tmp_path: Path) -> Flask:
    """The portal with a few German texts."""
    catalog = Catalog(locale="de")
    catalog.add("Nothing was charged.", "Nichts wurde abgebucht.")
    catalog.add("%(name)s owes %(amount)s.", "%(name)s schuldet %(amount)s.")
    catalog.add("VAT number", "USt-IdNr.")
    catalog.add(("%(num)s seat", "%(num)s seats"), ("%(num)s Platz", "%(num)s Plätze"))
    file = tmp_path / "de" / "LC_MESSAGES" / "messages.mo"
    file.parent.mkdir(parents=True)
    with file.open("wb") as out:
        write_mo(out, catalog)
    app.extensions["babel"].translation_directories = [str(tmp_path)]
    return app


def test_a_page_within_another_has_its_own_language_and_gives_the_first_one_back(german: Flask) -> None:
    said = []
    with german.test_request_context():
        said.append((page_locale().language, gettext("Nothing was charged.")))
        with force_locale("de"):
            said.append((page_locale().language, gettext("Nothing was charged.")))
        said.append((page_locale().language, gettext("Nothing was charged.")))

    assert said == [
        ("en", "Nothing was charged."),
        ("de", "Nichts wurde abgebucht."),
        ("en", "Nothing was charged."),
    ]


def test_what_a_service_said_is_translated_with_its_parameters(german: Flask) -> None:
    told = N_("%(name)s owes %(amount)s.", name=N_("VAT number"), amount="$5.00")
    with german.test_request_context(), force_locale("de"):
        german_words = translated(told)

    assert told == "VAT number owes $5.00."
    assert german_words == "USt-IdNr. schuldet $5.00."


def test_words_that_were_stored_are_known_again_and_those_of_others_stay(german: Flask) -> None:
    with german.test_request_context(), force_locale("de"):
        said = [translated(text) for text in ("Nothing was charged.", "Your card was declined: 100%.", "")]

    assert said == ["Nichts wurde abgebucht.", "Your card was declined: 100%.", ""]


def test_templates_escape_what_is_put_into_a_text_and_count_in_the_plural(german: Flask) -> None:
    template = (
        '{{ _("%(name)s owes %(amount)s.", name=name, amount="50%") }}|'
        "{% trans %}Nothing was charged.{% endtrans %}|{% trans %}10% less{% endtrans %}|"
        '{% for n in (1, 2) %}{{ ngettext("%(num)s seat", "%(num)s seats", n) }}|{% endfor %}'
    )
    with german.test_request_context(), force_locale("de"):
        page = render_template_string(template, name="<b>")

    assert page == "&lt;b&gt; schuldet 50%.|Nichts wurde abgebucht.|10% less|1 Platz|2 Plätze|"
