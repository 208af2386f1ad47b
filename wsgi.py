"""The application for any WSGI server: ``granian --interface wsgi wsgi:app``."""

import ctypes
import gc
import multiprocessing
import os
import signal
import sys

# looking for garbage again and again while all is loaded, where there is none, takes a sixth of the start
gc.disable()

import click
from flask import Flask

from portal import cli
from portal.app import create_app
from portal.config import Settings, SettingsError
from portal.db import connect
from portal.logs import configure_logs

PR_SET_PDEATHSIG = 1
# so many objects are made before garbage is looked for: a page makes thousands, and drops nearly all itself
YOUNG = 20_000

# A server that is killed leaves its workers, which share the port with the next server and answer half of
# its requests with old code. So a worker dies with the process that made it.
parent = multiprocessing.parent_process()
if parent is not None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent.pid:
        os._exit(1)


def make() -> Flask:
    """The portal; or, for a command of flask's, what runs without all settings."""
    try:
        settings = Settings.from_env()
    except SettingsError as error:
        if click.get_current_context(silent=True) is None:
            sys.exit(error.message)
        return cli.app_without(error)
    connect(settings.database_url)
    return create_app(settings)


configure_logs()
app = make()
# what is loaded stays as long as the process, and need not be looked through for garbage ever again
gc.freeze()
gc.set_threshold(YOUNG)
gc.enable()
