"""How the models and the tables of a database differ, as sentences and as the body of a migration."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    CreateTableOp,
    DowngradeOps,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Connection, MetaData
from sqlalchemy.types import TypeEngine

from leyden.core import Battery
from leyden.data.library import library_tables, metadata_of
from leyden.data.online import downgrade_body, table_changed, taken_out, upgrade_body
from leyden.data.search_indexes import search_indexes
from leyden.data.search_migrations import SEARCH_IMPORT, CreateSearch, lacking
from leyden.data.types import Document, Timestamp

IMPORTS = frozenset({"import sqlalchemy as sa", "from alembic import op"})


@dataclass(frozen=True, slots=True)
class Change:
    """The body of a migration."""

    title: str
    imports: frozenset[str]
    upgrade: str
    downgrade: str


class Schema:
    """The tables of the models: the user's, and those of batteries, whose migrations are the library's.

    `metadata` holds the models; left out, they are those of Base and of the batteries.
    """

    def __init__(self, batteries: Sequence[Battery], metadata: Sequence[MetaData] | None = None) -> None:
        self._metadata = list(metadata if metadata is not None else metadata_of(batteries))
        self._known = {table.name for metadata in self._metadata for table in metadata.tables.values()}
        self._library = {table.name for table in library_tables(batteries)}
        self._searches = search_indexes(self._metadata)

    def differences(self, connection: Connection) -> list[str]:
        """Of every table of a model, the library's too; tables without a model are somebody else's."""
        found = [
            _sentence(difference) for difference in _flat(compare_metadata(self._context(connection), self._target))
        ]
        lost = lacking(connection, self._searches)
        return [
            *found,
            *(f"{index.table}: the index of the search {index.name} is not in the database." for index in lost),
        ]

    def changes(self, connection: Connection, *, online: bool = False) -> list[Change]:
        """What would make the tables of the user's models what the models say; none when they are.

        `online` puts what can be done while everybody goes on writing into a second one.
        """
        context = self._context(connection, without=self._library)
        upgrade = produce_migrations(context, self._target).upgrade_ops
        if upgrade is None:
            return []
        searches = [index for index in self._searches if index.table not in self._library]
        upgrade.ops += map(CreateSearch, lacking(connection, searches))
        if upgrade.is_empty():
            return []
        later = taken_out(upgrade) if online else []
        found = [] if upgrade.is_empty() else [_change(upgrade, context)]
        return [*found, _later(later, context)] if later else found

    @property
    def _target(self) -> Any:
        return self._metadata  # Alembic takes several, its annotation knows of one

    def _context(self, connection: Connection, without: set[str] | None = None) -> MigrationContext:
        hidden = without or set()

        def ours(name: str | None, kind: str, _parents: object) -> bool:
            if kind == "index":
                return name not in {index.name for index in self._searches}
            return kind != "table" or (name in self._known and name not in hidden)

        def included(_found: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:  # noqa: FBT001 -- Alembic's signature
            return kind != "table" or name not in hidden

        options = {
            "target_metadata": self._target,
            "include_name": ours,
            "include_object": included,
            "render_as_batch": True,  # a revision made on one database runs on the others
            "compare_type": True,
            "compare_server_default": _default_is_another,
            "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
        }
        return MigrationContext.configure(connection, opts=options)


def _change(upgrade: UpgradeOps, context: MigrationContext) -> Change:
    downgrade = upgrade.reverse()
    for ops in (upgrade, downgrade):
        _leave_to_drop_table(ops)
    (up, needed_up), (down, needed_down) = _rendered(upgrade, context), _rendered(downgrade, context)
    return Change(_title(upgrade), needed_up | needed_down, up, down)


def _later(operations: Sequence[MigrateOperation], context: MigrationContext) -> Change:
    """Not in a batch, which would be run when the block has ended."""
    up = [_rendered(UpgradeOps([operation]), context, batch=False) for operation in operations]
    down = [_rendered(UpgradeOps([operation]).reverse(), context, batch=False) for operation in operations]
    return Change(
        f"Change {', '.join(dict.fromkeys(map(table_changed, operations)))} online",
        IMPORTS.union(*(needed for _, needed in (*up, *down))),
        upgrade_body(operations, [code.strip() for code, _ in up]),
        downgrade_body(operations, [code.strip() for code, _ in down]),
    )


def _default_is_another(
    _context: object, _found: object, column: Column[Any], found: str | None, _default: object, wanted: str | None
) -> bool:
    """Whether there is one at all: each database writes `0`, `true` and `now()` in its own way."""
    there = found is not None and found.strip("()").upper() != "NULL"
    needed = wanted is not None and wanted.strip("()").upper() != "NULL"
    return there != needed and not column.primary_key


def _leave_to_drop_table(ops: UpgradeOps | DowngradeOps) -> None:
    """A table that goes takes its indexes along; MySQL refuses to drop first the one that a foreign key needs."""
    gone = {op.table_name for op in ops.ops if isinstance(op, DropTableOp)}
    ops.ops = [op for op in ops.ops if not (isinstance(op, ModifyTableOps) and op.table_name in gone)]


def _rendered(
    ops: UpgradeOps | DowngradeOps, context: MigrationContext, *, batch: bool = True
) -> tuple[str, frozenset[str]]:
    """The code, and the imports it needs; Alembic notes those on a context that only this callback gets to see."""
    contexts: list[AutogenContext] = []

    def item(kind: str, found: Any, autogenerate: AutogenContext) -> str | Literal[False]:
        contexts.append(autogenerate)
        return _rendered_type(found, autogenerate.imports) if kind == "type" else False

    body = render_python_code(ops, render_as_batch=batch, render_item=item, migration_context=context)
    searches = {SEARCH_IMPORT} if "SearchIndex(" in body else set()
    return _tidy(body), IMPORTS.union(searches, *(seen.imports for seen in contexts[-1:]))


def _tidy(body: str) -> str:
    """Alembic's code, indented and without its comments."""
    lines: list[str] = []
    inside = False
    for line in textwrap.dedent(f"    {body}").splitlines():
        text = line.strip()
        if not text.startswith("# ###"):
            inside = inside and text != ")"
            lines.append(f"{' ' * (8 if inside else 4)}{line}" if text else "")
            inside = inside or text.startswith("op.create_table(")
    return "\n".join(lines).strip("\n")


