"""Every table. Ledgers (audit_entry, quote_match) only grow; Isolated is under row-level security."""

from portal.models.accounts import BillingDetails, LoginSession, Member, Role, User, WebAuthn, Workspace
from portal.models.adjustments import Adjustment, Correction, DetailsRequest
from portal.models.base import Base, Isolated, WorkspaceOwned
from portal.models.billing import AuditEntry, CatalogPrice, Invoice, QuoteMatch, Subscription
from portal.models.changes import NegotiatedDiscount, PlannedChange
from portal.models.factors import PasskeyChallenge, RecoveryCode
from portal.models.inbox import InboxEvent, Incident, Mail, PollCursor, RateLimit
from portal.models.invitations import Invitation
from portal.models.leaving import Cancellation, DeletionRequest
from portal.models.payments import PaymentAction, PaymentMethod
from portal.models.purchases import Attempt, Quote

__all__ = [
    "Adjustment",
    "Attempt",
    "AuditEntry",
    "Base",
    "BillingDetails",
    "Cancellation",
    "CatalogPrice",
    "Correction",
    "DeletionRequest",
    "DetailsRequest",
    "InboxEvent",
    "Incident",
    "Invitation",
    "Invoice",
    "Isolated",
    "LoginSession",
    "Mail",
    "Member",
    "NegotiatedDiscount",
    "PasskeyChallenge",
    "PaymentAction",
    "PaymentMethod",
    "PlannedChange",
    "PollCursor",
    "Quote",
    "QuoteMatch",
    "RateLimit",
    "RecoveryCode",
    "Role",
    "Subscription",
    "User",
    "WebAuthn",
    "Workspace",
    "WorkspaceOwned",
]
