"""SQLite, through aiosqlite: one writer and several readers a process, other processes waited for."""

import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import URL, Connection, NullPool, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.core import Limit, StartError, to_thread
from leyden.data.backend import Broken, Trouble, TryLock, Violation
from leyden.data.engines import execute, make_engine
from leyden.data.errors import InvalidValueError
from leyden.data.settings import DataSettings

TROUBLES = {
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
    sqlite3.SQLITE_CANTOPEN: Trouble.DOWN,
    sqlite3.SQLITE_FULL: Trouble.DOWN,
    sqlite3.SQLITE_IOERR: Trouble.DOWN,
    sqlite3.SQLITE_CORRUPT: Trouble.DOWN,
    sqlite3.SQLITE_NOTADB: Trouble.DOWN,
    sqlite3.SQLITE_TOOBIG: Trouble.UNSTORABLE,
}
"""By primary result code: the low byte of SQLite's extended codes."""

_KINDS = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Broken.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Broken.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_ROWID: Broken.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: Broken.NOT_NULL,
    sqlite3.SQLITE_CONSTRAINT_CHECK: Broken.CHECK,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Broken.FOREIGN_KEY,
}
_COLUMN = re.compile(r"(\w+)\.(\w+)")
_INDEX = re.compile(r"index '(\w+)'")
_lockers = Limit(8, waiting=1000)


class SQLite:
    dialect = "sqlite"

    def __init__(self, url: URL, settings: DataSettings) -> None:
        self._url = url.set(drivername="sqlite+aiosqlite")
        self._settings = settings
        self._folder: TemporaryDirectory[str] | None = None

    @cached_property
    def path(self) -> Path:
        """The file. A database in memory is a file that goes with us: only so do several connections see it."""
        if self._url.database and self._url.database != ":memory:":
            return Path(self._url.database)
        self._folder = TemporaryDirectory(prefix="leyden-", ignore_cleanup_errors=True)
        return Path(self._folder.name) / "memory.db"

    def engines(self) -> tuple[AsyncEngine, AsyncEngine]:
        # One writer: SQLite has one anyway, and waiting in our queue is fair where its busy handler polls.
        writer = self._engine(begin="BEGIN IMMEDIATE", pool_size=1)
        readers = self._engine("query_only=ON", begin="BEGIN", pool_size=self._settings.pool_size)
        return writer, readers

    def migrator(self) -> AsyncEngine:
        # A table is altered by moving it: with foreign keys on, dropping the old one would empty its children.
        return self._engine("foreign_keys=OFF", begin="BEGIN IMMEDIATE")

    def _engine(self, *pragmas: str, begin: str, pool_size: int | None = None) -> AsyncEngine:
        _make_folder(self.path.parent)
        synchronous = "OFF" if self._folder else self._settings.synchronous
        settings = (
            f"busy_timeout={int(self._settings.busy_timeout * 1000)}",  # first: turning WAL on may have to wait
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "foreign_keys=ON",
            *pragmas,
        )

        def prepare(connection: DBAPIConnection) -> None:
            execute(connection, *(f"PRAGMA {setting}" for setting in settings))

        pool = (
            {"poolclass": NullPool}
            if pool_size is None
            else {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": self._settings.pool_timeout}
        )
        url = self._url.set(database=str(self.path))
        engine = make_engine(url, connect_args={"isolation_level": None}, prepare=prepare, **pool)
        event.listen(engine.sync_engine, "begin", _begin(begin))
        event.listen(engine.sync_engine, "handle_error", _refuse_large_integers)
        return engine

    @asynccontextmanager
    async def locker(self, name: str) -> AsyncIterator[TryLock]:
        """A lock is an exclusive transaction on an empty file beside the database: it ends with the process."""
        path = self.path.with_name(f"{self.path.name}.{re.sub(r'[^0-9A-Za-z_-]', '_', name)}.lock")
        connection = await to_thread(_lockers, _open, path)

        async def try_lock() -> bool:
            return await to_thread(_lockers, _lock, connection)

        try:
            yield try_lock
        finally:
            connection.close()  # no thread: a cancelled task must let go too, and this does not wait

    def violation(self, error: DBAPIError) -> Violation | None:
        kind = _KINDS.get(getattr(error.orig, "sqlite_errorcode", 0))
        if kind is None:
            return None
        _, _, named = str(error.orig).partition("constraint failed: ")
        if kind is Broken.CHECK:
            return Violation(kind, constraint=named or None)
        if index := _INDEX.match(named):
            return Violation(kind, constraint=index[1])
        columns = _COLUMN.findall(named)
        return Violation(kind, table=columns[0][0] if columns else None, columns=tuple(name for _, name in columns))

    def trouble(self, error: DBAPIError) -> Trouble | None:
        return TROUBLES.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()


def _begin(statement: str) -> Callable[[Connection], None]:
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)

    return begin


def _refuse_large_integers(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, OverflowError):
        raise InvalidValueError from context.original_exception


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"The folder {folder} for the SQLite file cannot be made: {error.strerror}.") from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)


def _lock(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True
