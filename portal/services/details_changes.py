"""Billing details after the first purchase: what a customer changes itself, and what goes to support.

Two e-mail addresses are kept apart: ours, to which receipts and notices go, and the one of Stripe's customer,
by which Link recognises saved cards. Changing ours leaves Stripe's as it is unless that is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import unit_of_work
from portal.errors import N_, ConflictError, NotFoundError
from portal.gateways import Gateways
from portal.gateways.stripe_errors import StripeRefusedError
from portal.gateways.stripe_invoices import BilledTo
from portal.models import BillingDetails, DetailsRequest
from portal.services import audit, billing_details, incidents, letters, tax_ids
from portal.services.billing_details import ADDRESS, Details, DetailsError
from portal.services.ids import new_id

# Stripe's limit for the value of a custom field
LONGEST_PURCHASE_ORDER = 140
LONGEST_REASON = 500
OPEN, DONE, REFUSED, WITHDRAWN = "open", "done", "refused", "withdrawn"


class RequestUnderWayError(ConflictError):
    """There is an open request already; it is withdrawn before another is made."""

    code = "request_under_way"


@dataclass(frozen=True)
class Wanted:
    """What shall stand on later invoices; country and tax number are not changed here."""

    company_name: str
    email: str
    address: Mapping[str, str] = field(default_factory=dict)
    purchase_order: str | None = None
    email_at_stripe: bool = False  # also the address that Link knows


@dataclass(frozen=True)
class WantedElsewhere:
    """A move to another country or another tax number, with the address there, for support to carry out."""

    address: Mapping[str, str]
    tax_id_value: str | None
    reason: str


def change(gateways: Gateways, workspace_id: int, user_id: int, wanted: Wanted) -> BillingDetails:
    """Keep the details, and bring them to Stripe's customer; what is kept is what Stripe accepted.

    Raises DetailsError with a message per field, NotFoundError before the first purchase.
    """
    with unit_of_work(workspace_id) as session:
        known = _known(session)
    details, purchase_order = _checked(known, wanted)
    email = details.email if wanted.email_at_stripe else None
    billed_to = BilledTo(details.company_name, details.address, purchase_order, email)
    try:
        gateways.stripe.invoices.update_billed_to(str(known.stripe_customer_id), billed_to, key=new_id("D"))
    except StripeRefusedError as refusal:
        raise billing_details.field_error(refusal) from refusal
    with unit_of_work(workspace_id) as session:
        return _store(session, user_id, details, purchase_order, email_at_stripe=wanted.email_at_stripe)


def ask_support(
    gateways: Gateways, workspace_id: int, user_id: int, wanted: WantedElsewhere
) -> DetailsRequest:
    """Keep a request for another country or tax number and tell support; nothing changes by it.

    Raises DetailsError, RequestUnderWayError, NotFoundError.
    """
    with unit_of_work(workspace_id) as session:
        known = _known(session)
    facts = _checked_elsewhere(known, wanted)
    try:
        with unit_of_work(workspace_id) as session:
            row = DetailsRequest(
                id=new_id("R"),
                state=OPEN,
                wanted=facts,
                before=_facts(known),
                created_by=user_id,
                created_at=gateways.clock.now(),
            )
            session.add(row)
            session.flush()
            audit.record(session, "details_request.made", user_id=user_id, before=_facts(known), after=facts)
            incidents.report(
                session,
                gateways,
                "details_request",
                dedupe_key=f"details_request:{row.id}",
                workspace_id=workspace_id,
                summary=f"{known.company_name} asks for another country or tax number ({row.id})",
                details={"request": row.id, "wanted": facts, "now": _facts(known)},
            )
            return row
    except IntegrityError as error:
        if "uq_details_request_open" not in str(error.orig):
            raise
        raise RequestUnderWayError(
            N_("A request is open already. Withdraw it before you make another.")
        ) from error


def withdraw(workspace_id: int, user_id: int) -> None:
    """Take the open request back, if there is one."""
    with unit_of_work(workspace_id) as session:
        row = open_request(session, lock=True)
        if row is None:
            return
        row.state = WITHDRAWN
        row.resolved_at = session.scalar(select(func.clock_timestamp()))
        audit.record(session, "details_request.withdrawn", user_id=user_id, before=dict(row.wanted))


def resolve(gateways: Gateways, workspace_id: int, *, accepted: bool) -> DetailsRequest:
    """Support's answer to the open request: carry it out, or leave all as it is; the customer is mailed.

    Accepted, the details are saved as at a first purchase: Stripe checks the place and the number, and the
    tax of later invoices follows. Raises NotFoundError without an open request, DetailsError for what Stripe
    refuses.
    """
    with unit_of_work(workspace_id) as session:
        row, known = open_request(session), _known(session)
    if row is None:
        raise NotFoundError("This workspace has no open request.")
    wanted: Mapping[str, Any] = row.wanted
    if accepted:
        details = Details(
            known.company_name,
            known.stripe_email or known.email,
            wanted["address"],
            wanted["tax_id_type"],
            wanted["tax_id_value"],
        )
        billing_details.save(gateways, workspace_id, None, details)
    with unit_of_work(workspace_id) as session:
        done = session.scalars(select(DetailsRequest).where(DetailsRequest.id == row.id)).one()
        details_now = session.scalars(select(BillingDetails).with_for_update()).one()
        details_now.email, details_now.stripe_email = known.email, known.stripe_email
        done.state = DONE if accepted else REFUSED
        done.resolved_at = gateways.clock.now()
        audit.record(
            session,
            "details_request.done" if accepted else "details_request.refused",
            actor="support",
            before=dict(done.before),
            after=dict(done.wanted),
        )
        _answer(session, gateways, details_now, done)
        return done


def _answer(session: Session, gateways: Gateways, details: BillingDetails, row: DetailsRequest) -> None:
    letters.send(
        session,
        gateways,
        "details_answer",
        details.email,
        dedupe_key=f"details_answer:{row.id}",
        workspace_id=details.workspace_id,
        facts={
            "request": row.id,
            "accepted": row.state == DONE,
            "company_name": details.company_name,
            "address": row.wanted["address"],
            "tax_id": row.wanted["tax_id_value"],
            "base_url": gateways.settings.base_url,
        },
    )


def open_request(session: Session, *, lock: bool = False) -> DetailsRequest | None:
    """The workspace's request that support has not answered yet."""
    statement = select(DetailsRequest).where(DetailsRequest.state == OPEN)
    return session.scalars(statement.with_for_update() if lock else statement).first()


