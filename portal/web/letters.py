"""Mails from templates: ``mail/<kind>.txt`` (blocks ``subject`` and ``body``) and ``mail/<kind>.html``."""

from collections.abc import Callable

from flask import Flask
from jinja2 import Environment, FileSystemLoader
from werkzeug.test import EnvironBuilder

from portal.config import Settings
from portal.gateways.letters import Letter

SHARED = "mail/_"


class SharedWords(FileSystemLoader):
    """Words that a mail's two forms share: ``mail/_x.txt``, and by the name ``mail/_x.html`` the same file.

    A template escapes what it is given or does not by its own name, so each form asks for its own.
    """

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The words' file. Raises TemplateNotFound."""
        if template.startswith(SHARED) and template.endswith(".html"):
            template = template.removesuffix(".html") + ".txt"
        return super().get_source(environment, template)


class TemplateLetters:
    """Words mails with the application's templates and filters; for the worker too, which has no request."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def write(self, kind: str, facts: dict[str, object]) -> Letter:
        settings: Settings = self._app.extensions["settings"]
        # as a page for a guest: whoever triggers a mail, it reads the same
        with self._app.request_context(EnvironBuilder(base_url=settings.base_url).get_environ()):
            context = dict(facts)
            self._app.update_template_context(context)
            template = self._app.jinja_env.get_template(f"mail/{kind}.txt")
            subject = "".join(template.blocks["subject"](template.new_context(context)))
            text = template.render(context)
            html = self._app.jinja_env.get_template(f"mail/{kind}.html").render(context)
        return Letter(subject=" ".join(subject.split()), text=text, html=html)
