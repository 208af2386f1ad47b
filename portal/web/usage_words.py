"""The words of usage: what each number is, what a forecast rests on, why a unit is billed or not."""

from collections.abc import Mapping
from datetime import datetime

from flask_babel import gettext, ngettext
from flask_babel import lazy_gettext as _

from portal.models import Resolution, UsageEntry
from portal.pricing import outcomes
from portal.pricing.forecast import Range
from portal.services import credit_covers, resolutions
from portal.services.credit_covers import Cover, Pack, Share
from portal.services.resolutions import CONTESTED, COUNTED, DISPUTED
from portal.services.units import ACCEPTED
from portal.services.usage import Metered, Period
from portal.services.usage_prices import RESOLUTION
from portal.web.explanations import explain, units
from portal.web.presentation import date_text, money, number, rate

Words = Mapping[str, object]

STATES: Words = {
    outcomes.OPEN: _("No answer yet"),
    outcomes.PENDING: _("Pending"),
    outcomes.BILLABLE: _("Billable"),
    outcomes.NOT_BILLABLE: _("Not billable"),
    outcomes.REVERSED: _("Reversed"),
}
BADGES = {
    outcomes.PENDING: "caution",
    outcomes.BILLABLE: "",
    outcomes.NOT_BILLABLE: "positive",
    outcomes.REVERSED: "positive",
}
LISTS: Words = {
    COUNTED: _("All that were counted"),
    outcomes.BILLABLE: _("Billable"),
    outcomes.REVERSED: _("Reversed"),
    outcomes.PENDING: _("Pending"),
    outcomes.NOT_BILLABLE: _("Not billable"),
    CONTESTED: _("Contested"),
    DISPUTED: _("Contested and not decided"),
}
KINDS: Words = {outcomes.CONFIRMED: _("Confirmed"), outcomes.ASSUMED: _("Assumed")}
CONTESTS: Words = {
    "open": _("Contested"),
    ACCEPTED: _("Contest accepted"),
    "refused": _("Contested: it stays"),
}
EVENTS: Words = {
    outcomes.AI_GREETED: _("The AI greeted"),
    outcomes.AI_ANSWERED: _("The AI answered"),
    outcomes.CUSTOMER_CONFIRMED: _("The customer confirmed that it helped"),
    outcomes.CUSTOMER_ASKED: _("The customer asked again"),
    outcomes.HUMAN_REQUESTED: _("The customer wanted a person"),
    outcomes.HUMAN_REPLIED: _("A person replied"),
    outcomes.REOPENED: _("The conversation was reopened"),
}
BECAUSE: Words = {
    outcomes.NO_ANSWER: _("The AI has not given a real answer yet."),
    outcomes.GREETING_ONLY: _("The AI only greeted; a greeting is no answer."),
    outcomes.TEST: _("The conversation is a test."),
    outcomes.WAITING: _(
        "The AI answered, and for 24 hours after its last answer the customer may ask for more help."
    ),
    outcomes.CONFIRMED: _("The customer confirmed that the AI's answer helped."),
    outcomes.ASSUMED: _("24 hours passed after the AI's last answer without a request for more help."),
    outcomes.CUSTOMER_ASKED: _("The customer asked again within 24 hours of the AI's last answer."),
    outcomes.HUMAN_REQUESTED: _("The customer wanted a person within 24 hours of the AI's last answer."),
    outcomes.HUMAN_REPLIED: _("A person replied within 24 hours of the AI's last answer."),
    outcomes.REOPENED: _("The conversation was reopened within 24 hours of the AI's last answer."),
    f"{outcomes.CUSTOMER_ASKED}_after": _("The customer asked again after it had become billable."),
    f"{outcomes.HUMAN_REQUESTED}_after": _("The customer wanted a person after it had become billable."),
    f"{outcomes.REOPENED}_after": _("The conversation was reopened after it had become billable."),
}
PREVENTED_BY: Words = {
    outcomes.BEFORE_CONFIRMATION: _(
        "If, before the customer confirmed, they had asked again or wanted a person, a person had replied,"
        " or the conversation had been reopened, nothing would be charged."
    ),
    outcomes.WITHIN_WINDOW: _(
        "If, within the 24 hours, the customer had asked again or wanted a person, a person had replied, or"
        " the conversation had been reopened, nothing would be charged. If the customer still comes back,"
        " the charge is taken back."
    ),
}
ENTRIES: Words = {
    "billable": _("Counted"),
    "reversal": _("Taken back"),
    "correction": _("Corrected"),
    "carried": _("Carried over"),
    "usage": _("Counted"),
}
NOTES: Words = {
    "late": _("Its own period was closed already, so it stands in the open one."),
    "late_event": _("An event that arrived late made it another outcome."),
    "after_end": _("The subscription had ended; what is owed for it is credited."),
    "contested": _("It was contested, and is taken back."),
}
CHARGES: Words = {
    "meter": _("Billed"),
    "trial": _("Free in the trial"),
    "over_cap": _("Free: over your cap"),
}
CHANNELS: Words = {
    "chat": _("Chat"),
    "email": _("E-mail"),
    "whatsapp": _("WhatsApp"),
    "sms": _("SMS"),
    "phone": _("Phone"),
    "voice": _("Voice"),
    "web": _("Web"),
}


