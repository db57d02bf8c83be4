"""SQLite, through aiosqlite: one writer and several readers a process, other processes waited for."""

import copy
import math
import re
import secrets
import shutil
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, NullPool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.core import Limit, StartError, to_thread
from leyden.data.backend import Broken, Trouble, TryLock, Use, Violation
from leyden.data.backends.sqlite_driver import Driver, prepare
from leyden.data.backends.sqlite_idle import replace_when_idle
from leyden.data.backends.sqlite_lanes import ReadLane, WriteLane
from leyden.data.backends.sqlite_pool import WriterPool
from leyden.data.backends.sqlite_readers import Readers
from leyden.data.engines import as_it_is, make_engine
from leyden.data.lanes import DriverLane
from leyden.data.pool import Pool
from leyden.data.settings import DataSettings

TROUBLES = {
    sqlite3.SQLITE_BUSY: Trouble.CONTENDED,
    sqlite3.SQLITE_LOCKED: Trouble.CONTENDED,
    sqlite3.SQLITE_INTERRUPT: Trouble.BUSY,  # over its time
    sqlite3.SQLITE_CANTOPEN: Trouble.DOWN,
    sqlite3.SQLITE_FULL: Trouble.DOWN,
    sqlite3.SQLITE_IOERR: Trouble.DOWN,
    sqlite3.SQLITE_CORRUPT: Trouble.DOWN,
    sqlite3.SQLITE_NOTADB: Trouble.DOWN,
    sqlite3.SQLITE_TOOBIG: Trouble.UNSTORABLE,
}
"""By primary result code: the low byte of SQLite's extended codes."""

_WRITABLE = "you may write it and its folder, or correct the database URL in the settings."
REFUSALS = {
    sqlite3.SQLITE_CANTOPEN: f"The SQLite file {{database}} cannot be opened. See that it is a file, and that {_WRITABLE}",
    sqlite3.SQLITE_READONLY: f"The SQLite file {{database}} cannot be written. See that {_WRITABLE}",
    sqlite3.SQLITE_NOTADB: "The file {database} is no SQLite database. Correct the database URL in the settings.",
    sqlite3.SQLITE_CORRUPT: "The SQLite file {database} is damaged: {reason}. Put a copy from before in its place.",
    sqlite3.SQLITE_BUSY: "Another process keeps the SQLite file {database} locked. End that process, or wait for it.",
}
_UNUSABLE = (
    "The SQLite file {database} cannot be used: {reason}. Mend that, or correct the database URL in the settings."
)

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

_AUTOCOMMIT: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}

_READERS = 4
"""Threads of prepared statements. One does it all, until a statement takes long."""
_READS_WAITING = 10_000


