"""Settings: read once from the environment, checked all at once, frozen, safe to print."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from portal import parsing
from portal.errors import PortalError

ENVIRONMENTS = ("development", "production", "test")
HIDDEN = "…"


class SettingsError(PortalError):
    """One or more settings are missing or wrong; the message lists every one of them."""

    code = "settings"

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The settings are not right:\n" + "\n".join(f"  - {line}" for line in problems))
        self.problems = problems


def _setting(
    name: str,
    help: str,
    parse: Callable[[str], Any] = parsing.text,
    *,
    default: Any = MISSING,
    secret: bool = False,
) -> Any:
    return field(
        default=default,
        metadata={"name": name, "help": help, "parse": parse, "secret": secret},
        repr=False,
    )


@dataclass(frozen=True)
class Settings:
    """Everything that differs between one installation and another. Printing it shows no secret."""

    database_url: str = _setting(
        "PORTAL_DATABASE_URL", "PostgreSQL 16 or later, as the role portal_app", parsing.database, secret=True
    )
    secret_key: str = _setting(
        "PORTAL_SECRET_KEY",
        "signs cookies and mailed links; 32 random bytes or more",
        parsing.secret_key,
        secret=True,
    )
    stripe_secret_key: str = _setting(
        "STRIPE_SECRET_KEY",
        "Stripe's secret key",
        parsing.prefixed("sk_test_", "sk_live_", "rk_test_", "rk_live_"),
        secret=True,
    )
    stripe_publishable_key: str = _setting(
        "STRIPE_PUBLISHABLE_KEY", "Stripe's publishable key", parsing.prefixed("pk_test_", "pk_live_")
    )
    stripe_webhook_secrets: tuple[str, ...] = _setting(
        "STRIPE_WEBHOOK_SECRET",
        "signing secret of the webhook endpoint; two, with a comma, while rotating",
        parsing.signing_secrets,
        secret=True,
    )
    stripe_thin_webhook_secrets: tuple[str, ...] = _setting(
        "STRIPE_THIN_WEBHOOK_SECRET",
        "signing secret of the event destination for meter errors; two, with a comma, while rotating",
        parsing.signing_secrets,
        default=(),
        secret=True,
    )
    base_url: str = _setting(
        "PORTAL_URL",
        "the address that people use, also in mails",
        parsing.origin,
        default="http://localhost:5000",
    )
    environment: str = _setting(
        "PORTAL_ENVIRONMENT",
        "development, production or test",
        parsing.choice(*ENVIRONMENTS),
        default="production",
    )
    migration_url: str | None = _setting(
        "PORTAL_MIGRATION_URL",
        "the same database as its owner; only for flask db",
        parsing.database,
        default=None,
        secret=True,
    )
    trusted_hosts: tuple[str, ...] = _setting(
        "PORTAL_TRUSTED_HOSTS",
        "further host names that may be asked for, with commas",
        parsing.words,
        default=(),
    )
    proxies: int = _setting(
        "PORTAL_PROXIES",
        "how many proxies stand in front and set X-Forwarded-*",
        parsing.whole(0, parsing.MOST_PROXIES),
        default=0,
    )
    previous_secret_keys: tuple[str, ...] = _setting(
        "PORTAL_PREVIOUS_SECRET_KEYS",
        "older secret keys that are still accepted",
        parsing.secret_keys,
        default=(),
        secret=True,
    )
    stripe_account: str | None = _setting(
        "STRIPE_ACCOUNT",
        "the account's id; events of other accounts are refused",
        parsing.prefixed("acct_"),
        default=None,
    )
    sandbox_url: str | None = _setting(
        "PORTAL_SANDBOX_URL",
        "where the Stripe sandbox runs; unset for Stripe itself",
        parsing.origin,
        default=None,
    )
    data_dir: Path = _setting(
        "PORTAL_DATA_DIR", "folder for mails when no SMTP server is set", Path, default=Path(".data")
    )
    smtp_host: str | None = _setting(
        "PORTAL_SMTP_HOST", "SMTP server; mails go to a folder without it", default=None
    )
    smtp_port: int = _setting("PORTAL_SMTP_PORT", "port of the SMTP server", parsing.port, default=587)
    smtp_user: str | None = _setting("PORTAL_SMTP_USER", "login at the SMTP server", default=None)
    smtp_password: str | None = _setting(
        "PORTAL_SMTP_PASSWORD", "password at the SMTP server", default=None, secret=True
    )
    smtp_tls: str = _setting(
        "PORTAL_SMTP_TLS",
        "starttls, implicit or none",
        parsing.choice("starttls", "implicit", "none"),
        default="starttls",
    )
    mail_sender: str = _setting(
        "PORTAL_MAIL_SENDER",
        "sender of all mails",
        parsing.mail_sender,
        default="billing@localhost.localdomain",
    )
    support_email: str = _setting(
        "PORTAL_SUPPORT_EMAIL",
        "shown to customers; incidents are mailed to it",
        parsing.mail_address,
        default="support@localhost.localdomain",
    )
    brand_name: str = _setting("PORTAL_BRAND_NAME", "the vendor's name", default="Billing")
    brand_logo: str | None = _setting(
        "PORTAL_BRAND_LOGO", "path of a logo below static/", parsing.static_file, default=None
    )
    brand_accent: str | None = _setting(
        "PORTAL_BRAND_ACCENT", "accent colour, #rrggbb", parsing.colour, default=None
    )
    legal_footer: str | None = _setting(
        "PORTAL_LEGAL_FOOTER", "line at the foot of pages and mails", default=None
    )
    default_catalog: str = _setting(
        "PORTAL_CATALOG", "the catalogue that new customers buy from", parsing.catalog, default="2026-11"
    )
    grace: timedelta = _setting(
        "PORTAL_GRACE_DAYS",
        "days of access after a renewal's payment failed",
        parsing.days(0),
        default=timedelta(days=7),
    )
    retention_years: int = _setting(
        "PORTAL_RETENTION_YEARS",
        "years for which invoices are kept after a workspace was deleted",
        parsing.whole(1, 99),
        default=10,
    )
    session_idle: timedelta = _setting(
        "PORTAL_SESSION_IDLE_DAYS",
        "days after which an unused sign-in ends",
        parsing.days(1),
        default=timedelta(days=7),
    )
    session_absolute: timedelta = _setting(
        "PORTAL_SESSION_DAYS",
        "days after which every sign-in ends",
        parsing.days(1),
        default=timedelta(days=30),
    )
    fresh_money: timedelta = _setting(
        "PORTAL_FRESH_MONEY_MINUTES",
        "minutes after which spending money asks again who it is",
        parsing.minutes(5, parsing.MOST_FRESH_MINUTES),
        default=timedelta(minutes=60),
    )
    fresh_factors: timedelta = _setting(
        "PORTAL_FRESH_FACTORS_MINUTES",
        "minutes after which changing how one signs in asks again who it is",
        parsing.minutes(1, parsing.MOST_FRESH_MINUTES),
        default=timedelta(minutes=15),
    )
    limit_sign_in: str = _setting(
        "PORTAL_LIMIT_SIGN_IN",
        "sign-in attempts per address, and per login",
        parsing.limit,
        default="6 per minute; 30 per hour",
    )
    limit_sign_up: str = _setting(
        "PORTAL_LIMIT_SIGN_UP", "sign-ups per address", parsing.limit, default="5 per minute; 20 per hour"
    )
    limit_reset: str = _setting(
        "PORTAL_LIMIT_RESET",
        "mailed links asked for, per address and per login",
        parsing.limit,
        default="5 per minute; 20 per hour",
    )
    limit_quote: str = _setting(
        "PORTAL_LIMIT_QUOTE",
        "quotes and confirmations per workspace",
        parsing.limit,
        default="20 per minute; 200 per hour",
    )
    limit_api: str = _setting(
        "PORTAL_LIMIT_API",
        "requests per API key",
        parsing.limit,
        default="100 per second; 3000 per minute",
    )
    limits_enabled: bool = _setting("PORTAL_LIMITS", "rate limits, yes or no", parsing.flag, default=True)
    tax_enabled: bool = _setting("PORTAL_TAX", "Stripe Tax, yes or no", parsing.flag, default=True)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, only: Collection[str] | None = None
    ) -> "Settings":
        """Read every setting; raise SettingsError with all that is wrong, not only the first.

        ``only`` names the fields that a command needs: the others are not looked at, and have their default
        or None.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        problems: list[str] = []
        for item in fields(cls):
            if only is not None and item.name not in only:
                continue
            try:
                _read(item, environ, values)
            except ValueError as error:
                problems.append(f"{item.metadata['name']} {error} ({item.metadata['help']})")
        problems += _contradictions(values)
        if problems:
            raise SettingsError(problems)
        rest = {f.name: None if f.default is MISSING else f.default for f in fields(cls)}
        return cls(**{**rest, **values})

    @classmethod
    def described(cls) -> list[tuple[str, str, bool]]:
        """Every setting as (name, what it is for, whether it must be set), for the README and its test."""
        return [(f.metadata["name"], f.metadata["help"], f.default is MISSING) for f in fields(cls)]

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @property
    def livemode(self) -> bool:
        """Whether Stripe's key moves real money; events of the other mode are refused."""
        return "_live_" in self.stripe_secret_key

    @property
    def stripe_js_url(self) -> str:
        """Address of Stripe.js: the sandbox's stand-in when there is a sandbox."""
        return f"{self.sandbox_url or 'https://js.stripe.com'}/endive/stripe.js"

    def __repr__(self) -> str:
        shown = (f"{f.name}={_shown(f, getattr(self, f.name))}" for f in fields(self))
        return f"Settings({', '.join(shown)})"


def _read(item: "Field[Any]", environ: Mapping[str, str], values: dict[str, Any]) -> None:
    raw = environ.get(item.metadata["name"], "").strip()
    if raw:
        values[item.name] = item.metadata["parse"](raw)
    elif item.default is MISSING:
        raise ValueError("is not set")
    else:
        values[item.name] = item.default


def _shown(item: "Field[Any]", value: Any) -> str:
    return HIDDEN if item.metadata["secret"] and value else repr(value)


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What is wrong only in combination."""
    problems = []
    secret, publishable = values.get("stripe_secret_key", ""), values.get("stripe_publishable_key", "")
    if secret and publishable and ("_live_" in secret) != ("_live_" in publishable):
        problems.append(
            "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY must be of the same mode, both test or both live"
        )
    if "_live_" in secret and values.get("sandbox_url"):
        problems.append("PORTAL_SANDBOX_URL must not be set together with a live key")
    if values.get("environment") == "production" and not values.get("sandbox_url"):
        if not values.get("base_url", "https://").startswith("https://"):
            problems.append("PORTAL_URL must start with https:// in production")
        if "smtp_host" in values and not values["smtp_host"]:
            problems.append("PORTAL_SMTP_HOST is not set, and mails must leave the house in production")
    return problems
