"""The sentences of a change's quote: what the button does, what comes at the renewal, where a credit goes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask_babel import gettext

from portal import pricing
from portal.errors import N_, NotFoundError
from portal.models import Quote
from portal.pricing import Selection
from portal.services.credits import Balance
from portal.services.quotes import CHANGE
from portal.web.explanations import line_title, units
from portal.web.presentation import date_text, money, number
from portal.web.rate_words import rate_changes, sold_with
from portal.web.subscription_words import Comparison, State, compare, differences, recurring


@dataclass(frozen=True)
class Terms:
    """What a quote promises beside its amounts: before, from now on, and from the renewal on."""

    before: State
    now: State
    later: State | None
    later_at: datetime | None
    rates_at: datetime | None  # when usage begins to cost what it costs then
    next_charge_at: datetime | None
    all_now: bool
    trialing: bool
    leavers: tuple[Mapping[str, Any], ...]
    sums: Mapping[str, Any]
    facts: Mapping[str, object]
    planned_before: Selection | None
    swapped: Mapping[str, Any] | None  # the pack that is bought with what is given up, and its time

    @property
    def wanted_before(self) -> Selection:
        """What was going to be had before this quote: what was planned, else what was held."""
        return self.planned_before or self.before.selection

    @property
    def final(self) -> State:
        """What is had when all of it has happened."""
        return self.later or self.now

    @property
    def moves(self) -> bool:
        """Whether it goes to another catalogue."""
        return self.before.catalog.version != self.now.catalog.version

    @property
    def comparison(self) -> Comparison:
        """What is gained and lost in the end."""
        return compare(self.before, self.final)

    @property
    def at_once(self) -> list[str]:
        """What is different from now on."""
        return differences(self.before, self.now)

    @property
    def at_month_end(self) -> list[str]:
        """What usage costs instead when its month ends."""
        if self.rates_at is None:
            return []
        return rate_changes(sold_with(self.before), sold_with(self.now), self.now.catalog.currency)

    @property
    def at_renewal(self) -> list[str]:
        """What is different from the renewal on."""
        return differences(self.now, self.later) if self.later else []


def terms_of(quote: Quote) -> Terms:
    """Read the terms of a change's quote. Raises NotFoundError for one of something else."""
    if quote.kind != CHANGE:
        raise NotFoundError(N_("There is no such quote."))
    given: Mapping[str, Any] = quote.terms or {}
    before, after = pricing.catalog(given["catalog_before"]), pricing.catalog(given["catalog"])
    later, planned = given["later"], given.get("planned_before")
    return Terms(
        before=State(Selection.from_dict(given["before"]), before),
        now=State(Selection.from_dict(given["now"]), after),
        later=State(Selection.from_dict(later), after) if later else None,
        later_at=_moment(given.get("later_at")),
        rates_at=_moment((given.get("rates") or {}).get("at")),
        next_charge_at=_moment(given.get("next_charge_at")),
        all_now=bool(given.get("all_now")),
        trialing=bool(given.get("trialing")),
        leavers=tuple(given.get("leavers") or ()),
        sums=given["recurring"],
        facts=given.get("facts") or {},
        planned_before=Selection.from_dict(planned) if planned else None,
        swapped=given.get("swapped"),
    )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def button(quote: Quote, terms: Terms) -> str:
    """What pressing it does, to the cent or to the day."""
    if quote.amount_due:
        return gettext("Pay %(amount)s now", amount=money(quote.amount_due, quote.currency))
    if terms.later_at and not terms.at_once:
        return gettext("Change at renewal on %(date)s", date=date_text(terms.later_at))
    return gettext("Confirm, nothing to pay now")


def under(quote: Quote, terms: Terms, method: str) -> str:
    """The sentence under the button: from what is paid, or what can still be done about it."""
    if quote.amount_due:
        return gettext("Paid with: %(method)s. The change takes effect as soon as it is paid.", method=method)
    if terms.later is None:
        return gettext("The change takes effect at once.")
    if terms.at_once:
        return gettext("What waits for the renewal can be undone until then.")
    return gettext("You can undo it until that day.")


