"""How the limits stand, in words: what a number means, what happens at it, and what happens at once."""

from dataclasses import dataclass

from flask import url_for
from flask_babel import gettext, ngettext

from portal.models import UsageAlert
from portal.services import allowances
from portal.services.allowances import State
from portal.services.limits import Standing, Wanted
from portal.services.spending import Spent
from portal.web.billing_attention import Link, Notice
from portal.web.presentation import date_text, money, number


@dataclass(frozen=True)
class Meaning:
    """The sentence in large, and what explains it."""

    title: str
    details: tuple[str, ...] = ()


def resolutions(count: int) -> str:
    """ "500 resolutions"."""
    return ngettext("%(count)s resolution", "%(count)s resolutions", count, count=number(count))


def cap_meaning(held: Standing) -> Meaning:
    """What stops the AI, or that nothing does."""
    if held.state.trial_cap:
        cap = held.state.cap or 0
        return Meaning(
            gettext("Trial: the AI stops at %(resolutions)s, which are free.", resolutions=resolutions(cap)),
            (gettext("Your own cap counts from the day the trial ends."),) if held.has_cap else (),
        )
    if held.cap is None:
        billed = gettext("No cap: the AI answers whatever is asked, and what it resolves is billed.")
        beyond = gettext(
            "No cap: the AI answers whatever is asked, and what your annual credits do not pay for is billed."
        )
        return Meaning(beyond if held.spent.covered else billed)
    return Meaning(_own_cap(held), tuple(_explained(held)))


def _own_cap(held: Standing) -> str:
    cap = resolutions(held.cap or 0)
    if not held.limit.hard:
        return gettext(
            "Soft cap: at %(resolutions)s this month people are warned, and the AI goes on.", resolutions=cap
        )
    if held.limit.at_cap == allowances.HAND_OVER:
        return gettext(
            "Hard cap: at %(resolutions)s this month the AI hands over to people.", resolutions=cap
        )
    if held.limit.at_cap == allowances.ASK_APPROVER:
        return gettext(
            "Hard cap: at %(resolutions)s this month the AI waits until %(approver)s allows more.",
            resolutions=cap,
            approver=held.approver.email if held.approver else gettext("an owner or admin"),
        )
    if held.limit.at_cap == allowances.NEXT_PACK:
        return gettext("Hard cap: at %(resolutions)s this month the next pack is drawn.", resolutions=cap)
    return gettext("Hard cap: the AI stops at %(resolutions)s this month.", resolutions=cap)


def _explained(held: Standing) -> list[str]:
    found = []
    if held.spent.free:
        found.append(
            ngettext(
                "%(count)s more was above the cap. It is free: you do not pay for it.",
                "%(count)s more were above the cap. They are free: you do not pay for them.",
                held.spent.free,
                count=number(held.spent.free),
            )
        )
    if held.limit.cap_amount is not None and held.cap is not None:
        found.append(_units_of(held.limit.cap_amount, held.cap - held.raised, held.spent))
    if held.raised:
        found.append(
            ngettext(
                "%(count)s of them was allowed on top, in this month alone.",
                "%(count)s of them were allowed on top, in this month alone.",
                held.raised,
                count=number(held.raised),
            )
        )
    return found


def _units_of(amount: int, cap: int, spent: Spent) -> str:
    """How a cap in money comes to so many units."""
    if spent.covered:
        return gettext(
            "%(amount)s a month pay for %(resolutions)s at your own price, on top of %(covered)s that your"
            " annual credits pay for in this month.",
            amount=money(amount, spent.currency),
            resolutions=resolutions(max(cap - spent.covered, 0)),
            covered=number(spent.covered),
        )
    return gettext(
        "%(amount)s a month pay for %(resolutions)s at your own price.",
        amount=money(amount, spent.currency),
        resolutions=resolutions(cap),
    )


def _credits_first(held: Standing) -> list[str]:
    if not held.spent.covered:
        return []
    return [gettext("What your annual credits pay for is not in it.")]


def budget_meaning(held: Standing) -> Meaning:
    """How much of the budget is used."""
    spent = money(held.spent.all.likely, held.spent.currency)
    if held.limit.budget is None:
        return Meaning(
            gettext("No budget: %(amount)s of usage so far this month.", amount=spent),
            (*_credits_first(held), *([_still_open(held)] if held.state.pending else [])),
        )
    budget = money(held.limit.budget, held.spent.currency)
    details = [gettext("A budget warns and stops nothing. It counts all usage, also messages and calls.")]
    details += _credits_first(held)
    if held.state.pending:
        details.append(_still_open(held))
    return Meaning(
        gettext("Budget: %(amount)s of %(budget)s used this month.", amount=spent, budget=budget),
        tuple(details),
    )


def _still_open(held: Standing) -> str:
    return ngettext(
        "That counts %(count)s resolution that may still be billed.",
        "That counts %(count)s resolutions that may still be billed.",
        held.state.pending,
        count=number(held.state.pending),
    )


