"""What an account at Stripe needs before it can sell: made by ``setup``, looked over by ``check``."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from portal import pricing
from portal.db import unit_of_work
from portal.errors import PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_words import WebhookEndpoint
from portal.services import catalogs
from portal.services.event_handlers import EVENT_TYPES, THIN_EVENT_TYPES
from portal.services.ids import new_id

WEBHOOK_PATH = "/webhooks/stripe"
THIN_WEBHOOK_PATH = "/webhooks/stripe/thin"
DESTINATION = "Meter errors"
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``problem`` says whether somebody has to do something."""

    text: str
    problem: bool = False


def webhook_url(gateways: Gateways) -> str:
    """Where Stripe has to send events."""
    return gateways.settings.base_url + WEBHOOK_PATH


def thin_webhook_url(gateways: Gateways) -> str:
    """Where Stripe has to send the events of API v2: the errors of meters."""
    return gateways.settings.base_url + THIN_WEBHOOK_PATH


def setup(gateways: Gateways) -> list[str]:
    """Make what is missing: meters, the endpoints for events, the domain for wallets.

    Returns one line for each thing done; a new endpoint's secret is in its line, since it is told only once.
    Doing it again changes nothing.
    """
    account = gateways.stripe.account
    wanted = [price for each in pricing.catalogs() for price in each.lookup_keys()]
    done = catalogs.Pushed()
    catalogs.push_meters(account, wanted, done)
    lines = [f"Meter {name} made." for name in done.meters]
    lines += _endpoint(gateways)
    lines += _event_destination(gateways)
    host = urlsplit(gateways.settings.base_url).hostname or ""
    if host not in LOCAL and host not in account.payment_method_domains():
        account.create_payment_method_domain(host, key=new_id("S"))
        lines.append(f"Domain {host} registered for Link, Apple Pay and Google Pay.")
    return lines or ["Everything was there already."]


def _endpoint(gateways: Gateways) -> list[str]:
    account, url = gateways.stripe.account, webhook_url(gateways)
    own = _own_endpoint(gateways)
    if own is None:
        made = account.create_webhook_endpoint(
            url, EVENT_TYPES, api_version=gateways.stripe.webhooks.api_version, key=new_id("S")
        )
        return [f"Webhook endpoint {made.id} made. Set STRIPE_WEBHOOK_SECRET={made.secret}"]
    if own.enabled and set(EVENT_TYPES) <= _events(own):
        return []
    account.update_webhook_endpoint(own.id, EVENT_TYPES, key=new_id("S"))
    return [f"Webhook endpoint {own.id} now sends the events that the portal uses."]


def _event_destination(gateways: Gateways) -> list[str]:
    account, url = gateways.stripe.account, thin_webhook_url(gateways)
    own = next((each for each in account.event_destinations() if each.url == url), None)
    if own is None:
        secret = account.create_event_destination(DESTINATION, url, THIN_EVENT_TYPES, key=new_id("S"))
        return [f"Event destination for meter errors made. Set STRIPE_THIN_WEBHOOK_SECRET={secret}"]
    if own.enabled and set(THIN_EVENT_TYPES) <= set(own.events):
        return []
    account.update_event_destination(own.id, THIN_EVENT_TYPES)
    return [f"Event destination {own.id} now sends the errors of meters."]


def _own_endpoint(gateways: Gateways) -> WebhookEndpoint | None:
    """Our endpoint with our API version; the version of one cannot be changed."""
    wanted = (webhook_url(gateways), gateways.stripe.webhooks.api_version)
    for endpoint in gateways.stripe.account.webhook_endpoints():
        if (endpoint.url, endpoint.api_version) == wanted:
            return endpoint
    return None


def _events(endpoint: WebhookEndpoint) -> set[str]:
    return set(EVENT_TYPES) if "*" in endpoint.events else set(endpoint.events)


def check(gateways: Gateways) -> list[Finding]:
    """Look at everything that selling needs, one finding each; a failing look is a finding too."""
    looks: list[Callable[[Gateways], list[Finding]]] = [
        _keys,
        _prices,
        _webhook,
        _meter_errors,
        _wallets,
        _tax,
    ]
    found: list[Finding] = []
    for look in looks:
        try:
            found += look(gateways)
        except PortalError as error:
            found.append(Finding(f"Stripe could not be asked: {error}", problem=True))
    return found


