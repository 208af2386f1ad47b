"""Whom the invoices are made out to: kept here, mirrored at Stripe's customer, tax number checked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from babel import Locale
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, PortalError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_words import TaxId
from portal.models import BillingDetails
from portal.read_ahead import first
from portal.services import attempt_states, audit, tax_ids
from portal.services.ids import new_id

log = structlog.get_logger()

PENDING = "pending"
LONGEST_TEXT = 200
LONGEST_TAX_ID = 40
# Stripe forgets a key after 24 hours; after that the customer is looked for by its metadata
KEY_LIFETIME = timedelta(hours=23)
ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country")
COUNTRIES = frozenset(code for code in map(str, Locale("en").territories) if re.fullmatch("[A-Z]{2}", code))
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class DetailsError(PortalError):
    """Some fields are not right: ``fields`` maps each to what to do about it."""

    code = "details"
    status = 422

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(N_("Some details are not right yet."), param=next(iter(fields), None))
        self.fields = dict(fields)


@dataclass(frozen=True)
class Details:
    """What the form says. ``address``: line1, line2, city, state, postal_code, country (two letters)."""

    company_name: str
    email: str
    address: Mapping[str, str] = field(default_factory=dict)
    tax_id_type: str | None = None
    tax_id_value: str | None = None


def save(gateways: Gateways, workspace_id: int, user_id: int | None, details: Details) -> BillingDetails:
    """Check and keep the details, and bring them to Stripe's customer, which is made if there is none.

    Raises DetailsError with a message per field (``company_name``, ``email``, ``address.country`` …,
    ``tax_id_value``), also when it is Stripe that objects. What is kept is what Stripe has accepted.
    """
    details = checked(details)
    customer_id = _customer(gateways, workspace_id, details)
    try:
        gateways.stripe.update_customer(
            customer_id,
            name=details.company_name,
            email=details.email,
            address=details.address,
            key=new_id("D"),
        )
        tax_id = _sync_tax_id(gateways, customer_id, details)
    except StripeRefusedError as refusal:
        raise field_error(refusal) from refusal
    with unit_of_work(workspace_id) as session:
        row = _store(session, details, tax_id, user_id)
    if tax_id is None or tax_id.status != PENDING:
        return row
    _catch_up(gateways, tax_id.id)
    with unit_of_work(workspace_id) as session:
        return session.scalars(select(BillingDetails)).one()


def _catch_up(gateways: Gateways, tax_id: str) -> None:
    """The registry may have answered before the number was stored, when its event found nothing of ours."""
    try:
        refresh_tax_id(gateways, tax_id)
    except PortalError as error:
        log.warning("tax_number_not_read", tax_id=tax_id, reason=str(error))


CURRENT = select(BillingDetails)


def current(session: Session) -> BillingDetails | None:
    """The entered workspace's details."""
    return first(session, CURRENT)


def refresh_tax_id(gateways: Gateways, tax_id: str) -> tuple[int, str | None] | None:
    """Read the registry's answer about a tax number: workspace and status, or nothing when it is not ours."""
    with unit_of_work(system=True) as session:
        owner = session.execute(
            select(BillingDetails.workspace_id, BillingDetails.stripe_customer_id).where(
                BillingDetails.tax_id_stripe_id == tax_id
            )
        ).first()
    if owner is None or owner.stripe_customer_id is None:
        return None
    known = gateways.stripe.tax_ids(owner.stripe_customer_id)
    status = next((each.status for each in known if each.id == tax_id), None)
    with unit_of_work(owner.workspace_id) as session:
        row = session.scalars(
            select(BillingDetails).where(BillingDetails.tax_id_stripe_id == tax_id).with_for_update()
        ).first()
        if row is not None and row.tax_id_status != status:
            before: dict[str, object] = {"status": row.tax_id_status}
            row.tax_id_status = status
            audit.record(
                session, "tax_id.answered", actor=audit.STRIPE, before=before, after={"status": status}
            )
    return owner.workspace_id, status


def workspace_of(customer_id: str) -> int | None:
    """Whose customer at Stripe that is, or nothing when it is not one of ours."""
    with unit_of_work(system=True) as session:
        return session.scalar(
            select(BillingDetails.workspace_id).where(BillingDetails.stripe_customer_id == customer_id)
        )


def checked(details: Details) -> Details:
    """The details in one spelling. Raises DetailsError with a message per field."""
    texts = {"company_name": details.company_name, "email": details.email}
    address = {name: " ".join((details.address.get(name) or "").split()) for name in ADDRESS}
    address["country"] = address["country"].upper()
    clean = {name: " ".join(value.split()) for name, value in texts.items()}
    problems: dict[str, str] = {
        name: N_("Fill this in.")
        for name, value in (
            clean | {f"address.{part}": address[part] for part in ("line1", "country")}
        ).items()
        if not value
    }
    for name, value in (clean | {f"address.{part}": value for part, value in address.items()}).items():
        if len(value) > LONGEST_TEXT:
            problems[name] = N_("Keep this under %(limit)s characters.", limit=LONGEST_TEXT)
    if clean["email"] and not EMAIL.fullmatch(clean["email"]):
        problems["email"] = N_("Enter an e-mail address, such as billing@example.com.")
    if address["country"] and address["country"] not in COUNTRIES:
        problems["address.country"] = N_("Choose a country.")
    kind, number = _checked_tax_id(details, address["country"], problems)
    if problems:
        raise DetailsError(problems)
    kept = {name: part for name, part in address.items() if part}
    return Details(clean["company_name"], clean["email"], kept, kind, number)


