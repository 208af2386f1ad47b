"""The words of /credits: what an entry is, in what state a lot is."""

from flask_babel import lazy_gettext as _

from portal.services import credit_lots, credits

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
    credits.ENDED: ("", _("Ended")),
}
