"""How the models and the tables of a database differ, as sentences and as the body of a migration."""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import CreateTableOp, DowngradeOps, DropTableOp, ModifyTableOps, UpgradeOps
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData
from sqlalchemy.types import TypeEngine

from leyden.core import Battery
from leyden.data.base import Base
from leyden.data.library import library_tables, table_of
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
        theirs = [table_of(model).metadata for battery in batteries for model in battery.models]
        found = dict.fromkeys(metadata if metadata is not None else [Base.metadata, *theirs])
        self._metadata: list[MetaData] = list(found)
        self._known = {table.name for metadata in found for table in metadata.tables.values()}
        self._library = {table.name for table in library_tables(batteries)}

    def differences(self, connection: Connection) -> list[str]:
        """Of every table of a model, the library's too; tables without a model are somebody else's."""
        return [
            _sentence(difference) for difference in _flat(compare_metadata(self._context(connection), self._target))
        ]

    def change(self, connection: Connection) -> Change | None:
        """What would make the tables of the user's models what the models say; None when they are."""
        context = self._context(connection, without=self._library)
        script = produce_migrations(context, self._target)
        upgrade, downgrade = script.upgrade_ops, script.downgrade_ops
        if upgrade is None or downgrade is None or upgrade.is_empty():
            return None
        for ops in (upgrade, downgrade):
            _leave_to_drop_table(ops)
        (up, needed_up), (down, needed_down) = _rendered(upgrade, context), _rendered(downgrade, context)
        return Change(_title(upgrade), needed_up | needed_down, up, down)

    @property
    def _target(self) -> Any:
        return self._metadata  # Alembic takes several, its annotation knows of one

    def _context(self, connection: Connection, without: set[str] | None = None) -> MigrationContext:
        hidden = without or set()

        def ours(name: str | None, kind: str, _parents: object) -> bool:
            return kind != "table" or (name in self._known and name not in hidden)

        def included(_found: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:  # noqa: FBT001 -- Alembic's signature
            return kind != "table" or name not in hidden

        options = {
            "target_metadata": self._target,
            "include_name": ours,
            "include_object": included,
            "render_as_batch": True,  # a revision made on one database runs on the others
            "compare_type": True,
        }
        return MigrationContext.configure(connection, opts=options)


def _leave_to_drop_table(ops: UpgradeOps | DowngradeOps) -> None:
    """A table that goes takes its indexes along; MySQL refuses to drop first the one that a foreign key needs."""
    gone = {op.table_name for op in ops.ops if isinstance(op, DropTableOp)}
    ops.ops = [op for op in ops.ops if not (isinstance(op, ModifyTableOps) and op.table_name in gone)]


def _rendered(ops: UpgradeOps | DowngradeOps, context: MigrationContext) -> tuple[str, frozenset[str]]:
    """The code, and the imports it needs; Alembic notes those on a context that only this callback gets to see."""
    contexts: list[AutogenContext] = []

    def item(kind: str, found: Any, autogenerate: AutogenContext) -> str | Literal[False]:
        contexts.append(autogenerate)
        return _rendered_type(found, autogenerate.imports) if kind == "type" else False

    body = render_python_code(ops, render_as_batch=True, render_item=item, migration_context=context)
    return _tidy(body), IMPORTS.union(*(seen.imports for seen in contexts[-1:]))


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
    parts = [_phrase("create", made), _phrase("change", changed), _phrase("drop", gone)]
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
    "modify_nullable": lambda _, table, column, _facts, old, _new: (
        f"{table}.{column} {'may' if old else 'may not'} be null in the database; the model says otherwise."
    ),
}
