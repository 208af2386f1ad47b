"""The vendor's look, from settings, on every page."""

from dataclasses import replace

import pytest
from flask import Flask

from portal.web.brand import contrast_with_white, readable
from tests.browsing import Browser


@pytest.mark.parametrize(
    ("given", "used"),
    [("#2a4fd0", "#2a4fd0"), ("#000000", "#000000"), ("#ffcc00", "#8e7100"), ("#ffffff", "#757575")],
)
def test_an_accent_is_darkened_only_as_far_as_white_text_needs(given: str, used: str) -> None:
    assert readable(given) == used


def test_black_and_white_have_the_greatest_contrast() -> None:
    assert round(contrast_with_white(0, 0, 0), 2) == 21.0


def test_name_accent_support_and_footer_come_from_settings(app: Flask, client: Browser) -> None:
    app.extensions["settings"] = replace(
        app.extensions["settings"],
        brand_name="Northdesk",
        brand_accent="#0a7d5c",
        support_email="help@northdesk.example",
        legal_footer="Northdesk Ltd, London",
    )
    page = client.get("/pricing").text

    assert "<title>Pricing – Northdesk</title>" in page
    assert ":root { --brand: #0a7d5c; }" in page
    assert "mailto:help@northdesk.example" in page
    assert "Northdesk Ltd, London" in page
