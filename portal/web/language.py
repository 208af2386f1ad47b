"""The language of a page: found once, not for each of its hundreds of texts."""

from typing import Any

from babel import Locale
from babel.support import Translations
from flask import Flask, g
from flask_babel import Babel, Domain, get_locale, gettext

from portal.errors import Text

ENGLISH = Locale("en")


def page_locale() -> Locale:
    """The locale of the page (or mail) that is being made; English outside of one."""
    return get_locale() or ENGLISH


def translated(text: str) -> str:
    """What a service says, in the page's language.

    A text that was marked by ``N_`` is translated with its parameters; one that was stored since is known by
    its words, and one of somebody else's (Stripe's, a bank's) stays as it is.
    """
    if not isinstance(text, Text):
        return gettext(text) if text else ""
    params = {
        name: translated(value) if isinstance(value, Text) else value for name, value in text.params.items()
    }
    return gettext(text.template, **params)


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
