"""The form of /credits/buy: how many units."""

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm

from portal.pricing.usage import MAX_QUANTITY
from portal.web.pricing_form import CountField

LEAST = 100
FIRST = 600


class UnitsForm(FlaskForm):
    """How many resolutions to buy for a year."""

    units = CountField(_("Resolutions"), minimum=LEAST, maximum=MAX_QUANTITY, default=FIRST)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.units.flags.required = True


def units_form(asked: str | None) -> UnitsForm:
    """The form with what was asked for, if that is a number that is sold."""
    digits = (asked or "").strip()
    wanted = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else FIRST
    return UnitsForm(formdata=None, units=wanted if LEAST <= wanted <= MAX_QUANTITY else FIRST)
