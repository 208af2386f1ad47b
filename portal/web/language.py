"""The language of a page: found once, not for each of its hundreds of texts."""

from typing import Any

from babel import Locale
from babel.support import Translations
from flask import Flask, g
from flask_babel import Babel, Domain, get_locale

ENGLISH = Locale("en")


def page_locale() -> Locale:
    """The locale of the page (or mail) that is being made; English outside of one."""
    return get_locale() or ENGLISH


class PageDomain(Domain):
    """Flask-Babel's texts, looked for once a page, and anew when its language changes (``force_locale``)."""

    def get_translations(self) -> Translations:
        locale = get_locale()
        kept: tuple[Locale | None, Translations] | None = g.get("page_texts") if g else None
        if kept is not None and kept[0] is locale:
            return kept[1]
        texts: Translations = super().get_translations()
        if g:
            g.page_texts = (locale, texts)
        return texts


def install(app: Flask) -> None:
    """Let the templates and the code of ``app`` take their texts from here."""
    babel: Any = app.extensions["babel"].instance
    assert isinstance(babel, Babel)
    texts = babel.domain_instance = PageDomain()
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        gettext=lambda text: texts.get_translations().ugettext(text),
        ngettext=lambda one, many, count: texts.get_translations().ungettext(one, many, count),
        newstyle=True,
    )
