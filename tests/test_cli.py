"""Commands refuse in one sentence and with status 2, and ask only for the settings that they need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from tests.database import TestDatabase

ROOT = Path(__file__).resolve().parent.parent
AWAY = "postgresql://portal_app@localhost:1/portal"


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run ``flask`` as a person does, with no settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PORTAL_", "STRIPE_"))}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["catalog", "promotion", "X", "--percent-off", "abc"], "'abc' is not a percentage above 0"),
        (["catalog", "promotion", "X", "--percent-off", "nan"], "'nan' is not a percentage"),
        (["catalog", "promotion", "X", "--percent-off", "-5.0"], "'-5.0' is not a percentage"),
        (["catalog", "promotion", "X", "--percent-off", "0"], "'0' is not a percentage"),
        (["catalog", "promotion", "X", "--percent-off", "100.01"], "'100.01' is not a percentage"),
        (["catalog", "promotion", "X", "--percent-off", "12.345"], "'12.345' is not a percentage"),
        (["incidents", "resolve", "99999999999999999999"], "is not in the range 1<=x<=9223372036854775807"),
        (["inbox", "list", "--state", "zzz"], "'zzz' is not one of 'received', 'done', 'ignored'"),
    ],
)
def test_a_wrong_argument_is_named(app: Flask, command: list[str], said: str) -> None:
    done = app.test_cli_runner().invoke(args=command)

    assert said in done.output
    assert done.exit_code == 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["inbox", "list"], "There is no such event."),
        (["incidents", "list"], "Nothing has to be looked at."),
        (["usage", "errors"], "Stripe could use everything."),
        (["support", "contest", "list"], "No contest waits for an answer."),
        (["support", "discount", "list", "1"], "Nothing was agreed with this customer."),
        (["support", "purchase", "list", "1"], "This customer has bought no pack."),
    ],
)
def test_a_list_of_nothing_says_so(app: Flask, command: list[str], said: str) -> None:
    done = app.test_cli_runner().invoke(args=command)

    assert (done.exit_code, done.stdout, done.stderr.splitlines()[-1]) == (0, "", said)


def test_the_roles_are_printed_without_any_setting() -> None:
    done = run("db", "roles")

    assert (done.returncode, done.stderr) == (0, "")
    assert "CREATE ROLE portal_app LOGIN" in done.stdout


def test_the_database_is_migrated_and_checked_with_its_own_settings_only(committing: TestDatabase) -> None:
    upgraded = run("db", "upgrade", PORTAL_MIGRATION_URL=committing.owner_url)
    checked = run("db", "check", PORTAL_DATABASE_URL=committing.app_url)

    assert (upgraded.returncode, upgraded.stderr) == (0, "")
    assert "The database is at revision" in upgraded.stdout
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (["db", "check"], ["PORTAL_DATABASE_URL"]),
        (["stripe", "setup"], ["PORTAL_DATABASE_URL", "STRIPE_SECRET_KEY", "PORTAL_URL"]),
        (
            ["worker"],
            [
                *("PORTAL_DATABASE_URL", "PORTAL_SECRET_KEY", "STRIPE_SECRET_KEY", "STRIPE_PUBLISHABLE_KEY"),
                *("STRIPE_WEBHOOK_SECRET", "PORTAL_URL", "PORTAL_SMTP_HOST"),
            ],
        ),
    ],
)
def test_a_command_names_the_settings_that_it_misses(command: list[str], missing: list[str]) -> None:
    done = run(*command)
    named = [line.split()[1] for line in done.stderr.splitlines()[1:]]

    assert (done.returncode, named) == (2, missing)


def test_a_database_that_is_away_is_one_sentence() -> None:
    away = {
        "PORTAL_ENVIRONMENT": "development",
        "PORTAL_DATABASE_URL": AWAY,
        "PORTAL_SECRET_KEY": "for tests only, and long enough to be accepted",
        "STRIPE_SECRET_KEY": "sk_test_1",
        "STRIPE_PUBLISHABLE_KEY": "pk_test_1",
        "STRIPE_WEBHOOK_SECRET": "whsec_1",
    }
    done = run("inbox", "list", **away)

    assert done.returncode == 2
    assert done.stderr.startswith("The database cannot be used: ")
    assert len(done.stderr.splitlines()) == 1
