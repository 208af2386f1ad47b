"""The details on /checkout: whom the invoices are for, and whether a trial comes first."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, RadioField, SelectChoice, SelectField, StringField
from wtforms.validators import AnyOf, InputRequired, Length

from portal.models import BillingDetails
from portal.services import tax_ids
from portal.services.billing_details import ADDRESS, COUNTRIES, LONGEST_TAX_ID, LONGEST_TEXT, Details
from portal.web.language import translated
from portal.web.presentation import territories
from portal.web.text_rules import PlainText

PAY_NOW, TRIAL = "now", "trial"
TOO_LONG = _("Use at most %(max)d characters.")
PLAIN = (PlainText(), Length(max=LONGEST_TEXT, message=TOO_LONG))


def country_choices() -> list[SelectChoice]:
    """Every country by its name in the page's language, with what its tax number looks like."""
    choices = [
        SelectChoice(code, name, {"data-tax-id": _tax_id_words(code)})
        for code, name in territories(COUNTRIES)
    ]
    return [SelectChoice("", str(_("Choose a country"))), *choices]


def _tax_id_words(country: str) -> str:
    return "; ".join(
        str(_("%(name)s, as in %(example)s", name=translated(kind.name), example=kind.example))
        for kind in tax_ids.kinds(country)
    )


class DetailsForm(FlaskForm):
    """Company, address and tax number. What is acceptable is decided by services.billing_details."""

    company_name = StringField(
        _("Company name"),
        [*PLAIN, InputRequired(_("Company name: fill this in."))],
        render_kw={"autocomplete": "organization", "maxlength": LONGEST_TEXT},
    )
    email = EmailField(
        _("E-mail for invoices and receipts"),
        [*PLAIN, InputRequired(_("E-mail: fill this in."))],
        render_kw={"autocomplete": "email", "inputmode": "email", "maxlength": LONGEST_TEXT},
    )
    country = SelectField(
        _("Country"),
        [InputRequired(_("Country: choose one.")), AnyOf(COUNTRIES, _("Country: choose one."))],
        choices=country_choices,
        validate_choice=False,
        render_kw={"autocomplete": "billing country"},
    )
    line1 = StringField(
        _("Street and number"),
        [*PLAIN, InputRequired(_("Street and number: fill this in."))],
        render_kw={"autocomplete": "billing address-line1", "maxlength": LONGEST_TEXT},
    )
    line2 = StringField(
        _("Building, floor or suite"),
        PLAIN,
        render_kw={"autocomplete": "billing address-line2", "maxlength": LONGEST_TEXT},
    )
    postal_code = StringField(
        _("Postal code"), PLAIN, render_kw={"autocomplete": "billing postal-code", "maxlength": LONGEST_TEXT}
    )
    city = StringField(
        _("Town or city"),
        PLAIN,
        render_kw={"autocomplete": "billing address-level2", "maxlength": LONGEST_TEXT},
    )
    state = StringField(
        _("State, province or county"),
        PLAIN,
        render_kw={"autocomplete": "billing address-level1", "maxlength": LONGEST_TEXT},
    )
    tax_id_value = StringField(
        _("Tax number"),
        [PlainText(), Length(max=LONGEST_TAX_ID, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_TAX_ID, "spellcheck": "false"},
    )
    start = RadioField(
        _("When to start paying"),
        [AnyOf((PAY_NOW, TRIAL), _("Choose to pay today or to try it first."))],
        choices=[SelectChoice(PAY_NOW), SelectChoice(TRIAL)],
        default=PAY_NOW,
        validate_choice=False,
    )

    def details(self) -> Details:
        """What was entered, for the service; the kind of tax number follows from the country."""
        kinds = tax_ids.kinds(self["country"].data)
        return Details(
            company_name=self["company_name"].data,
            email=self["email"].data,
            address={name: self[name].data or "" for name in ADDRESS},
            tax_id_type=kinds[0].type if kinds and self["tax_id_value"].data else None,
            tax_id_value=self["tax_id_value"].data or None,
        )

    def refuse(self, problems: Mapping[str, str]) -> None:
        """Put the service's objections beside their fields; one about no field of ours stands on top."""
        for param, message in problems.items():
            name = param.removeprefix("address.")
            if name in self._fields:
                self[name].errors = [*self[name].errors, translated(message)]
            else:
                self.form_errors.append(translated(message))


def details_form(known: BillingDetails | None) -> DetailsForm:
    """The form, filled with what is known of the workspace, or with what was just sent."""
    if known is None:
        return DetailsForm()
    address = {name: (known.address or {}).get(name, "") for name in ADDRESS}
    return DetailsForm(
        data={
            "company_name": known.company_name,
            "email": known.email,
            "tax_id_value": known.tax_id_value or "",
            "start": PAY_NOW,
            **address,
        }
    )
