"""Mails from templates: ``templates/mail/<kind>.txt``, with the blocks ``subject`` and ``body``, and ``.html``."""

from flask import Flask

from portal.gateways.letters import Letter


class TemplateLetters:
    """Words mails with the application's own templates and filters; for the worker too, which has no request."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    def write(self, kind: str, facts: dict[str, object]) -> Letter:
        with self._app.app_context():
            context = {"settings": self._app.extensions["portal"].settings, **facts}
            template = self._app.jinja_env.get_template(f"mail/{kind}.txt")
            subject = "".join(template.blocks["subject"](template.new_context(context)))
            text = template.render(context)
            html = self._app.jinja_env.get_template(f"mail/{kind}.html").render(context)
        return Letter(subject=" ".join(subject.split()), text=text, html=html)
