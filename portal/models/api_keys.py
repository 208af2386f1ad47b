"""What another program comes in with."""

from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.models.base import Base


class ApiKey(Base):
    """A key of a workspace's programs: the key itself is nowhere, only its hash.

    Not under row-level security, since a request is known by the hash before its workspace is; so every
    statement about a workspace's keys names the workspace itself.
    """

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True)  # K- and ten characters
    workspace_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("workspace.id"), index=True)
    name: Mapped[str]
    # what is shown of it: the word for all keys, and the id's characters
    prefix: Mapped[str]
    hash: Mapped[str] = mapped_column(unique=True)  # SHA-256, in hex
    scopes: Mapped[list[str]] = mapped_column(ARRAY(String))
    created_by: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    # written at most once a minute
    last_used_at: Mapped[datetime | None]
    # of a key that another one took the place of; none while it is good until revoked
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # the key that took its place
    replaced_by: Mapped[str | None]
