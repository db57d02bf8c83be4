"""SQLAlchemy's errors in our words: one table, used where a session ends."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import CheckConstraint, Constraint, ForeignKeyConstraint, Index, MetaData, Table
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import StaleDataError

from leyden.core import FieldError, LeydenError
from leyden.data.backend import Backend, Broken, Trouble, Violation
from leyden.data.base import Base
from leyden.data.errors import (
    ConflictError,
    ContentionError,
    DatabaseBusyError,
    DatabaseDownError,
    InvalidValueError,
    LockTimeoutError,
    StaleError,
)

TROUBLES: dict[Trouble, type[LeydenError]] = {
    Trouble.DOWN: DatabaseDownError,
    Trouble.BUSY: DatabaseBusyError,
    Trouble.CONTENDED: ContentionError,
    Trouble.LOCKED: LockTimeoutError,
    Trouble.UNSTORABLE: InvalidValueError,
}

MESSAGES = {
    Broken.UNIQUE: "This is taken already.",
    Broken.FOREIGN_KEY: "This does not exist.",
    Broken.NOT_NULL: "This is needed.",
    Broken.CHECK: "This is not allowed.",
}

_TABLE_OF = re.compile(r"^\s*(?:INSERT INTO|UPDATE)\s+[\"`]?(\w+)[\"`]?", re.IGNORECASE)


@contextmanager
def translated(backend: Backend) -> Iterator[None]:
    """What is raised inside leaves as a LeydenError if it has one; a bug of ours leaves as it is, and is a 500."""
    try:
        yield
    except (SQLAlchemyError, ExceptionGroup) as error:
        cause = _only(error)
        if not isinstance(cause, SQLAlchemyError) or (ours := translate(cause, backend)) is None:
            raise
        raise ours from error


def _only(error: Exception) -> Exception:
    """What a task group of which one task failed was about."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def translate(error: SQLAlchemyError, backend: Backend) -> LeydenError | None:
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind](error, backend)
    return None


def _from_pool(_error: SQLAlchemyError, _backend: Backend) -> LeydenError:
    return DatabaseBusyError("Every connection to the database is in use. Try again in a moment.")


def _from_version(_error: SQLAlchemyError, _backend: Backend) -> LeydenError:
    return StaleError()


def _from_driver(error: SQLAlchemyError, backend: Backend) -> LeydenError | None:
    if not isinstance(error, DBAPIError):
        return None
    if violation := backend.violation(error):
        return conflict(violation, error.statement)
    trouble = backend.trouble(error)
    if trouble is None and error.connection_invalidated:
        trouble = Trouble.DOWN
    return TROUBLES[trouble]() if trouble else None


TABLE: dict[type[BaseException], Callable[[SQLAlchemyError, Backend], LeydenError | None]] = {
    PoolTimeoutError: _from_pool,
    StaleDataError: _from_version,
    DBAPIError: _from_driver,
}


def conflict(violation: Violation, statement: str | None = None, metadata: MetaData = Base.metadata) -> ConflictError:
    """The conflict behind a broken constraint; `fields` names its columns, or what their `info["field"]` says."""
    names = _columns(violation, statement, metadata)
    message = MESSAGES[violation.kind]
    return ConflictError(fields=[FieldError(name, violation.kind.value, message) for name in names])


def _columns(violation: Violation, statement: str | None, metadata: MetaData) -> list[str]:
    if statement and statement.lstrip().upper().startswith("DELETE"):
        return []  # the row is still in use: no field of the input is at fault
    found = _TABLE_OF.match(statement or "")
    name = violation.table or (found[1] if found else None)
    tables = [table for table in metadata.tables.values() if name in (None, table.name)]
    columns = violation.columns or _named(violation, tables) or (_only_foreign_key(violation, tables) if name else ())
    return [_field(column, tables) for column in columns]


def _named(violation: Violation, tables: list[Table]) -> tuple[str, ...]:
    """The columns of the constraint or index with this name."""
    for table in tables:
        if violation.constraint == "PRIMARY":  # MySQL's name for every primary key
            return tuple(column.name for column in table.primary_key.columns)
        rules: set[Constraint | Index] = {*table.constraints, *table.indexes}
        for rule in rules:
            if violation.constraint and str(rule.name) == violation.constraint:
                return _mentioned(rule, table)
    return ()


def _mentioned(rule: Constraint | Index, table: Table) -> tuple[str, ...]:
    if not isinstance(rule, CheckConstraint):
        return tuple(column.name for column in getattr(rule, "columns", ()))
    words = set(re.findall(r"\w+", str(rule.sqltext)))
    return tuple(column.name for column in table.columns if column.name in words)


def _only_foreign_key(violation: Violation, tables: list[Table]) -> tuple[str, ...]:
    """SQLite does not say which foreign key broke; where the table has one only, it was that."""
    if violation.kind is not Broken.FOREIGN_KEY or violation.constraint or len(tables) != 1:
        return ()
    keys = [rule for rule in tables[0].constraints if isinstance(rule, ForeignKeyConstraint)]
    return tuple(keys[0].column_keys) if len(keys) == 1 else ()


def _field(name: str, tables: list[Table]) -> str:
    for table in tables:
        if (column := table.columns.get(name)) is not None:
            return str(column.info.get("field", name))
    return name
