"""Deleting a workspace: the wish, its date, taking it back, and carrying it out.

What is about people and not on an invoice goes; invoices, the quotes that they were held against and the
history of changes stay for as long as bookkeeping needs them (``PORTAL_RETENTION_YEARS``).
"""

from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.db import enter_user, unit_of_work
from portal.errors import N_, ConflictError
from portal.gateways import Gateways
from portal.models import (
    ApiKey,
    BillingDetails,
    Cancellation,
    Contest,
    CreditPurchase,
    CreditTopUp,
    DeletionRequest,
    DetailsRequest,
    Invitation,
    Invoice,
    LoginSession,
    Mail,
    Member,
    PasskeyChallenge,
    PaymentMethod,
    Quote,
    RecoveryCode,
    Subscription,
    User,
    WebAuthn,
    Workspace,
)
from portal.services import audit, incidents, letters, subscriptions
from portal.services.ids import new_id

log = structlog.get_logger()

PENDING = "pending"
WITHDRAWN = "withdrawn"
FINISHED = "done"

TAKE_BACK = timedelta(days=30)
BATCH = 100
NOBODY = "deleted.invalid"

# what becomes of each table of a workspace; a test asks for every one of them
DECIDED = {
    "adjustment": "kept: belongs to an invoice",
    "allowance": "kept: sums of the ledger",
    "attempt": "kept: how an invoice came about",
    "audit_entry": "kept: the evidence for the invoices, with the e-mail address of whoever acted",
    "billing_details": "emptied but for the link to Stripe's customer",
    "cancellation": "kept without the comment",
    "cap_raise": "kept: why a line is above the cap",
    "contest": "kept without the comment: why a unit was taken back",
    "conversation_event": "kept: the evidence for what was billed; it names no person",
    "correction": "kept: belongs to an invoice",
    "credit_entry": "kept: what an invoice was paid with",
    "credit_grant": "kept: what an invoice was paid with",
    "credit_lot": "kept: what an invoice was paid with",
    "credit_purchase": "kept where it was confirmed: belongs to an invoice",
    "credit_refund": "kept: belongs to an invoice",
    "credit_sum": "kept: sums of the ledger",
    "credit_top_up": "removed",
    "deletion_request": "kept: the proof that the wish was carried out",
    "details_request": "removed",
    "invitation": "removed",
    "invoice": "kept: the law asks for it",
    "member": "removed",
    "meter_event": "kept: what Stripe was told of the usage",
    "negotiated_discount": "kept: why a line was cheaper",
    "payment_action": "kept: who paid which invoice",
    "payment_method": "removed",
    "planned_change": "kept: belongs to a confirmed quote",
    "quote": "kept where it was confirmed: what an invoice was held against",
    "quote_match": "kept: the proof of an invoice",
    "reservation": "kept for a month: it names no person",
    "resolution": "kept: what an invoice line is made of",
    "subscription": "kept without the payment method",
    "usage_alert": "kept: it names no person",
    "usage_credit": "kept: belongs to an invoice",
    "usage_day": "kept: sums of the ledger",
    "usage_difference": "kept: it names no person",
    "usage_entry": "kept: what an invoice line is made of",
    "usage_limit": "kept: why a line is not above the cap",
    "usage_match": "kept: the proof of an invoice",
    "usage_period": "kept: which invoice billed which usage",
}
# what a login says of its person
PERSONAL = (
    *("name", "pending_email", "password", "username", "confirmed_at", "last_login_at", "current_login_at"),
    *("last_login_ip", "current_login_ip", "tf_primary_method", "tf_totp_secret", "tf_phone_number"),
    *("us_totp_secrets", "us_phone_number", "fs_webauthn_user_handle", "mf_recovery_codes"),
)


class StillSubscribedError(ConflictError):
    """A subscription that renews pays for what would be deleted."""

    code = "still_subscribed"

    def __init__(self) -> None:
        super().__init__(N_("End the subscription first. Nothing was changed."))


def due_at(session: Session, now: datetime) -> datetime | None:
    """When a wish made now would be carried out; nothing while a subscription renews."""
    subscription = subscriptions.bought(session)
    if subscription is None:
        return now + TAKE_BACK
    if subscription.cancel_at is None:
        return None
    return max(now, subscription.cancel_at) + TAKE_BACK