def word(words: Words, code: str | None) -> str:
    """The words of a code; a code that is not known yet stands as it is."""
    return str(words.get(code, code)) if code else ""


def channel(name: str) -> str:
    """A channel as people call it; names of the customer's own stay as they were sent."""
    return word(CHANNELS, name)


def unit_name(key: str) -> str:
    """What a kind of usage is called."""
    match key:
        case "resolution":
            return gettext("Resolutions")
        case "proactive_message":
            return gettext("Proactive messages")
        case "sms":
            return gettext("SMS segments")
        case "whatsapp":
            return gettext("WhatsApp conversations")
        case "phone_minute":
            return gettext("Phone minutes")
        case "bulk_email":
            return gettext("Bulk e-mails")
        case _:
            return key


def period_name(period: Period) -> str:
    """A period by its days: "3 November 2026 – 3 December 2026"."""
    return gettext("%(start)s – %(end)s", start=date_text(period.starts_at), end=date_text(period.ends_at))


def why_amount(found: Metered, period: Period, currency: str) -> list[str]:
    """Why it costs what it does so far."""
    said = _of_invoice(found) or _of_rating(found, currency)
    if found.count.free > 0:
        free = units(found.count.free, found.key)
        said.append(
            gettext("%(units)s are free in the trial.", units=free)
            if period.trial
            else gettext("%(units)s are free: over your cap, or of the trial before.", units=free)
        )
    if found.covered:
        said.append(
            gettext(
                "Annual credits pay for %(units)s of it, which is %(amount)s.",
                units=units(found.covered, found.key),
                amount=money(found.by_credits, currency),
            )
        )
    if carried := _carried(found):
        said.append(carried)
    if found.count.charged < 0:
        said.append(gettext("More was taken back than counted; the rest comes back as a credit note."))
    return said


def _carried(found: Metered) -> str | None:
    """What is in the sum though no list has it."""
    count = found.count.carried if found.key == RESOLUTION else 0
    if count > 0:
        return ngettext(
            "%(num)s of it was billed before an event that arrived late corrected it. It comes back with a"
            " later month.",
            "%(num)s of it were billed before events that arrived late corrected them. They come back with a"
            " later month.",
            count,
        )
    if count < 0:
        return ngettext(
            "%(num)s of a month before is given back: it was billed before an event that arrived late"
            " corrected it.",
            "%(num)s of a month before are given back: they were billed before events that arrived late"
            " corrected them.",
            -count,
        )
    return None


def _of_rating(found: Metered, currency: str) -> list[str]:
    if found.rating is None:
        return [gettext("The price of this period is not known any more; the invoice tells it.")]
    said = explain({"key": found.key, "trace": found.rating.trace}, currency)
    if not said and found.price is not None:
        return [gettext("Nothing was counted yet. One costs %(price)s.", price=_first_price(found, currency))]
    return said


def _first_price(found: Metered, currency: str) -> str:
    assert found.price is not None
    return rate(found.price.bands[0].unit_amount, currency)


def _of_invoice(found: Metered) -> list[str]:
    if found.billed is None or found.rating is None:
        return []
    if (found.billed.quantity, found.billed.amount) == (found.count.charged, found.rating.amount):
        return []
    return [
        gettext(
            "The invoice bills %(billed)s, the ledger has %(counted)s. Support is told of such a difference.",
            billed=units(found.billed.quantity, found.key),
            counted=units(found.count.charged, found.key),
        )
    ]


def why_forecast(found: Metered, currency: str) -> list[str]:
    """What a forecast rests on, and what it says in units."""
    forecast = found.forecast
    if forecast is None:
        return []
    said = [_basis(forecast.basis, forecast.days)]
    said.append(
        gettext(
            "About %(expected)s at the end, between %(low)s and %(high)s.",
            expected=units(forecast.units.expected, found.key),
            low=number(forecast.units.low),
            high=number(forecast.units.high),
        )
    )
    if found.most:
        said.append(
            gettext("Your packs pay for up to %(units)s of this month.", units=units(found.most, found.key))
        )
    if found.due and found.due.high:
        said.append(_due(found.due, currency, beyond=found.most > 0))
    return said