def _checked_tax_id(
    details: Details, country: str, problems: dict[str, str]
) -> tuple[str | None, str | None]:
    given = (details.tax_id_value or "").strip()
    if not given:
        return None, None
    fitting = tax_ids.kinds(country)
    kind = details.tax_id_type or (fitting[0].type if fitting else "")
    value = tax_ids.normal(kind, given[:LONGEST_TAX_ID])
    problem = tax_ids.problem(country, kind, value)
    if problem:
        problems["tax_id_value"] = problem
    return kind, value


def _customer(gateways: Gateways, workspace_id: int, details: Details) -> str:
    """The customer's id at Stripe, made once whatever fails: the key is written before Stripe is asked."""
    with unit_of_work(workspace_id) as session:
        row = _row(session, details)
        if row.stripe_customer_id:
            return row.stripe_customer_id
        if row.stripe_customer_key is None:
            row.stripe_customer_key = new_id("C")
            row.stripe_customer_asked_at = session.scalar(select(func.clock_timestamp()))
        key, asked_at = row.stripe_customer_key, row.stripe_customer_asked_at
    customer_id = _made_before(gateways, key, asked_at)
    if customer_id is None:
        metadata = {"workspace": str(workspace_id), "workspace_key": key}
        customer_id = gateways.stripe.create_customer(metadata, key=f"{key}:create_customer")
    with unit_of_work(workspace_id) as session:
        session.execute(update(BillingDetails).values(stripe_customer_id=customer_id))
    return customer_id


def _made_before(gateways: Gateways, key: str, asked_at: datetime | None) -> str | None:
    with unit_of_work() as session:
        now = attempt_states.database_time(session)
    if asked_at is None or now - asked_at < KEY_LIFETIME:
        return None
    return gateways.stripe.find_customer("workspace_key", key, since=int(asked_at.timestamp()) - 60)


def _row(session: Session, details: Details) -> BillingDetails:
    row = session.scalars(select(BillingDetails).with_for_update()).first()
    if row is None:
        row = BillingDetails(company_name=details.company_name, email=details.email)
        session.add(row)
        session.flush()
    return row


def _sync_tax_id(gateways: Gateways, customer_id: str, details: Details) -> TaxId | None:
    """Let the customer have exactly the given tax number; reads first, so a repeat is safe."""
    known = gateways.stripe.tax_ids(customer_id)
    wanted = (details.tax_id_type, details.tax_id_value)
    kept = next(
        (each for each in known if (each.type, tax_ids.normal(each.type, each.value)) == wanted), None
    )
    if kept is None and details.tax_id_type and details.tax_id_value:
        kept = gateways.stripe.create_tax_id(
            customer_id, details.tax_id_type, details.tax_id_value, key=new_id("D")
        )
    for each in known:
        if kept is None or each.id != kept.id:
            gateways.stripe.delete_tax_id(customer_id, each.id)
    return kept


def field_error(refusal: StripeRefusedError) -> PortalError:
    """Stripe's objection beside the field that it is about."""
    if refusal.stripe_code == "tax_id_invalid":
        return DetailsError(
            {"tax_id_value": N_("Stripe does not accept this number. Check it digit by digit.")}
        )
    if refusal.stripe_code == "customer_tax_location_invalid":
        return DetailsError(
            {"address.postal_code": N_("This place cannot be found. Check postal code, state and country.")}
        )
    if refusal.param and refusal.param.startswith("address"):
        return DetailsError({refusal.param.replace("[", ".").rstrip("]"): refusal.message})
    if refusal.param == "email":
        return DetailsError(
            {"email": N_("Stripe does not accept this address. Check it for a typing mistake.")}
        )
    return refusal


def _store(session: Session, details: Details, tax_id: TaxId | None, user_id: int | None) -> BillingDetails:
    row = _row(session, details)
    before = facts(row)
    row.company_name, row.email, row.stripe_email = details.company_name, details.email, None
    row.address = dict(details.address)
    row.tax_id_type, row.tax_id_value = details.tax_id_type, details.tax_id_value
    row.tax_id_stripe_id = tax_id.id if tax_id else None
    row.tax_id_status = tax_id.status if tax_id else None
    row.updated_at = session.execute(select(func.clock_timestamp())).scalar_one()
    if facts(row) != before:
        audit.record(session, "billing_details.saved", user_id=user_id, before=before, after=facts(row))
    session.flush()
    return row


def facts(row: BillingDetails) -> dict[str, object]:
    """What of them an audit keeps."""
    return {
        "company_name": row.company_name,
        "email": row.email,
        "address": row.address,
        "tax_id_type": row.tax_id_type,
        "tax_id_value": row.tax_id_value,
    }
