"""The choice on /pricing: a form that lives in the address, made from what the catalogue sells."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, Form, IntegerField, RadioField, SelectChoice, ValidationError

from portal.pricing import Catalog, Selection
from portal.web.presentation import number
from portal.web.text_rules import PlainText

DEFAULT_SEATS = 5
# what a person may type on a page; larger teams talk to us
MAX_SEATS = 5_000
MAX_USAGE = 100_000_000
MAX_DIGITS = 12

INTERVAL_LABELS = {"month": _("Pay by the month"), "year": _("Pay by the year")}

WRONG_CHOICE = {
    "tier": _("Choose one of the tiers."),
    "interval": _("Choose to pay by the month or by the year."),
}


class CountField(IntegerField):
    """A whole number of 0 or more; empty means ``default`` when there is one, what was typed is kept."""

    def __init__(self, label: object, *, minimum: int, maximum: int, **kwargs: Any) -> None:
        super().__init__(label, [PlainText()], **kwargs)
        self.minimum, self.maximum = minimum, maximum

    def process_formdata(self, valuelist: list[str]) -> None:
        if not valuelist:
            return
        text = "".join(valuelist[0].split())
        if not text and not self.minimum:
            self.data = 0
            return
        self.data = None
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
            raise ValueError(gettext("%(field)s: enter a whole number, such as 12.", field=self.label.text))
        self.data = int(text)

    def pre_validate(self, form: Form) -> None:
        if self.data is not None and not self.minimum <= self.data <= self.maximum:
            raise ValidationError(
                gettext(
                    "%(field)s: enter a number from %(minimum)s to %(maximum)s.",
                    field=self.label.text,
                    minimum=number(self.minimum),
                    maximum=number(self.maximum),
                )
            )


def licensed_fields(catalog: Catalog) -> dict[str, object]:
    """Fields for what is paid in advance: tier, interval, seats, and each add-on with its number."""
    tiers = [SelectChoice(tier.key, tier.name) for tier in catalog.tiers.values()]
    intervals = [SelectChoice(each, INTERVAL_LABELS[each]) for each in catalog.intervals]
    fields: dict[str, object] = {
        "tier": RadioField(_("Tier"), choices=tiers),
        "interval": RadioField(_("Billing"), choices=intervals),
        "seats": CountField(_("Seats"), minimum=1, maximum=MAX_SEATS),
    }
    for add_on in catalog.add_ons.values():
        fields[add_on.key] = (
            CountField(add_on.name, minimum=0, maximum=MAX_SEATS)
            if add_on.per == "seat"
            else BooleanField(add_on.name, false_values=("", "0", "false"))
        )
    return fields


def _usage_fields(catalog: Catalog) -> dict[str, object]:
    return {
        usage.key: CountField(usage.name, minimum=0, maximum=MAX_USAGE) for usage in catalog.usage.values()
    }


def check_licensed(form: Form, catalog: Catalog) -> None:
    """Put what is wrong with tier, interval and the numbers of add-on seats at their fields."""
    for name, message in WRONG_CHOICE.items():
        if form[name].errors:
            form[name].errors = [message]
    seats = form["seats"].data
    for add_on in catalog.add_ons.values():
        field = form[add_on.key]
        if add_on.per == "seat" and seats is not None and (field.data or 0) > seats and not field.errors:
            field.errors = [
                gettext(
                    "%(add_on)s is for at most %(seats)s, the seats you choose.",
                    add_on=add_on.name,
                    seats=number(seats),
                )
            ]


def chosen_add_ons(form: Form, catalog: Catalog) -> dict[str, int]:
    """How many of each add-on were chosen; those that were not are left out."""
    return {key: int(form[key].data) for key in catalog.add_ons if form[key].data}


class ChoiceForm(Form):
    """What the person chose so far. ``selection`` is set by ``validate()`` once the choice can be priced."""

    catalog: Catalog
    selection: Selection | None = None

    def validate(self, extra_validators: Mapping[str, Iterable[Any]] | None = None) -> bool:
        """Check every field, then the whole against the catalogue; errors stand at their fields."""
        super().validate(extra_validators)
        check_licensed(self, self.catalog)
        self._check_usage()
        if self.errors:
            return False
        self.selection = _selection(self)
        return True

    def _check_usage(self) -> None:
        for usage in self.catalog.usage.values():
            if usage.requires and self[usage.key].data and not self[usage.requires].data:
                self[usage.key].errors = [
                    gettext(
                        "%(usage)s: choose %(add_on)s as well, which they belong to.",
                        usage=usage.name,
                        add_on=self.catalog.add_ons[usage.requires].name,
                    )
                ]


def _selection(form: ChoiceForm) -> Selection:
    catalog = form.catalog
    return Selection(
        tier=form["tier"].data,
        seats=form["seats"].data,
        interval=form["interval"].data,
        add_ons=chosen_add_ons(form, catalog),
        usage={key: form[key].data for key in catalog.usage if form[key].data},
    )


def choice_form(arguments: MultiDict[str, str], catalog: Catalog) -> ChoiceForm:
    """Read the choice from the address: what is left out has its default, what is wrong is kept to mend."""
    defaults = {
        "tier": list(catalog.tiers)[len(catalog.tiers) // 2],
        "interval": catalog.intervals[0],
        "seats": DEFAULT_SEATS,
    }
    defaults |= {add_on.key: 0 for add_on in catalog.add_ons.values() if add_on.per == "seat"}
    defaults |= dict.fromkeys(catalog.usage, 0)
    return _shape(catalog)(arguments or None, data=defaults)


@lru_cache
def _shape(catalog: Catalog) -> type[ChoiceForm]:
    """The form's class; its texts are lazy, so it is the same in every language."""
    return type(
        "CatalogChoiceForm",
        (ChoiceForm,),
        {**licensed_fields(catalog), **_usage_fields(catalog), "catalog": catalog},
    )


def choice_query(selection: Selection) -> dict[str, str]:
    """The choice as arguments of an address: what ``choice_form`` reads back; zeros are left out."""
    counts = {**selection.add_ons, **selection.usage}
    query = {"tier": selection.tier, "interval": selection.interval, "seats": str(selection.seats)}
    return query | {key: str(count) for key, count in counts.items() if count}
