"""/pricing: the choice in the address, the price and its reasons, and what happens to bad input."""

import re

import pytest

from tests.browsing import Browser
from tests.web.reading import block, words

TWELVE_BY_THE_YEAR = "/pricing?tier=advanced&interval=year&seats=12&copilot=5"


def test_twelve_seats_and_copilot_for_five_by_the_year_cost_13980_today(client: Browser) -> None:
    price = block(client.get(TWELVE_BY_THE_YEAR), "price")

    assert "Advanced seat × 12 $12,240.00" in price
    assert "Copilot × 5 $1,740.00" in price
    assert "Charged today $13,980.00" in price


def test_every_line_says_why(client: Browser) -> None:
    page = words(client.get(TWELVE_BY_THE_YEAR + "&resolution=500&sms=1200"))

    assert "12 seats × $1,020.00 a year ($85.00 a month) = $12,240.00" in page
    assert "5 seats × $348.00 a year ($29.00 a month) = $1,740.00" in page
    assert "500 resolutions × $0.99 = $495.00" in page
    assert "1,000 SMS segments × $0.04 = $40.00" in page
    assert "200 SMS segments × $0.032 = $6.40" in page


def test_by_the_month_the_expected_bill_is_seats_add_ons_and_usage(client: Browser) -> None:
    query = "tier=advanced&interval=month&seats=12&copilot=5&proactive_support=1&resolution=500&sms=1200"
    price = block(client.get(f"/pricing?{query}&proactive_message=2600"), "price")

    assert "Charged today $1,462.00" in price
    assert "2,600 messages, expected $165.00" in price
    assert "Expected a month $2,168.40" in price


def test_by_the_year_a_month_holds_only_usage(client: Browser) -> None:
    price = block(client.get(TWELVE_BY_THE_YEAR + "&resolution=500"), "price")

    assert "Expected a month $495.00" in price
    assert "Seats and add-ons renew after a year, at the same price." in price


def test_the_years_saving_is_told_in_money_and_none_where_there_is_none(client: Browser) -> None:
    page = words(client.get("/pricing"))

    assert "That is $29.00 a month: $120.00 less than twelve months." in page
    assert "That is $85.00 a month: $168.00 less than twelve months." in page
    assert "That is $132.00 a month: $84.00 less than twelve months." in page
    assert "$1,188.00 a year, the same as twelve months" in page


def test_usage_is_priced_band_by_band(client: Browser) -> None:
    page = words(client.get("/pricing"))

    assert "The first 1,000 at $0.04; to 10,000 at $0.032; above that $0.025." in page
    assert "500 messages a month are included; the next 2,000 at $0.08; to 10,000 at $0.05" in page
    assert "The first 1,000 are free; to 50,000 at $0.0035; above that $0.002." in page


def test_the_trial_is_offered_where_the_catalogue_has_one(client: Browser) -> None:
    assert "You can try it for 14 days first." in block(client.get("/pricing"), "price")


def test_without_a_choice_the_page_starts_from_one_that_has_a_price(client: Browser) -> None:
    assert "Charged today $495.00" in block(client.get("/pricing"), "price")


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("seats=0", "seats", "Seats: enter a number from 1 to 5,000."),
        ("seats=", "seats", "Seats: enter a whole number, such as 12."),
        ("seats=twelve", "seats", "Seats: enter a whole number, such as 12."),
        ("seats=-3", "seats", "Seats: enter a whole number, such as 12."),
        ("seats=2.5", "seats", "Seats: enter a whole number, such as 12."),
        ("seats=" + "9" * 400, "seats", "Seats: enter a whole number, such as 12."),
        ("seats=5&copilot=6", "copilot", "Copilot is for at most 5, the seats you choose."),
        ("sms=x", "sms", "SMS: enter a whole number, such as 12."),
        ("tier=gold", "tier", "Choose one of the tiers."),
        ("interval=week", "interval", "Choose to pay by the month or by the year."),
        (
            "proactive_message=10",
            "proactive_message",
            "Proactive messages: choose Proactive Support as well, which they belong to.",
        ),
    ],
)
def test_a_bad_value_is_told_beside_its_field_and_on_top(
    client: Browser, query: str, field: str, message: str
) -> None:
    page = client.get(f"/pricing?{query}")

    assert page.status_code == 200
    assert message in block(page, f"{field}-slot")
    assert message in block(page, "choice-errors")
    assert "There is no price for this choice yet" in block(page, "price")


