"""A small shop on an origin of its own, with a strict policy, around the sandbox's Stripe.js."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import stripe
from flask import Flask, Response, jsonify, request
from playwright.sync_api import FrameLocator, Locator, Page
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from portal.sandbox import cards, link
from portal.sandbox.app import create_sandbox
from tests.transport import stripe_client

NONCE = "b2Zmcw"
PATIENCE_MS = 15_000
CARD = "4242424242424242"
PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Shop</title><link rel="icon" href="data:,">
<script src="{sandbox}/endive/stripe.js" nonce="{nonce}"></script></head>
<body><main><h1>Pay</h1>
<div id="expressCheckout"></div>
<form id="form"><div id="linkAuthentication"></div><div id="address"></div>
<div id="payment"></div><button id="pay">Pay</button></form>
<p id="result" role="status"></p></main>
<script type="module" src="/shop.js" nonce="{nonce}"></script></body></html>
"""
# What the page does, told by its query: `elements` to mount, options of their group, whether to leave.
SCRIPT = """
const asked = new URLSearchParams(location.search);
const show = (text) => { document.getElementById('result').textContent = text; };
window.stripe = Stripe('pk_test_sandbox');
window.heard = [];
const options = JSON.parse(asked.get('options') ?? '{}');
const secretGiven = asked.get('secret');
window.group = stripe.elements(secretGiven ? {clientSecret: secretGiven, ...options}
  : {mode: 'payment', amount: 1000, currency: 'usd', ...options});
const own = JSON.parse(asked.get('own') ?? '{}');
for (const type of (asked.get('elements') ?? 'payment').split(',')) {
  const element = group.create(type, own[type] ?? (type === 'address' ? {mode: 'billing'} : {}));
  const more = type === 'expressCheckout' ? [] : ['change'];
  for (const name of ['ready', 'focus', 'blur', 'escape', 'loaderror', ...more]) {
    element.on(name, (event) => heard.push({name, ...event}));
  }
  if (type === 'expressCheckout') {
    element.on('confirm', async (event) => {
      window.confirmed = event;
      const result = await pay();
      if (result?.error) event.paymentFailed({message: result.error.message});
    });
    element.on('cancel', () => show('cancelled'));
  }
  element.mount('#' + type);
}
async function pay() {
  show('');
  const checked = await group.submit();
  if (checked.error) {
    show('invalid: ' + checked.error.message);
    return;
  }
  const kind = asked.get('kind') ?? 'payment';
  const body = new URLSearchParams({kind, ...JSON.parse(asked.get('intent') ?? '{}')});
  const clientSecret = secretGiven ?? (await (await fetch('/intent', {method: 'POST', body})).json()).secret;
  const redirect = asked.get('redirect') ?? 'if_required';
  const confirmParams = {return_url: location.origin + '/done?order=7'};
  const call = {elements: group, clientSecret, confirmParams, redirect};
  const result = await (kind === 'setup' ? stripe.confirmSetup(call) : stripe.confirmPayment(call));
  window.result = result;
  const intent = result.paymentIntent ?? result.setupIntent;
  show(result.error ? 'refused: ' + result.error.message : 'status: ' + intent.status);
  return result;
}
document.getElementById('form').addEventListener('submit', (event) => {
  event.preventDefault();
  pay().catch((error) => show(error.name + ': ' + error.message));
});
"""


@dataclass
class Shop:
    """Both servers, and the SDK's client behind the shop."""

    sandbox: Flask
    sandbox_url: str
    url: str
    client: stripe.StripeClient

    @property
    def policy(self) -> str:
        """The policy that the frames must be content with; nothing inline, nothing but these origins."""
        return (
            f"default-src 'none'; script-src 'nonce-{NONCE}' {self.sandbox_url}; "
            f"frame-src {self.sandbox_url}; connect-src 'self' {self.sandbox_url}; "
            "style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'"
        )


class Quiet(WSGIRequestHandler):
    """Answers without writing a line for each request."""

    def log_request(self, *_: object) -> None:
        """Nothing: what matters is in the tests' assertions."""


