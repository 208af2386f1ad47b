"""Who may come in: logins, workspaces, members, and the sessions that a sign-out ends."""

from datetime import datetime

from flask_security.models import sqla
from sqlalchemy import BigInteger, ForeignKey, Identity, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.models.base import JSON, Base, Isolated, WorkspaceOwned, now_column

sqla.FsModels.set_db_info(  # type: ignore[no-untyped-call]
    base_model=Base,
    user_table_name="user_account",
    role_table_name="role",
    webauthn_table_name="webauthn",
)


class Role(Base, sqla.FsRoleMixin):
    """Flask-Security's role of a login; a person's rights in a workspace are in ``Member.role``."""

    __tablename__ = "role"


class User(Base, sqla.FsUserMixin):
    """A login. It may be a member of several workspaces."""

    __tablename__ = "user_account"

    name: Mapped[str | None]
    pending_email: Mapped[str | None]
    totp_last_counter: Mapped[int | None] = mapped_column(BigInteger)


class WebAuthn(Base, sqla.FsWebAuthnMixin):
    """A passkey of a login."""

    __tablename__ = "webauthn"


class LoginSession(Base):
    """One signed-in browser; without its row the cookie is worth nothing."""

    __tablename__ = "login_session"

    id: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspace.id"))
    created_at: Mapped[datetime] = now_column()
    last_seen_at: Mapped[datetime] = now_column()
    # when the person last proved who they are, by signing in or again later
    verified_at: Mapped[datetime] = now_column()
    ip: Mapped[str | None]
    user_agent: Mapped[str | None]


class Workspace(Isolated, Base):
    """The customer's company; seen by those who have entered it, its name by its members."""

    __tablename__ = "workspace"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = now_column()


class Member(WorkspaceOwned, Base):
    """A person in a workspace: what they may do (role) and the seat that they use."""

    __tablename__ = "member"
    __table_args__ = (UniqueConstraint("workspace_id", "user_id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    role: Mapped[str]  # owner | admin | billing | member
    seat: Mapped[str]  # full | lite | none
    created_at: Mapped[datetime] = now_column()
    # the database's time, written at most once an hour
    last_active_at: Mapped[datetime | None]
    user: Mapped[User] = relationship()


class BillingDetails(WorkspaceOwned, Base):
    """Whom the invoices are made out to; Stripe's customer is its mirror."""

    __tablename__ = "billing_details"

    company_name: Mapped[str]
    # where receipts and notices go
    email: Mapped[str]
    # what Stripe's customer has, and Link knows its cards by; null while it is the same
    stripe_email: Mapped[str | None]
    # stands on every later invoice
    purchase_order: Mapped[str | None]
    # line1, line2, city, state, postal_code, country (ISO 3166-1 alpha-2)
    address: Mapped[JSON | None]
    tax_id_type: Mapped[str | None]
    tax_id_value: Mapped[str | None]
    tax_id_stripe_id: Mapped[str | None]
    # pending | verified | unverified | unavailable, as Stripe says
    tax_id_status: Mapped[str | None]
    # random, written before Stripe is asked for the customer: its idempotency key and metadata.workspace_key
    stripe_customer_key: Mapped[str | None]
    stripe_customer_asked_at: Mapped[datetime | None]
    stripe_customer_id: Mapped[str | None] = mapped_column(unique=True)
    trial_used_at: Mapped[datetime | None]
    # the choice that sign-up carried along, as pricing.Selection's dict
    draft_selection: Mapped[JSON | None]
    updated_at: Mapped[datetime] = now_column()
