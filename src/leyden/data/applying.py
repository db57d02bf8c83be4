"""One upgrade or downgrade on a connection: the steps, how long it waits for a lock, and what is left when it fails."""

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import DBAPIError

from leyden.data.backend import Backend, Trouble
from leyden.data.errors import BlockedMigrationError, MigrationError
from leyden.data.history import History, Revision

LONGEST_WAIT = 0.5
"""Seconds: whoever wants the table as well waits behind a migration that waits for it."""

_WORTH_A_RETRY = frozenset(Trouble) - {Trouble.DOWN, Trouble.UNSTORABLE}


class Run:
    """One attempt; `kept` is what of it the database has for good, also when it fails.

    `lock_timeout` is in seconds; None leaves it to the server.
    """

    def __init__(
        self, history: History, direction: str, to: str, *, backend: Backend, lock_timeout: float | None
    ) -> None:
        self._history = history
        self._direction = direction
        self._to = to
        self._backend = backend
        self._lock_timeout = None if lock_timeout is None else min(lock_timeout, LONGEST_WAIT)
        self._at: Revision | None = None
        self._done: list[Revision] = []
        self._begun = False  # a statement of the revision at hand went through
        self._outside = False  # the revision at hand has ended the transaction of those before it
        self.kept: list[Revision] = []

    def __call__(self, connection: Connection) -> list[Revision]:
        """Raises BlockedMigrationError where the same again may succeed, and MigrationError where it will not."""
        self._prepare(connection)
        try:
            self._migrate(connection, script_of(self._history))
        except MigrationError:
            raise
        except CommandError as error:
            raise _unclear(error) from error
        except Exception as error:  # a migration is the user's code: anything may come out of it
            kind = BlockedMigrationError if self._repeatable(error, connection) else MigrationError
            raise kind(self._failed(error, connection)) from error
        return self._done

    def planned(self, current: Sequence[str]) -> list[Revision]:
        """What it would do to a database at these revisions."""
        try:
            steps = self._moves(script_of(self._history), current)
            return [self._history.revisions[step.revision.revision] for step in steps]
        except CommandError as error:
            raise _unclear(error) from error

    def _prepare(self, connection: Connection) -> None:
        for name, listener in (
            ("begin", self._on_begin),
            ("commit", self._on_commit),
            ("after_cursor_execute", self._on_statement),
        ):
            event.listen(connection, name, listener)
        if self._lock_timeout is not None and connection.dialect.name == "mysql":
            seconds = max(1, round(self._lock_timeout))  # it knows no shorter one
            connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {seconds}")
            connection.rollback()

    def _on_begin(self, connection: Connection) -> None:
        # Of the transaction alone: what runs outside of one, a concurrent index, waits for others and stops nobody.
        if self._lock_timeout is not None and connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(self._lock_timeout * 1000)}")

    def _on_commit(self, _connection: Connection) -> None:
        self.kept = list(self._done)
        self._outside = self._at is not None

    def _on_statement(self, *_: Any) -> None:
        self._begun = self._at is not None

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
            self._begun = self._outside = False
            yield step

    def _moves(self, script: Any, heads: Any) -> Any:
        move = script._upgrade_revs if self._direction == "upgrade" else script._downgrade_revs  # noqa: SLF001 -- as alembic.command does
        return move(self._to, heads)

    def _note(self, *_: Any, **__: Any) -> None:
        if self._at is not None:
            self._done.append(self._at)

    def _repeatable(self, error: Exception, connection: Connection) -> bool:
        """Whether a lock was in the way, and nothing of the revision that wanted it is there already."""
        if not isinstance(error, DBAPIError) or self._backend.trouble(error) not in _WORTH_A_RETRY:
            return False
        return not (self._begun if connection.dialect.name == "mysql" else self._outside)

    def _failed(self, error: Exception, connection: Connection) -> str:
        place = _place(error, self._history.folder)
        what = f"The migration {self._at} failed" if self._at else "The migrations failed"
        return f"{what}{f' at {place}' if place else ''}: {_words(error)}. {self._left(connection)}"

    def _left(self, connection: Connection) -> str:
        if connection.dialect.name == "mysql":
            before = f" {len(self._done)} before it went through." if self._done else ""
            return f"This database cannot take back the statements that came before the failure in it.{before}"
        if not (self._outside or self.kept):
            return "Nothing was changed."
        before = f"{len(self.kept)} before it went through." if self.kept else ""
        own = "What it did outside of a transaction stays; an index that was not finished is there and invalid."
        return " ".join(filter(None, (before, own if self._outside else "")))


def script_of(history: History) -> ScriptDirectory:
    """Alembic's view of the history. Raises MigrationError where a revision cannot be imported."""
    folder = str(history.folder)
    script = ScriptDirectory(folder, version_locations=[folder])
    try:
        script.get_revisions("heads")
    except CommandError:
        raise
    except Exception as error:  # the user's code: reading a revision runs it
        where = _place(error, history.folder)
        raise MigrationError(f"The migration {where} cannot be read: {_words(error)}.") from error
    return script


def _unclear(error: CommandError) -> MigrationError:
    return MigrationError(f"{error}. Run `leyden db history` to see the revisions.")


def _refuse_orphans(connection: Connection) -> None:
    """Foreign keys were off while tables moved; what they would have refused is refused here."""
    if orphan := connection.execute(text("PRAGMA foreign_key_check")).first():
        raise MigrationError(
            f"After the migrations a row of {orphan[0]} would point at a row of {orphan[2]} that is not there. "
            "Mend the data in the migration. Nothing was changed."
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
