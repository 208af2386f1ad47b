"""The words of /credits: what an entry is, in what state a lot is."""

from flask_babel import gettext
from flask_babel import lazy_gettext as _

from portal.services import credit_lots, credits
from portal.services.credits import Held
from portal.web.presentation import date_text, money

ENTRY_NAMES = {
    credit_lots.BOUGHT: _("Bought"),
    credit_lots.DRAWN: _("Used"),
    credit_lots.GIVEN_BACK: _("Given back"),
    credit_lots.LAPSED: _("Lapsed"),
    credit_lots.RETURNED: _("Returned"),
}
# tone of the badge, words
STATES = {
    credits.USABLE: ("positive", _("In use")),
    credits.USED_UP: ("", _("Used up")),
    credit_lots.LAPSED: ("", _("Lapsed")),
    credit_lots.RETURNED: ("", _("Returned")),
}


def state_of(held: Held) -> tuple[str, object]:
    """Tone and words of a lot's state; one that has ended says how."""
    if held.state != credits.ENDED:
        return STATES[held.state]
    return STATES[credit_lots.LAPSED if held.lapsed else credit_lots.RETURNED]


def bought_words(held: Held) -> str:
    """When a pack was bought, and for how much."""
    return gettext(
        "bought on %(day)s for %(paid)s before tax",
        day=date_text(held.bought_at),
        paid=money(held.paid, held.currency),
    )