def _keys(gateways: Gateways) -> list[Finding]:
    gateways.stripe.account.tax_settings()
    mode = "live" if gateways.stripe.webhooks.livemode else "test"
    return [Finding(f"The secret key works ({mode} mode).")]


def _prices(gateways: Gateways) -> list[Finding]:
    wanted = [price for each in pricing.catalogs() for price in each.lookup_keys()]
    known = gateways.stripe.account.prices([price.lookup_key for price in wanted])
    found = [
        Finding(f"Price {price.lookup_key} is not at Stripe; run flask catalog push.", problem=True)
        for price in wanted
        if price.lookup_key not in known
    ]
    for price in wanted:
        if price.lookup_key in known:
            lines = catalogs.differences(price, known[price.lookup_key])
            found += [Finding(f"Price {price.lookup_key}: {line}.", problem=True) for line in lines]
    with unit_of_work() as session:
        found += [
            Finding(f"Price {key} is noted here under another id; run flask catalog push.", problem=True)
            for each in pricing.catalogs()
            for key, row in catalogs.noted(session, each.version).items()
            if key in known and known[key].id != row.stripe_price_id
        ]
    return found or [Finding(f"All {len(wanted)} prices are at Stripe as the catalogues have them.")]


def _webhook(gateways: Gateways) -> list[Finding]:
    url, version = webhook_url(gateways), gateways.stripe.webhooks.api_version
    ours = [each for each in gateways.stripe.account.webhook_endpoints() if each.url == url]
    if not ours:
        return [Finding(f"No webhook endpoint sends to {url}; run flask stripe setup.", problem=True)]
    found = []
    for endpoint in ours:
        if endpoint.api_version != version:
            text = f"Webhook endpoint {endpoint.id} is pinned to {endpoint.api_version}, not to {version}"
            found.append(Finding(f"{text}; run flask stripe setup and delete it.", problem=True))
        elif not endpoint.enabled:
            found.append(Finding(f"Webhook endpoint {endpoint.id} is disabled.", problem=True))
        elif missing := sorted(set(EVENT_TYPES) - _events(endpoint)):
            text = f"Webhook endpoint {endpoint.id} does not send {', '.join(missing)}"
            found.append(Finding(f"{text}; run flask stripe setup.", problem=True))
    return found or [Finding(f"The webhook endpoint sends to {url}, pinned to {version}.")]


def _meter_errors(gateways: Gateways) -> list[Finding]:
    """Stripe tells of usage that it could not bill in thin events alone."""
    url = thin_webhook_url(gateways)
    own = next((each for each in gateways.stripe.account.event_destinations() if each.url == url), None)
    if own is None:
        text = f"No event destination sends the errors of meters to {url}, so usage can be lost unseen"
        return [Finding(f"{text}; run flask stripe setup.", problem=True)]
    if not own.enabled or set(THIN_EVENT_TYPES) - set(own.events):
        text = f"Event destination {own.id} is disabled or sends too little"
        return [Finding(f"{text}; run flask stripe setup.", problem=True)]
    return [Finding(f"The event destination for meter errors sends to {url}.")]


def _wallets(gateways: Gateways) -> list[Finding]:
    host = urlsplit(gateways.settings.base_url).hostname or ""
    if host in LOCAL:
        return [Finding("Wallets need no registered domain on this machine.")]
    if not gateways.stripe.account.payment_method_domains().get(host):
        text = f"The domain {host} is not registered, so Link, Apple Pay and Google Pay buttons do not show"
        return [Finding(f"{text}; run flask stripe setup.", problem=True)]
    return [Finding(f"The domain {host} is registered for wallets.")]


def _tax(gateways: Gateways) -> list[Finding]:
    if not gateways.settings.tax_enabled:
        return [Finding("Stripe Tax is off (PORTAL_TAX=no): no tax is charged.")]
    found = []
    if gateways.stripe.account.tax_settings() != "active":
        found.append(Finding("Stripe Tax is not set up: the head office's address is missing.", problem=True))
    countries = gateways.stripe.account.tax_registrations()
    if not countries:
        text = "There is no tax registration, so tax is 0 everywhere and nothing says so"
        found.append(Finding(f"{text}; add one in Stripe's dashboard, under Tax.", problem=True))
    return found or [Finding(f"Tax is collected in {', '.join(sorted(set(countries)))}.")]
