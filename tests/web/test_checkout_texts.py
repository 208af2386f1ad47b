"""/checkout: what may be typed into its text fields."""

import pytest

from tests.browsing import Browser
from tests.services.buying import Customer
from tests.shop import Shop
from tests.web.reading import block, words
from tests.web.test_checkout import CHOICE, IN_BERLIN


@pytest.mark.parametrize(
    "name", ["company_name", "email", "line1", "line2", "postal_code", "city", "state", "tax_id_value"]
)
def test_a_text_that_turns_its_reading_round_is_refused_at_its_field(signed_in: Browser, name: str) -> None:
    answer = signed_in.submit(CHOICE, IN_BERLIN | {name: "Acme\u202egnp.exe"})

    assert answer.status_code == 422
    assert "Remove the invisible characters" in block(answer, f"{name}-error")


@pytest.mark.parametrize(("name", "limit"), [("company_name", 200), ("city", 200), ("tax_id_value", 40)])
def test_a_text_that_is_too_long_is_refused_with_the_limit(signed_in: Browser, name: str, limit: int) -> None:
    answer = signed_in.submit(CHOICE, IN_BERLIN | {name: "1" * (limit + 1)})

    assert answer.status_code == 422
    assert f"Use at most {limit} characters." in block(answer, f"{name}-error")


def test_a_promotion_code_with_invisible_characters_is_not_looked_up(
    shop: Shop, buyer: Browser, customer: Customer
) -> None:
    shop.promotion("LAUNCH10", percent_off=10)
    page = f"/checkout/{customer.prepare()}"
    answer = buyer.submit(f"{page}/promotion", {"promotion_code": "LAUNCH\u202e10"}, page=page)

    assert answer.status_code == 422
    assert "This code is not valid." in words(answer)
