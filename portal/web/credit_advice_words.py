"""What the advisor says, in words: what it recommends and why, the expected year, the price of a pack."""

from collections.abc import Mapping

from flask_babel import gettext, ngettext

from portal.pricing import Option, Outcome
from portal.pricing import advice as pure
from portal.services.credit_advice import Advised
from portal.web.presentation import date_text, number, percent


def because(advised: Advised) -> tuple[str, str]:
    """What is recommended, and why."""
    found = advised.found
    best = found.recommended.pack if found.recommended else None
    match found.because:
        case pure.SAFE if best is not None:
            title = gettext("A pack of %(units)s resolutions suits you", units=number(best.units))
            body = gettext(
                "Of the packs that cost no more than paying as you go even if the year turns out low, this"
                " one saves most in the expected year."
            )
        case pure.NONE_SAVES:
            title = gettext("No pack: paying as you go is best for you")
            body = gettext("In the expected year no pack costs less.")
        case pure.NONE_IS_SAFE:
            title = gettext("No pack: none is safe enough")
            body = gettext(
                "A pack would save in the expected year, but cost more than paying as you go if the year"
                " turns out low."
            )
        case _:
            return _too_short(advised)
    return title, body


def _too_short(advised: Advised) -> tuple[str, str]:
    known = advised.found.months
    body = ngettext(
        "%(num)s whole month with resolutions is known; a year can be judged from %(least)s on.",
        "%(num)s whole months with resolutions are known; a year can be judged from %(least)s on.",
        known,
        least=pure.MIN_MONTHS,
    )
    if advised.enough_at is not None:
        body += " " + gettext("Look again on %(date)s.", date=date_text(advised.enough_at))
    return gettext("Too early to advise a pack"), body


def expectation_words(advised: Advised) -> list[str]:
    """What the coming year is expected to be, and what that rests on, a sentence each."""
    expected = advised.found.expectation
    if expected is None:
        return []
    year = expected.year
    rests_on = {
        pure.FEW_MONTHS: ngettext(
            "It rests on the one whole month that is known, so the range is wide.",
            "It rests on the %(num)s whole months that are known, so the range is wide and knows no season.",
            advised.found.months,
        ),
        pure.ONE_YEAR: gettext("It rests on the last twelve months, with their season."),
        pure.TWO_YEARS: gettext("It rests on the last two years, with their season and their growth."),
    }
    found = [
        gettext(
            "The expected year has %(expected)s resolutions: %(low)s in a low one, %(high)s in a high one.",
            expected=number(year.expected),
            low=number(year.low),
            high=number(year.high),
        ),
        rests_on[expected.basis],
    ]
    if advised.found.held:
        found.append(
            ngettext(
                "Its first resolution is paid already, from what is left of your packs. What follows is"
                " about the rest.",
                "Its first %(count)s resolutions are paid already, from what is left of your packs. What"
                " follows is about the rest.",
                advised.found.held,
                count=number(advised.found.held),
            )
        )
    growth = expected.growth_percent
    if growth:
        more = gettext("That is %(percent)s more than in the past year.", percent=percent(growth))
        less = gettext("That is %(percent)s fewer than in the past year.", percent=percent(-growth))
        found.append(more if growth > 0 else less)
    return found


def row_of(option: Option, *, recommended: bool) -> Mapping[str, object]:
    """An option as the table shows it: its cost in a low, the expected and a high year, and what lapses."""
    pack = option.pack
    name = (
        gettext("Pack of %(units)s", units=number(pack.units))
        if pack is not None
        else gettext("Pay as you go")
    )
    return {
        "name": name,
        "units": pack.units if pack is not None else None,
        "recommended": recommended,
        "price": pack.total if pack is not None else None,
        "break_even": option.break_even,
        "years": (option.low, option.expected, option.high),
        "saving": option.expected.saving,
        "wasted": option.expected.wasted,
        "wasted_low": option.low.wasted,
        "past": option.past,
        "lasts": _lasts(option.expected) if pack is not None else None,
    }


def _lasts(expected: Outcome) -> str:
    """Whether the pack lasts for the expected year."""
    if expected.runs_out is None:
        return gettext("lasts the year")
    return gettext("used up in month %(month)s", month=expected.runs_out)
