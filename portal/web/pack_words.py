"""The price of a pack in words: how it came about, and why another is offered than was asked for."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask_babel import gettext

from portal.pricing import Offer
from portal.pricing.packs import COSTS_LESS
from portal.web.presentation import money, number, percent, rate


def reasons(pack: Mapping[str, Any]) -> list[str]:
    """How the price of a pack, as pricing spells it, came about, a sentence each."""
    currency = str(pack["currency"])
    found = [
        gettext(
            "%(units)s resolutions × %(price)s, your own price of one, is %(amount)s.",
            units=number(pack["units"]),
            price=rate(Decimal(pack["unit_amount"]), currency),
            amount=money(pack["amount"], currency),
        )
    ]
    if pack["discount"]:
        found.append(
            gettext(
                "%(percent)s off for a pack of this size is %(discount)s; one then costs %(price)s.",
                percent=percent(Decimal(pack["percent_off"])),
                discount=money(pack["discount"], currency),
                price=rate(Decimal(pack["unit_price"]), currency),
            )
        )
    return found


def better(offer: Offer) -> tuple[str, str] | None:
    """Why another pack is sold than the one that was asked for: a title, and more."""
    if offer.because is None:
        return None
    asked, sold = number(offer.asked.units), number(offer.pack.units)
    if offer.because == COSTS_LESS:
        title = gettext("%(sold)s cost less than %(asked)s", sold=sold, asked=asked)
        body = gettext(
            "%(asked)s resolutions would cost %(price)s. %(sold)s cost %(less)s less, so we sell you those.",
            asked=asked,
            price=money(offer.asked.total, offer.pack.currency),
            sold=sold,
            less=money(offer.costs_less_by, offer.pack.currency),
        )
        return title, body
    title = gettext("%(sold)s cost the same as %(asked)s", sold=sold, asked=asked)
    return title, gettext("You get the larger pack for the same price.")
