"""The base of every model: constraint names, types, identifiers and timestamps."""

import enum
import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar, get_origin

from sqlalchemy import Enum, MetaData, String, event
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, TypeResolve, mapped_column
from sqlalchemy.types import TypeEngine

from leyden.core import Clock
from leyden.data.identifiers import uuid7
from leyden.data.types import Document, Timestamp

CLOCK_OPTION = "leyden_clock"
"""The execution option of an engine that says what time it is, so that tests can stop the time."""

NAMES = {  # no primary keys: MySQL has one name for all of them and warns of any other
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}


def _values(kind: type[enum.Enum]) -> list[str]:
    return [str(member.value) for member in kind]


class Base(AsyncAttrs, DeclarativeBase):
    """The declarative base: named constraints, and types that mean the same on every database.

    `str` is at most 255 characters long; write `mapped_column(Text)` for more.
    """

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: String(255),
        datetime: Timestamp(),
        dict: Document(),
        list: Document(),
        # Text and no type of its own: PostgreSQL keeps a type when its table goes, and the next upgrade trips over it.
        enum.Enum: Enum(enum.Enum, native_enum=False, length=64, values_callable=_values),
    }


@event.listens_for(Base, "resolve_type_annotation")
def _resolve_generic(annotation: TypeResolve) -> TypeEngine[Any] | None:
    """`dict[str, int]` and `list[str]` are documents too; the map knows bare classes only."""
    return Document() if get_origin(annotation.resolved_type) in (dict, list) else None


def _now(context: DefaultExecutionContext) -> datetime:
    clock: Clock | None = context.execution_options.get(CLOCK_OPTION)
    return clock.now() if clock is not None else datetime.now(UTC)


class Model(Base):
    """A table with an `id` that sorts by age, `created_at` and `updated_at`."""

    __abstract__ = True

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid7, sort_order=-1)
    created_at: Mapped[datetime] = mapped_column(default=_now, sort_order=1)
    updated_at: Mapped[datetime] = mapped_column(default=_now, onupdate=_now, sort_order=2)
