"""Everything on one machine: database, Stripe sandbox, worker, web server; then wait until told to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from portal.config import Settings
from portal.development.place import Place, PlaceError
from portal.development.postgres import EmbeddedPostgres
from portal.development.processes import Processes
from portal.migrations import rows, runner

ROOT = Path(__file__).resolve().parent.parent.parent
DATABASE = "portal"
STRIPE_KEYS = ("STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY", "STRIPE_WEBHOOK_SECRET")
# what a developer may set although the start has its own idea of it
KEPT = ("PORTAL_URL", "PORTAL_SECRET_KEY", "PORTAL_ENVIRONMENT")
BEATEN = text("SELECT EXISTS (SELECT 1 FROM procrastinate_workers WHERE last_heartbeat >= :since)")
SANDBOX_KEY = "sk_test_sandbox"
READY_SECONDS = 120.0
FLASK = (sys.executable, "-m", "flask", "--app", "wsgi")
WEB = (
    *("granian", "--interface", "wsgi", "wsgi:app", "--host", "127.0.0.1", "--workers", "2"),
    *(
        "--blocking-threads",
        "4",
        "--workers-kill-timeout",
        "10",
        "--respawn-failed-workers",
        "--no-access-log",
    ),
)

WELCOME = """\

  The portal runs at    {url}
  Mails that it sent    {url}/development/mail
{sandbox}
  Try: choose on {url}/pricing, sign up, follow the link of the
  mail, and pay.
{cards}
  Logs are in {logs}. Ctrl-C stops everything; 'make reset' empties it.
"""
SANDBOX = "  The Stripe sandbox    {url}/_sandbox/  (clock, next payment, webhooks)\n"
CARDS = """\
  Cards that the sandbox knows, with any future date and any CVC:
    4242 4242 4242 4242   pays
    4000 0025 0000 3155   asks for 3-D Secure
    4000 0000 0000 9995   is declined: insufficient funds
"""


class Stopped(Exception):
    """Somebody asked to stop."""


def run(environ: Mapping[str, str]) -> int:
    """Start everything, wait, stop everything. Returns the exit status."""
    place = Place.from_env(ROOT, environ)
    place.make()
    with place.alone():
        processes = Processes(place.folder)
        processes.stop_leftovers()
        sandbox = _sandbox_wanted(environ)
        place.check_ports(sandbox=sandbox)
        postgres = _embedded(place, environ)
        _listen()
        try:
            environment = _environment(place, environ, postgres, sandbox=sandbox)
            _start(place, processes, postgres, environment, sandbox=sandbox)
            return _wait(processes)
        except Stopped:
            print("\n  Stopping …", flush=True)
            return 0
        finally:
            _listen(once_more=processes)
            processes.stop()
            if postgres:
                postgres.stop()


def command(environ: Mapping[str, str], arguments: list[str]) -> int:
    """Run ``flask`` with the settings of what ``run`` has started; returns its exit status."""
    environment = environment_of_running(environ)
    return subprocess.run([*FLASK, *arguments], cwd=ROOT, env=environment, check=False).returncode


def environment_of_running(environ: Mapping[str, str]) -> dict[str, str]:
    """The settings of what ``run`` has started, or would start, in the folder that ``environ`` names.

    Raises PlaceError or SettingsError where they do not go together.
    """
    place = Place.from_env(ROOT, environ).running()
    place.make()
    return _environment(place, environ, _embedded(place, environ), sandbox=_sandbox_wanted(environ))


def _embedded(place: Place, environ: Mapping[str, str]) -> EmbeddedPostgres | None:
    return None if environ.get("PORTAL_DATABASE_URL") else EmbeddedPostgres(place.folder / "postgres")


def _sandbox_wanted(environ: Mapping[str, str]) -> bool:
    """Whether this start brings a sandbox: it does unless one of Stripe's keys is set."""
    keys = [name for name in STRIPE_KEYS if environ.get(name)]
    if keys and environ.get("PORTAL_SANDBOX_URL"):
        raise PlaceError(
            f"{keys[0]} and PORTAL_SANDBOX_URL are both set. Unset PORTAL_SANDBOX_URL to use Stripe itself,"
            " or the STRIPE_ settings to use a sandbox."
        )
    return not keys


def reset(environ: Mapping[str, str]) -> None:
    """Throw away the embedded database, the sandbox's state, mails and logs."""
    place = Place.from_env(ROOT, environ)
    place.make()
    with place.alone():
        Processes(place.folder).stop_leftovers()
        if (place.folder / "postgres").exists():
            EmbeddedPostgres(place.folder / "postgres").stop()
        place.empty()


