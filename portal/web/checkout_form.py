"""The details on /checkout: whom the invoices are for, and whether a trial comes first."""

from flask_babel import lazy_gettext as _
from wtforms import RadioField, SelectChoice
from wtforms.validators import AnyOf

from portal.models import BillingDetails
from portal.services import tax_ids
from portal.services.billing_details import Details
from portal.web.address_form import AddressForm, CompanyForm, CountryForm, TaxNumberForm, known_address

PAY_NOW, TRIAL = "now", "trial"


class DetailsForm(CompanyForm, CountryForm, AddressForm, TaxNumberForm):
    """Company, address and tax number. What is acceptable is decided by services.billing_details."""

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
            address=self.address(),
            tax_id_type=kinds[0].type if kinds and self["tax_id_value"].data else None,
            tax_id_value=self["tax_id_value"].data or None,
        )


def details_form(known: BillingDetails | None) -> DetailsForm:
    """The form, filled with what is known of the workspace, or with what was just sent."""
    if known is None:
        return DetailsForm()
    return DetailsForm(
        data={
            "company_name": known.company_name,
            "email": known.email,
            "tax_id_value": known.tax_id_value or "",
            "start": PAY_NOW,
            **known_address(known),
        }
    )
