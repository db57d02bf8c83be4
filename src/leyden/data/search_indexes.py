"""The indexes behind searches: what makes them, what drops them, and whether they are there."""
# ruff: noqa: S608 -- the names in these statements are checked when an index is declared

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, MetaData, Table, event, text

from leyden.core import ConfigurationError

SEARCHES = "leyden_searches"
"""The key in a table's `info` under which its searches with an index are."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,50}")
_LONGEST_TEXT = 200_000
"""Letters: PostgreSQL refuses to store a row whose text has more than a megabyte of words for the index."""
_SIGNS = '!"#$%&()*+,-./\\:;<=>?@[]^_`{|}~'
"""PostgreSQL would find addresses and paths in a text, and take them for words."""


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """An index of the words in some columns of a table; `key` is its primary key. Raises ConfigurationError.

    PostgreSQL has it as a GIN index, MariaDB as a FULLTEXT index, SQLite as an FTS5 table that triggers keep up to date.
    """

    name: str
    table: str
    key: str
    columns: tuple[str, ...]
    language: str = "simple"

    def __post_init__(self) -> None:
        for name in (self.name, self.table, self.key, self.language, *self.columns):
            if not _NAME.fullmatch(name):
                raise ConfigurationError(f"'{name}' cannot be in a search with an index: letters, digits and _ can.")

    @property
    def rows(self) -> str:
        """SQLite: which row of the index is which row of the table; a rowid of the table's own is not for ever."""
        return f"{self.name}_rows"

    def document(self, columns: Sequence[str]) -> str:
        """PostgreSQL: what is indexed, with the columns as they are called in a statement."""
        words = " || ' ' || ".join(f"coalesce({column}, '')" for column in columns)
        signs = _SIGNS.replace("\\", "\\\\")
        return f"to_tsvector('{self.language}', left(translate({words}, E'{signs}''', '{' ' * (len(_SIGNS) + 1)}'), {_LONGEST_TEXT}))"

    def create(self, op: Any, *, online: bool = False) -> None:
        """In a migration: `op` is Alembic's. What there is of it is made anew.

        `online` lets others write meanwhile, on PostgreSQL, and commits what the migration did before.
        """
        context = op.get_context()
        if online and context.dialect.name == "postgresql":
            with context.autocommit_block():
                for statement in self.creation("postgresql"):
                    op.execute(statement.replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
            return
        for statement in self.creation(context.dialect.name):
            op.execute(statement)

    def drop(self, op: Any) -> None:
        """In a migration: what there is of it."""
        for statement in _DROP[op.get_context().dialect.name](self):
            op.execute(statement)

    def creation(self, dialect: str) -> Iterator[str]:
        """The statements of `create`."""
        if dialect != "mysql":  # where it is there as a whole or not at all; and MySQL knows no IF EXISTS here
            yield from _DROP[dialect](self)
        yield from _CREATE[dialect](self)

    def is_there(self, connection: Connection) -> bool:
        """Whether the database has all of it."""
        statement, wanted = _THERE[connection.dialect.name](self)
        return bool(connection.scalar(text(statement)) == wanted)

    def belong_to(self, table: Table) -> None:
        """Be known to `leyden db`, and be made and dropped with the table where models make and drop it."""
        table.info.setdefault(SEARCHES, {})[self.name] = self

        def make(_: Table, connection: Connection, **__: Any) -> None:
            for statement in self.creation(connection.dialect.name):
                connection.execute(text(statement))

        def remove(_: Table, connection: Connection, **__: Any) -> None:
            for statement in _DROP[connection.dialect.name](self):
                connection.execute(text(statement))

        event.listen(table, "after_create", make)
        event.listen(table, "before_drop", remove)

    def __str__(self) -> str:
        return f"SearchIndex({self.name!r}, {self.table!r}, {self.key!r}, {self.columns!r}, {self.language!r})"


def search_indexes(metadata: Iterable[MetaData]) -> list[SearchIndex]:
    """Those of these models."""
    tables = [table for known in metadata for table in known.tables.values()]
    return [index for table in tables for index in table.info.get(SEARCHES, {}).values()]


def _postgresql(index: SearchIndex) -> Iterator[str]:
    document = index.document([f'"{column}"' for column in index.columns])
    yield f'CREATE INDEX "{index.name}" ON "{index.table}" USING gin ({document})'


def _mysql(index: SearchIndex) -> Iterator[str]:
    columns = ", ".join(f"`{column}`" for column in index.columns)
    yield f"CREATE FULLTEXT INDEX `{index.name}` ON `{index.table}` ({columns})"


def _sqlite(index: SearchIndex) -> Iterator[str]:
    tokens = "porter unicode61" if index.language == "english" else "unicode61"
    columns = ", ".join(f'"{column}"' for column in index.columns)
    key = f'"{index.key}"'
    news = ", ".join(f'new."{column}"' for column in index.columns)
    row = f"(SELECT id FROM {index.rows} WHERE key = {{}}.{key})"
    yield f"CREATE TABLE {index.rows} (id INTEGER PRIMARY KEY, key NOT NULL UNIQUE)"
    yield f"CREATE VIRTUAL TABLE {index.name} USING fts5({columns}, tokenize = '{tokens} remove_diacritics 0')"
    yield f'INSERT INTO {index.rows} (key) SELECT {key} FROM "{index.table}"'
    yield (
        f'INSERT INTO {index.name} (rowid, {columns}) SELECT r.id, {columns} FROM "{index.table}" t '
        f"JOIN {index.rows} r ON r.key = t.{key}"
    )
    add = (
        f"INSERT INTO {index.rows} (key) VALUES (new.{key}); "
        f"INSERT INTO {index.name} (rowid, {columns}) VALUES ({row.format('new')}, {news})"
    )
    remove = (
        f"DELETE FROM {index.name} WHERE rowid = {row.format('old')}; DELETE FROM {index.rows} WHERE key = old.{key}"
    )
    yield _trigger(index, "inserted", "AFTER INSERT", add)
    yield _trigger(index, "deleted", "AFTER DELETE", remove)
    yield _trigger(index, "updated", f"AFTER UPDATE OF {key}, {columns}", f"{remove}; {add}")


_TRIGGERS = ("inserted", "deleted", "updated")


def _trigger(index: SearchIndex, what: str, when: str, body: str) -> str:
    return f'CREATE TRIGGER {index.name}_{what} {when} ON "{index.table}" BEGIN {body}; END'


def _drop_sqlite(index: SearchIndex) -> Iterator[str]:
    for what in _TRIGGERS:
        yield f"DROP TRIGGER IF EXISTS {index.name}_{what}"
    yield f"DROP TABLE IF EXISTS {index.name}"
    yield f"DROP TABLE IF EXISTS {index.rows}"


_CREATE: dict[str, Callable[[SearchIndex], Iterator[str]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
_DROP: dict[str, Callable[[SearchIndex], Iterator[str]]] = {
    "postgresql": lambda index: iter([f'DROP INDEX IF EXISTS "{index.name}"']),
    "mysql": lambda index: iter([f"DROP INDEX `{index.name}` ON `{index.table}`"]),
    "sqlite": _drop_sqlite,
}


def _in_postgresql(index: SearchIndex) -> tuple[str, int]:
    return f"SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('\"{index.name}\"') AND indisvalid", 1


def _in_mysql(index: SearchIndex) -> tuple[str, int]:
    named = f"table_name = '{index.table}' AND index_name = '{index.name}' AND index_type = 'FULLTEXT'"
    return f"SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE() AND {named}", len(
        index.columns
    )


def _in_sqlite(index: SearchIndex) -> tuple[str, int]:
    """A table that a migration moves leaves its triggers behind."""
    triggers = ", ".join(f"'{index.name}_{what}'" for what in _TRIGGERS)
    there = f"type = 'trigger' AND tbl_name = '{index.table}' AND name IN ({triggers})"
    tables = f"type = 'table' AND name IN ('{index.name}', '{index.rows}')"
    return f"SELECT count(*) FROM sqlite_master WHERE {there} OR {tables}", len(_TRIGGERS) + 2


_THERE: dict[str, Callable[[SearchIndex], tuple[str, int]]] = {
    "postgresql": _in_postgresql,
    "mysql": _in_mysql,
    "sqlite": _in_sqlite,
}
