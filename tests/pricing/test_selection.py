"""What a customer picks: checked when it is made, and the same after a round trip through JSON."""

import json
from typing import Any

import pytest

from portal.pricing import PricingError, Selection
from portal.pricing.selection import MAX_SEATS
from portal.pricing.usage import MAX_QUANTITY

GOOD: dict[str, Any] = {
    "tier": "advanced",
    "seats": 12,
    "interval": "year",
    "add_ons": {"copilot": 5},
    "usage": {"sms": 0},
}


def test_a_selection_survives_a_round_trip_through_json() -> None:
    selection = Selection.from_dict(GOOD)

    assert selection.as_dict() == GOOD
    assert Selection.from_dict(json.loads(json.dumps(selection.as_dict()))) == selection


def test_a_selection_is_one_month_without_anything_unless_it_says_more() -> None:
    assert Selection("expert", 1).as_dict() == {
        "tier": "expert",
        "seats": 1,
        "interval": "month",
        "add_ons": {},
        "usage": {},
    }


def test_a_selection_cannot_be_changed_behind_its_back() -> None:
    add_ons = {"copilot": 1}
    selection = Selection("expert", 1, add_ons=add_ons)
    add_ons["copilot"] = 99

    assert selection.add_ons == {"copilot": 1}
    with pytest.raises(TypeError):
        selection.add_ons["copilot"] = 2  # type: ignore[index]
    with pytest.raises(AttributeError):
        selection.seats = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"seats": 0}, "seats"),
        ({"seats": -1}, "seats"),
        ({"seats": MAX_SEATS + 1}, "seats"),
        ({"seats": True}, "seats"),
        ({"seats": "12"}, "seats"),
        ({"seats": None}, "seats"),
        ({"tier": ""}, "tier"),
        ({"tier": 7}, "tier"),
        ({"tier": None}, "tier"),
        ({"interval": "week"}, "interval"),
        ({"interval": ["month"]}, "interval"),
        ({"add_ons": None}, "add_ons"),
        ({"add_ons": ["copilot"]}, "add_ons"),
        ({"add_ons": {"copilot": -1}}, "add_ons[copilot]"),
        ({"add_ons": {"copilot": True}}, "add_ons[copilot]"),
        ({"usage": {"sms": MAX_QUANTITY + 1}}, "usage[sms]"),
        ({"usage": {"sms": None}}, "usage[sms]"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_a_bad_selection_names_its_fault(change: dict[str, Any], param: str) -> None:
    with pytest.raises(PricingError) as caught:
        Selection.from_dict(GOOD | change)

    assert caught.value.param == param


@pytest.mark.parametrize("missing", ["tier", "seats", "interval"])
def test_a_selection_that_is_not_complete_says_what_is_missing(missing: str) -> None:
    with pytest.raises(PricingError, match=f"Missing required param: {missing}") as caught:
        Selection.from_dict({key: value for key, value in GOOD.items() if key != missing})

    assert caught.value.param == missing


@pytest.mark.parametrize("value", [None, [], "advanced", 12])
def test_a_selection_is_read_from_an_object(value: object) -> None:
    with pytest.raises(PricingError, match="The input must be an object"):
        Selection.from_dict(value)


def test_keys_are_strings() -> None:
    with pytest.raises(PricingError, match="strings as keys, not 7") as caught:
        Selection("expert", 1, add_ons={7: 1})  # type: ignore[dict-item]

    assert caught.value.param == "add_ons"
