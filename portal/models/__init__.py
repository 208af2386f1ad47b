"""Every table. Those that only grow: audit_entry, quote_match, usage_entry, credit_entry …"""

from portal.models.accounts import BillingDetails, LoginSession, Member, Role, User, WebAuthn, Workspace
from portal.models.adjustments import Adjustment, Correction, DetailsRequest
from portal.models.api_keys import ApiKey
from portal.models.base import Base, Counted, Isolated, WorkspaceOwned
from portal.models.billing import AuditEntry, CatalogPrice, Invoice, QuoteMatch, Subscription
from portal.models.changes import NegotiatedDiscount, PlannedChange
from portal.models.contests import Contest
from portal.models.credit_lots import CreditEntry, CreditGrant, CreditLot, CreditSum
from portal.models.credit_purchases import CreditPurchase, CreditRefund, CreditTopUp
from portal.models.factors import PasskeyChallenge, RecoveryCode
from portal.models.inbox import InboxEvent, Incident, Mail, PollCursor, RateLimit
from portal.models.invitations import Invitation
from portal.models.leaving import Cancellation, DeletionRequest
from portal.models.limits import Allowance, CapRaise, Reservation, UsageAlert, UsageLimit
from portal.models.metering import MeterError, UsageCredit, UsageDifference, UsageMatch
from portal.models.payments import PaymentAction, PaymentMethod
from portal.models.purchases import Attempt, Quote
from portal.models.usage import (
    ConversationEvent,
    MeterEvent,
    Resolution,
    UsageDay,
    UsageEntry,
    UsagePeriod,
)

__all__ = [
    "Adjustment",
    "Allowance",
    "ApiKey",
    "Attempt",
    "AuditEntry",
    "Base",
    "BillingDetails",
    "Cancellation",
    "CapRaise",
    "CatalogPrice",
    "Contest",
    "ConversationEvent",
    "Correction",
    "Counted",
    "CreditEntry",
    "CreditGrant",
    "CreditLot",
    "CreditPurchase",
    "CreditRefund",
    "CreditSum",
    "CreditTopUp",
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
    "MeterError",
    "MeterEvent",
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
    "Reservation",
    "Resolution",
    "Role",
    "Subscription",
    "UsageAlert",
    "UsageCredit",
    "UsageDay",
    "UsageDifference",
    "UsageEntry",
    "UsageLimit",
    "UsageMatch",
    "UsagePeriod",
    "User",
    "WebAuthn",
    "Workspace",
    "WorkspaceOwned",
]