def _due(due: Range, currency: str, *, beyond: bool) -> str:
    amounts = {
        "expected": money(due.expected, currency),
        "low": money(due.low, currency),
        "high": money(due.high, currency),
    }
    if beyond:
        return gettext(
            "What exceeds them costs %(expected)s at your price, between %(low)s and %(high)s, before tax.",
            **amounts,
        )
    return gettext("At your price that is %(expected)s, between %(low)s and %(high)s, before tax.", **amounts)


def paid_from(pack: Pack) -> str:
    """Which pack pays for a resolution."""
    return gettext(
        "Paid from your pack of %(units)s, bought on %(day)s",
        units=number(pack.units),
        day=date_text(pack.bought_at),
    )


def paid_by(unit: Resolution, covers: Mapping[datetime, Cover]) -> str | None:
    """What pays for a unit; None where it costs nothing, or no pack pays anything of its month."""
    cover = covers.get(unit.period_start) if unit.period_start else None
    if cover is None or not credit_covers.stands(unit):
        return None
    if not cover.tells:
        return gettext("Paid from your packs or by use")
    pack = credit_covers.pack_of(unit, covers)
    return paid_from(pack) if pack else gettext("Paid by use")


def share_words(share: Share) -> str:
    """What a pack pays for of a month."""
    return ngettext(
        "%(count)s is paid from your pack of %(units)s, bought on %(day)s",
        "%(count)s are paid from your pack of %(units)s, bought on %(day)s",
        share.units,
        count=number(share.units),
        units=number(share.pack.units),
        day=date_text(share.pack.bought_at),
    )


def _basis(basis: str, days: int) -> str:
    match basis:
        case "weeks":
            return gettext(
                "What was counted stays, and each weekday to come is taken to be like the last ones of its"
                " name. The range comes from the quieter and the busier half of them."
            )
        case "days":
            return ngettext(
                "What was counted stays, and the days to come are taken to be like the %(num)s whole day"
                " that is known. With two weeks known, weekdays are told apart.",
                "What was counted stays, and the days to come are taken to be like the %(num)s whole days"
                " that are known. With two weeks known, weekdays are told apart.",
                days,
            )
        case _:
            return gettext("No whole day is known yet, so this is a guess from the hours so far.")


def is_given_back(unit: Resolution) -> bool:
    """Whether its contest was accepted, so that by whatever rule it had counted nothing is charged."""
    return unit.contest == ACCEPTED and not unit.counts


def stays_taken_back(unit: Resolution) -> bool:
    """Whether it was taken back after its month, and events that arrived later still would count it again."""
    return unit.state == outcomes.BILLABLE and not unit.counts and unit.taken_back_at is not None


def state_of(unit: Resolution) -> tuple[str, str]:
    """The state of a unit as (kind of badge, word)."""
    if is_given_back(unit) or stays_taken_back(unit):
        return "positive", gettext("Taken back")
    return BADGES.get(unit.state, ""), word(STATES, unit.state)


def moment_of(unit: Resolution) -> datetime | None:
    """The instant that a list shows of a unit: of its reversal, of its becoming billable, of its answer.

    What was taken back for another reason than the customer's return shows when that was.
    """
    if unit.taken_back_at is not None and unit.state != outcomes.REVERSED:
        return unit.taken_back_at
    match unit.state:
        case outcomes.REVERSED:
            return unit.reversed_at
        case outcomes.PENDING:
            return unit.matures_at
        case outcomes.BILLABLE:
            return unit.billable_at
        case _:
            return unit.answered_at


def reason_of(unit: Resolution) -> str:
    """Why it is charged, or is not, in a sentence."""
    if is_given_back(unit):
        return gettext("It was contested, and is taken back.")
    if stays_taken_back(unit):
        return gettext("It was taken back after its month had been billed, and stays so.")
    return word(BECAUSE, unit.because)


def entry_words(entry: UsageEntry) -> str:
    """What the ledger did."""
    moved = entry.kind == "reversal" and entry.quantity > 0
    return word(ENTRIES, "correction" if moved else entry.kind)


def listed_channel(unit: Resolution) -> str:
    """The channel that a list shows of a unit."""
    return channel(resolutions.as_counted(unit)[1])