def pending(session: Session) -> DeletionRequest | None:
    """The wish that waits for its day."""
    return session.scalars(select(DeletionRequest).where(DeletionRequest.state == PENDING)).first()


def request(gateways: Gateways, workspace_id: int, user_id: int) -> None:
    """Note the wish, tell support, and mail the person who asked; a second click changes nothing.

    Raises StillSubscribedError.
    """
    now = gateways.clock.now()
    try:
        with unit_of_work(workspace_id) as session:
            if pending(session) is not None:
                return
            due = due_at(session, now)
            if due is None:
                raise StillSubscribedError
            _write(session, gateways, user_id, now, due)
    except IntegrityError as error:
        if "uq_deletion_request_pending" not in str(error.orig):
            raise


def _write(session: Session, gateways: Gateways, user_id: int, now: datetime, due: datetime) -> None:
    row = DeletionRequest(id=new_id("D"), requested_at=now, requested_by=user_id, due_at=due)
    session.add(row)
    session.flush()
    audit.record(session, "deletion.requested", user_id=user_id, after={"due_at": due.isoformat()})
    incidents.report(
        session,
        gateways,
        "deletion_requested",
        dedupe_key=f"deletion_requested:{row.id}",
        workspace_id=row.workspace_id,
        summary=f"A workspace asked to be deleted; this happens by itself on {due:%Y-%m-%d}",
        details={"request": row.id, "due_at": due.isoformat()},
    )
    _mail(session, gateways, row, "deletion_requested", user_id)


def _mail(session: Session, gateways: Gateways, row: DeletionRequest, kind: str, user_id: int | None) -> None:
    address = session.scalar(select(User.email).where(User.id == (user_id or row.requested_by)))
    if address is None:
        return
    letters.send(
        session,
        gateways,
        kind,
        address,
        dedupe_key=f"{kind}:{row.id}",
        workspace_id=row.workspace_id,
        facts={
            "base_url": gateways.settings.base_url,
            "company_name": session.scalar(select(Workspace.name).where(Workspace.id == row.workspace_id)),
            "due_at": row.due_at,
        },
    )


def withdraw(gateways: Gateways, workspace_id: int, user_id: int) -> None:
    """Take the wish back; where there is none, nothing happens."""
    with unit_of_work(workspace_id) as session:
        withdraw_because_kept(session, gateways, user_id)


def withdraw_because_kept(session: Session, gateways: Gateways, user_id: int | None) -> None:
    """A wish to be deleted does not outlive the wish to stay."""
    row = session.scalars(
        select(DeletionRequest).where(DeletionRequest.state == PENDING).with_for_update()
    ).first()
    if row is None:
        return
    row.state, row.settled_at, row.settled_by = WITHDRAWN, gateways.clock.now(), user_id
    audit.record(session, "deletion.withdrawn", user_id=user_id, before={"due_at": row.due_at.isoformat()})
    _mail(session, gateways, row, "deletion_withdrawn", user_id)


def count_from(session: Session, ended_at: datetime) -> None:
    """The subscription has ended before its time: so do the days for taking the wish back."""
    row = pending(session)
    if row is not None:
        row.due_at = max(row.requested_at, ended_at) + TAKE_BACK


def sweep(gateways: Gateways) -> int:
    """Carry out every wish whose day has come; returns how many were.

    One that fails is logged and does not keep the others from their turn.
    """
    with unit_of_work(system=True) as session:
        due = session.scalars(
            select(DeletionRequest.workspace_id)
            .where(DeletionRequest.state == PENDING, DeletionRequest.due_at <= gateways.clock.now())
            .order_by(func.random())
            .limit(BATCH)
        ).all()
    return sum(_one(gateways, workspace_id) for workspace_id in due)


def _one(gateways: Gateways, workspace_id: int) -> bool:
    try:
        with unit_of_work(workspace_id) as session:
            return _settle(session, gateways, workspace_id)
    except Exception:
        log.exception("deletion_failed", workspace=workspace_id)
        return False


