"""The forms of /usage/limits: budget and cap, who is warned, and more at the cap."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, HiddenField, SelectMultipleField, StringField, ValidationError
from wtforms.validators import Length

from portal.services import alerts, allowances, limits
from portal.services.alerts import Chosen
from portal.services.limits import Problem, Standing, Wanted
from portal.services.members import Person
from portal.web.presentation import money, money_typed, number, read_money
from portal.web.pricing_form import CountField
from portal.web.seat_words import one_of
from portal.web.text_rules import PlainText

NO_CAP, UNITS, MONEY = "none", "units", "money"
HARD, SOFT = "hard", "soft"
LONGEST_EMAIL = 254
LONGEST_AMOUNT = 20

CAPS = {
    NO_CAP: _("No cap"),
    UNITS: _("A number of resolutions"),
    MONEY: _("An amount of money"),
}
KINDS = {HARD: _("Hard"), SOFT: _("Soft")}
KIND_HINTS = {
    HARD: _("The AI never goes above it. What would be billed above it is free."),
    SOFT: _("It only warns. The AI goes on, and what it resolves is billed."),
}
AT_CAP = {
    allowances.STOP: _("Stop the AI"),
    allowances.HAND_OVER: _("Hand over to people"),
    allowances.ASK_APPROVER: _("Ask somebody for more"),
    allowances.NEXT_PACK: _("Draw the next pack"),
}
AT_CAP_HINTS = {
    allowances.STOP: _("Conversations wait until the next month, or until the cap is higher."),
    allowances.HAND_OVER: _("Your help desk is told to give conversations to people instead."),
    allowances.ASK_APPROVER: _("They get a mail and can allow more in this month with one click."),
    allowances.NEXT_PACK: _(
        "A pack is bought by itself as chosen under Credits, and raises the cap by its size."
    ),
}


class MoneyField(StringField):
    """An amount in minor units of ``currency``; empty means none. What was typed is kept."""

    currency = "usd"

    def _value(self) -> str:
        if self.raw_data:
            return str(self.raw_data[0])
        return money_typed(self.data, self.currency) if self.data is not None else ""

    def process_formdata(self, valuelist: list[str]) -> None:
        self.data = None
        text = valuelist[0].strip() if valuelist else ""
        if not text:
            return
        try:
            self.data = read_money(text, self.currency) if len(text) <= LONGEST_AMOUNT else -1
        except ValueError:
            self.data = -1
        if self.data < 0:
            self.data = None
            raise ValueError(
                gettext("%(field)s: enter an amount such as 500 or 499.50.", field=self.label.text)
            )

    def pre_validate(self, form: FlaskForm) -> None:
        PlainText()(form, self)


def _amount(label: object) -> MoneyField:
    return MoneyField(
        label, render_kw={"inputmode": "decimal", "autocomplete": "off", "maxlength": LONGEST_AMOUNT}
    )


class LimitForm(FlaskForm):
    """Budget and cap. ``confirmed``: what a cap does at once was seen."""

    budget = _amount(_("Budget a month"))
    cap = one_of(_("Cap on resolutions"), CAPS, _("Choose a cap, or none."))
    cap_units = CountField(
        _("Resolutions a month"),
        minimum=0,
        maximum=limits.MOST_UNITS,
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    cap_amount = _amount(_("Amount a month"))
    kind = one_of(_("What kind of cap"), KINDS, _("Choose whether the cap is hard or soft."))
    at_cap = one_of(_("What happens at the cap"), AT_CAP, _("Choose what happens at the cap."))
    approver = EmailField(
        _("Who may allow more"),
        [PlainText(), Length(max=LONGEST_EMAIL)],
        render_kw={"autocomplete": "off", "list": "people", "maxlength": LONGEST_EMAIL},
    )
    confirmed = HiddenField()

    def validate_cap_units(self, field: CountField) -> None:
        """A cap in units needs its number."""
        if self.cap.data == UNITS and not field.errors and not "".join(field.raw_data or ()).strip():
            raise ValidationError(gettext("Resolutions a month: enter a whole number, such as 500."))

    def validate_cap_amount(self, field: MoneyField) -> None:
        """A cap in money needs its amount."""
        if self.cap.data == MONEY and not field.errors and field.data is None:
            raise ValidationError(gettext("Amount a month: enter an amount such as 500 or 499.50."))

    def wanted(self) -> Wanted:
        """The choice, for the service; what does not belong to the chosen cap is left out."""
        hard = self.kind.data == HARD
        return Wanted(
            budget=self.budget.data,
            cap_units=self.cap_units.data if self.cap.data == UNITS else None,
            cap_amount=self.cap_amount.data if self.cap.data == MONEY else None,
            hard=hard,
            at_cap=self.at_cap.data,
            approver=(self.approver.data or "").strip() or None,
        )


class AlertForm(FlaskForm):
    """When people are warned, and who."""

    warn_50 = BooleanField(_("50% of the budget or the cap is used"))
    warn_80 = BooleanField(_("80% of the budget or the cap is used"))
    warn_100 = BooleanField(_("The budget is used up, or the cap is reached"))
    warn_forecast = BooleanField(_("The forecast says that one of them will be passed"))
    recipients = SelectMultipleField(_("Who is told"), validate_choice=False)
    another = EmailField(
        _("Another member's e-mail"),
        [PlainText(), Length(max=LONGEST_EMAIL)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_EMAIL},
    )

    def chosen(self) -> Chosen:
        """The choice, for the service."""
        another = (self.another.data or "").strip()
        recipients = [*(self.recipients.data or ()), *([another] if another else [])]
        return Chosen(
            shares=frozenset(share for share in alerts.SHARES if self[f"warn_{share}"].data),
            forecast=bool(self.warn_forecast.data),
            recipients=tuple(recipients),
        )


class MoreForm(FlaskForm):
    """How many units more in this period; ``seen`` is the cap that was looked at."""

    units = CountField(
        _("Resolutions more in this month"),
        minimum=1,
        maximum=limits.MOST_UNITS,
        render_kw={"inputmode": "numeric", "autocomplete": "off"},
    )
    seen = HiddenField()

    @property
    def cap_that_was_seen(self) -> int:
        """The cap that the page showed; −1 where the form says nothing of the kind."""
        text = self.seen.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < LONGEST_AMOUNT else -1


def more_form(held: Standing) -> MoreForm:
    """The form with what is offered, or with what was just sent."""
    form = MoreForm(data={"units": held.offered, "seen": str(held.cap)})
    form.units.flags.required = True
    return form


def limit_form(held: Standing, **options: Any) -> LimitForm:
    """The form as it was chosen, or with what was just sent; nothing chosen is a hard cap that stops."""
    limit = held.limit
    cap = UNITS if limit.cap_units is not None else MONEY if limit.cap_amount is not None else NO_CAP
    chosen = {
        "cap": cap,
        "cap_units": limit.cap_units,
        "cap_amount": limit.cap_amount,
        "budget": limit.budget,
        "kind": HARD if limit.hard else SOFT,
        "at_cap": limit.at_cap,
        "approver": held.approver.email if held.approver else "",
    }
    form = LimitForm(data=chosen, **options)
    form.budget.currency = form.cap_amount.currency = held.spent.currency
    for field in (form.cap_units, form.cap_amount, form.approver):
        # of those that are in view, none can be left out
        field.flags.required = True
    return form


def alert_form(held: Standing, chosen: Sequence[Person], **options: Any) -> AlertForm:
    """The form as it was chosen, or with what was just sent."""
    names = ("warn_50", "warn_80", "warn_100", "warn_forecast")
    data: dict[str, Any] = {name: getattr(held.limit, name) for name in names}
    return AlertForm(data=data | {"recipients": [person.email for person in chosen]}, **options)


def put_problems(form: FlaskForm, problems: Mapping[str, Problem], held: Standing) -> None:
    """Put the service's objections beside their fields, with the figures."""
    for name, problem in problems.items():
        field = form[name]
        field.errors = [*field.errors, _said(name, problem, held)]


