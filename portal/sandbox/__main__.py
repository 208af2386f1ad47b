"""`python -m portal.sandbox --port P --data PATH [--webhook URL=SECRET]`: the sandbox as a process."""

from __future__ import annotations

import argparse
import errno
import gc
import logging
import sqlite3
import sys
from pathlib import Path
from typing import Any

from waitress import create_server

from portal.sandbox.app import create_sandbox
from portal.sandbox.background import Background

THREADS = 8
# so many objects are made before garbage is looked for
YOUNG = 20_000
HIGHEST_PORT = 65_535


def endpoint(text: str) -> tuple[str, str]:
    """`URL=SECRET`, split at the last equals sign."""
    url, _, secret = text.rpartition("=")
    if not url.startswith(("http://", "https://")) or not secret:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not URL=SECRET, as http://localhost:8000/webhooks/stripe=whsec_x"
        )
    return url, secret


def port(text: str) -> int:
    """A TCP port that others can be told: 0 would listen where nobody knows."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= HIGHEST_PORT):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 1 to {HIGHEST_PORT}")
    return int(text)


def data_file(text: str) -> Path:
    """A file in a folder that is there: a folder made for a misspelt path would hide the mistake."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder {path.parent} does not exist: make it, or give another")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder: name a file in it")
    return path


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(prog="python -m portal.sandbox", description=__doc__)
    result.add_argument("--host", default="127.0.0.1", help="address to listen on")
    result.add_argument("--port", type=port, required=True, help="port to listen on")
    result.add_argument("--data", type=data_file, help="SQLite file for the state; without it nothing stays")
    several: Any = {"type": endpoint, "action": "append", "default": [], "metavar": "URL=SECRET"}
    result.add_argument("--webhook", **several, help="where events are sent")
    result.add_argument("--thin-webhook", **several, help="where thin events of meter errors are sent")
    return result


def explained(error: Exception, options: argparse.Namespace) -> str:
    """What is wrong and what to do about it, in one line."""
    if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
        return f"another sandbox uses {options.data}. Stop it, or give another --data."
    if isinstance(error, sqlite3.DatabaseError):
        return f"{options.data} cannot be used ({error}). Give another --data, or delete it to start afresh."
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"port {options.port} is taken. Stop what uses it, or give another --port."
    return str(error)


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted; 1 when the port or the file cannot be used."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="sandbox: %(message)s")
    try:
        app = create_sandbox(options.data, options.webhook, thin_webhooks=options.thin_webhook)
        server = create_server(app, host=options.host, port=options.port, threads=THREADS)
    except (OSError, sqlite3.Error) as error:
        print(f"The Stripe sandbox cannot start: {explained(error, options)}", file=sys.stderr)
        return 1
    address = f"http://{options.host}:{options.port}"
    logging.info("Stripe's API on %s, control page on %s/_sandbox/", address, address)
    background = Background(app)
    background.start()
    # what is loaded stays, and need not be looked through for garbage again and again
    gc.freeze()
    gc.set_threshold(YOUNG)
    try:
        server.run()
    except KeyboardInterrupt:
        server.close()
    background.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
