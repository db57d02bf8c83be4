"""Column types that mean the same on every database."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, TypeDecorator
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine

MYSQL = ("mysql", "mariadb")

_WRITTEN = len("2026-11-28 12:00:00.000000")


class Timestamp(TypeDecorator[datetime]):
    """A moment: aware datetimes in, aware UTC datetimes out, to the microsecond; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name not in MYSQL:
            return dialect.type_descriptor(DateTime(timezone=True))
        from sqlalchemy.dialects.mysql import DATETIME  # noqa: PLC0415 -- costs start-up time on other databases

        return dialect.type_descriptor(DATETIME(fsp=6))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone. Use datetime.now(UTC), or pydantic's AwareDatetime.")
        moment = value.astimezone(UTC)
        # The other two have no type for it: they get the digits of UTC.
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | str | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- SQLAlchemy's signature
        if value is None:
            return None
        if isinstance(value, str):  # MariaDB takes coalesce(moment, parameter) for text
            value = datetime.fromisoformat(value)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], datetime | None] | None:
        """To SQLite, which has texts, one step: with the zone appended, parsing takes a seventh of parsing and `replace`."""
        process: Callable[[Any], datetime | None] | None = super().result_processor(dialect, coltype)
        plain = type(self).process_result_value is Timestamp.process_result_value
        return _from_text(process) if dialect.name == "sqlite" and plain and process is not None else process


def _from_text(otherwise: Callable[[Any], datetime | None]) -> Callable[[Any], datetime | None]:
    """For texts as SQLAlchemy writes them; what others have written is read `otherwise`."""
    parse = datetime.fromisoformat

    def read(value: Any) -> datetime | None:
        if type(value) is not str or len(value) != _WRITTEN:
            return otherwise(value)
        try:
            return parse(value + "+00:00")
        except ValueError:
            return otherwise(value)

    return read


class Document(TypeDecorator[Any]):
    """JSON, in the form that each database can search; None is NULL. A change inside it is not noticed: assign it anew."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name != "postgresql":
            return dialect.type_descriptor(JSON(none_as_null=True))
        from sqlalchemy.dialects.postgresql import JSONB  # noqa: PLC0415 -- as above

        return dialect.type_descriptor(JSONB(none_as_null=True))

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> TypeEngine[Any]:
        """What a part of the document is compared with is no document."""
        return self.impl_instance.coerce_compared_value(op, value)
