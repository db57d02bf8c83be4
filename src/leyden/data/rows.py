"""Values for the columns of a model, checked before the database sees them."""

import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Column, Index, Table, UniqueConstraint, inspect
from sqlalchemy.orm import Mapper

from leyden.core import ConfigurationError, FieldError
from leyden.data.errors import InvalidValueError

Row = Mapping[str, Any] | BaseModel

_INFINITE = "This must be a finite number."


def mapper_of(model: type[Any]) -> Mapper[Any]:
    mapper: Mapper[Any] = inspect(model, raiseerr=True)
    return mapper


def columns_of(mapper: Mapper[Any]) -> dict[str, Column[Any]]:
    """The columns of a model by attribute; a `column_property` of an expression is none."""
    first = {attribute.key: attribute.columns[0] for attribute in mapper.column_attrs}
    return {name: column for name, column in first.items() if isinstance(column, Column)}


def values_of(mapper: Mapper[Any], row: Row, columns: Mapping[str, Column[Any]] | None = None) -> dict[str, Any]:
    """A row by attribute. Raises ConfigurationError for a name without a column and InvalidValueError for NaN.

    `columns` are those of the mapper, for who has many rows.
    """
    values = row.model_dump() if isinstance(row, BaseModel) else dict(row)
    columns = columns_of(mapper) if columns is None else columns
    for name, value in values.items():
        if name not in columns:
            raise ConfigurationError(
                f"{mapper.class_.__name__} has no column {name}. Rename it in the row, or leave it out."
            )
        if not _finite(value):
            # PostgreSQL would store it, SQLite make it NULL, MariaDB refuse the statement.
            raise InvalidValueError(fields=[FieldError(field_of(mapper, name), "finite_number", _INFINITE)])
    return values


def _finite(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite()
    return not isinstance(value, float) or math.isfinite(value)


def field_of(mapper: Mapper[Any], name: str) -> str:
    """What the input calls this attribute."""
    return str(columns_of(mapper)[name].info.get("field", name))


def unique_sets(mapper: Mapper[Any]) -> Iterator[frozenset[str]]:
    """The attributes of each constraint or index that lets no two rows have the same values there."""
    table = mapper.local_table
    if not isinstance(table, Table):
        return
    rules = [rule for rule in table.constraints if isinstance(rule, UniqueConstraint)]
    for columns in (table.primary_key.columns, *(rule.columns for rule in rules)):
        yield frozenset(mapper.get_property_by_column(column).key for column in columns)
    for index in table.indexes:
        if index.unique and _whole(index):
            yield frozenset(mapper.get_property_by_column(column).key for column in index.columns)


def _whole(index: Index) -> bool:
    """Over plain columns of all rows: an index of some rows, or of expressions, promises something else."""
    partial = any(name.endswith("_where") and value is not None for name, value in index.dialect_kwargs.items())
    return not partial and len(index.expressions) == len(index.columns)


def check_key(
    mapper: Mapper[Any], key: Iterable[str], values: Mapping[str, Any], sets: Iterable[frozenset[str]]
) -> None:
    """Raises ConfigurationError when nothing keeps two rows from having this key, or when a part of it is missing."""
    names = ", ".join(key)
    if missing := [name for name in key if values.get(name) is None]:
        raise ConfigurationError(
            f"{mapper.class_.__name__} is looked for by {names}, and {missing[0]} has no value: NULL is never unique."
        )
    if not any(sets):
        raise ConfigurationError(
            f"Nothing keeps two rows of {mapper.class_.__name__} from having the same {names}. "
            f"Add a UniqueConstraint of exactly these columns."
        )