def test_what_was_typed_wrong_is_kept_to_be_mended(client: Browser) -> None:
    page = client.get("/pricing?tier=expert&seats=twelve&sms=1200").text

    assert 'value="twelve"' in page
    assert 'value="1200"' in page
    assert re.search(r'value="expert" checked', page)


def test_spaces_between_digits_are_read_as_people_mean_them(client: Browser) -> None:
    assert "1,200 SMS segments, expected $46.40" in block(client.get("/pricing?sms=1 200"), "price")


def test_markup_in_a_value_stays_text(client: Browser) -> None:
    page = client.get('/pricing?seats="><script>alert(1)</script>')

    assert "<script>alert" not in page.text


def test_the_part_that_a_script_asks_for_is_the_same_price_without_the_frame(client: Browser) -> None:
    part = client.get(TWELVE_BY_THE_YEAR.replace("/pricing?", "/pricing/choice?"))

    assert "<html" not in part.text
    assert "Charged today $13,980.00" in block(part, "price")


def test_without_scripts_there_is_a_button_for_the_price_and_one_to_start(client: Browser) -> None:
    page = client.get("/pricing").text

    assert re.search(r'<button type="submit"[^>]*>Update price</button>', page)
    assert re.search(r'<button type="submit" form="choice" formaction="/checkout"', page)


def test_guests_see_prices_and_the_way_in_but_no_way_into_what_is_not_theirs(client: Browser) -> None:
    page = client.get("/pricing").text

    assert 'href="/login"' in page
    assert "/billing" not in page


def test_the_page_may_be_kept_by_the_browser_alone(client: Browser) -> None:
    assert client.get("/pricing").headers["Cache-Control"] == "private, no-cache"


def test_style_and_scripts_carry_a_hash_and_may_be_kept_for_a_year(client: Browser) -> None:
    address = re.search(r'href="(/assets/[0-9a-f]{12}/css/portal\.css)"', client.get("/pricing").text)
    assert address
    sheet = client.get(address.group(1), headers={"Accept-Encoding": "gzip"})

    assert sheet.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert sheet.headers["Content-Encoding"] == "gzip"
    assert len(sheet.data) < 15_000


def test_an_older_hash_still_answers_but_is_not_kept(client: Browser) -> None:
    script = client.get("/assets/000000000000/js/pricing.js", buffered=True)

    assert script.status_code == 200
    assert script.headers["Cache-Control"] == "no-cache"


def test_nothing_outside_static_is_answered(client: Browser) -> None:
    assert client.get("/assets/x/../pyproject.toml").status_code == 404
    assert client.get("/assets/x/%2e%2e/pyproject.toml").status_code == 404


@pytest.mark.parametrize("theme", ["auto", "light", "dark"])
def test_the_chosen_colours_are_in_the_page_itself(client: Browser, theme: str) -> None:
    answer = client.submit("/appearance", {"theme": theme, "next": "/pricing?seats=7"}, page="/pricing")

    assert (answer.status_code, answer.location) == (303, "/pricing?seats=7")
    assert f'data-theme="{theme}"' in client.get("/pricing").text


def test_a_choice_seen_before_is_shown_as_it_was_typed_and_never_in_place_of_another(client: Browser) -> None:
    addresses = [
        f"/pricing?tier=advanced&interval=year&seats={seats}" for seats in ("12", "1%202", "13", "12")
    ]
    values, totals = [], []
    for address in addresses:
        page = client.get(address)
        values.append(re.findall(r'name="seats" value="([^"]*)"', page.text))
        totals.append(re.findall(r"Charged today (\S+)", words(page))[0])

    assert values == [["12"], ["1 2"], ["13"], ["12"]]
    assert totals == ["$12,240.00", "$12,240.00", "$13,260.00", "$12,240.00"]
