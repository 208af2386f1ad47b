"""The portal under test: made once for all tests with the same settings, with the neighbours of each."""

import itertools
from collections.abc import Hashable
from dataclasses import fields

from flask import Flask

from portal.app import create_app
from portal.config import Settings
from portal.gateways import Gateways
from tests.browsing import Browser, CompiledTemplates

COMPILED = CompiledTemplates()
_numbers = itertools.count(1)


class Apps:
    """Apps by their settings. Making one takes as long as a short test."""

    def __init__(self) -> None:
        self.number = next(_numbers)
        self._made: dict[Hashable, Flask] = {}

    def app(self, settings: Settings, neighbours: Gateways) -> Flask:
        """An app with these neighbours, which nothing is left in of the test before."""
        # limits count in the memory of the app
        shared = None if settings.limits_enabled else of_settings(settings)
        app = self._made.get(shared) if shared else None
        if app is None:
            app = create_app(settings, neighbours)
            app.jinja_env.bytecode_cache = COMPILED
            if shared:
                self._made[shared] = app
        _connect(app, settings, neighbours)
        return app


def of_settings(settings: Settings) -> Hashable:
    """What apps, and what is done with them, depend on: all settings but where things are kept."""
    kept = {"database_url", "data_dir"}
    return tuple(repr(getattr(settings, each.name)) for each in fields(settings) if each.name not in kept)


def _connect(app: Flask, settings: Settings, neighbours: Gateways) -> None:
    """Give ``app``, and whatever in it keeps its gateways, those of this test."""
    connected = app.extensions["portal"]
    for each in fields(neighbours):
        if each.name != "letters":
            object.__setattr__(connected, each.name, getattr(neighbours, each.name))
    for part in (app, app.extensions["portal.api"]):
        part.extensions |= {"portal": connected, "settings": settings}
        part.testing = True
        part.test_client_class = Browser
