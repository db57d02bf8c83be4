"""Insert, or update what is there, in one statement."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, and_, case, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import ColumnDefault

from leyden.core import ConfigurationError, FieldError
from leyden.data.backend import Broken
from leyden.data.errors import ConflictError
from leyden.data.rows import Row, check_key, columns_of, field_of, mapper_of, unique_sets, values_of
from leyden.data.savepoints import backend_of, flush_first
from leyden.data.translation import MESSAGES, translated
from leyden.data.types import MYSQL

M = TypeVar("M")


async def upsert(session: AsyncSession, model: type[M], values: Row, *, key: Sequence[str]) -> M:
    """Insert these values, or set them on the row that has the same `key`, and return it as it is now in the database.

    `id` and `created_at` of a row that is there stay; `updated_at` and a version column move on. Raises ConflictError
    when another unique constraint than that of the key is in the way, and ConfigurationError when the key has none.
    """
    mapper = mapper_of(model)
    row = values_of(mapper, values)
    check_key(mapper, key, row, (found for found in unique_sets(mapper) if found == set(key)))
    write = _on_mysql if session.get_bind().dialect.name in MYSQL else _on_conflict
    await flush_first(session)
    with translated(backend_of(session)):
        found: M = await write(session, mapper, row, key)
    return found


async def _on_conflict(session: AsyncSession, mapper: Mapper[Any], row: dict[str, Any], key: Sequence[str]) -> Any:
    statement = _insert_for(session.get_bind().dialect.name)(mapper.class_).values(row)
    changes = dict(_changes(mapper, row, key, statement.excluded))
    statement = statement.on_conflict_do_update(
        index_elements=[columns_of(mapper)[name] for name in key], set_=changes
    ).returning(mapper.class_)
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def _on_mysql(session: AsyncSession, mapper: Mapper[Any], row: dict[str, Any], key: Sequence[str]) -> Any:
    """MySQL updates whichever row is in the way. The changes are made for the key's row alone, and another is a conflict."""
    statement = _insert_for("mysql")(mapper.class_).values(row)
    columns = [columns_of(mapper)[name] for name in key]
    ours = and_(*(column == statement.inserted[column.key] for column in columns))
    changes = _changes(mapper, row, key, statement.inserted)
    guarded = {name: case((ours, value), else_=mapper.local_table.c[name]) for name, value in changes}
    await session.execute(statement.on_duplicate_key_update(guarded))
    await _refuse_others(session, mapper, row, key)
    kept = select(mapper.class_).where(_same(mapper, row, key)).execution_options(populate_existing=True)
    found = await session.scalar(kept)
    if found is None:  # a unique index that the model does not tell of
        raise ConflictError
    return found


async def _refuse_others(session: AsyncSession, mapper: Mapper[Any], row: dict[str, Any], key: Sequence[str]) -> None:
    for names in unique_sets(mapper):
        if names == set(key) or any(row.get(name) is None for name in names):
            continue
        taken = exists().where(_same(mapper, row, sorted(names)), ~_same(mapper, row, key))
        if await session.scalar(select(taken)):
            message = MESSAGES[Broken.UNIQUE]
            raise ConflictError(
                fields=[FieldError(field_of(mapper, name), Broken.UNIQUE.value, message) for name in sorted(names)]
            )


def _same(mapper: Mapper[Any], row: Mapping[str, Any], names: Sequence[str]) -> ColumnElement[bool]:
    return and_(*(columns_of(mapper)[name] == row[name] for name in names))


def _changes(
    mapper: Mapper[Any], row: Mapping[str, Any], key: Sequence[str], new: Any
) -> Iterator[tuple[str, ColumnElement[Any]]]:
    """What an update sets, by column: `new` is the row that could not be inserted."""
    kept = {mapper.get_property_by_column(column).key for column in mapper.primary_key} | {"created_at"}
    version = mapper.version_id_col
    for name, column in columns_of(mapper).items():
        if column is version:
            yield column.name, column + 1
        elif name in row and name not in kept | set(key):
            yield column.name, new[column.key]
        elif column.onupdate is not None and name not in row:
            yield column.name, _moved_on(mapper, column, new)
    first = columns_of(mapper)[key[0]]
    yield first.name, first  # so that there is always something to set


def _moved_on(mapper: Mapper[Any], column: Column[Any], new: Any) -> Any:
    """The insert has worked out the column's default already; there is no other place for a function to be called."""
    rule = column.onupdate
    if column.default is not None:
        return new[column.key]
    if isinstance(rule, ColumnDefault) and not rule.is_callable:
        return rule.arg
    raise ConfigurationError(
        f"upsert cannot call the onupdate of {mapper.class_.__name__}.{column.key}. Give the column a default as well."
    )


def _insert_for(dialect: str) -> Any:
    """Imported where it is needed: each costs start-up time on the other databases."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert  # noqa: PLC0415 -- as above
    elif dialect == "mysql":
        from sqlalchemy.dialects.mysql import insert  # type: ignore[assignment]  # noqa: PLC0415 -- as above
    else:
        from sqlalchemy.dialects.sqlite import insert  # type: ignore[assignment]  # noqa: PLC0415 -- as above
    return insert
