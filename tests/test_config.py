"""Settings: all mistakes at once, no secret in sight."""

from dataclasses import FrozenInstanceError
from datetime import timedelta

import pytest

from portal.config import Settings, SettingsError

GOOD = {
    "PORTAL_DATABASE_URL": "postgres://portal_app:hunter2@db/portal",
    "PORTAL_SECRET_KEY": "a planted secret that is long enough to pass",
    "PORTAL_URL": "https://billing.example.com/",
    "PORTAL_SMTP_HOST": "smtp.example.com",
    "PORTAL_SMTP_PASSWORD": "planted-smtp",
    "STRIPE_SECRET_KEY": "sk_live_planted",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_shown",
    "STRIPE_WEBHOOK_SECRET": "whsec_planted_one, whsec_planted_two",
}


def refused(**changes: str) -> list[str]:
    """What is wrong with these settings."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({**GOOD, **changes})
    return caught.value.problems


def test_good_settings_are_read_and_cleaned() -> None:
    settings = Settings.from_env(
        {**GOOD, "PORTAL_GRACE_DAYS": "3", "PORTAL_TRUSTED_HOSTS": "a.example, b.example"}
    )

    assert settings.database_url == "postgresql+psycopg://portal_app:hunter2@db/portal"
    assert settings.base_url == "https://billing.example.com"
    assert settings.stripe_webhook_secrets == ("whsec_planted_one", "whsec_planted_two")
    assert settings.trusted_hosts == ("a.example", "b.example")
    assert settings.grace == timedelta(days=3)
    assert (settings.livemode, settings.production) == (True, True)
    assert settings.stripe_js_url == "https://js.stripe.com/endive/stripe.js"


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({})

    for name in (
        "PORTAL_DATABASE_URL",
        "PORTAL_SECRET_KEY",
        "STRIPE_SECRET_KEY",
        "STRIPE_PUBLISHABLE_KEY",
        "STRIPE_WEBHOOK_SECRET",
        "PORTAL_SMTP_HOST",
        "PORTAL_URL",
    ):
        assert name in caught.value.message, name


def test_every_mistake_is_named_with_what_to_do() -> None:
    problems = refused(
        PORTAL_SMTP_PORT="99999",
        PORTAL_SECRET_KEY="short",
        PORTAL_BRAND_ACCENT="blue",
        PORTAL_LIMIT_QUOTE="often",
    )

    assert len(problems) == 4
    assert "PORTAL_SMTP_PORT must be a port between 1 and 65535" in problems[1]
    assert "at least 32 bytes" in problems[0]
    assert "a colour such as #1f4fd8" in problems[2]
    assert "limits such as '6 per minute; 30 per hour'" in problems[3]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_DATABASE_URL", "mysql://db/portal"),
        ("PORTAL_URL", "billing.example.com"),
        ("PORTAL_URL", "https://billing.example.com/portal"),
        ("PORTAL_ENVIRONMENT", "staging"),
        ("PORTAL_PROXIES", "-1"),
        ("PORTAL_GRACE_DAYS", "a week"),
        ("PORTAL_LIMITS", "perhaps"),
        ("STRIPE_SECRET_KEY", "pk_live_swapped"),
        ("STRIPE_PUBLISHABLE_KEY", "sk_live_swapped"),
        ("STRIPE_WEBHOOK_SECRET", "sk_live_wrong"),
        ("STRIPE_WEBHOOK_SECRET", ","),
        ("STRIPE_ACCOUNT", "1234"),
        ("PORTAL_SMTP_TLS", "yes"),
        ("PORTAL_GRACE_DAYS", "99999999999"),
        ("PORTAL_GRACE_DAYS", "٣"),
        ("PORTAL_SMTP_PORT", "²"),
        ("PORTAL_SMTP_PORT", "9" * 5000),
        ("PORTAL_PROXIES", "11"),
        ("PORTAL_CATALOG", "nope"),
        ("PORTAL_SESSION_DAYS", "0"),
        ("PORTAL_SESSION_IDLE_DAYS", "0"),
        ("PORTAL_LIMIT_QUOTE", ";"),
        ("PORTAL_LIMIT_QUOTE", "0 per minute"),
        ("PORTAL_LIMIT_QUOTE", "6 per 0 minute"),
        ("PORTAL_URL", "https://billing.example.com:99999"),
        ("PORTAL_URL", "https://billing.example.com:0"),
        ("PORTAL_URL", "https://user:pw@billing.example.com"),
        ("PORTAL_URL", "https://billing.example.com#top"),
        ("PORTAL_URL", "https://billing example.com"),
        ("PORTAL_URL", "https://[half"),
        ("PORTAL_PREVIOUS_SECRET_KEYS", "a"),
        ("PORTAL_BRAND_LOGO", "../../etc/passwd"),
        ("PORTAL_BRAND_LOGO", "/etc/passwd"),
        ("PORTAL_BRAND_LOGO", "no-such.svg"),
        ("PORTAL_BRAND_NAME", "Acme\nBcc: all"),
        ("PORTAL_DATABASE_URL", "postgresql://"),
        ("PORTAL_DATABASE_URL", "postgresql://portal_app@db"),
        ("PORTAL_DATABASE_URL", "postgresql://portal_app@db:notaport/db"),
        ("PORTAL_DATABASE_URL", "postgresql://portal_app@db:70000/db"),
        ("PORTAL_MIGRATION_URL", "postgresql://"),
        ("STRIPE_SECRET_KEY", "sk_live_"),
        ("STRIPE_SECRET_KEY", "sk_live_a b"),
        ("STRIPE_WEBHOOK_SECRET", "whsec_"),
        ("PORTAL_MAIL_SENDER", "billing@acme.example\nBcc: all@acme.example"),
        ("PORTAL_MAIL_SENDER", "billing"),
        ("PORTAL_MAIL_SENDER", "a@acme.example, b@acme.example"),
        ("PORTAL_SUPPORT_EMAIL", "nobody"),
    ],
)
def test_a_wrong_value_is_refused_and_named(name: str, value: str) -> None:
    problems = refused(**{name: value})

    assert len(problems) == 1
    assert problems[0].startswith(f"{name} must ")
    assert not [word for word in ("invalid literal", "int()", "out of range") if word in problems[0]]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_URL", "http://localhost:5000"),
        ("PORTAL_SANDBOX_URL", "http://[::1]:5001"),
        ("PORTAL_DATABASE_URL", "postgresql://portal_app@/portal?host=/var/run/a%20folder"),
        ("PORTAL_DATABASE_URL", "postgresql+psycopg://portal_app:p%40ss@db:5432/portal?sslmode=require"),
        ("PORTAL_LIMIT_QUOTE", "1 per second; 100 per 5 minutes"),
        ("PORTAL_GRACE_DAYS", "0"),
        ("PORTAL_MAIL_SENDER", "Acme Billing <billing@acme.example>"),
        ("PORTAL_MAIL_SENDER", '"Acme, Inc." <billing@acme.example>'),
        ("PORTAL_BRAND_LOGO", "css/base.css"),
        ("PORTAL_CATALOG", "2023-11"),
        ("PORTAL_PREVIOUS_SECRET_KEYS", "an older planted secret that is long enough to pass"),
    ],
)
def test_a_right_value_is_taken(name: str, value: str) -> None:
    changed = {**GOOD, "PORTAL_ENVIRONMENT": "development", "STRIPE_SECRET_KEY": "sk_test_1"}

    assert Settings.from_env({**changed, "STRIPE_PUBLISHABLE_KEY": "pk_test_1", name: value})


def test_a_command_that_needs_little_is_told_only_of_that() -> None:
    url = {"PORTAL_DATABASE_URL": "postgresql://portal_app@db/portal", "PORTAL_SMTP_PORT": "x"}
    settings = Settings.from_env(url, only={"database_url"})
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(url, only={"database_url", "stripe_secret_key"})

    assert settings.database_url == "postgresql+psycopg://portal_app@db/portal"
    assert caught.value.problems == ["STRIPE_SECRET_KEY is not set (Stripe's secret key)"]


def test_keys_of_different_modes_are_refused() -> None:
    assert refused(STRIPE_PUBLISHABLE_KEY="pk_test_1") == [
        "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY must be of the same mode, both test or both live"
    ]


def test_a_live_key_never_meets_the_sandbox() -> None:
    assert refused(PORTAL_SANDBOX_URL="http://localhost:5001") == [
        "PORTAL_SANDBOX_URL must not be set together with a live key"
    ]


def test_production_needs_https_and_a_way_out_for_mail() -> None:
    assert refused(PORTAL_URL="http://billing.example.com", PORTAL_SMTP_HOST="") == [
        "PORTAL_URL must start with https:// in production",
        "PORTAL_SMTP_HOST is not set, and mails must leave the house in production",
    ]


def test_printing_the_settings_shows_no_secret() -> None:
    settings = Settings.from_env(GOOD)
    shown = f"{settings} {settings!r}"

    assert "planted" not in shown
    assert "hunter2" not in shown
    assert "pk_live_shown" in shown


def test_a_refusal_repeats_no_secret() -> None:
    problems = refused(STRIPE_SECRET_KEY="planted", PORTAL_DATABASE_URL="mysql://u:planted@db/x")

    assert "planted" not in " ".join(problems)


def test_settings_do_not_change_while_the_portal_runs() -> None:
    settings = Settings.from_env(GOOD)

    with pytest.raises(FrozenInstanceError):
        settings.secret_key = "another"  # type: ignore[misc]
