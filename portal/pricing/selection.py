"""What a customer picks, before it has a price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from portal.pricing.catalog import INTERVALS
from portal.pricing.checks import one_of, text, whole
from portal.pricing.reading import fields
from portal.pricing.usage import MAX_QUANTITY

MAX_SEATS = 100_000


@dataclass(frozen=True, slots=True)
class Selection:
    """A tier for a number of seats, by an interval, with add-ons and the usage that is expected a month.

    ``add_ons``: how many of each, by key; ``usage``: units a month, by key. Both may hold zeros, which are
    kept. Only what holds in every catalogue is checked here; ``quote()`` checks the rest against the
    catalogue.
    Raises PricingError with the param of the fault (``seats``, ``add_ons[copilot]`` …).
    """

    tier: str
    seats: int
    interval: str = "month"
    add_ons: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        text(self.tier, "tier")
        whole(self.seats, "seats", minimum=1, maximum=MAX_SEATS)
        one_of(self.interval, "interval", INTERVALS)
        object.__setattr__(self, "add_ons", _counts(self.add_ons, "add_ons", MAX_SEATS))
        object.__setattr__(self, "usage", _counts(self.usage, "usage", MAX_QUANTITY))

    def as_dict(self) -> dict[str, object]:
        """Return the selection for JSON; ``from_dict`` reads it back."""
        return {
            "tier": self.tier,
            "seats": self.seats,
            "interval": self.interval,
            "add_ons": dict(self.add_ons),
            "usage": dict(self.usage),
        }

    @classmethod
    def from_dict(cls, value: object) -> "Selection":
        """Return the selection that ``as_dict`` wrote; ``add_ons`` and ``usage`` may be missing.

        Raises PricingError: unknown or missing keys, wrong types (a bool or 12.0 is no whole number), bad
        values.
        """
        given = fields(value, "", "tier", "seats", "interval", "add_ons", "usage")
        return cls(
            tier=given.text("tier"),
            seats=given.whole("seats"),
            interval=given.text("interval"),
            add_ons=given.counts("add_ons"),
            usage=given.counts("usage"),
        )


def _counts(counts: Mapping[str, int], param: str, maximum: int) -> Mapping[str, int]:
    own = fields(counts, param)
    for key, count in own.values.items():
        whole(count, own.at(key), minimum=0, maximum=maximum)
    return MappingProxyType(dict(counts))