def _said(name: str, problem: Problem, held: Standing) -> str:
    label = str({"budget": _("Budget a month"), "cap_amount": _("Amount a month")}.get(name, ""))
    match name, problem.code:
        case "cap_units", limits.TOO_LOW:
            return gettext(
                "Resolutions a month: enter %(least)s or more. Used: %(used)s; may still be billed:"
                " %(pending)s; held for answers: %(held)s.",
                least=number(problem.least or 0),
                used=number(held.state.used),
                pending=number(held.state.pending),
                held=number(held.state.held),
            )
        case (("budget" | "cap_amount"), limits.TOO_LOW):
            return gettext(
                "%(field)s: enter %(least)s or more. That much has accrued in this month, with what may still"
                " be billed.",
                field=label,
                least=money(problem.least or 0, held.spent.currency),
            )
        case "units", limits.TOO_LOW:
            return gettext("Enter a whole number from 1 on.")
        case "approver", limits.NOBODY:
            return gettext("Who may allow more: nobody of this workspace has this address.")
        case "approver", _code:
            return gettext("Who may allow more: enter the e-mail address of a member.")
        case "at_cap", limits.NOT_BOUGHT:
            return gettext("Switch on under Credits that packs are bought by themselves; then choose this.")
        case "at_cap", _code:
            return gettext("Choose what happens at the cap.")
    return gettext("That is more than a limit can be. Leave it empty for none.")
