"""The forms of /billing/details: what a customer changes itself, and what it asks support for."""

from collections.abc import Mapping

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, Form, SelectField, StringField, TextAreaField
from wtforms.validators import AnyOf, InputRequired, Length

from portal.models import BillingDetails
from portal.services.billing_details import ADDRESS, COUNTRIES, LONGEST_TAX_ID, LONGEST_TEXT
from portal.services.details_changes import LONGEST_PURCHASE_ORDER, LONGEST_REASON, Wanted, WantedElsewhere
from portal.web.checkout_form import PLAIN, TOO_LONG, country_choices
from portal.web.language import translated
from portal.web.text_rules import PlainText

PURCHASE_ORDER_TOO_LONG = TOO_LONG


def put_errors(form: Form, problems: Mapping[str, str]) -> None:
    """Put a service's objections beside their fields; one about no field stands on top."""
    for param, message in problems.items():
        name = param.removeprefix("address.")
        if name in form._fields:
            form[name].errors = [*form[name].errors, translated(message)]
        else:
            form.form_errors.append(translated(message))


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


class ChangeForm(AddressForm):
    """Name, e-mail, address lines and purchase-order number."""

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
    email_at_stripe = BooleanField(_("Change the address at Stripe too"))
    purchase_order = StringField(
        _("PO number"),
        [PlainText(), Length(max=LONGEST_PURCHASE_ORDER, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_PURCHASE_ORDER},
    )

    def wanted(self) -> Wanted:
        """What was entered, for the service."""
        return Wanted(
            company_name=self["company_name"].data or "",
            email=self["email"].data or "",
            address=self.address(),
            purchase_order=self["purchase_order"].data,
            email_at_stripe=bool(self["email_at_stripe"].data),
        )


class ElsewhereForm(AddressForm):
    """Another country or tax number, with the address there."""

    country = SelectField(
        _("Country"),
        [InputRequired(_("Country: choose one.")), AnyOf(COUNTRIES, _("Country: choose one."))],
        choices=country_choices,
        validate_choice=False,
        render_kw={"autocomplete": "billing country"},
    )
    tax_id_value = StringField(
        _("Tax number"),
        [PlainText(), Length(max=LONGEST_TAX_ID, message=TOO_LONG)],
        render_kw={"autocomplete": "off", "maxlength": LONGEST_TAX_ID, "spellcheck": "false"},
    )
    reason = TextAreaField(
        _("Since when, and why"),
        [Length(max=LONGEST_REASON, message=TOO_LONG)],
        render_kw={"rows": 3, "maxlength": LONGEST_REASON},
    )

    def wanted(self) -> WantedElsewhere:
        """What was entered, for the service."""
        return WantedElsewhere(self.address(), self["tax_id_value"].data, self["reason"].data or "")


def change_form(known: BillingDetails) -> ChangeForm:
    """The form with what is known, or with what was just sent."""
    return ChangeForm(
        data={
            "company_name": known.company_name,
            "email": known.email,
            "purchase_order": known.purchase_order or "",
            **_address(known),
        }
    )


def elsewhere_form(known: BillingDetails) -> ElsewhereForm:
    """The form with what is known, or with what was just sent."""
    return ElsewhereForm(data={"tax_id_value": known.tax_id_value or "", **_address(known)})


def _address(known: BillingDetails) -> dict[str, object]:
    return {name: (known.address or {}).get(name, "") for name in ADDRESS}
