"""No text reaches a person untranslated: every page in a language whose texts all stand in ⟦brackets⟧.

The catalogue is made from the texts that ``pybabel extract`` finds, so a text that is not marked stands bare.
"""

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest
import stripe
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask
from werkzeug.test import TestResponse

from portal import pricing
from portal.db import unit_of_work
from portal.pricing import current_catalog
from portal.services import checkout, members
from tests import factories
from tests.apps import Apps
from tests.browsing import Browser
from tests.services.buying import Customer
from tests.services.failing import fall_behind, methods
from tests.services.inviting import Company
from tests.services.using import Workspace, happened
from tests.shop import BERLIN, TWELVE_BY_THE_MONTH, Shop
from tests.web.reading import SILENT
from tests.web.test_checkout import CHOICE, IN_BERLIN, confirm
from tests.web.test_subscription import ask
from tests.web.test_subscription import confirm as follow_confirm

ROOT = Path(__file__).resolve().parent.parent.parent
# no other test makes pages in it, so nothing of it is remembered elsewhere
LANGUAGE = "en_GB"
PARTS = re.compile(r"(%\(\w+\)[sd]|<[^>]+>)")
TRANSLATED = re.compile(r"⟦[^⟧]*⟧")
# names and what was typed, which no catalogue of texts changes: of companies, places, what is sold, taxes
SOLD = current_catalog()
NAMES = [
    *("Acme Ltd", "Acme GmbH", "Acme Inc", "San Francisco", "Townsend St", "DE VAT", "Advanced seat"),
    *(each.name for each in (*SOLD.tiers.values(), *SOLD.add_ons.values(), *SOLD.usage.values())),
    *Locale.parse(LANGUAGE).territories.values(),
]
NAME = re.compile("|".join(map(re.escape, sorted(NAMES, key=len, reverse=True))))
WORDS = re.compile(r"[^\W\d_]{2,}(?:[ '’]+[^\W\d_]{2,})+")
# what is typed into a program is in no language
TYPED = {"pre", "code"}
SPOKEN = {"aria-label", "alt", "title", "placeholder", "content", "data-working"}


def bracketed(text: str) -> str:
    """Every stretch of words between placeholders and tags in brackets, so that what is put in stays bare."""
    return "".join(
        part if not part.strip() or PARTS.fullmatch(part) else f"⟦{part}⟧" for part in PARTS.split(text)
    )


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of translations, made from every text that is marked."""
    folder = tmp_path_factory.mktemp("translations")
    command = [
        "pybabel",
        "-q",
        "extract",
        "-F",
        str(ROOT / "pyproject.toml"),
        "-o",
        str(folder / "texts.pot"),
    ]
    CommandLineInterface().run([*command, str(ROOT / "portal"), str(ROOT / "templates")])
    with (folder / "texts.pot").open("rb") as found:
        catalog: Catalog = read_po(found)
    for message in catalog:
        if message.id:
            plural = message.pluralizable
            message.string = tuple(map(bracketed, message.id)) if plural else bracketed(message.id)
    compiled = folder / LANGUAGE / "LC_MESSAGES" / "messages.mo"
    compiled.parent.mkdir(parents=True)
    with compiled.open("wb") as file:
        write_mo(file, catalog, use_fuzzy=True)
    return folder


@pytest.fixture(scope="module")
def apps() -> Apps:
    """An app of their own: its language is another."""
    return Apps()


@pytest.fixture
def app(app: Flask, texts: Path) -> Flask:
    """The portal in that language."""
    babel = app.extensions["babel"]
    babel.translation_directories = [str(texts)]
    babel.locale_selector = lambda: LANGUAGE
    return app


class _Spoken(HTMLParser):
    """What a page says: its texts, and the attributes that are read out or shown."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in SILENT - {"noscript"} | TYPED
        given = dict(attrs)
        spoken = given if given.get("id") == "pay-words" else given.keys() & SPOKEN
        if tag != "meta" or given.get("name") == "description":
            self.found += [given[name] or "" for name in spoken]

    def handle_endtag(self, tag: str) -> None:
        self._silent -= tag in SILENT - {"noscript"} | TYPED

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.found.append(data)


