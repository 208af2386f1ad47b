"""What rises and what falls with the move to another catalogue: one price after the other."""

from dataclasses import dataclass
from decimal import Decimal

from flask_babel import gettext

from portal.web.explanations import price_each, usage_price
from portal.web.subscription_words import State

MONTHS = {"month": 1, "year": 12}


@dataclass(frozen=True)
class PriceChange:
    """One price: what it is for, before and after as text, and the way it goes."""

    name: str
    was: str | None
    now: str | None
    way: str  # up, down, same, new or gone


def price_changes(before: State, after: State) -> list[PriceChange]:
    """Seats and add-ons that are had before or after, then every kind of usage."""
    return [*_licensed(before, after), *_usage(before, after)]


@dataclass(frozen=True)
class _Price:
    name: str
    text: str
    monthly: Decimal


def _licensed(before: State, after: State) -> list[PriceChange]:
    was, now = _prices(before), _prices(after)
    return [_change(was.get(key), now.get(key)) for key in {**was, **now}]


def _prices(state: State) -> dict[str, _Price]:
    chosen, catalog = state.selection, state.catalog
    tier = catalog.tiers[chosen.tier]
    found = {"seat": (gettext("%(tier)s seat", tier=tier.name), tier.prices)}
    found |= {
        key: (catalog.add_ons[key].name, catalog.add_ons[key].prices)
        for key, n in chosen.add_ons.items()
        if n
    }
    return {
        key: _Price(
            name,
            price_each(prices[chosen.interval], chosen.interval, catalog.currency),
            Decimal(prices[chosen.interval]) / MONTHS[chosen.interval],
        )
        for key, (name, prices) in found.items()
    }


def _change(was: _Price | None, now: _Price | None) -> PriceChange:
    if was is None or now is None:
        known = now or was
        assert known is not None
        return PriceChange(known.name, was and was.text, now and now.text, "gone" if now is None else "new")
    name = now.name if now.name == was.name else gettext("%(now)s (was: %(was)s)", now=now.name, was=was.name)
    return PriceChange(name, was.text, now.text, _way(was.monthly, now.monthly))


def _way(was: Decimal, now: Decimal) -> str:
    if was == now:
        return "same"
    return "up" if now > was else "down"


def _usage(before: State, after: State) -> list[PriceChange]:
    old, new, currency = before.catalog.usage, after.catalog.usage, after.catalog.currency
    found = []
    for key in {**old, **new}:
        was, now = old.get(key), new.get(key)
        texts = ["; ".join(usage_price(each, currency)) if each else None for each in (was, now)]
        if was is None or now is None:
            known = now or was
            assert known is not None
            found.append(PriceChange(known.name, *texts, "gone" if now is None else "new"))
            continue
        way = _way(was.bands[0].unit_amount, now.bands[0].unit_amount)
        found.append(PriceChange(now.name, *texts, way))
    return found
