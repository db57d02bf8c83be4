"""What a migration does to a release that is running, and what to do instead: rules over Alembic's operations.

A release that is running knows the tables as they were, and wants to read and write them meanwhile.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from alembic.operations.ops import (
    AddColumnOp,
    AlterColumnOp,
    CreateCheckConstraintOp,
    CreateForeignKeyOp,
    CreateIndexOp,
    CreatePrimaryKeyOp,
    CreateTableOp,
    CreateUniqueConstraintOp,
    DropColumnOp,
    DropTableOp,
    ExecuteSQLOp,
    MigrateOperation,
    OpContainer,
    RenameTableOp,
)
from sqlalchemy import DefaultClause, String, Text

Rule = Callable[[Any, str], str | None]
"""From an operation and the name of a dialect to a sentence or two; None where nothing is to be said."""

_LATER = "Take it out of the models in one release, and out of the database in the next one"
_TWO = "Add the new one, write both for a release, copy the rows, and drop the old one in a later release"
_UNWRITTEN = "the running release does not write it, so its inserts fail"

_VOLATILE = re.compile(r"random|uuid|clock_timestamp|timeofday|nextval", re.IGNORECASE)
_NAME = r"[\"`]?(?:\w+[\"`]?\.[\"`]?)?(?P<table>\w+)[\"`]?"


def advice(operations: Iterable[MigrateOperation], dialect: str, made: Collection[str] = ()) -> list[str]:
    """One text for each operation that locks a table or breaks a running release, in their order.

    A table that is `made`, or made by these operations, is nobody's yet: what is done to it disturbs no one.
    """
    own, said = set(made), list[str]()
    for operation in _flat(operations):
        if isinstance(operation, CreateTableOp):
            own.add(operation.table_name)
        elif _table(operation) not in own:
            said += (told for kind, rule in RULES if isinstance(operation, kind) if (told := rule(operation, dialect)))
    return said


def made_by(operations: Iterable[MigrateOperation]) -> set[str]:
    """The tables that these operations make."""
    return {operation.table_name for operation in _flat(operations) if isinstance(operation, CreateTableOp)}


def _flat(operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, OpContainer):
            yield from _flat(operation.ops)
        else:
            yield operation


def _table(operation: Any) -> str | None:
    if isinstance(operation, ExecuteSQLOp):
        found = next((found for words, _ in _SQL if (found := words.search(_sql(operation)))), None)
        return found["table"] if found else None
    return getattr(operation, "table_name", None) or getattr(operation, "source_table", None)


def _added_column(operation: AddColumnOp, dialect: str) -> str | None:
    column, name = operation.column, f"{operation.table_name}.{operation.column.name}"
    if column.computed is not None or column.identity is not None:
        return _rewrites(f"Adding {name}, which the database computes,", dialect)
    default = column.server_default
    if default is None:
        if column.nullable:
            return None
        return (
            f"Adding {name}, which may not be null and has no default of the database: {_UNWRITTEN}, "
            "and so does this migration where there are rows. "
            "Give it a server_default, or let it be null until every release that runs writes it."
        )
    if isinstance(default, DefaultClause) and _VOLATILE.search(str(default.arg)):
        return _rewrites(f"Adding {name} with a default that differs from row to row", dialect)
    return None


def _rewrites(what: str, dialect: str) -> str | None:
    if dialect != "postgresql":
        return None
    return (
        f"{what} writes the whole table anew while nobody can read it. "
        "Add it empty, set the default in a later statement, and fill the rows in batches."
    )


def _dropped_column(operation: DropColumnOp, _dialect: str) -> str:
    name = f"{operation.table_name}.{operation.column_name}"
    return f"Dropping {name}: the running release still reads or writes it, and fails. {_LATER}."


def _dropped_table(operation: DropTableOp, _dialect: str) -> str:
    return f"Dropping the table {operation.table_name}: a running release that uses it fails. {_LATER}."


def _renamed_table(operation: RenameTableOp, _dialect: str) -> str:
    return f"Renaming the table {operation.table_name}: the running release knows the old name only. {_TWO}."


def _renamed_column(operation: AlterColumnOp, _dialect: str) -> str | None:
    if operation.modify_name is None:
        return None
    name = f"{operation.table_name}.{operation.column_name}"
    return f"Renaming {name} to {operation.modify_name}: the running release knows the old name only. {_TWO}."


def _changed_type(operation: AlterColumnOp, dialect: str) -> str | None:
    if operation.modify_type is None or _wider(operation.existing_type, operation.modify_type):
        return None
    name = f"{operation.table_name}.{operation.column_name}"
    meanwhile = "nobody can read it" if dialect == "postgresql" else "nobody can write to it"
    return (
        f"Changing the type of {name} writes the whole table anew while {meanwhile}, "
        f"and the running release may not understand it. {_TWO}."
    )


def _wider(old: Any, new: Any) -> bool:
    """Whether every text that fits the old type fits the new one: then no row is touched."""
    if not (isinstance(old, String) and isinstance(new, String)) or isinstance(old, Text):
        return False
    return isinstance(new, Text) or new.length is None or (old.length is not None and old.length <= new.length)


def _forbidden_null(operation: AlterColumnOp, dialect: str) -> str | None:
    if operation.modify_nullable is not False:
        return None
    name = f"{operation.table_name}.{operation.column_name}"
    told = f"Forbidding {name} to be null: a running release that leaves it out fails"
    if dialect != "postgresql":
        return f"{told}. Do it when every release that runs writes it."
    return (
        f"{told}, and all rows are read while nobody can use the table. Do it when every release that runs writes it; "
        f"add the CHECK ({operation.column_name} IS NOT NULL) with postgresql_not_valid=True first, and validate it in a "
        "migration of its own: then no row is read."
    )


def _lost_default(operation: AlterColumnOp, _dialect: str) -> str | None:
    if operation.modify_server_default is not None or operation.existing_nullable is not False:
        return None
    name = f"{operation.table_name}.{operation.column_name}"
    return f"Dropping the default of {name}: if {_UNWRITTEN}. Do it when every release that runs writes it."


def _index(operation: CreateIndexOp, dialect: str) -> str | None:
    if dialect != "postgresql" or operation.kw.get("postgresql_concurrently"):
        return None
    return _blocks_writes(f"Creating the index {operation.index_name}", operation.table_name)


def _blocks_writes(what: str, table: str) -> str:
    return (
        f"{what}: nobody can write to {table} until it is done. "
        "Create it concurrently: `leyden db make --online` writes it so."
    )


def _unique(operation: CreateUniqueConstraintOp | CreatePrimaryKeyOp, dialect: str) -> str | None:
    if dialect != "postgresql":
        return None
    return (
        f"Adding the constraint {operation.constraint_name}: nobody can use {operation.table_name} until its index is "
        "built. Create a unique index concurrently, and then ALTER TABLE ... ADD CONSTRAINT ... USING INDEX."
    )


def _foreign_key(operation: CreateForeignKeyOp, dialect: str) -> str | None:
    both = f"{operation.source_table} and {operation.referent_table}"
    return _validated(operation, operation.source_table, both, dialect)


def _check(operation: CreateCheckConstraintOp, dialect: str) -> str | None:
    return _validated(operation, operation.table_name, operation.table_name, dialect)


def _validated(operation: Any, table: str, locked: str, dialect: str) -> str | None:
    if operation.kw.get("postgresql_not_valid") and dialect == "postgresql":
        return None
    told = f"Adding the constraint {operation.constraint_name}: all rows of {table} are read while nobody can write to"
    if dialect == "postgresql":
        return (
            f"{told} {locked}. Add it with postgresql_not_valid=True, and validate it in a migration of its own: "
            "`leyden db make --online` writes it so."
        )
    return f"{told} it. Where the table is large, do it when nobody needs it."


def _executed(operation: ExecuteSQLOp, dialect: str) -> str | None:
    sql = _sql(operation)
    for words, tell in _SQL:
        if (found := words.search(sql)) and (told := tell(found["table"], dialect)):
            return told
    return None


def _sql(operation: ExecuteSQLOp) -> str:
    without_comments = re.sub(r"--[^\n]*|/\*.*?\*/", " ", str(operation.sqltext), flags=re.DOTALL)
    return " ".join(without_comments.split())


def _every_row(table: str, _dialect: str) -> str:
    return (
        f"Changing every row of {table} in one statement: each row stays locked until the migration ends. "
        "Do it in batches outside of migrations, with a script or a task."
    )


_SQL: tuple[tuple[re.Pattern[str], Callable[[str, str], str | None]], ...] = (
    (
        re.compile(rf"^CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*?\bON (?:ONLY )?{_NAME}", re.IGNORECASE),
        lambda table, dialect: _blocks_writes("Creating an index", table) if dialect == "postgresql" else None,
    ),
    (re.compile(rf"^UPDATE (?:ONLY )?{_NAME} (?!.*\bWHERE\b)", re.IGNORECASE), _every_row),
    (re.compile(rf"^DELETE FROM (?:ONLY )?{_NAME}(?!.*\bWHERE\b)", re.IGNORECASE), _every_row),  # noqa: S608 -- it is only read
    (
        re.compile(rf"^DROP TABLE (?:IF EXISTS )?{_NAME}", re.IGNORECASE),
        lambda table, _: f"Dropping the table {table}: a running release that uses it fails. {_LATER}.",
    ),
    (
        re.compile(rf"^ALTER TABLE (?:IF EXISTS |ONLY )*{_NAME} .*\b(?:DROP COLUMN|RENAME)\b", re.IGNORECASE),
        lambda table, _: (
            f"A column of {table}, or {table} itself, goes or is renamed: a running release fails. {_LATER}."
        ),
    ),
)
"""What statements written by hand say; of several in one text only the first is looked at."""

RULES: tuple[tuple[type[MigrateOperation], Rule], ...] = (
    (AddColumnOp, _added_column),
    (DropColumnOp, _dropped_column),
    (DropTableOp, _dropped_table),
    (RenameTableOp, _renamed_table),
    (AlterColumnOp, _renamed_column),
    (AlterColumnOp, _changed_type),
    (AlterColumnOp, _forbidden_null),
    (AlterColumnOp, _lost_default),
    (CreateIndexOp, _index),
    (CreateUniqueConstraintOp, _unique),
    (CreatePrimaryKeyOp, _unique),
    (CreateForeignKeyOp, _foreign_key),
    (CreateCheckConstraintOp, _check),
    (ExecuteSQLOp, _executed),
)
