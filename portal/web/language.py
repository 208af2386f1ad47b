"""The language of a page: found once, not for each of its hundreds of texts."""

from functools import lru_cache
from typing import Any

from babel import Locale
from babel.support import Translations
from flask import Flask, g
from flask_babel import Babel, Domain, get_locale, gettext
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

from portal.errors import Text

ENGLISH = Locale("en")


def page_locale() -> Locale:
    """The locale of the page (or mail) that is being made; English outside of one."""
    try:
        # where Flask-Babel keeps it; asking it the whole way takes longer than most of what is asked for
        found: Locale | None = g._flask_babel.babel_locale
    except (AttributeError, RuntimeError):
        found = None
    return found or _found_anew()


def _found_anew() -> Locale:
    found = get_locale()
    if found is None:
        return ENGLISH
    g._flask_babel.babel_locale = same = _the_same(found)
    return same


@lru_cache
def _the_same(locale: Locale) -> Locale:
    """One object for each locale, so that what is kept by it is found without comparing."""
    return locale


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
    """Flask-Babel's texts, looked for again only when the language is another than the last time."""

    _last: tuple[Locale, Translations] | None = None

    def get_translations(self) -> Translations:
        """The texts in the page's language."""
        locale, last = page_locale(), self._last
        if last is not None and last[0] is locale:
            return last[1]
        texts: Translations = super().get_translations()
        if g:
            self._last = (locale, texts)
        return texts


def install(app: Flask) -> None:
    """Let the templates and the code of ``app`` take their texts from here."""
    babel: Any = app.extensions["babel"].instance
    assert isinstance(babel, Babel)
    texts = babel.domain_instance = PageDomain()
    environment: Any = app.jinja_env
    environment.install_gettext_callables(gettext=None, ngettext=None, newstyle=True)
    environment.globals.update(_template_functions(texts))


def _template_functions(texts: PageDomain) -> dict[str, object]:
    """Jinja's own "newstyle" functions, called once for each text instead of three times."""

    @pass_eval_context
    def said(page: EvalContext, text: str, /, **params: object) -> str:
        return _filled(page, texts.get_translations().ugettext(text), params)

    @pass_eval_context
    def counted(page: EvalContext, one: str, many: str, num: int, /, **params: object) -> str:
        text = texts.get_translations().ungettext(one, many, num)
        return _filled(page, text, {"num": num, **params})

    return {"_": said, "gettext": said, "ngettext": counted}


def _filled(page: EvalContext, text: str, params: dict[str, object]) -> str:
    made = Markup(text) if page.autoescape else text  # noqa: S704 - ours, written by translators
    return made % params if params or "%" in text else made