def untranslated(answer: TestResponse) -> list[str]:
    """The texts of two words or more that are not in brackets."""
    if answer.is_json:
        found = [str(value) for value in (answer.json or {}).values()]
    else:
        reader = _Spoken()
        reader.feed(answer.text)
        found = reader.found
    bare = [NAME.sub("|", TRANSLATED.sub("|", text)) for text in found]
    return [text.strip() for text in bare if WORDS.search(text)]


def test_a_bare_sentence_would_be_found(app: Flask, client: Browser) -> None:
    page = client.get("/")
    page.set_data("<p>⟦Pay⟧ You were not charged.</p>")

    assert untranslated(page) == ["| You were not charged."]


@pytest.mark.parametrize(
    "address",
    [
        "/pricing",
        "/pricing?seats=0&interval=year",
        "/pricing?tier=x&interval=week&copilot=9&sms=1",
        "/nowhere",
        "/developers/api",
    ],
)
def test_what_a_guest_sees(client: Browser, address: str) -> None:
    answer = client.get(address)

    assert "⟦" in answer.text
    assert untranslated(answer) == []


def test_the_details_and_their_refusals(buyer: Browser) -> None:
    pages = [
        buyer.get(CHOICE),
        buyer.submit(CHOICE, {"country": "ZZ"}),
        buyer.submit(CHOICE, IN_BERLIN | {"tax_id_value": "DE12", "email": "nobody"}),
        buyer.submit(CHOICE, IN_BERLIN | {"tax_id_value": "FR40303265045", "line1": "x" * 201}),
    ]

    assert [untranslated(page) for page in pages] == [[], [], [], []]


def test_a_quote_and_its_refused_promotion_code(shop: Shop, buyer: Browser, customer: Customer) -> None:
    shop.promotion("LAUNCH10", percent_off=10)
    shop.promotion("ONCE", percent_off=10, duration="once")
    checkout.save_details(customer.gateways, customer.workspace_id, customer.account.user_id, BERLIN)
    plain, reduced = customer.prepare(), customer.prepare(promotion_code="LAUNCH10")
    trial = customer.prepare(trial=True)
    page = f"/checkout/{trial}"
    refused = [
        buyer.submit(f"{page}/promotion", {"promotion_code": code}, page=page) for code in ("NOSUCH", "ONCE")
    ]
    pages = [buyer.get(page), *refused, buyer.get("/checkout"), buyer.get(f"/checkout/{plain}")]
    reduced = customer.prepare(promotion_code="LAUNCH10")
    pages.append(buyer.get(f"/checkout/{reduced}?instead_of={trial}"))

    assert [answer.status_code for answer in pages] == [200, 422, 422, 200, 200, 200]
    assert [untranslated(answer) for answer in pages] == [[]] * 6


def test_a_quote_that_no_longer_holds(shop: Shop, buyer: Browser, customer: Customer) -> None:
    older, newer = customer.prepare(), customer.prepare()
    refused = confirm(buyer, newer), buyer.get(f"/checkout/{older}")
    shop.advance(hours=24)
    expired = customer.prepare()
    shop.advance(hours=24)
    pages = [*refused, buyer.get(f"/checkout/{expired}"), buyer.get(f"/checkout/{newer}")]

    assert [untranslated(page) for page in pages[1:]] == [[], [], []]


def test_waiting_and_a_declined_card(shop: Shop, buyer: Browser, customer: Customer) -> None:
    quote_id = customer.prepare()
    secret = customer.confirm(quote_id).client_secret or ""
    pages = [buyer.get(f"/checkout/{quote_id}/{page}") for page in ("done", "done?waited=11", "state")]
    with pytest.raises(stripe.CardError) as declined:
        shop.pay(secret, "pm_card_visa_chargeDeclinedInsufficientFunds")
    customer.settle()
    answer = buyer.get(f"/checkout/{quote_id}")
    said = str(declined.value.user_message)

    assert [untranslated(page) for page in pages] == [[], [], []]
    # the bank's reason is Stripe's to translate
    assert [text.replace(said, "") for text in untranslated(answer)] == ["|"]


