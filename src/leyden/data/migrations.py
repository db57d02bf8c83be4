"""Migrations: what the database lacks, applying it once, and writing the next one."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from leyden.core import Battery
from leyden.data.database import Database
from leyden.data.errors import MigrationError
from leyden.data.history import History, Revision, applied_revisions, forked
from leyden.data.library import LibraryMigration, library_migrations
from leyden.data.revisions import Draft, write
from leyden.data.schema import Schema

LOCK = "migrations"


class Migrations:
    """The history of one database; `batteries` bring migrations and models of their own.

    `folder` and `metadata` replace the settings' folder and the models of Base and the batteries; `patience` is how
    many seconds to wait for another process that migrates.
    """

    def __init__(
        self,
        database: Database,
        batteries: Sequence[Battery] = (),
        *,
        folder: Path | None = None,
        metadata: Sequence[MetaData] | None = None,
        patience: float = 600,
    ) -> None:
        self._database = database
        self._batteries = tuple(batteries)
        self._folder = folder or database.settings.migrations
        self._schema = Schema(batteries, metadata)
        self._patience = patience

    @property
    def address(self) -> str:
        """The URL of the database without its password."""
        return self._database.address

    @property
    def history(self) -> History:
        """Raises MigrationError when a file of it cannot be read."""
        return History(self._folder)

    async def current(self) -> tuple[str, ...]:
        """The revisions the database is at."""
        async with self._connected() as connection:
            return await applied_revisions(connection)

    async def pending(self) -> list[Revision]:
        """What the database lacks, in order."""
        return self.history.pending(await self.current())

    def uncalled(self) -> list[LibraryMigration]:
        """The batteries' migrations that the history does not call yet."""
        history = self.history
        return [migration for migration in library_migrations(self._batteries) if migration.revision not in history]

    async def upgrade(self, to: str = "head") -> list[Revision]:
        """Apply what is missing and return it. Of processes that do this at once one does it, and the others wait.

        Raises MigrationError with what failed and what is left of it.
        """
        if to == "head":
            self.history.head()
        return await self._run("upgrade", to)

    async def downgrade(self, to: str = "-1") -> list[Revision]:
        """Take back the last migration, or all after `to`; `base` takes back every one. Returns them."""
        return await self._run("downgrade", to)

    async def undoing(self, to: str = "-1") -> list[Revision]:
        """What `downgrade` would take back, in its order."""
        history = self.history
        return _Run(history, "downgrade", to).planned(await self.current()) if len(history) else []

    async def differences(self) -> list[str]:
        """How the database's tables differ from the models, in words; none when the migrations say it all."""
        async with self._connected() as connection:
            return await connection.run_sync(self._schema.differences)

    async def problems(self) -> list[str]:
        """Everything that keeps models, history and database from agreeing, and what to run; the first that matters."""
        history = self.history
        if len(history.heads) > 1:
            return [forked(history.heads)]
        if uncalled := self.uncalled():
            names = ", ".join(migration.revision for migration in uncalled)
            return [f"The history does not call {names}. Run `leyden db make`, then `leyden db upgrade`."]
        current = await self.current()
        if strange := [name for name in current if name not in history]:
            return [_strange(strange, history)]
        if pending := history.pending(current):
            return [f"The database lacks {revision}. Run `leyden db upgrade`." for revision in pending]
        differences = await self.differences()
        return [*differences, "Run `leyden db make`, then `leyden db upgrade`."] if differences else []

    async def make(self, message: str | None = None, *, empty: bool = False) -> list[Path]:
        """Write the revisions that are missing: the batteries' first, then one for the difference to the user's models.

        `empty` writes one to fill in by hand instead. Nothing is written when something is in the way.
        """
        history = self.history
        head, drafts = history.head(), list[Draft]()
        for migration in self.uncalled():
            drafts.append(Draft(migration.revision, migration.name, migration.source(head)))
            head = migration.revision
        await self._refuse_behind(history)
        async with self._connected() as connection:
            change = None if empty else await connection.run_sync(self._schema.change)
        if empty or change is not None:
            drafts.append(Draft.of(change, message, number=len(history) + len(drafts) + 1, down=head))
        return await asyncio.to_thread(write, self._folder, drafts, already=len(history))

    async def _refuse_behind(self, history: History) -> None:
        """What is not applied cannot be seen in the database, and would be written a second time."""
        current = await self.current()
        if strange := [name for name in current if name not in history]:
            raise MigrationError(_strange(strange, history))
        library = {migration.revision for migration in library_migrations(self._batteries)}
        if own := [revision for revision in history.pending(current) if revision.id not in library]:
            raise MigrationError(f"The database lacks {own[0]}. Run `leyden db upgrade` first, then make the next one.")

    async def _run(self, direction: str, to: str) -> list[Revision]:
        history = self.history
        if not len(history):
            return []
        async with self._database.lock(LOCK, timeout=self._patience), self._connected() as connection:
            if strange := [name for name in await applied_revisions(connection) if name not in history]:
                raise MigrationError(_strange(strange, history))
            await connection.rollback()
            return await connection.run_sync(_Run(history, direction, to))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with self._database.backend.migrator().connect() as connection:
            yield connection


