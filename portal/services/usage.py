"""Usage as customers and their own tools read it: a period's units by day and channel, cost so far, forecast.

Read from the rollup ``usage_day``, a few rows a day, so that it costs the same whatever the ledger holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from portal import pricing
from portal.models import Allowance, Reservation, Resolution, Subscription, UsagePeriod
from portal.pricing.forecast import Forecast, Range, forecast
from portal.pricing.forecast import cost as cost_of
from portal.services import (
    credit_covers,
    credit_lots,
    subscriptions,
    usage_history,
    usage_invoices,
    usage_prices,
    usage_rollup,
)
from portal.services.credit_covers import Share
from portal.services.usage_invoices import Billed
from portal.services.usage_prices import RESOLUTION, UsagePrice
from portal.services.usage_rollup import Count, Counted

# two years of months
LISTED_PERIODS = 24


@dataclass(frozen=True)
class Period:
    """One usage period, [starts_at, ends_at). ``invoice_id`` is Stripe's, once the invoice is final."""

    starts_at: datetime
    ends_at: datetime
    state: str
    trial: bool
    invoice_id: str | None
    used: int = 0  # resolutions, net

    def is_current(self, now: datetime) -> bool:
        """Whether ``now`` is in it."""
        return self.starts_at <= now < self.ends_at

    @property
    def last_day(self) -> date:
        """The last day (UTC) that has a part of it."""
        return (self.ends_at - timedelta(microseconds=1)).astimezone(UTC).date()

    @property
    def days(self) -> list[date]:
        """Every day (UTC) that has a part of it."""
        first = self.starts_at.astimezone(UTC).date()
        return [first + timedelta(days=n) for n in range((self.last_day - first).days + 1)]


@dataclass(frozen=True)
class Metered:
    """One kind of usage in one period.

    ``days`` has every day of the period up to today, ``channels`` those with most units first. ``amount`` is
    what it costs so far in minor units: the invoice's once that is final. Annual credits pay for ``covered``
    of the units, which is ``by_credits`` of the amount, and for ``most`` by the period's end. ``rating`` says
    how the amount comes about; None where the price is not known any more. ``forecast`` and ``due``, what is
    to be paid then, are for the end of an open period.
    """

    key: str
    count: Count
    days: Mapping[date, Count]
    channels: Sequence[tuple[str, Count]]
    price: UsagePrice | None
    rating: pricing.Rating | None
    amount: int
    billed: Billed | None = None
    forecast: Forecast | None = None
    due: Range | None = None
    by_credits: int = 0
    covered: int = 0
    most: int = 0

    @property
    def void(self) -> bool:
        """Whether it was billed by an invoice that is void."""
        return self.billed is not None and self.billed.void

    @property
    def to_pay(self) -> int:
        """What is charged of it."""
        return 0 if self.void else self.amount - self.by_credits

    @property
    def included(self) -> int:
        """Units that cost nothing, before the first that does."""
        return self.price.included if self.price else 0


@dataclass(frozen=True)
class Usage:
    """A workspace's usage of one period, as of ``now``. ``metered`` begins with the resolutions.

    ``shares``: what each pack of annual credits pays for of them.
    """

    period: Period
    now: datetime
    currency: str
    metered: Sequence[Metered]
    pending: int = 0
    disputed: int = 0
    shares: Sequence[Share] = ()

    @property
    def resolutions(self) -> Metered:
        """The resolutions."""
        return self.metered[0]

    @property
    def others(self) -> Sequence[Metered]:
        """All other kinds of usage."""
        return self.metered[1:]

    @property
    def amount(self) -> int:
        """What all of it costs so far, minor units before tax, whoever pays it."""
        return sum(each.amount for each in self.metered)

    @property
    def by_credits(self) -> int:
        """What annual credits pay of that."""
        return sum(each.by_credits for each in self.metered)

    @property
    def to_pay(self) -> int:
        """What is charged of it."""
        return sum(each.to_pay for each in self.metered)

    @property
    def void(self) -> bool:
        """Whether its invoice is void."""
        return any(each.void for each in self.metered)

    @property
    def by_use(self) -> int:
        """The resolutions that no pack pays for."""
        return max(self.resolutions.count.charged - self.resolutions.covered, 0)

    @property
    def due(self) -> Range | None:
        """What will be charged of all of it at the period's end, minor units before tax."""
        known = [each.due for each in self.metered if each.due]
        if not known:
            return None
        return Range(
            sum(each.low for each in known),
            sum(each.expected for each in known),
            sum(each.high for each in known),
        )

    @property
    def is_current(self) -> bool:
        """Whether it still grows."""
        return self.period.is_current(self.now)

    @property
    def empty(self) -> bool:
        """Whether nothing at all was counted, and nothing waits."""
        return not self.pending and all(each.count == Count() for each in self.metered)


