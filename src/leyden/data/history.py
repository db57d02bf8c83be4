"""The user's migrations as a chain of revisions, read without running them and without Alembic: start-up waits for this."""

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, column, inspect, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from leyden.data.errors import MigrationError

VERSION_TABLE = "alembic_version"


@dataclass(frozen=True, slots=True)
class Revision:
    """One file of the history; `down` are the revisions it comes after, more than one where branches meet."""

    id: str
    down: tuple[str, ...]
    path: Path
    title: str

    def __str__(self) -> str:
        return f"{self.id} ({self.title})"


class History:
    """Every revision of a folder; a folder that is not there is a history that has not begun.

    Raises MigrationError with one sentence when a file cannot be read or the chain has a hole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.revisions: dict[str, Revision] = {}
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                self._add(_read(path))
        self._refuse_holes()

    def __contains__(self, revision: str) -> bool:
        return revision in self.revisions

    def __len__(self) -> int:
        return len(self.revisions)

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other comes after: one, where the history is a line."""
        followed = {down for revision in self.revisions.values() for down in revision.down}
        return tuple(name for name in self.revisions if name not in followed)

    def head(self) -> str | None:
        """The one head; raises MigrationError where there are several."""
        heads = self.heads
        if len(heads) > 1:
            raise MigrationError(forked(heads))
        return heads[0] if heads else None

    def line(self) -> list[Revision]:
        """Every revision, each after those it comes after."""
        ordered: dict[str, Revision] = {}
        waiting = dict(self.revisions)
        while waiting:
            ready = [found for found in waiting.values() if all(down in ordered for down in found.down)]
            if not ready:
                raise MigrationError(f"The migrations {', '.join(waiting)} come after each other in a circle.")
            for revision in ready:
                ordered[revision.id] = waiting.pop(revision.id)
        return list(ordered.values())

    def pending(self, current: Collection[str]) -> list[Revision]:
        """What a database at these revisions still lacks, in order."""
        applied = set(self._and_before(current))
        return [revision for revision in self.line() if revision.id not in applied]

    def _and_before(self, names: Collection[str]) -> Iterator[str]:
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            yield name
            waiting += self.revisions[name].down if name in self.revisions else ()

    def _add(self, revision: Revision) -> None:
        if (other := self.revisions.get(revision.id)) is not None:
            raise MigrationError(
                f"The revision '{revision.id}' is in two files, {other.path.name} and {revision.path.name}. Remove one."
            )
        self.revisions[revision.id] = revision

    def _refuse_holes(self) -> None:
        for revision in self.revisions.values():
            for down in revision.down:
                if down not in self.revisions:
                    raise MigrationError(
                        f"{revision.path.name} comes after the revision '{down}', which is not in {self.folder}. "
                        "Restore that file, or correct down_revision."
                    )


def forked(heads: Collection[str]) -> str:
    names = sorted(heads)
    return (
        f"The history has {len(names)} ends: {', '.join(names)}. "
        f"Make it one line again: set down_revision of the first of your own revisions behind one end to '{names[0]}'."
    )


async def applied_revisions(connection: AsyncConnection) -> tuple[str, ...]:
    """Where the database is; nothing where no migration was ever applied."""
    return await connection.run_sync(_applied_revisions)


async def table_names(connection: AsyncConnection) -> set[str]:
    return set(await connection.run_sync(lambda bound: inspect(bound).get_table_names()))


def _applied_revisions(connection: Connection) -> tuple[str, ...]:
    if not inspect(connection).has_table(VERSION_TABLE):
        return ()
    return tuple(connection.scalars(select(column("version_num")).select_from(table(VERSION_TABLE))))


def _read(path: Path) -> Revision:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise MigrationError(f"The migration {path.name} cannot be read{line}: {reason}.") from error
    values = _constants(tree)
    revision, down = values.get("revision"), values.get("down_revision", False)
    if not isinstance(revision, str) or not (down is None or isinstance(down, str | tuple | list)):
        raise MigrationError(
            f"{path} is no migration: it does not set revision and down_revision to texts. "
            "Correct it, or move it out of the folder."
        )
    title = (ast.get_docstring(tree) or path.stem).strip().splitlines()[0].rstrip(".")
    return Revision(revision, _names(down), path, title)


def _names(down: str | tuple[Any, ...] | list[Any] | None) -> tuple[str, ...]:
    if down is None:
        return ()
    return (down,) if isinstance(down, str) else tuple(map(str, down))


def _constants(tree: ast.Module) -> Mapping[str, Any]:
    """What the module's top level sets to literals: `a = 1`, `a: int = 1` and `a, b = 1, 2`."""
    found: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                found |= _paired(target, statement.value)
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            found |= _paired(statement.target, statement.value)
    return found


def _paired(target: ast.expr, value: ast.expr) -> dict[str, Any]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return {
            name: constant
            for inner, part in zip(target.elts, value.elts, strict=True)
            for name, constant in _paired(inner, part).items()
        }
    if not isinstance(target, ast.Name):
        return {}
    try:
        return {target.id: ast.literal_eval(value)}
    except ValueError:  # something computed: not ours to read
        return {}