def cap_notice(state: State | None) -> Notice | None:
    """What the overview says while a cap keeps the AI from answering."""
    if state is None or state.until is None:
        return None
    titles = {
        allowances.HAND_OVER: gettext("The AI hands over to people: its cap is reached"),
        allowances.ASK_APPROVER: gettext("The AI waits for more: its cap is reached"),
        allowances.NEXT_PACK: gettext("The AI waits for the next pack: its cap is reached"),
    }
    stop = gettext("The AI has stopped: its cap is reached")
    return Notice(
        "caution",
        stop if state.trial_cap else titles.get(state.at_cap, stop),
        gettext(
            "%(cap)s count, with what may still be billed. %(then)s",
            cap=resolutions(state.accrued),
            then=goes_on(state),
        ),
        [Link(url_for("usage_limits.page"), gettext("Look at the limits"))],
    )


def goes_on(state: State) -> str:
    """When the AI answers again after its cap was reached."""
    if state.until is None:
        return ""
    if state.fills_next:
        return gettext(
            "The AI goes on when some of that becomes free, or when the cap is higher; not on %(day)s, since"
            " what is undecided then counts in the next month and fills its cap.",
            day=date_text(state.until),
        )
    return gettext(
        "The AI goes on when some of that becomes free, when the cap is higher, or on %(day)s.",
        day=date_text(state.until),
    )


# --- before a cap is kept ------------------------------------------------------------------------------


def would_be(held: Standing, wanted: Wanted, cap: int | None) -> list[str]:
    """What happens once ``wanted`` is kept, at once and later; ``cap`` is what it comes to in units."""
    if not wanted.has_cap or not wanted.hard:
        return _nothing_stops(held, wanted, cap)
    accrued = held.state.accrued
    left = max((cap or 0) - accrued, 0)
    found = [_at_once(left, accrued)]
    if wanted.cap_amount is not None:
        found.append(_units_of(wanted.cap_amount, cap or 0, held.spent))
    found += [_then(wanted), gettext("What would become billable above the cap is free.")]
    if held.raised and (wanted.cap_units, wanted.cap_amount) != (held.limit.cap_units, held.limit.cap_amount):
        found.append(gettext("What was allowed on top of the old cap ends with it."))
    if held.state.trial:
        found.append(gettext("The cap of the trial counts as well while it lasts."))
    found.append(gettext("It counts in this month and in every later one, until you change it."))
    return found


def _nothing_stops(held: Standing, wanted: Wanted, cap: int | None) -> list[str]:
    if held.state.trial:
        first = gettext("After the trial nothing stops the AI. What it resolves is billed.")
    elif held.spent.covered:
        first = gettext(
            "Nothing stops the AI. What it resolves is paid by your annual credits first, and then billed."
        )
    elif held.state.reason == allowances.CAP_REACHED:
        first = gettext("The AI goes on at once. Nothing stops it any more; what it resolves is billed.")
    else:
        first = gettext("From now on nothing stops the AI. What it resolves is billed.")
    if not wanted.has_cap:
        return [first]
    return [
        first,
        gettext("At %(resolutions)s a month people are warned.", resolutions=resolutions(cap or 0)),
    ]


def _at_once(left: int, accrued: int) -> str:
    if not left:
        return gettext(
            "The AI stops at once: so far %(resolutions)s count this month, with what may still be billed and"
            " what is held for answers.",
            resolutions=resolutions(accrued),
        )
    return gettext(
        "The AI may take %(left)s more this month: so far %(resolutions)s count, with what may still be"
        " billed and what is held for answers.",
        left=resolutions(left),
        resolutions=resolutions(accrued),
    )


def _then(wanted: Wanted) -> str:
    if wanted.at_cap == allowances.HAND_OVER:
        return gettext("At the cap your help desk is told to hand conversations to people.")
    if wanted.at_cap == allowances.ASK_APPROVER:
        return gettext(
            "At the cap %(approver)s gets a mail and may allow more; until then the AI waits.",
            approver=wanted.approver or "",
        )
    if wanted.at_cap == allowances.NEXT_PACK:
        return gettext(
            "At the cap a pack is bought by itself and raises the cap by its size, within the limits that you"
            " chose under Credits; where it cannot be bought, the AI waits."
        )
    return gettext("At the cap the AI stops until the next month.")


# --- what people were told -----------------------------------------------------------------------------


def alert_words(alert: UsageAlert, currency: str) -> str:
    """What an alert of this month said."""
    about, _, what = alert.name.partition("_")
    if about == "approval":
        return gettext("The approver was asked for more at %(cap)s.", cap=resolutions(alert.out_of))
    out_of = money(alert.out_of, currency) if about == "budget" else resolutions(alert.out_of)
    if what == "forecast" and about == "budget":
        return gettext("The forecast passed the budget of %(budget)s.", budget=out_of)
    if what == "forecast":
        return gettext("The forecast passed the cap of %(cap)s.", cap=out_of)
    if about == "budget":
        return gettext("%(share)s%% of the budget of %(budget)s was used.", share=what, budget=out_of)
    return gettext("%(share)s%% of the cap of %(cap)s was used.", share=what, cap=out_of)


def until_words(held: Standing) -> str:
    """Until when the figures of this month count."""
    if held.state.starts_at is None or held.state.until is None:
        return gettext("No month of usage is running. One begins when you buy.")
    start, end = date_text(held.state.starts_at), date_text(held.state.until)
    if held.state.trial:
        return gettext("The trial runs from %(start)s to %(end)s.", start=start, end=end)
    return gettext("The month of usage runs from %(start)s to %(end)s.", start=start, end=end)
