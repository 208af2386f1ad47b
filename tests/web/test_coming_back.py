"""The way back to /pricing after the end."""

from portal import pricing
from portal.models import Subscription
from portal.web.coming_back import former_choice


def test_a_tier_that_is_not_sold_any_more_keeps_its_seats_in_the_middle_one() -> None:
    copilot: dict[str, object] = {"key": "copilot", "quantity": 3}
    had = Subscription(tier="pro", seats=10, interval="month", items=[copilot])

    choice = former_choice(had, pricing.catalog("2026-11"))

    assert choice == pricing.Selection("advanced", 10, "month", {"copilot": 3})