def test_a_change_and_what_became_of_it(buyer: Browser, customer: Customer) -> None:
    customer.buy(TWELVE_BY_THE_MONTH)
    up, down = ask(buyer, seats="13", tier="expert"), ask(buyer, seats="10", tier="essential")
    done = follow_confirm(buyer, down)
    pages = [
        buyer.get("/billing/subscription?seats=14&proactive_support=0&whole=1&tier=essential&interval=year"),
        ask(buyer, seats="0"),
        ask(buyer, seats="10", tier="essential"),
        *(up, down, done),
        buyer.get("/billing"),
        buyer.get("/billing/subscription"),
        buyer.get(up.request.path),
    ]

    assert [answer.status_code for answer in pages] == [200, 422, 409, 200, 200, 200, 200, 200, 200]
    assert [untranslated(page) for page in pages] == [[]] * 9


def test_what_the_last_months_would_have_cost(buyer: Browser, customer: Customer) -> None:
    pages = [buyer.get("/usage/replay")]
    customer.at_the_time_of("2023-11").buy(pricing.Selection("advanced", 4, "month", {"copilot": 2}))
    pages.append(buyer.get("/usage/replay"))
    customer.shop.advance(days=31, hours=2)
    customer.settle()
    pages += [buyer.get("/usage/replay"), buyer.get("/usage/replay?tier=expert&interval=year")]

    assert [untranslated(page) for page in pages] == [[]] * 4


def test_what_is_done_about_invoices(buyer: Browser, customer: Customer) -> None:
    empty = [buyer.get("/billing/details"), buyer.get("/billing/invoices/next")]
    customer.buy(TWELVE_BY_THE_MONTH)
    customer.shop.advance(days=31, hours=2)
    charge = customer.shop.charges()[-1]
    customer.shop.client.v1.refunds.create({"charge": charge.id, "amount": 100})
    customer.settle()
    newest, refunded = re.findall(r"/billing/invoices/in_\w+", buyer.get("/billing/invoices").text)
    elsewhere = "/billing/details/elsewhere"
    refused = buyer.submit("/billing/details", {"email": "x", "company_name": "Acme Ltd"})
    asked = {"country": "DE", "line1": "Torstraße", "city": "Berlin", "postal_code": "10119"}
    pages = [
        *empty,
        *(buyer.get(path) for path in (newest, refunded, f"{newest}/correction", f"{refunded}/correction")),
        buyer.get("/billing/invoices?from=2031-01-01"),
        buyer.get("/billing/invoices/next"),
        refused,
        buyer.get(elsewhere),
        buyer.submit(elsewhere, asked | {"tax_id_value": "DE1"}),
        buyer.submit(elsewhere, asked, follow_redirects=True),
    ]

    assert [untranslated(page) for page in pages] == [[]] * 12


def test_what_was_bought(buyer: Browser, customer: Customer) -> None:
    empty = [buyer.get("/billing"), buyer.get("/billing/invoices")]
    older = customer.prepare()
    quote_id = customer.buy()
    listing = buyer.get("/billing/invoices")
    invoice = re.search(r"/billing/invoices/in_\w+", listing.text)
    assert invoice
    pages = [
        *empty,
        listing,
        buyer.get(invoice.group()),
        buyer.get("/billing", query_string={"welcome": quote_id}),
    ]
    pages += [buyer.get(f"/checkout/{older}"), buyer.get("/billing/invoices/in_nowhere")]

    assert [untranslated(page) for page in pages] == [[]] * 7


def test_usage_and_each_resolution(buyer: Browser, customer: Customer) -> None:
    pages = [buyer.get("/usage")]
    customer.buy(TWELVE_BY_THE_MONTH)
    pages += [buyer.get("/usage"), buyer.get("/usage/resolutions")]
    customer.shop.advance(hours=30)
    used = Workspace(customer.gateways, customer.workspace_id)
    now = customer.gateways.clock.now()
    used.resolve("c-1")
    used.feed(happened("c-2", "ai_answered", now - timedelta(hours=25)))
    used.feed(happened("c-2", "reopened", now), happened("c-3", "ai_answered", now))
    used.feed(happened("c-4", "ai_answered", now), happened("c-4", "human_replied", now))
    pages += [buyer.get("/usage"), buyer.get("/usage?unit=proactive_message"), buyer.get("/billing")]
    pages += [buyer.get("/billing/invoices/next"), buyer.get("/usage/resolutions?search=c")]
    pages += [buyer.get(f"/usage/resolutions/c-{n}/1") for n in range(1, 5)]
    pages += [buyer.get("/usage/resolutions?channel=fax"), buyer.get("/usage/resolutions/c-9/1")]

    assert [untranslated(page) for page in pages] == [[]] * 14