class Running:
    """`with Running() as shop` serves sandbox and shop on free ports."""

    def __enter__(self) -> Shop:
        sandbox = create_sandbox()
        self.servers = [serve(sandbox)]
        sandbox_url = f"http://127.0.0.1:{self.servers[0].server_port}"
        pages = Flask("shop")
        self.servers.append(serve(pages))
        self.shop = Shop(
            sandbox, sandbox_url, f"http://localhost:{self.servers[1].server_port}", stripe_client(sandbox)
        )
        add_pages(pages, self.shop)
        return self.shop

    def __exit__(self, *_: object) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


def serve(application: Flask) -> BaseWSGIServer:
    """Serve on a free port, in the background."""
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def add_pages(pages: Flask, shop: Shop) -> None:
    """The shop's pages: pay, its script, an intent, done."""

    @pages.get("/")
    def page() -> Response:
        html = PAGE.format(sandbox=shop.sandbox_url, nonce=NONCE)
        return Response(html, headers={"Content-Security-Policy": shop.policy})

    @pages.get("/shop.js")
    def script() -> Response:
        return Response(SCRIPT, content_type="text/javascript")

    @pages.post("/intent")
    def intent() -> Response:
        given: dict[str, Any] = dict(request.form)
        if given.pop("kind") == "setup":
            return jsonify(secret=shop.client.v1.setup_intents.create({}).client_secret)
        amount = int(given.pop("amount", 1000))
        made = shop.client.v1.payment_intents.create({"amount": amount, "currency": "usd", **given})  # type: ignore[typeddict-item]
        return jsonify(secret=made.client_secret)

    @pages.get("/done")
    def done() -> Response:
        return Response("<!doctype html><title>Done</title><h1>Done</h1>")


class Buyer:
    """Somebody on the shop's page."""

    def __init__(self, shop: Shop, page: Page) -> None:
        self.shop = shop
        self.page = page
        self.payment = page.frame_locator("#payment iframe")
        self.dialog = page.frame_locator("dialog iframe")
        self.complaints: list[str] = []
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _hear(self, type: str, text: str) -> None:
        # refusals are answers with a status of 4xx, which Chromium writes to the console
        # a message for a frame that is not there yet is lost, and only a warning tells
        lost = "postMessage" in text
        if lost or (type == "error" and "the server responded with a status of 40" not in text):
            self.complaints.append(text)

    def has_link_account(self, email: str) -> None:
        """Open a Link account that remembers a card."""
        current = self.shop.sandbox.extensions["sandbox"]
        with current.work():
            link.save(current, email, "2015550123", cards.BY_NUMBER[CARD], (12, 2034), {})

    def open(self, **query: str) -> None:
        """Go to the shop's page and wait for its element."""
        parameters = "&".join(f"{name}={value}" for name, value in query.items())
        self.page.goto(f"{self.shop.url}/?{parameters}")
        for type in query.get("elements", "payment").split(","):
            self.page.frame_locator(f"#{type} iframe").locator("#element > *").first.wait_for()

    def choose(self, method: str) -> None:
        """Open another method of the Payment Element."""
        self.payment.get_by_role("radio", name=method, exact=True).check()

    def type_card(self, number: str = CARD, frame: FrameLocator | None = None) -> None:
        """Fill the card's fields in."""
        within = frame or self.payment
        within.get_by_label("Card number").fill(number)
        within.get_by_label("Expiration date").fill("12 / 34")
        within.get_by_label("Security code").fill("987")
        within.get_by_label("Country").select_option("US")
        within.get_by_label("ZIP").fill("94107")

    def pay(self) -> str:
        """Press pay; what the page then says."""
        self.press_pay()
        return self.answer()

    def press_pay(self) -> None:
        self.page.get_by_role("button", name="Pay", exact=True).click()

    def answer(self) -> str:
        """What the page says at the end."""
        said = self.page.locator("#result:not(:empty)")
        said.wait_for()
        return said.text_content() or ""

    def button(self, name: str) -> Locator:
        """A button in the dialog."""
        return self.dialog.get_by_role("button", name=name)


def given(**values: object) -> dict[str, str]:
    """Query parameters of the shop's page; hashes go as JSON."""
    return {
        name: quote(value if isinstance(value, str) else json.dumps(value)) for name, value in values.items()
    }