def _rendered_type(found: TypeEngine[Any], imports: set[str]) -> str | Literal[False]:
    if isinstance(found, Timestamp | Document):
        name = type(found).__name__
        imports.add(f"from leyden.data import {name}")
        return f"{name}()"
    module = type(found).__module__
    if not module.startswith("sqlalchemy."):
        imports.add(f"import {module}")
    return False


def _title(ops: UpgradeOps) -> str:
    made = [op.table_name for op in ops.ops if isinstance(op, CreateTableOp)]
    gone = [op.table_name for op in ops.ops if isinstance(op, DropTableOp)]
    changed = [op.table_name for op in ops.ops if isinstance(op, ModifyTableOps) and op.table_name not in made]
    searched = [op.index.table for op in ops.ops if isinstance(op, CreateSearch) and op.index.table not in made]
    parts = [_phrase("create", made), _phrase("change", changed), _phrase("drop", gone), _phrase("index", searched)]
    return " and ".join(part for part in parts if part) or "Change the tables"


def _phrase(verb: str, tables: list[str]) -> str:
    more = f" and {len(tables) - 3} more" if len(tables) > 3 else ""  # noqa: PLR2004 -- as above
    return f"{verb} {', '.join(tables[:3])}{more}" if tables else ""


def _flat(differences: Any) -> Iterator[tuple[Any, ...]]:
    for found in differences:
        if isinstance(found, list):
            yield from _flat(found)
        else:
            yield found


def _sentence(difference: tuple[Any, ...]) -> str:
    kind, *rest = difference
    if told := _SENTENCES.get(kind):
        return told(*rest)
    verb, _, noun = str(kind).partition("_")
    if verb not in ("add", "remove"):
        return f"{' '.join(map(str, rest[1:3]))}: {str(kind).replace('_', ' ')}."
    missing = "in the model and not in the database" if verb == "add" else "in the database and not in the model"
    table = getattr(getattr(rest[0], "table", None), "name", "?")
    return f"{table}: the {_NOUNS.get(noun, noun)} {rest[0].name} is {missing}."


_NOUNS = {"fk": "foreign key", "constraint": "constraint", "index": "index"}
_SENTENCES: dict[str, Callable[..., str]] = {
    "add_table": lambda table: f"The table {table.name} is not in the database.",
    "add_column": lambda _, table, column: f"{table}.{column.name} is not in the database.",
    "remove_column": lambda _, table, column: f"{table}.{column.name} is in the database and not in the model.",
    "modify_type": lambda _, table, column, _facts, old, new: (
        f"{table}.{column} is {old} in the database and {new} in the model."
    ),
    "modify_default": lambda _, table, column, _facts, old, _new: (
        f"{table}.{column} has {'a' if old is not None else 'no'} default in the database; the model says otherwise."
    ),
    "modify_nullable": lambda _, table, column, _facts, old, _new: (
        f"{table}.{column} {'may' if old else 'may not'} be null in the database; the model says otherwise."
    ),
}