def read(
    session: Session,
    now: datetime,
    starts_at: datetime | None = None,
    *,
    period: Period | None = None,
    subscription: Subscription | None = None,
) -> Usage | None:
    """The usage of the present period, or of the one that begins at ``starts_at``; None without one.

    ``period`` and ``subscription``: that one and the workspace's, where they have been read already.
    """
    period = period or find(session, now, starts_at)
    if period is None:
        return None
    subscription = subscription or subscriptions.current(session)
    counted = usage_rollup.read(session, period.starts_at)
    billed = usage_invoices.of_period(session, period.invoice_id, period.ends_at)
    past = usage_history.read(session, period.starts_at, now) if period.is_current(now) else None
    shares, most = _paid_by_packs(session, period, now)
    covered = sum(each.units for each in shares)
    metered = [
        _paid(
            _metered(key, period, now, subscription, counted, billed.get(key), past),
            period,
            *((covered, most) if key == RESOLUTION else (0, 0)),
        )
        for key in _keys(subscription, {*counted.total, *billed})
    ]
    return Usage(
        period=period,
        now=now,
        currency=currency_of(subscription),
        metered=metered,
        pending=pending(session) if period.is_current(now) else 0,
        disputed=disputed(session, period),
        shares=shares,
    )


def _paid_by_packs(session: Session, period: Period, now: datetime) -> tuple[Sequence[Share], int]:
    """What packs pay for, and how many units they do at most."""
    shares = credit_covers.shares(session, [period.starts_at]).get(period.starts_at, [])
    most = 0
    if period.is_current(now) and not period.trial:
        most = credit_lots.covering(session, period.starts_at)
    return shares, max(most, sum(each.units for each in shares))


def billed_periods(session: Session, invoice_id: str) -> list[Period]:
    """The periods whose usage an invoice bills, the oldest first."""
    statement = select(UsagePeriod).where(UsagePeriod.stripe_invoice_id == invoice_id)
    return [period_of(row) for row in session.scalars(statement.order_by(UsagePeriod.starts_at))]


def within(found: Usage, cap: int | None) -> Usage:
    """The same with a forecast that keeps to a hard cap on resolutions, as the AI will; None is no cap."""
    first = found.resolutions
    if cap is None or first.forecast is None:
        return found
    used = first.forecast.used
    seen = first.forecast.units
    low, expected, high = (max(used, min(each, cap)) for each in (seen.low, seen.expected, seen.high))
    units = Range(low, expected, high)
    capped = replace(first, forecast=replace(first.forecast, units=units))
    return replace(found, metered=[_due(capped, found.period), *found.others])


_NEWEST_FIRST = select(UsagePeriod).order_by(UsagePeriod.starts_at.desc())
_BEGUN = _NEWEST_FIRST.where(UsagePeriod.starts_at <= bindparam("now"))
_LAST_BEGUN = _BEGUN.limit(1)
_BEGINNING = _NEWEST_FIRST.where(UsagePeriod.starts_at == bindparam("starts_at")).limit(1)


def find(session: Session, now: datetime, starts_at: datetime | None = None) -> Period | None:
    """The period that begins at ``starts_at``; without one the present period, else the last that began."""
    if starts_at is None:
        row = session.scalars(_LAST_BEGUN, {"now": now}).first()
    else:
        row = session.scalars(_BEGINNING, {"starts_at": starts_at}).first()
    return period_of(row) if row else None


def periods(session: Session, now: datetime, *, limit: int = LISTED_PERIODS) -> list[Period]:
    """The periods that have begun, newest first."""
    return [period_of(row) for row in session.scalars(_BEGUN.limit(limit), {"now": now})]


def period_of(row: UsagePeriod) -> Period:
    """The row as a value."""
    return Period(row.starts_at, row.ends_at, row.state, row.trial, row.stripe_invoice_id, row.used)


def currency_of(subscription: Subscription | None) -> str:
    """What usage is paid in."""
    return subscription.currency if subscription else pricing.current_catalog().currency


