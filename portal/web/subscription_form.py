"""The form of /billing/subscription: all that can be changed, from the catalogue that the customer is on."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.datastructures import MultiDict
from wtforms import Form, RadioField, SelectChoice

from portal.pricing import Catalog, Selection
from portal.web.pricing_form import check_licensed, choice_query, chosen_add_ons, licensed_fields

# an address with this was made by the form: what it leaves out was taken off, not left alone
WHOLE = "whole"
DUE, NOW = "due", "now"


class ChangeForm(Form):
    """What the person wants to have. ``selection`` is set by ``validate()`` once it can be priced."""

    catalog: Catalog
    selection: Selection | None = None

    @property
    def all_now(self) -> bool:
        """Whether what becomes less does so at once, too."""
        return bool(self["when"].data == NOW)

    def validate(self, extra_validators: Mapping[str, Iterable[Any]] | None = None) -> bool:
        """Check every field, then the numbers against each other; errors stand at their fields."""
        super().validate(extra_validators)
        check_licensed(self, self.catalog)
        if self["when"].errors:
            self["when"].errors = [gettext("Choose when the change takes effect.")]
        if self.errors:
            return False
        self.selection = Selection(
            tier=self["tier"].data,
            seats=self["seats"].data,
            interval=self["interval"].data,
            add_ons=chosen_add_ons(self, self.catalog),
        )
        return True


def change_form(arguments: MultiDict[str, str], catalog: Catalog, wanted: Selection) -> ChangeForm:
    """The form as the address or the sent form says; what an address leaves out is as ``wanted``."""
    given = MultiDict(arguments)
    per_seat = [add_on.key for add_on in catalog.add_ons.values() if add_on.per == "seat"]
    if WHOLE not in given:
        fitting = _fitting(wanted, given.get("seats", type=int), per_seat)
        for name, value in {**dict.fromkeys(per_seat, "0"), **_licensed_query(fitting)}.items():
            given.setdefault(name, value)
    given.setdefault("when", DUE)
    for key in per_seat:
        given.setdefault(key, "0")
    return _shape(catalog)(given)


def _fitting(wanted: Selection, seats: int | None, per_seat: Collection[str]) -> Selection:
    """The same with add-ons for no more than ``seats``: a link to fewer seats leads to a price."""
    if seats is None or seats < 1:
        return wanted
    add_ons = {key: min(count, seats) if key in per_seat else count for key, count in wanted.add_ons.items()}
    return replace(wanted, add_ons=add_ons)


def _licensed_query(selection: Selection) -> dict[str, str]:
    licensed = Selection(selection.tier, selection.seats, selection.interval, selection.add_ons)
    return choice_query(licensed)


def change_query(selection: Selection, *, all_now: bool = False) -> dict[str, str]:
    """The address of the form with all of this chosen."""
    return {WHOLE: "1", **_licensed_query(selection), "when": NOW if all_now else DUE}


@lru_cache
def _shape(catalog: Catalog) -> type[ChangeForm]:
    """The form's class; its texts are lazy, so it is the same in every language."""
    when = RadioField(_("When"), choices=[SelectChoice(DUE), SelectChoice(NOW)])
    return type(
        "CatalogChangeForm", (ChangeForm,), {**licensed_fields(catalog), "when": when, "catalog": catalog}
    )