class _Run:
    """One upgrade or downgrade on a connection."""

    def __init__(self, history: History, direction: str, to: str) -> None:
        self._history = history
        self._direction = direction
        self._to = to
        self._at: Revision | None = None
        self._done: list[Revision] = []

    def __call__(self, connection: Connection) -> list[Revision]:
        try:
            self._migrate(connection, self._script())
        except MigrationError:
            raise
        except CommandError as error:
            raise _unclear(error) from error
        except Exception as error:  # a migration is the user's code: anything may come out of it
            raise MigrationError(self._failed(error, connection)) from error
        return self._done

    def planned(self, current: Sequence[str]) -> list[Revision]:
        """What it would do to a database at these revisions."""
        try:
            return [self._history.revisions[step.revision.revision] for step in self._moves(self._script(), current)]
        except CommandError as error:
            raise _unclear(error) from error

    def _script(self) -> ScriptDirectory:
        folder = str(self._history.folder)
        script = ScriptDirectory(folder, version_locations=[folder])
        try:
            script.get_revisions("heads")
        except CommandError:
            raise
        except Exception as error:  # the same: reading a revision runs it
            where = _place(error, self._history.folder)
            raise MigrationError(f"The migration {where} cannot be read: {_words(error)}.") from error
        return script

    def _migrate(self, connection: Connection, script: ScriptDirectory) -> None:
        sqlite = connection.dialect.name == "sqlite"
        with EnvironmentContext(Config(), script, fn=self._steps) as environment:
            environment.configure(
                connection=connection,
                # Alembic's default is from the days when Python's sqlite3 committed before DDL; our BEGIN is our own.
                transactional_ddl=True if sqlite else None,
                on_version_apply=self._note,
            )
            with environment.begin_transaction():
                environment.run_migrations()
                if sqlite:
                    _refuse_orphans(connection)

    def _steps(self, heads: Any, context: Any) -> Any:
        for step in self._moves(context.script, heads):
            self._at = self._history.revisions.get(step.revision.revision)
            yield step

    def _moves(self, script: Any, heads: Any) -> Any:
        move = script._upgrade_revs if self._direction == "upgrade" else script._downgrade_revs  # noqa: SLF001 -- as alembic.command does
        return move(self._to, heads)

    def _note(self, *_: Any, **__: Any) -> None:
        if self._at is not None:
            self._done.append(self._at)

    def _failed(self, error: Exception, connection: Connection) -> str:
        place = _place(error, self._history.folder)
        what = f"The migration {self._at} failed" if self._at else "The migrations failed"
        if connection.dialect.name != "mysql":
            left = "Nothing was changed."
        else:
            before = f" {len(self._done)} before it went through." if self._done else ""
            left = f"This database cannot take back the statements that came before the failure in it.{before}"
        return f"{what}{f' at {place}' if place else ''}: {_words(error)}. {left}"


def _unclear(error: CommandError) -> MigrationError:
    return MigrationError(f"{error}. Run `leyden db history` to see the revisions.")


def _refuse_orphans(connection: Connection) -> None:
    """Foreign keys were off while tables moved; what they would have refused is refused here."""
    if orphan := connection.execute(text("PRAGMA foreign_key_check")).first():
        raise MigrationError(
            f"After the migrations a row of {orphan[0]} would point at a row of {orphan[2]} that is not there. "
            "Mend the data in the migration. Nothing was changed."
        )


def _strange(names: Sequence[str], history: History) -> str:
    return (
        f"The database is at the revision '{names[0]}', which is not in {history.folder}: "
        "it belongs to newer code, or to another app. Run this with the code that made it."
    )


def _place(error: BaseException, folder: Path) -> str:
    inside = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == folder]
    return f"{Path(inside[-1].filename).name}:{inside[-1].lineno}" if inside else ""


def _words(error: BaseException) -> str:
    if not isinstance(error, DBAPIError) or error.orig is None:
        return f"{type(error).__name__}: {error}".rstrip(".")
    match error.orig.args:
        case (int(), str(said), *_):  # MySQL's drivers
            return said.rstrip(".")
    return " ".join(str(error.orig).split()).rstrip(".")
