"""Migrations: what the database lacks, applying it once, and writing the next one."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from leyden.core import Battery
from leyden.data.advice import advice, made_by
from leyden.data.applying import Run, script_of
from leyden.data.database import Database
from leyden.data.errors import BlockedMigrationError, MigrationError
from leyden.data.history import History, Revision, applied_revisions, forked
from leyden.data.library import LibraryMigration, library_migrations
from leyden.data.recording import recorded
from leyden.data.revisions import Draft, write
from leyden.data.schema import Change, Schema
from leyden.data.settings import DataSettings

LOCK = "migrations"

ATTEMPTS = 10
PAUSE = (0.5, 1.5)
"""Seconds between two attempts: from, to."""

_BLOCKED = (
    "Something else has a table of it in use, and {attempts} attempts over {seconds:.0f} s found no moment without it. "
    "End what holds it, or run this again at a quieter time."
)
_NOT_SEEN = "It asks the database while it runs: the part after that could not be looked at."


@dataclass(frozen=True, slots=True)
class Advice:
    """What a revision does to a release that is running, and what to do instead."""

    revision: Revision
    text: str

    def __str__(self) -> str:
        return f"{self.revision.id}: {self.text}"


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
        async with self._looking() as connection:
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
        history = self.history
        if to == "head":
            history.head()
        if not len(history):
            await self._database.take_into_use()  # an app without migrations has a database all the same
        return await self._run("upgrade", to)

    async def downgrade(self, to: str = "-1") -> list[Revision]:
        """Take back the last migration, or all after `to`; `base` takes back every one. Returns them."""
        return await self._run("downgrade", to)

    async def undoing(self, to: str = "-1") -> list[Revision]:
        """What `downgrade` would take back, in its order."""
        history = self.history
        return self._attempt(history, "downgrade", to).planned(await self.current()) if len(history) else []

    async def advice(self, since: str | None = None) -> list[Advice]:
        """What the revisions that the database lacks do to a release that is running; or those after `since`.

        Their functions are called once more with no database behind them, as `alembic upgrade --sql` does.
        """
        history = self.history
        if since is not None and since not in history:
            raise MigrationError(f"There is no revision '{since}'. Run `leyden db history` to see the revisions.")
        found = history.pending(await self.current() if since is None else [since])
        return self._advice(history, found) if found else []

    async def differences(self) -> list[str]:
        """How the database's tables differ from the models, in words; none when the migrations say it all."""
        async with self._looking() as connection:
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

    async def make(self, message: str | None = None, *, empty: bool = False, online: bool = False) -> list[Path]:
        """Write the revisions that are missing: the batteries' first, then one for the difference to the user's models.

        `empty` writes one to fill in by hand instead; `online` puts what can be done while everybody goes on writing
        into one more. Nothing is written when something is in the way.
        """
        history = self.history
        head, drafts = history.head(), list[Draft]()
        for migration in self.uncalled():
            drafts.append(Draft(migration.revision, migration.name, migration.source(head)))
            head = migration.revision
        await self._refuse_behind(history)
        for place, change in enumerate([None] if empty else await self._changes(online=online)):
            title = f"{message}, online" if message and place else message
            drafts.append(Draft.of(change, title, number=len(history) + len(drafts) + 1, down=head))
            head = drafts[-1].revision
        return await asyncio.to_thread(write, self._folder, drafts, already=len(history))

    async def _changes(self, *, online: bool) -> list[Change]:
        async with self._looking() as connection:
            return await connection.run_sync(partial(self._schema.changes, online=online))

    async def _refuse_behind(self, history: History) -> None:
        """What is not applied cannot be seen in the database, and would be written a second time."""
        current = await self.current()
        _refuse_strange(current, history)
        library = {migration.revision for migration in library_migrations(self._batteries)}
        if own := [revision for revision in history.pending(current) if revision.id not in library]:
            raise MigrationError(f"The database lacks {own[0]}. Run `leyden db upgrade` first, then make the next one.")

    def _advice(self, history: History, revisions: Sequence[Revision]) -> list[Advice]:
        """Of all of them together: what is done to a table that one of them has made disturbs nobody."""
        script, dialect = script_of(history), self._database.backend.migrator().dialect
        said, made = list[Advice](), set[str]()
        for revision in revisions:
            found = recorded(script.get_revision(revision.id), dialect)
            texts = advice(found.operations, dialect.name, made)
            said += (Advice(revision, text) for text in (*texts, *(() if found.whole else (_NOT_SEEN,))))
            made |= made_by(found.operations)
        return said

    async def _run(self, direction: str, to: str) -> list[Revision]:
        history = self.history
        if not len(history) or not await self._planned(history, direction, to):
            return []
        await self._database.take_into_use()
        async with self._database.lock(LOCK, timeout=self._patience):
            return await self._repeated(history, direction, to)

    async def _planned(self, history: History, direction: str, to: str) -> list[Revision]:
        """What is refused here has made no file, and holds up nobody."""
        current = await self.current()
        _refuse_strange(current, history)
        return self._attempt(history, direction, to).planned(current)

    async def _repeated(self, history: History, direction: str, to: str) -> list[Revision]:
        """Again after a pause when a lock was in the way, from where the last attempt got to."""
        began, done, attempt = time.monotonic(), list[Revision](), 1
        while True:
            run = self._attempt(history, direction, to)
            try:
                return [*done, *await self._once(run, history)]
            except BlockedMigrationError as error:
                if attempt == ATTEMPTS:
                    told = _BLOCKED.format(attempts=attempt, seconds=time.monotonic() - began)
                    raise BlockedMigrationError(f"{error.detail} {told}") from error
            done += run.kept
            attempt += 1
            await asyncio.sleep(random.uniform(*PAUSE))  # noqa: S311 -- jitter, not a secret

    def _attempt(self, history: History, direction: str, to: str) -> Run:
        database = self._database
        return Run(history, direction, to, backend=database.backend, lock_timeout=database.settings.lock_timeout)

    async def _once(self, run: Run, history: History) -> list[Revision]:
        async with self._database.backend.migrator().connect() as connection:
            _refuse_strange(await applied_revisions(connection), history)
            await connection.rollback()
            return await connection.run_sync(run)

    @asynccontextmanager
    async def _looking(self) -> AsyncIterator[AsyncConnection]:
        """Leaves everything as it is; a SQLite file that is not there is a database with nothing in it."""
        if self._database.exists:
            async with self._database.looker.connect() as connection:
                yield connection
        else:
            async with Database(DataSettings(url="sqlite://")) as empty, empty.looker.connect() as connection:
                yield connection


def _refuse_strange(current: Sequence[str], history: History) -> None:
    if strange := [name for name in current if name not in history]:
        raise MigrationError(_strange(strange, history))


def _strange(names: Sequence[str], history: History) -> str:
    return (
        f"The database is at the revision '{names[0]}', which is not in {history.folder}: "
        "it belongs to newer code, or to another app. Run this with the code that made it."
    )
