"""What proves who somebody is, besides the password; passkeys and the app's secret stand in ``accounts``."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base


class RecoveryCode(Base):
    """A code that stands in for the app once. Its first characters find it, the hash judges the rest."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    selector: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str]


class PasskeyChallenge(Base):
    """What a passkey has to sign; gone when it was answered, so that no answer counts twice."""

    __tablename__ = "passkey_challenge"

    challenge: Mapped[str] = mapped_column(primary_key=True)
    # register | sign_in | verify
    purpose: Mapped[str]
    # whom it was made for; nobody yet when somebody signs in
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[datetime]