def _settle(session: Session, gateways: Gateways, workspace_id: int) -> bool:
    """Delete, unless the workspace came back or still owes."""
    subscription = subscriptions.bought(session)
    if subscription is not None and subscription.cancel_at is None:
        withdraw_because_kept(session, gateways, None)
        return False
    row = session.scalars(
        select(DeletionRequest).where(DeletionRequest.state == PENDING).with_for_update()
    ).first()
    if row is None:
        return False
    if subscription is not None and subscription.cancel_at is not None:
        row.due_at = max(row.due_at, subscription.cancel_at + TAKE_BACK)
        return False
    owed = session.scalars(select(Invoice.stripe_id).where(Invoice.status == "open")).all()
    if owed:
        _report(
            session, gateways, row, "deletion_waits", "An open invoice keeps a workspace from deletion", owed
        )
        return False
    customer = session.scalar(select(BillingDetails.stripe_customer_id))
    erase(session, workspace_id)
    row.state, row.settled_at = FINISHED, gateways.clock.now()
    audit.record(session, "deletion.done")
    summary = "A workspace was deleted; remove its payment methods at Stripe, the invoices there stay"
    _report(session, gateways, row, "deletion_done", summary, [customer] if customer else [])
    return True


def _report(
    session: Session, gateways: Gateways, row: DeletionRequest, kind: str, summary: str, about: object
) -> None:
    incidents.report(
        session,
        gateways,
        kind,
        dedupe_key=f"{kind}:{row.id}",
        workspace_id=row.workspace_id,
        summary=summary,
        details={"request": row.id, "about": list(about) if isinstance(about, (list, tuple)) else []},
    )


def erase(session: Session, workspace_id: int) -> None:
    """Remove people and names from the entered workspace; what the law wants kept is left as it is."""
    people = list(session.scalars(select(Member.user_id)))
    session.execute(delete(Mail).where(Mail.workspace_id == workspace_id))
    session.execute(delete(ApiKey).where(ApiKey.workspace_id == workspace_id))
    unconfirmed = select(Quote.id).where(Quote.confirmed_at.is_(None))
    session.execute(
        delete(CreditPurchase).where(
            or_(CreditPurchase.quote_id.is_(None), CreditPurchase.quote_id.in_(unconfirmed)),
            CreditPurchase.paid_at.is_(None),
        )
    )
    session.execute(delete(Quote).where(Quote.confirmed_at.is_(None)))
    for table in (Invitation, DetailsRequest, PaymentMethod, CreditTopUp, Member):
        session.execute(delete(table))
    session.execute(update(Workspace).values(name=f"Deleted workspace {workspace_id}"))
    session.execute(update(Cancellation).values(comment=None))
    session.execute(update(Contest).values(comment=None))
    session.execute(update(Subscription).values(default_payment_method=None))
    session.execute(
        update(BillingDetails).values(
            company_name=f"Deleted workspace {workspace_id}",
            email=f"workspace-{workspace_id}@{NOBODY}",
            address=None,
            tax_id_type=None,
            tax_id_value=None,
            tax_id_status=None,
            draft_selection=None,
            purchase_order=None,
            stripe_email=None,
        )
    )
    session.execute(
        update(LoginSession).where(LoginSession.workspace_id == workspace_id).values(workspace_id=None)
    )
    for user_id in people:
        if not _belongs_elsewhere(session, user_id):
            _forget(session, user_id)


def _belongs_elsewhere(session: Session, user_id: int) -> bool:
    """Whether the login is a member of another workspace; its memberships here are gone already."""
    enter_user(session, user_id)
    return session.scalars(select(Member.id).where(Member.user_id == user_id)).first() is not None


def _forget(session: Session, user_id: int) -> None:
    """Make a login nobody's: what refers to it stays whole, and nobody can sign in with it."""
    for table in (LoginSession, WebAuthn, RecoveryCode, PasskeyChallenge):
        session.execute(delete(table).where(table.user_id == user_id))
    login = session.get_one(User, user_id)
    for name in PERSONAL:
        setattr(login, name, None)
    login.email, login.active = f"login-{user_id}@{NOBODY}", False
    login.fs_uniquifier = uuid4().hex