def price_in(
    session: Session, subscription: Subscription | None, period: Period | None, key: str
) -> UsagePrice | None:
    """What ``key`` costs in ``period``: as its invoice says once that is final, else as the subscription."""
    billed = usage_invoices.of_period(session, period.invoice_id, period.ends_at) if period else {}
    found = usage_invoices.price_of(billed.get(key), currency_of(subscription))
    return found or usage_prices.of_key(subscription, key)


_UNDECIDED = select(
    Allowance.held - select(func.count()).where(Reservation.state == "held").scalar_subquery()
)


def pending(session: Session) -> int:
    """Resolutions that are still inside their 24 hours, whatever period they will be in."""
    held = session.scalars(_UNDECIDED).first()
    return max(int(held or 0), 0)


_CONTESTED = select(func.count()).where(
    Resolution.period_start == bindparam("month"),
    Resolution.contest.is_not(None),
    Resolution.contest == "open",
)


def disputed(session: Session, period: Period) -> int:
    """Resolutions of the period that were contested and not decided yet."""
    return session.scalars(_CONTESTED, {"month": period.starts_at}).one()


def _keys(subscription: Subscription | None, counted: set[str]) -> list[str]:
    """Resolutions first, then in the catalogue's order what is sold or was counted."""
    items = subscription.items if subscription else []
    sold = {str(item["key"]) for item in items if item.get("metered")}
    known = usage_prices.catalog_of(subscription).usage
    wanted = (sold & known.keys()) | counted
    order = [RESOLUTION, *(key for key in known if key != RESOLUTION)]
    return [key for key in order if key in wanted or key == RESOLUTION] + sorted(wanted - {*order})


def _metered(
    key: str,
    period: Period,
    now: datetime,
    subscription: Subscription | None,
    counted: Counted,
    billed: Billed | None,
    past: usage_history.Past | None,
) -> Metered:
    count = counted.total.get(key, Count())
    price = usage_invoices.price_of(billed, currency_of(subscription)) or usage_prices.of_key(
        subscription, key
    )
    rating = _rating(price, count.charged) if price else None
    found = Metered(
        key=key,
        count=count,
        days=_every_day(period, now, counted.days.get(key, {})),
        channels=sorted(counted.channels.get(key, []), key=_most_first),
        price=price,
        rating=rating,
        amount=billed.amount if billed else rating.amount if rating else 0,
        billed=billed,
    )
    return found if past is None else _foreseen(found, period, now, past.of(key))


def _rating(price: UsagePrice, units: int) -> pricing.Rating:
    """What so many units cost; less than none, after reversals, costs nothing."""
    return pricing.rate(max(units, 0), price.bands, included=price.included)


def _most_first(entry: tuple[str, Count]) -> tuple[int, str]:
    return -entry[1].quantity, entry[0]


def _every_day(period: Period, now: datetime, known: Mapping[date, Count]) -> dict[date, Count]:
    """The days up to today, those without usage too."""
    today = now.astimezone(UTC).date()
    return {day: known.get(day, Count()) for day in period.days if day <= today or day in known}


def _foreseen(found: Metered, period: Period, now: datetime, past: Sequence[int]) -> Metered:
    """With what it will be at the period's end."""
    used = found.count.quantity if period.trial else found.count.charged
    units = forecast(
        used,
        past,
        starts_at=int(period.starts_at.timestamp()),
        ends_at=int(period.ends_at.timestamp()),
        now=int(now.timestamp()),
    )
    return replace(found, forecast=units)


def _paid(found: Metered, period: Period, covered: int, most: int) -> Metered:
    """With what credits pay of it: as its invoice says once that is final, else for ``covered`` units."""
    if found.billed is not None:
        by_credits = found.billed.by_credits
    elif found.price is not None and found.rating is not None:
        by_credits = found.rating.amount - found.price.beyond(found.count.charged, covered)
    else:
        by_credits = 0
    return _due(replace(found, by_credits=by_credits, covered=covered, most=most), period)


def _due(found: Metered, period: Period) -> Metered:
    """With what is to be paid at the period's end; a trial is free."""
    if found.forecast is None:
        return found
    if found.price is None or period.trial:
        return replace(found, due=Range(0, 0, 0))
    seen = found.forecast.units
    paid = Range(*(min(each, found.most) for each in (seen.low, seen.expected, seen.high)))
    whole, by_packs = _cost(seen, found.price), _cost(paid, found.price)
    due = (whole.low - by_packs.low, whole.expected - by_packs.expected, whole.high - by_packs.high)
    return replace(found, due=Range(*due))


def _cost(units: Range, price: UsagePrice) -> Range:
    return cost_of(units, price.bands, included=price.included)
