"""Mails from templates: ``mail/<kind>.txt`` (blocks ``subject`` and ``body``) and ``mail/<kind>.html``."""

from flask import Flask
from werkzeug.test import EnvironBuilder

from portal.config import Settings
from portal.gateways.letters import Letter


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