def change_line_title(line: Mapping[str, Any]) -> str:
    """A line of a change: what is not used any more, or what is used until the period ends."""
    if line["side"] == "credit":
        return gettext("Unused: %(what)s", what=line_title(line))
    return line_title(line)


def change_line_detail(line: Mapping[str, Any]) -> str:
    """The time that a line is for."""
    return gettext(
        "%(start)s to %(end)s",
        start=date_text(datetime.fromtimestamp(int(line["period_start"]), UTC)),
        end=date_text(datetime.fromtimestamp(int(line["period_end"]), UTC)),
    )


@dataclass(frozen=True)
class Sum:
    """A row below the lines: label, minor units, and whether it is the one that counts."""

    label: str
    amount: int
    grand: bool = False


def sums(quote: Quote) -> list[Sum]:
    """From the total to what is charged or credited now."""
    if quote.total < 0:
        return [Sum(gettext("Credited now"), quote.total, grand=True)]
    found = []
    rest = quote.amount_due - quote.total
    if rest:
        found = [Sum(gettext("Total"), quote.total), Sum(_balance(quote, rest), rest)]
    return [*found, Sum(gettext("Charged now"), quote.amount_due, grand=True)]


def _balance(quote: Quote, rest: int) -> str:
    if rest > 0:
        return gettext("Still open on the balance of your account")
    if int(str((quote.preview or {}).get("starting_balance") or 0)) < 0:
        return gettext("From the balance of your account")
    return gettext("Too little to be charged alone: added to your next invoice")


def what_becomes_of_packs(terms: Terms, held: Balance) -> list[str]:
    """That another tier or other prices take nothing of the annual credits that are left."""
    same = terms.final.selection.tier == terms.before.selection.tier and not terms.moves
    if same or not held.left:
        return []
    return [
        gettext(
            "What is left of your packs, %(units)s, stays and is used to its end, whatever a resolution costs"
            " then.",
            units=units(held.left, "resolution"),
        )
    ]


def what_comes_next(quote: Quote, terms: Terms) -> list[str]:
    """Where a credit goes, what is charged at the renewal and when, and what becomes of usage."""
    found = []
    if quote.total < 0:
        found.append(
            gettext("The credit goes to the balance of your account, and pays your next invoices first.")
        )
    if terms.swapped is not None:
        found.append(_credits(terms.swapped))
    found.append(_renewal(quote, terms))
    if terms.rates_at is not None and terms.at_month_end:
        found.append(
            gettext(
                "What is used until %(date)s is charged on that day, at the prices that you have now.",
                date=date_text(terms.rates_at),
            )
        )
    if terms.final.selection.interval == "year":
        found.append(gettext("Usage is charged every month, as before."))
    return found


def _credits(swapped: Mapping[str, Any]) -> str:
    starts_at, expires_at = (
        datetime.fromtimestamp(swapped[each], UTC) for each in ("starts_at", "expires_at")
    )
    return gettext(
        "The credits pay for %(units)s resolutions from %(start)s to %(end)s; what is not used then lapses.",
        units=number(int(swapped["pack"]["units"])),
        start=date_text(starts_at),
        end=date_text(expires_at),
    )


def _renewal(quote: Quote, terms: Terms) -> str:
    on = terms.later_at if terms.later else terms.next_charge_at
    then = terms.sums["later"] if terms.later else terms.sums["now"]
    was, now = (
        recurring(each["amount"], each["interval"], quote.currency) for each in (terms.sums["before"], then)
    )
    date = date_text(on) if on else ""
    if terms.trialing:
        return gettext(
            "The trial ends on %(date)s; then you pay %(amount)s before tax.", date=date, amount=now
        )
    if was == now:
        return gettext("Renews on %(date)s for %(amount)s before tax, as before.", date=date, amount=now)
    return gettext(
        "Renews on %(date)s for %(amount)s before tax, instead of %(was)s.", date=date, amount=now, was=was
    )