def _environment(
    place: Place, environ: Mapping[str, str], postgres: EmbeddedPostgres | None, *, sandbox: bool
) -> dict[str, str]:
    """The settings of the children: what is set stays, the rest fits one machine."""
    own = {
        "PORTAL_ENVIRONMENT": "development",
        "PORTAL_URL": place.url,
        "PORTAL_DATA_DIR": str(place.folder),
        "PORTAL_SECRET_KEY": place.secret("secret_key"),
        "PYTHONUNBUFFERED": "1",
    }
    if postgres:
        own["PORTAL_DATABASE_URL"] = postgres.url(rows.APP, DATABASE)
        own["PORTAL_MIGRATION_URL"] = postgres.url(rows.OWNER, DATABASE)
    if sandbox:
        own["PORTAL_SANDBOX_URL"] = place.sandbox_url
        own["STRIPE_SECRET_KEY"] = SANDBOX_KEY
        own["STRIPE_PUBLISHABLE_KEY"] = "pk_test_sandbox"
        own["STRIPE_WEBHOOK_SECRET"] = f"whsec_{place.secret('webhook_secret')}"
        own["STRIPE_THIN_WEBHOOK_SECRET"] = f"whsec_{place.secret('thin_webhook_secret')}"
    kept = {name: value for name, value in environ.items() if value and name in KEPT}
    environment = {**environ, **own, **kept}
    Settings.from_env(environment)
    if not environment.get("PORTAL_MIGRATION_URL"):
        raise PlaceError(
            "PORTAL_DATABASE_URL is set: set PORTAL_MIGRATION_URL too, the same database as its owner."
        )
    return environment


def _start(
    place: Place,
    processes: Processes,
    postgres: EmbeddedPostgres | None,
    environment: dict[str, str],
    *,
    sandbox: bool,
) -> None:
    python, programs = sys.executable, Path(sys.executable).parent
    if sandbox:
        webhook = f"{place.url}/webhooks/stripe={environment['STRIPE_WEBHOOK_SECRET']}"
        thin = f"{place.url}/webhooks/stripe/thin={environment['STRIPE_THIN_WEBHOOK_SECRET']}"
        where = ["--port", str(place.sandbox_port), "--data", str(place.folder / "sandbox.sqlite")]
        command = [python, "-m", "portal.sandbox", *where, "--webhook", webhook, "--thin-webhook", thin]
        processes.start("sandbox", command, environment)
    if postgres:
        postgres.start()
        _make_database(postgres)
    runner.upgrade(environment["PORTAL_MIGRATION_URL"])
    if sandbox:
        _until_answered(processes, place.sandbox_port, "/_sandbox/clock")
    web, *options = WEB
    processes.start("web", [str(programs / web), *options, "--port", str(place.port)], environment)
    with _beats(environment["PORTAL_MIGRATION_URL"]) as beating:
        processes.start("worker", [*FLASK, "worker"], environment)
        _run_to_end(processes, "catalog", [*FLASK, "catalog", "push"], environment)
        _until_answered(processes, place.port, "/healthz")
        _until_beating(processes, beating)
    told = SANDBOX.format(url=place.sandbox_url) if sandbox else ""
    cards = CARDS if sandbox else ""
    logs = place.folder / "logs"
    print(WELCOME.format(url=place.url, sandbox=told, cards=cards, logs=logs), flush=True)


@contextmanager
def _beats(url: str) -> Iterator[Callable[[], bool]]:
    """Whether a worker has reported to the database since now; one that was killed before does not count."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        since = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        yield lambda: connection.execute(BEATEN, {"since": since}).scalar_one()
    engine.dispose()


def _make_database(postgres: EmbeddedPostgres) -> None:
    engine = create_engine(
        postgres.url("postgres", "postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(rows.ROLES)
        known = connection.execute(
            text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": DATABASE}
        )
        if known.first() is None:
            connection.exec_driver_sql(f"CREATE DATABASE {DATABASE} OWNER {rows.OWNER}")
    engine.dispose()


def _run_to_end(processes: Processes, name: str, command: list[str], environment: dict[str, str]) -> None:
    processes.start(name, command, environment)
    status = processes.children[name].wait()
    del processes.children[name]
    if status:
        raise PlaceError(f"'{' '.join(command[-2:])}' failed:\n{processes.last_words(name)}")


def _until_answered(processes: Processes, port: int, path: str) -> None:
    """Wait for an answer of our own child; fails when a child ends or READY_SECONDS pass."""
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        _check(processes)
        connection = HTTPConnection("localhost", port, timeout=2)
        try:
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise PlaceError(
        f"Nothing answered on port {port} within {READY_SECONDS:.0f} seconds; see {processes.folder}/logs."
    )


def _until_beating(processes: Processes, beating: Callable[[], bool]) -> None:
    """Wait for the worker's first report; without one, mails and webhooks would wait unseen."""
    end = time.monotonic() + READY_SECONDS
    while not beating():
        _check(processes)
        if time.monotonic() > end:
            raise PlaceError(
                f"The worker did not begin within {READY_SECONDS:.0f} seconds; see {processes.log('worker')}."
            )
        time.sleep(0.05)


def _check(processes: Processes) -> None:
    ended = processes.ended()
    if ended:
        raise PlaceError(f"The {ended} process ended:\n{processes.last_words(ended)}")


def _wait(processes: Processes) -> int:
    while True:
        time.sleep(0.5)
        _check(processes)


def _listen(*, once_more: Processes | None = None) -> None:
    """On SIGINT and SIGTERM stop in order; a second one, while stopping, kills."""

    def stop(number: int, frame: object) -> None:
        if once_more is None:
            raise Stopped
        for child in once_more.children.values():
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
