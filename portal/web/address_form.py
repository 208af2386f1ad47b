"""The fields of whom invoices are made out to, as every form that asks for them has them.

In the order of the pages, since errors are listed in the order in which fields were made.
"""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, Form, SelectChoice, SelectField, StringField
from wtforms.validators import AnyOf, InputRequired, Length

from portal.models import BillingDetails
from portal.services import tax_ids
from portal.services.billing_details import ADDRESS, COUNTRIES, LONGEST_TAX_ID, LONGEST_TEXT
from portal.web.language import translated
from portal.web.presentation import territories
from portal.web.text_rules import PlainText

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


class CompanyForm(FlaskForm):
    """The name of the company, and the address that mails about money go to."""

    company_name = StringField(
        _("Company name"),
        [*PLAIN, InputRequired(_("Company name: fill this in."))],
        render_kw={"autocomplete": "organization", "maxlength": LONGEST_TEXT},
    )
    email = EmailField(
        _("E-mail for receipts and notices"),
        [*PLAIN, InputRequired(_("E-mail: fill this in."))],
        render_kw={"autocomplete": "email", "inputmode": "email", "maxlength": LONGEST_TEXT},
    )


class CountryForm(FlaskForm):
    """The country."""

    country = SelectField(
        _("Country"),
        [InputRequired(_("Country: choose one.")), AnyOf(COUNTRIES, _("Country: choose one."))],
        choices=country_choices,
        validate_choice=False,
        render_kw={"autocomplete": "billing country"},
    )


class AddressForm(FlaskForm):
    """The lines of an address without its country."""

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

    def address(self) -> dict[str, str]:
        """What was entered, by Stripe's names."""
        return {name: self[name].data or "" for name in ADDRESS if name in self._fields}


class TaxNumberForm(FlaskForm):
    """The number by which a company is known to a tax office."""

    tax_id_value = StringField(
        _("Tax number"),
        [PlainText(), Length(max=LONGEST_TAX_ID, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_TAX_ID, "spellcheck": "false"},
    )


def known_address(known: BillingDetails) -> dict[str, object]:
    """The address as the fields hold it."""
    return {name: (known.address or {}).get(name, "") for name in ADDRESS}


def put_errors(form: Form, problems: Mapping[str, str]) -> None:
    """Put a service's objections beside their fields; one about no field stands on top."""
    for param, message in problems.items():
        name = param.removeprefix("address.")
        if name in form._fields:
            form[name].errors = [*form[name].errors, translated(message)]
        else:
            form.form_errors.append(translated(message))