def test_seats_invitations_and_the_table(
    app: Flask, buyer: Browser, client: Browser, customer: Customer
) -> None:
    empty = buyer.get("/billing/seats")
    customer.buy(pricing.Selection("advanced", 1, "month"))
    member = factories.member(app, customer.workspace_id)
    buyer.submit("/billing/seats/invite", {"email": "a@oak.example", "role": "admin", "seat": "full"})
    listing = buyer.get("/billing/seats")
    with unit_of_work(customer.workspace_id) as session:
        person = members.of_user(session, member.user_id)
    assert person
    path = f"/billing/seats/{person.id}"
    table = "b@oak.example,member,full\nnobody\na@oak.example\n=1"
    preview = buyer.submit("/billing/seats/import", {"text": table})
    seal = re.search(r'name="seal" value="(\w+)"', preview.text)
    assert seal
    sent = {"text": table, "seal": seal.group(1)}
    pages = [
        empty,
        listing,
        buyer.get("/billing/seats?search=nobody.at.all&away=yes"),
        buyer.get("/billing/seats/invite"),
        buyer.submit("/billing/seats/invite", {"email": "nobody"}),
        *(buyer.get(f"{path}{page}") for page in ("", "/remove", "/ownership")),
        buyer.get("/billing/seats/leave"),
        buyer.get("/billing/seats/import"),
        buyer.submit("/billing/seats/import", {"text": ""}),
        preview,
        buyer.submit("/billing/seats/import/confirm", sent, page="/billing/seats/import"),
        buyer.submit("/billing/seats/import/confirm", sent, page="/billing/seats/import"),
    ]
    named = [[text for text in untranslated(page) if member.email not in text] for page in pages]

    assert named == [[]] * len(pages)
    assert pages[-1].status_code == 409


def test_the_page_that_an_invitation_leads_to(
    app: Flask, client: Browser, customer: Customer, workspace: factories.Account
) -> None:
    company = Company(app, customer.gateways, workspace)
    sent = company.invite("a@oak.example", seat="full")
    other = app.test_client()
    assert isinstance(other, Browser)
    path = f"/invitations/{company.token(sent)}"
    pages = [other.get(path), other.get(f"{path}x"), client.get(path)]
    pages.append(other.submit(f"{path}/sign-up", {"password": "short"}, page=path))
    other.submit(f"{path}/sign-up", {"password": workspace.password}, page=path)
    pages += [other.get("/billing"), client.get(path)]

    assert [untranslated(page) for page in pages] == [[]] * len(pages)


def test_ways_to_pay_and_a_renewal_that_failed(buyer: Browser, customer: Customer) -> None:
    path = f"/billing/payment/pay/{fall_behind(customer)}"
    failing, good = methods(customer)
    pages = [
        buyer.get("/billing/payment"),
        buyer.get("/billing/payment/add"),
        buyer.get(f"/billing/payment/methods/{failing.id}/remove"),
        buyer.get(f"/billing/payment/methods/{good.id}/remove"),
        buyer.get(path),
        buyer.submit(path, {"method": failing.id}),
        buyer.get("/billing/invoices"),
        buyer.submit(path, {"method": good.id}, follow_redirects=True),
        buyer.get("/billing"),
    ]

    assert [untranslated(page) for page in pages] == [[]] * 9


def test_the_keys_of_programs(buyer: Browser) -> None:
    new = "/developers/keys/new"
    empty, form = buyer.get("/developers"), buyer.get(new)
    key = re.findall(r'name="key"[^>]*value="(K-\w+)"', form.text)[0]
    given = {"name": "Agent", "scopes": ["events:write", "read"], "key": key}
    made = buyer.submit(new, given)
    path = f"/developers/keys/{key}"
    pages = [
        *(empty, form, made),
        buyer.submit(new, given, follow_redirects=True),
        buyer.submit(new, {"key": key}),
        buyer.get(f"{path}/rotate"),
        buyer.submit(f"{path}/rotate", {"overlap": "x"}),
        buyer.submit(f"{path}/rotate", {"overlap": "24"}),
        buyer.get(f"{path}/revoke"),
        buyer.submit(f"{path}/revoke", follow_redirects=True),
    ]

    assert [untranslated(page) for page in pages] == [[]] * 10
