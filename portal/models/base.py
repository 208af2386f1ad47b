"""The declarative base, and the mixin of every row that belongs to one workspace."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, ForeignKey, MetaData, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

JSON = dict[str, object]


class Base(DeclarativeBase):
    """Times are timestamptz in UTC, documents are jsonb."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        JSON: JSONB,
        list[JSON]: JSONB,
        dict: JSONB,
        list: JSONB,
    }


class Isolated:
    """A row under row-level security, by whatever policy its table has."""


class WorkspaceOwned(Isolated):
    """A row under row-level security: it is seen and written only while its workspace is entered.

    ``workspace_id`` defaults to the entered workspace (the SQL function ``app_workspace_id()``),
    and leads every primary key, so that the tables can be sharded by it.
    """

    @declared_attr
    def workspace_id(cls) -> Mapped[int]:
        return mapped_column(
            BigInteger,
            ForeignKey("workspace.id"),
            primary_key=True,
            server_default=text("app_workspace_id()"),
            sort_order=-1,
        )


class Counted(Isolated):
    """Under row-level security like ``WorkspaceOwned``, for tables that grow with what customers use.

    Without the foreign key, which would lock and look up the workspace's row for each row that is added.
    """

    workspace_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, server_default=text("app_workspace_id()"), sort_order=-1
    )


def now_column(**kwargs: object) -> Mapped[datetime]:
    """A timestamp that the database sets when the row is written."""
    return mapped_column(server_default=text("now()"), nullable=False, **kwargs)  # type: ignore[arg-type]
