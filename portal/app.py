"""The one place where the parts meet."""

import dataclasses
from pathlib import Path

from flask import Flask
from flask_babel import Babel
from jinja2 import ChoiceLoader, FileSystemLoader
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import cli
from portal.config import Settings
from portal.gateways import Gateways, connect_gateways
from portal.web import (
    accounts,
    activity,
    api,
    api_keys,
    api_reference,
    assets,
    billing,
    browsers,
    checkout,
    credentials,
    credit_advice,
    credit_purchases,
    credit_top_ups,
    credits,
    details,
    development,
    explanations,
    failures,
    freshness,
    health,
    incoming,
    invoices,
    joining,
    leaving,
    limits,
    navigation,
    passkeys,
    paying,
    payment,
    payment_words,
    presentation,
    pricing,
    replay,
    request_log,
    seats,
    second_step,
    security,
    sessions,
    subscription,
    swaps,
    two_step,
    usage,
    usage_limits,
    webhooks,
)
from portal.web.letters import SharedWords, TemplateLetters

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 512 * 1024
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")

BLUEPRINTS = (
    accounts,
    activity,
    api_keys,
    api_reference,
    assets,
    billing,
    browsers,
    checkout,
    credit_advice,
    credits,
    credit_purchases,
    credit_top_ups,
    details,
    explanations,
    freshness,
    health,
    invoices,
    joining,
    leaving,
    navigation,
    passkeys,
    paying,
    payment,
    payment_words,
    presentation,
    pricing,
    replay,
    seats,
    second_step,
    subscription,
    swaps,
    two_step,
    usage_limits,
    usage,
)


def create_app(settings: Settings, gateways: Gateways | None = None) -> Flask:
    """A portal with these settings. Without ``gateways`` it talks to the neighbours that the settings name.

    Opens no connection: the engine is bound by ``portal.db.connect``.
    """
    # portal.web.assets serves static/, under addresses that carry its hash
    templates = str(ROOT / "templates")
    app = Flask("portal", template_folder=templates, static_folder=None)
    app.static_folder = str(ROOT / "static")
    app.config.update(
        MAX_CONTENT_LENGTH=MOST_BYTES,
        MAX_FORM_MEMORY_SIZE=MOST_BYTES,
        TRUSTED_HOSTS=trusted_hosts(settings),
        TESTING=settings.environment == "test",
    )
    app.jinja_loader = ChoiceLoader([FileSystemLoader(templates), SharedWords(templates)])
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    letters = TemplateLetters(app)
    app.extensions["settings"] = settings
    app.extensions["portal"] = (
        dataclasses.replace(gateways, letters=letters) if gateways else connect_gateways(settings, letters)
    )
    Babel(app)
    request_log.install(app)
    security.protect(app, settings)
    failures.install(app)
    incoming.install(app)
    sessions.install(app, settings)
    for module in BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    if not settings.production:
        app.register_blueprint(development.blueprint)
    freshness.install(app)
    credentials.install(app, settings)
    limits.install(app, settings)
    cli.install(app)
    api.install(app, settings)
    webhooks.install(app, settings)
    if settings.proxies:
        count = settings.proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    return app


def trusted_hosts(settings: Settings) -> list[str]:
    """The host names that may be asked for: ours, the settings', in development this machine's."""
    own = settings.base_url.split("//", 1)[1].rsplit(":", 1)[0]
    local = () if settings.production else LOCAL_HOSTS
    return [own, *settings.trusted_hosts, *local]
