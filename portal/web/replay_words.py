"""The words of a replay: each month with both prices and why, and which tier stands for which."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import url_for
from flask_babel import gettext
from markupsafe import Markup, escape

from portal import pricing
from portal.services.billed_months import BilledMonth, Share
from portal.services.replay import Replayed
from portal.web.explanations import discounts, explain, line_title
from portal.web.presentation import date_text, money, month_text, percent


@dataclass(frozen=True)
class Way:
    """A difference in words: ``less``, ``more`` or ``same``, the amount, and how much of the own price."""

    kind: str
    words: str
    share: str | None


@dataclass(frozen=True)
class Row:
    """One month of the table; amounts in minor units. ``mark``: best, worst or nothing."""

    label: str
    own: int
    cost: int
    difference: int
    way: Way
    mark: str | None
    paid_for: list[str]
    would_be: list[str]


def rows(found: Replayed) -> list[Row]:
    """The months, newest first."""
    pairs = zip(found.billed, found.found.months, strict=True)
    return [_row(billed, replayed, found) for billed, replayed in pairs][::-1]


def _row(billed: BilledMonth, replayed: pricing.ReplayedMonth, found: Replayed) -> Row:
    return Row(
        label=month_label(billed.starts_at, billed.ends_at),
        own=replayed.own,
        cost=replayed.cost,
        difference=replayed.difference,
        way=way(replayed.difference, replayed.own, found.currency),
        mark=_mark(replayed, found.found),
        paid_for=[_paid_for(share, found.currency) for share in billed.shares if share.amount],
        would_be=_would_be(replayed, found),
    )


def _mark(month: pricing.ReplayedMonth, found: pricing.Replay) -> str | None:
    """Best and worst are told where the months differ."""
    if found.best is None or found.worst is None or found.best.difference == found.worst.difference:
        return None
    return "best" if month is found.best else "worst" if month is found.worst else None


def month_label(starts_at: datetime, ends_at: datetime) -> str:
    """A calendar month by its name, any other by its days: "16 March 2026 to 15 April 2026"."""
    last = ends_at - timedelta(days=1)
    if starts_at.day == 1 and (last.year, last.month) == (starts_at.year, starts_at.month) and last.day >= 28:
        return month_text(starts_at)
    return gettext("%(start)s to %(end)s", start=date_text(starts_at), end=date_text(last))


def way(difference: int, own: int, currency: str) -> Way:
    """How much more or less it would have been."""
    if not difference:
        return Way("same", gettext("the same"), None)
    amount = money(abs(difference), currency)
    # to the nearest hundredth
    share = percent((200 * abs(difference) + own) // (2 * own)) if own > 0 else None
    if difference < 0:
        return Way("less", gettext("%(amount)s less", amount=amount), share)
    return Way("more", gettext("%(amount)s more", amount=amount), share)


def extremes(found: Replayed, table: Sequence[Row]) -> list[str]:
    """Which month does best at the current prices, and which worst; nothing where all are alike."""
    sentences = {
        "best": gettext("Best month at the current prices: %(month)s, %(way)s."),
        "worst": gettext("Worst month: %(month)s, %(way)s."),
    }
    marked = {row.mark: row for row in table if row.mark}
    return [
        sentence % {"month": marked[mark].label, "way": marked[mark].way.words}
        for mark, sentence in sentences.items()
        if mark in marked
    ]


def standing_for(found: Replayed) -> list[tuple[str, str]]:
    """The names of own tiers that are not sold any more, each with the one that is taken for it."""
    return [
        (_tier_name(own, found.own), found.catalog.tiers[taken].name)
        for own, taken in found.found.replaced.items()
    ]


def _tier_name(key: str, catalog: pricing.Catalog) -> str:
    return catalog.tiers[key].name if key in catalog.tiers else key.capitalize()


def _paid_for(share: Share, currency: str) -> Markup:
    """What was billed, and on which invoice."""
    what = line_title({"key": share.key, "description": share.description, "quantity": share.quantity})
    link = Markup('<a href="{}">{}</a>').format(
        url_for("invoices.page", stripe_id=share.invoice_id), share.invoice_number or share.invoice_id
    )
    if share.part:
        words = gettext("%(what)s, for a part of the time: %(amount)s, on invoice %(invoice)s")
    else:
        words = gettext("%(what)s: %(amount)s, on invoice %(invoice)s")
    return escape(words) % {"what": what, "amount": money(share.amount, currency), "invoice": link}


def _would_be(month: pricing.ReplayedMonth, found: Replayed) -> list[str]:
    """Each line at the current prices with its formula, then what they do not sell."""
    sentences = []
    for line in (*month.lines, *month.usage):
        steps = explain(line, found.currency)
        sentences += [gettext("%(line)s: %(why)s", line=line.description, why=step) for step in steps]
    sentences += discounts(month.lines, found.currency)
    return sentences + [
        gettext(
            "%(what)s: not sold at the current prices as you had it, so it is left out.",
            what=_name(key, found),
        )
        for key in month.not_sold
    ]


def _name(key: str, found: Replayed) -> str:
    for catalog in (found.catalog, found.own):
        sold = catalog.add_ons.get(key) or catalog.usage.get(key)
        if sold is not None:
            return sold.name
    return key
