"""Writing many rows at once, and rows that somebody else may be writing too."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import Column, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.data.errors import ConflictError
from leyden.data.rows import Row, check_key, columns_of, mapper_of, unique_sets, values_of
from leyden.data.savepoints import flush_first, savepoint

M = TypeVar("M")

CHUNK = 1000
"""Rows that are in memory at a time. Each is a statement of its own to the driver, so no limit of parameters is met."""


async def insert_many(session: AsyncSession, model: type[Any], rows: Iterable[Row]) -> int:
    """Insert dicts or pydantic models with the model's defaults, all or none, and return how many; no objects are made.

    Raises ConflictError, InvalidValueError and, for a name that the model has no column for, ConfigurationError;
    the session can be used after each of them.
    """
    mapper = mapper_of(model)
    columns = columns_of(mapper)
    remaining = iter(rows)
    inserted = 0
    await flush_first(session)
    async with savepoint(session):
        while chunk := [values_of(mapper, row, columns) for row in islice(remaining, CHUNK)]:
            for alike in _alike(columns, chunk):
                await session.execute(insert(model), alike, execution_options={"render_nulls": True})
            inserted += len(chunk)
    return inserted


def _alike(columns: Mapping[str, Column[Any]], rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Groups with the same columns: one statement each. None means the default where there is one, as in `session.add`."""
    empty = {name: None for name, column in columns.items() if _null_if_left_out(column)}
    groups: defaultdict[frozenset[str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        given = {
            name: value for name, value in row.items() if value is not None or columns[name].type.should_evaluate_none
        }
        whole = empty | given
        groups[frozenset(whole)].append(whole)
    return groups.values()


def _null_if_left_out(column: Column[Any]) -> bool:
    has_default = column.default is not None or column.server_default is not None
    return not (has_default or column.primary_key or column.type.should_evaluate_none)


async def get_or_create(
    session: AsyncSession, model: type[M], *, key: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})
) -> tuple[M, bool]:
    """The row with these values and False, or a new one with the defaults beside them and True; safe in a race.

    Raises ConfigurationError when no unique constraint guards the key, and ConflictError when another one than that
    refuses the new row.
    """
    mapper = mapper_of(model)
    values = values_of(mapper, {**defaults, **key})
    check_key(mapper, key, values, (found for found in unique_sets(mapper) if found <= set(key)))
    await flush_first(session)
    statement = select(model).filter_by(**key)
    if (found := await session.scalar(statement)) is not None:
        return found, False
    try:
        async with savepoint(session):
            session.add(made := model(**values))
    except ConflictError:
        # Whoever was faster has committed: an insert waits for the other one's end.
        if (found := await session.scalar(statement)) is None:
            raise
        return found, False
    return made, True
