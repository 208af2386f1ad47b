"""The forms of /billing/details: what a customer changes itself, and what it asks support for."""

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, StringField, TextAreaField
from wtforms.validators import Length

from portal.models import BillingDetails
from portal.services.details_changes import LONGEST_PURCHASE_ORDER, LONGEST_REASON, Wanted, WantedElsewhere
from portal.web.address_form import (
    TOO_LONG,
    AddressForm,
    CompanyForm,
    CountryForm,
    TaxNumberForm,
    known_address,
)
from portal.web.text_rules import PlainText


class ChangeForm(CompanyForm, AddressForm):
    """Name, e-mail, address lines and purchase-order number."""

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


class ElsewhereForm(CountryForm, AddressForm, TaxNumberForm):
    """Another country or tax number, with the address there."""

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
            **known_address(known),
        }
    )


def elsewhere_form(known: BillingDetails) -> ElsewhereForm:
    """The form with what is known, or with what was just sent."""
    return ElsewhereForm(data={"tax_id_value": known.tax_id_value or "", **known_address(known)})
