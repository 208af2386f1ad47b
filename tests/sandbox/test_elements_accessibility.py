"""The frames of Stripe.js through axe, in both themes, method by method."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Frame

from tests.sandbox.shop import Buyer, given

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
# These three are about a whole page, which a frame is only a part of.
OF_THE_PAGE = ("landmark-one-main", "page-has-heading-one", "region")


@pytest.fixture
def phone(buyer: Buyer) -> Buyer:
    buyer.page.set_viewport_size({"width": 390, "height": 844})
    return buyer


def violations(buyer: Buyer, page: str) -> list[tuple[str, str]]:
    """What axe finds in the frame of a page: rule and first element."""
    frame = next(frame for frame in buyer.page.frames if f"/elements/{page}?" in frame.url)
    found: dict[str, Any] = run_axe(frame)
    return [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]]


def run_axe(frame: Frame) -> dict[str, Any]:
    frame.evaluate(AXE)
    rules = {name: {"enabled": False} for name in OF_THE_PAGE}
    result: dict[str, Any] = frame.evaluate("rules => axe.run({rules})", rules)
    return result


@pytest.mark.parametrize("theme", ["stripe", "night", "flat"])
def test_no_method_of_the_payment_element_has_violations(phone: Buyer, theme: str) -> None:
    phone.open(**given(options={"appearance": {"theme": theme}}))
    found = {}
    for method in ("Card", "Link", "US bank account", "Amazon Pay"):
        phone.choose(method)
        found[method] = violations(phone, "payment")

    assert found == {"Card": [], "Link": [], "US bank account": [], "Amazon Pay": []}


@pytest.mark.parametrize("theme", ["stripe", "night"])
def test_errors_and_the_open_signup_have_no_violations(phone: Buyer, theme: str) -> None:
    phone.open(**given(options={"appearance": {"theme": theme}}))
    phone.payment.get_by_label("Save my information").check()
    phone.pay()

    assert violations(phone, "payment") == []


def test_the_other_elements_have_no_violations(phone: Buyer) -> None:
    phone.open(elements="linkAuthentication,expressCheckout,address")
    pages = ("link-authentication", "express-checkout", "address")
    found = {page: violations(phone, page) for page in pages}

    assert found == {"link-authentication": [], "express-checkout": [], "address": []}


def test_the_three_d_secure_dialog_has_no_violations(phone: Buyer) -> None:
    phone.open()
    phone.type_card("4000002760003184")
    phone.press_pay()
    phone.button("Complete authentication").wait_for()

    assert violations(phone, "challenge") == []


def test_the_link_dialog_has_no_violations(phone: Buyer) -> None:
    phone.open(elements="payment,expressCheckout")
    phone.page.frame_locator("#expressCheckout iframe").get_by_role("button", name="Link").click()
    phone.dialog.get_by_label("Email").fill("new@example.com")
    phone.button("Continue").click()
    phone.dialog.get_by_label("Card number").wait_for()

    assert violations(phone, "link") == []


def test_the_redirect_page_has_no_violations(phone: Buyer) -> None:
    phone.open()
    phone.choose("Amazon Pay")
    phone.press_pay()
    phone.page.get_by_role("button", name="Authorise").wait_for()
    found = run_axe(phone.page.main_frame)

    assert found["violations"] == []
