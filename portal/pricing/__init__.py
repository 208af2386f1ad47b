"""What things cost: catalogues, quotes, discounts, usage, proration, and what counts as a resolution.

Pure and shared: standard library only, no clock, no network, no file but its own catalogues. The same input
gives the same answer on every page, in every invoice check and in ``python -m portal.pricing``. Amounts are
integer minor units, rates are Decimal minor units, and every result carries a trace that says why.
"""

from portal.pricing.advice import Advice, Expectation, Left, Option, Outcome, advise
from portal.pricing.affordable import units_within
from portal.pricing.catalog import (
    INTERVALS,
    SEAT,
    AddOn,
    Catalog,
    CreditBand,
    Credits,
    Price,
    Tier,
    Trial,
    UsageRate,
)
from portal.pricing.change import (
    Billed,
    Change,
    ChangeLine,
    Held,
    Item,
    Lasting,
    Recurring,
    change,
    plain,
    recurring,
    same,
    split,
    still_planned,
)
from portal.pricing.credits import Coverage, Covered, DrawDown, Lot, LotDrawn, Use, UseDrawn, draw
from portal.pricing.discount import Discount
from portal.pricing.errors import PricingError
from portal.pricing.forecast import Forecast, Range, forecast
from portal.pricing.loading import catalog, catalogs, current_catalog
from portal.pricing.money import Money, decimal_text, line_amount
from portal.pricing.outcomes import Episode, Event, episodes, resolve
from portal.pricing.packs import Offer, Pack, offer, pack, price_list
from portal.pricing.proration import BilledItem, Proration, ProrationLine, prorate
from portal.pricing.quote import Line, Quote, UsageEstimate, UsageLine, quote
from portal.pricing.replay import Month, Part, Replay, ReplayedMonth, replay
from portal.pricing.selection import Selection
from portal.pricing.trace import Input, Reason
from portal.pricing.usage import Band, Rating, Step, instalment, rate

__all__ = [
    "INTERVALS",
    "SEAT",
    "AddOn",
    "Advice",
    "Band",
    "Billed",
    "BilledItem",
    "Catalog",
    "Change",
    "ChangeLine",
    "Coverage",
    "Covered",
    "CreditBand",
    "Credits",
    "Discount",
    "DrawDown",
    "Episode",
    "Event",
    "Expectation",
    "Forecast",
    "Held",
    "Input",
    "Item",
    "Lasting",
    "Left",
    "Line",
    "Lot",
    "LotDrawn",
    "Money",
    "Month",
    "Offer",
    "Option",
    "Outcome",
    "Pack",
    "Part",
    "Price",
    "PricingError",
    "Proration",
    "ProrationLine",
    "Quote",
    "Range",
    "Rating",
    "Reason",
    "Recurring",
    "Replay",
    "ReplayedMonth",
    "Selection",
    "Step",
    "Tier",
    "Trial",
    "UsageEstimate",
    "UsageLine",
    "UsageRate",
    "Use",
    "UseDrawn",
    "advise",
    "catalog",
    "catalogs",
    "change",
    "current_catalog",
    "decimal_text",
    "draw",
    "episodes",
    "forecast",
    "instalment",
    "line_amount",
    "offer",
    "pack",
    "plain",
    "price_list",
    "prorate",
    "quote",
    "rate",
    "recurring",
    "replay",
    "resolve",
    "same",
    "split",
    "still_planned",
    "units_within",
]