class SQLite:
    dialect = "sqlite"

    def __init__(self, url: URL, settings: DataSettings) -> None:
        self._settings = settings
        self._in_memory = url.database in (None, "", ":memory:")
        self._is_uri = str(url.database).startswith("file:")
        # A database in memory is a file that goes with us: only so do several connections see it.
        folder = Path(gettempdir()) / f"leyden-{secrets.token_hex(8)}"
        self.path = folder / "memory.db" if self._in_memory else _path(str(url.database), is_uri=self._is_uri)
        self._url = url.set(drivername="sqlite+aiosqlite")
        if self._in_memory:
            self._url = self._url.set(database=str(self.path))
        if self._is_uri:
            self._url = self._url.update_query_dict({"uri": "true"})

    @property
    def exists(self) -> bool:
        return self._in_memory or self._is_uri or self.path.exists()

    def engine(self, use: Use, size: int) -> AsyncEngine:
        waiting: dict[str, Any] = {"max_overflow": 0, "pool_timeout": self._settings.pool_timeout}
        limit = self._settings.statement_timeout or math.inf
        match use:
            case Use.WRITE:
                # One writer: SQLite has one anyway, and waiting in our queue is fair where its busy handler polls.
                idle = self._settings.idle_timeout or math.inf
                driver = Driver(self._pragmas(), begin="BEGIN IMMEDIATE", limit=limit, idle=idle)
                engine = self._make(driver, pool_size=1, poolclass=WriterPool, **waiting)
                replace_when_idle(engine)
                return engine
            case Use.READ:
                driver = Driver(self._pragmas("query_only=ON"), limit=limit)
                return self._make(driver, pool_size=size, poolclass=Pool, pool_use_lifo=True, **waiting, **_AUTOCOMMIT)
            case Use.SNAPSHOT:
                driver = Driver(self._pragmas("query_only=ON"), begin="BEGIN")
                return self._make(driver, pool_size=size, poolclass=Pool, **waiting)
            case Use.LOOK:
                return self._make(Driver(self._looking(), limit=limit), poolclass=NullPool, **_AUTOCOMMIT)

    def lane(self, use: Use, engine: AsyncEngine) -> DriverLane | None:
        if use is Use.WRITE:
            return WriteLane(engine)
        readers = Readers(
            partial(self._connect_to_read, *engine.dialect.create_connect_args(engine.url)),
            threads=_READERS,
            waiting=_READS_WAITING,
            patience=self._settings.pool_timeout,
            statement_timeout=self._settings.statement_timeout or math.inf,
        )
        return ReadLane(engine, readers)

    def _connect_to_read(self, name: Sequence[Any], options: Mapping[str, Any]) -> sqlite3.Connection:
        own: dict[str, Any] = {"isolation_level": None, "check_same_thread": False, "cached_statements": 512}
        connection: sqlite3.Connection = sqlite3.connect(*name, **{**options, **own})
        try:
            prepare(connection, self._pragmas("query_only=ON"))
        except BaseException:
            connection.close()
            raise
        return connection

    def migrator(self) -> AsyncEngine:
        # A table is altered by moving it: with foreign keys on, dropping the old one would empty its children.
        return self._make(Driver(self._pragmas("foreign_keys=OFF"), begin="BEGIN IMMEDIATE"), poolclass=NullPool)

    def _make(self, driver: Driver, **options: Any) -> AsyncEngine:
        arguments = {"isolation_level": None}
        return make_engine(self._url, connect_args=arguments, prepare=as_it_is, module=driver, **options)

    def _pragmas(self, *own: str) -> list[str]:
        settings = (
            self._patience,  # first: turning WAL on may have to wait
            "journal_mode=WAL",
            f"synchronous={'OFF' if self._in_memory else self._settings.synchronous}",
            "foreign_keys=ON",
            *own,
        )
        return [f"PRAGMA {setting}" for setting in settings]

    def _looking(self) -> list[str]:
        """No journal_mode, which is written into the file; to read its head tells what is locked or no database."""
        return [f"PRAGMA {setting}" for setting in (self._patience, "query_only=ON", "schema_version")]

    @property
    def _patience(self) -> str:
        return f"busy_timeout={int(self._settings.busy_timeout * 1000)}"

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

    def refusal(self, error: BaseException) -> str | None:
        return REFUSALS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _UNUSABLE)

    def open(self, *, create: bool) -> None:
        if self._is_uri and self._url.query.get("mode", "rwc") != "rwc":
            return  # SQLite makes nothing, and says itself what is not there
        if not (create or self.exists):
            raise StartError(
                f"There is no file {self.path}. "
                "Run `leyden db upgrade` to make it, or correct the database URL in the settings."
            )
        folder = self.path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700 if self._in_memory else 0o777)
        except OSError as error:
            raise StartError(
                f"The folder {folder} for the SQLite file cannot be made: {error.strerror}. "
                "Make it, or correct the database URL in the settings."
            ) from error

    def close(self) -> None:
        if self._in_memory:
            shutil.rmtree(self.path.parent, ignore_errors=True)

    def apart(self, settings: DataSettings) -> Self:
        other = copy.copy(self)
        other._settings = settings  # noqa: SLF001 -- a copy of self
        return other


def _path(name: str, *, is_uri: bool) -> Path:
    """Where the file is; a URI may name a host before it, and has its own way to write what is no letter."""
    return Path(unquote(urlsplit(name).path)) if is_uri else Path(name)


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