def _known(session: Session) -> BillingDetails:
    found = billing_details.current(session)
    if found is None or found.stripe_customer_id is None or not found.address:
        raise NotFoundError(N_("There are no billing details before the first purchase."))
    return found


def _checked(known: BillingDetails, wanted: Wanted) -> tuple[Details, str | None]:
    country = str((known.address or {}).get("country", ""))
    number = " ".join((wanted.purchase_order or "").split())
    problems: dict[str, str] = {}
    if len(number) > LONGEST_PURCHASE_ORDER:
        problems["purchase_order"] = N_("Keep this under %(limit)s characters.", limit=LONGEST_PURCHASE_ORDER)
    address = {name: wanted.address.get(name, "") for name in ADDRESS} | {"country": country}
    try:
        details = billing_details.checked(Details(wanted.company_name, wanted.email, address))
    except DetailsError as error:
        raise DetailsError(error.fields | problems) from error
    if problems:
        raise DetailsError(problems)
    return details, number or None


def _checked_elsewhere(known: BillingDetails, wanted: WantedElsewhere) -> dict[str, object]:
    country = wanted.address.get("country", "")
    kinds = tax_ids.kinds(country)
    number = (wanted.tax_id_value or "").strip()
    details = billing_details.checked(
        Details(
            known.company_name,
            known.email,
            wanted.address,
            kinds[0].type if kinds and number else None,
            number or None,
        )
    )
    same_country = details.address["country"] == (known.address or {}).get("country")
    if same_country and details.tax_id_value == known.tax_id_value:
        raise DetailsError({"country": N_("Choose another country, or enter another tax number.")})
    return {
        "address": dict(details.address),
        "tax_id_type": details.tax_id_type,
        "tax_id_value": details.tax_id_value,
        "reason": " ".join(wanted.reason.split())[:LONGEST_REASON],
    }


def _store(
    session: Session, user_id: int, details: Details, purchase_order: str | None, *, email_at_stripe: bool
) -> BillingDetails:
    row = session.scalars(select(BillingDetails).with_for_update()).one()
    before = _facts(row)
    if email_at_stripe:
        row.stripe_email = None
    elif row.email != details.email and row.stripe_email is None:
        row.stripe_email = row.email
    if row.stripe_email == details.email:
        row.stripe_email = None
    row.company_name, row.email = details.company_name, details.email
    row.address = dict(details.address)
    row.purchase_order = purchase_order
    row.updated_at = session.execute(select(func.clock_timestamp())).scalar_one()
    if _facts(row) != before:
        audit.record(session, "billing_details.changed", user_id=user_id, before=before, after=_facts(row))
    session.flush()
    return row


def _facts(row: BillingDetails) -> dict[str, object]:
    return billing_details.facts(row) | {
        "purchase_order": row.purchase_order,
        "stripe_email": row.stripe_email,
    }
