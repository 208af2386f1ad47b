"""What a change does, in words: what is different after it, and what is gained and lost with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from flask_babel import gettext, ngettext

from portal.pricing import Catalog, Selection
from portal.services.leavers import Affected
from portal.web.explanations import units
from portal.web.presentation import money, month_text, number


@dataclass(frozen=True)
class State:
    """What is had, at whose prices."""

    selection: Selection
    catalog: Catalog

    @property
    def lite_seats(self) -> int:
        """How many lite seats come with the tier."""
        return self.catalog.tiers[self.selection.tier].lite_seats

    @property
    def included(self) -> dict[str, int]:
        """Units a month that come with the add-ons, by usage key."""
        found: dict[str, int] = {}
        for key, count in self.selection.add_ons.items():
            for usage, included in self.catalog.add_ons[key].included.items() if count else ():
                found[usage] = found.get(usage, 0) + included
        return found

    @property
    def usable(self) -> dict[str, str]:
        """The names of the kinds of usage that are sold with it, by key."""
        add_ons = self.selection.add_ons
        return {
            key: rate.name
            for key, rate in self.catalog.usage.items()
            if rate.requires is None or add_ons.get(rate.requires)
        }


def price_list(version: str) -> str:
    """What a catalogue is called: "prices of May 2023"."""
    year, month = (int(part) for part in version.split("-")[:2])
    return gettext("prices of %(month)s", month=month_text(date(year, month, 1)))


def recurring(amount: int, interval: str, currency: str) -> str:
    """A sum with how often it is paid: "$1,287.00 a month"."""
    text = money(amount, currency)
    if interval == "year":
        return gettext("%(price)s a year", price=text)
    return gettext("%(price)s a month", price=text)


def differences(before: State, after: State) -> list[str]:
    """What is different after a change, a sentence each; empty when nothing is."""
    was, now = before.selection, after.selection
    found = []
    if was.tier != now.tier:
        tiers = before.catalog.tiers[was.tier].name, after.catalog.tiers[now.tier].name
        found.append(gettext("Tier: %(now)s instead of %(was)s", was=tiers[0], now=tiers[1]))
    if was.seats != now.seats:
        found.append(
            gettext("Seats: %(now)s instead of %(was)s", was=number(was.seats), now=number(now.seats))
        )
    for key in {**before.catalog.add_ons, **after.catalog.add_ons}:
        found += _add_on(key, before, after)
    if was.interval != now.interval:
        found.append(
            gettext("Paid by the year instead of by the month")
            if now.interval == "year"
            else gettext("Paid by the month instead of by the year")
        )
    if before.catalog.version != after.catalog.version:
        lists = price_list(before.catalog.version), price_list(after.catalog.version)
        found.append(gettext("The %(now)s instead of the %(was)s", was=lists[0], now=lists[1]))
    return found


def _add_on(key: str, before: State, after: State) -> list[str]:
    was, now = before.selection.add_ons.get(key, 0), after.selection.add_ons.get(key, 0)
    if was == now:
        return []
    sold = after.catalog.add_ons.get(key) or before.catalog.add_ons[key]
    if not now:
        return [gettext("%(add_on)s: removed", add_on=sold.name)]
    if sold.per != "seat":
        return [gettext("%(add_on)s: added", add_on=sold.name)]
    if not was:
        return [gettext("%(add_on)s: added, for %(seats)s", add_on=sold.name, seats=units(now, key))]
    return [
        gettext(
            "%(add_on)s: for %(now)s instead of %(was)s",
            add_on=sold.name,
            now=units(now, key),
            was=number(was),
        )
    ]


@dataclass(frozen=True)
class Comparison:
    """What is gained and what is lost with a change beside what is paid for, a sentence each."""

    gained: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def compare(before: State, after: State) -> Comparison:
    """Lite seats, included units, and kinds of usage that come or go."""
    found = Comparison()
    more = after.lite_seats - before.lite_seats
    if more > 0:
        found.gained.append(
            ngettext("%(num)s more lite seat", "%(num)s more lite seats", more)
            + " "
            + ngettext("(%(num)s in all)", "(%(num)s in all)", after.lite_seats)
        )
    if more < 0:
        found.lost.append(_fewer_lite_seats(-more, after.lite_seats))
    _compare_counts(found, before.included, after.included)
    was, now = before.usable, after.usable
    found.gained.extend(now[key] for key in now if key not in was)
    found.lost.extend(was[key] for key in was if key not in now)
    return found


def _fewer_lite_seats(fewer: int, left: int) -> str:
    if not left:
        return ngettext("%(num)s lite seat: none is left", "%(num)s lite seats: none is left", fewer)
    return gettext("%(fewer)s lite seats: %(left)s are left", fewer=number(fewer), left=number(left))


def seats_lost(found: Affected) -> list[str]:
    """Who loses a seat, a sentence each."""
    words = {
        "lite": gettext("%(name)s: a lite seat instead of a full one"),
        "none": gettext("%(name)s: no seat any more"),
    }
    return [words[seat] % {"name": person.name} for person, seat in found.named] + [
        gettext("%(name)s: no lite seat any more", name=person.name) for person in found.lite_losers
    ]


def _compare_counts(found: Comparison, was: Mapping[str, int], now: Mapping[str, int]) -> None:
    for key in {**was, **now}:
        more = now.get(key, 0) - was.get(key, 0)
        if more:
            side = found.gained if more > 0 else found.lost
            side.append(gettext("%(units)s a month that are included", units=units(abs(more), key)))
