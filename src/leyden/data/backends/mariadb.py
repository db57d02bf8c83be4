"""MariaDB and MySQL, through asyncmy."""

import copy
import hashlib
import logging
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

from sqlalchemy import URL, Connection, Dialect, NullPool, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data.backend import ANSWER_LATE, LOGIN_REFUSED, NO_RIGHT, Broken, Trouble, TryLock, Use, Violation
from leyden.data.backends.mariadb_flow import connect, unread
from leyden.data.engines import execute, make_engine
from leyden.data.lanes import Answer, Arguments, DriverLane, PooledLane
from leyden.data.plans import Plan
from leyden.data.pool import keep_alive, pool_of
from leyden.data.reading import make_way
from leyden.data.settings import DataSettings

TROUBLES = {
    1040: Trouble.BUSY,  # too many connections
    1203: Trouble.BUSY,  # too many connections of this user
    1205: Trouble.LOCKED,  # lock wait timeout
    1206: Trouble.BUSY,  # no room for more locks
    1213: Trouble.CONTENDED,  # deadlock
    1020: Trouble.CONTENDED,  # the record has changed since it was read
    3024: Trouble.BUSY,  # statement timeout (MySQL)
    1969: Trouble.BUSY,  # statement timeout (MariaDB)
    1021: Trouble.DOWN,  # disk full
    1053: Trouble.DOWN,  # shutdown in progress
    1077: Trouble.DOWN,  # normal shutdown
    1927: Trouble.DOWN,  # connection killed
    2002: Trouble.DOWN,  # cannot connect through the socket
    2003: Trouble.DOWN,  # cannot connect
    2006: Trouble.DOWN,  # server has gone away
    2013: Trouble.DOWN,  # lost connection during query
    2055: Trouble.DOWN,  # lost connection
    4031: Trouble.DOWN,  # closed for inactivity
    1264: Trouble.UNSTORABLE,  # number out of range
    1292: Trouble.UNSTORABLE,  # incorrect date
    1366: Trouble.UNSTORABLE,  # incorrect text for the column's character set
    1406: Trouble.UNSTORABLE,  # text too long
    1690: Trouble.UNSTORABLE,  # out of range in an expression
    3988: Trouble.UNSTORABLE,  # no conversion into the character set
}

UNDONE = {1020, 1206, 1213}
"""After these the server has undone the whole transaction, and takes what follows for the beginning of another one."""

REFUSALS = {
    1044: NO_RIGHT,
    1045: LOGIN_REFUSED,
    1130: LOGIN_REFUSED,  # not from this host
    1698: LOGIN_REFUSED,  # nobody of that name
    1862: LOGIN_REFUSED,  # the password has expired
    1049: "The server {server} has no database called '{database}'. "
    "Make it, for example with `mariadb-admin create {database}`, or correct the database URL in the settings.",
}

_KINDS = {
    1062: Broken.UNIQUE,
    1586: Broken.UNIQUE,
    1169: Broken.UNIQUE,
    1216: Broken.FOREIGN_KEY,
    1217: Broken.FOREIGN_KEY,
    1451: Broken.FOREIGN_KEY,
    1452: Broken.FOREIGN_KEY,
    1048: Broken.NOT_NULL,
    1364: Broken.NOT_NULL,
    3819: Broken.CHECK,
    4025: Broken.CHECK,
}
_KEY = re.compile(r"for key '(?:\w+\.)?(\w+)'")
_FOREIGN = re.compile(r"\(`[^`]*`\.`(\w+)`, CONSTRAINT `(\w+)`")
_COLUMN = re.compile(r"(?:Column|Field) '(\w+)'")
_CHECK = re.compile(r"(?:CONSTRAINT `(\w+)` failed|constraint '(\w+)')", re.IGNORECASE)

# Digits of UTC in, digits of UTC out; and a value that does not fit is refused, never cut.
_SESSION = "SET time_zone = '+00:00', sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"

_USUAL, _FOR_EVER = 60, 31_536_000
"""Seconds that a server waits until it can send: what it does by itself, and the most that it can be told."""

_OPTIONS: dict[Use, dict[str, Any]] = {
    Use.WRITE: {"isolation_level": "READ COMMITTED"},  # as on PostgreSQL: one meaning of a transaction
    Use.READ: {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True},
    Use.SNAPSHOT: {"isolation_level": "REPEATABLE READ"},
    Use.LOOK: {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True},
}

# asyncmy logs the server's notes as warnings. Alembic names the primary key of its table, which MySQL does not do.
logging.getLogger("asyncmy").addFilter(lambda record: "ignored for PRIMARY key" not in record.getMessage())


class MariaDB:
    dialect = "mysql"
    exists = True  # or the server says that it does not

    def __init__(self, url: URL, settings: DataSettings) -> None:
        query = {"charset": "utf8mb4", **url.query}
        self._url = url.set(drivername="mysql+asyncmy", query=query)
        self._settings = settings

    def engine(self, use: Use, size: int) -> AsyncEngine:
        pool = pool_of(size, timeout=self._settings.pool_timeout)
        engine = self._make(_session(self._settings, use), **self._patience(use), **pool, **_OPTIONS[use])
        if use is Use.SNAPSHOT:
            event.listen(engine.sync_engine, "begin", _begin_snapshot)
        event.listen(engine.sync_engine, "handle_error", _give_up_what_is_unread)
        if use is Use.WRITE:
            event.listen(engine.sync_engine, "handle_error", _end_what_is_undone)
        _share_with_streams(engine)
        keep_alive(engine, _closed)
        return engine

    def lane(self, use: Use, engine: AsyncEngine) -> DriverLane | None:
        return PooledLane(engine, _run if use is Use.READ else _run_and_commit)

    def migrator(self) -> AsyncEngine:
        return self._make([_SESSION], poolclass=NullPool)

    def _patience(self, use: Use) -> dict[str, Any]:
        if use is Use.SNAPSHOT or self._settings.statement_timeout is None:
            return {}
        return {"read_timeout": self._settings.statement_timeout + ANSWER_LATE}

    def _make(self, statements: Sequence[str], *, read_timeout: float | None = None, **options: Any) -> AsyncEngine:
        patience = self._settings.connect_timeout
        arguments = {"async_creator_fn": partial(connect, patience=patience, read_timeout=read_timeout)}

        def prepare(connection: DBAPIConnection) -> None:
            execute(connection, *statements)

        return make_engine(self._url, connect_args=arguments, prepare=prepare, **options)

    @asynccontextmanager
    async def locker(self, name: str) -> AsyncIterator[TryLock]:
        """GET_LOCK on a connection of its own: it ends with the connection. Names are the server's, so ours is in it."""
        key = hashlib.sha256(f"{self._url.database}\n{name}".encode()).hexdigest()[:60]
        engine = self._make([_SESSION], poolclass=NullPool, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:

            async def try_lock() -> bool:
                return bool(await connection.scalar(text("SELECT GET_LOCK(:key, 0)"), {"key": key}))

            yield try_lock

    def violation(self, error: DBAPIError) -> Violation | None:
        code, message = _told(error.orig)
        kind = _KINDS.get(code)
        if kind is None:
            return None
        if found := _FOREIGN.search(message):
            return Violation(kind, constraint=found[2], table=found[1])
        if found := _KEY.search(message):
            return Violation(kind, constraint=found[1])
        if found := _COLUMN.search(message):
            return Violation(kind, columns=(found[1],))
        if found := _CHECK.search(message):
            return Violation(kind, constraint=found[1] or found[2])
        return Violation(kind)

    def trouble(self, error: DBAPIError) -> Trouble | None:
        return TROUBLES.get(_told(error.orig)[0])

    def refusal(self, error: BaseException) -> str | None:
        return REFUSALS.get(_told(error)[0])

    def open(self, *, create: bool) -> None:
        """A database on a server is made by whoever runs the server."""

    def close(self) -> None:
        """Nothing of ours is left behind."""

    def apart(self, settings: DataSettings) -> Self:
        other = copy.copy(self)
        other._settings = settings  # noqa: SLF001 -- a copy of self
        return other


def _session(settings: DataSettings, use: Use) -> list[str]:
    """Comments with an exclamation mark are SQL for the servers they name: M is MariaDB, which skips MySQL 5.7's."""
    limits = [_SESSION]
    if settings.lock_timeout is not None:
        seconds = max(1, round(settings.lock_timeout))
        limits.append(f", innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds}")
    if settings.statement_timeout is not None and use is not Use.SNAPSHOT:
        milliseconds = round(settings.statement_timeout * 1000)
        limits.append(f"/*M!100101 , max_statement_time = {settings.statement_timeout} */")
        limits.append(f"/*!50708 , max_execution_time = {milliseconds} */")
    if settings.idle_timeout is not None:
        limits.append(f"/*M!100300 , idle_transaction_timeout = {max(1, round(settings.idle_timeout))} */")
    if use is not Use.READ:  # the server waits while nobody asks for the rows of a stream
        idle = _FOR_EVER if settings.idle_timeout is None else max(_USUAL, round(settings.idle_timeout))
        limits.append(f", net_write_timeout = {idle}")
    read_only = [] if use is Use.WRITE else ["SET SESSION TRANSACTION READ ONLY"]
    return [" ".join(limits), *read_only]


def _begin_snapshot(connection: Connection) -> None:
    connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")


def _share_with_streams(engine: AsyncEngine) -> None:
    """Nothing else can be done on a connection before the last row of a stream has come, wanted or not."""
    event.listen(engine.sync_engine, "before_cursor_execute", make_way)
    event.listen(engine.sync_engine, "commit", make_way)
    event.listen(engine.sync_engine, "rollback", _read_no_further)


def _read_no_further(connection: Connection) -> None:
    """The server undoes a transaction as well when its connection ends, and that takes no time."""
    if not connection.invalidated and unread(connection.connection.driver_connection):
        connection.info.clear()  # with whoever has read there
        connection.invalidate()


def _end_what_is_undone(context: ExceptionContext) -> None:
    """Give up the connection: on none SQLAlchemy refuses to go on, where a caught error would leave half a unit of work."""
    if _told(context.original_exception)[0] in UNDONE:
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _give_up_what_is_unread(context: ExceptionContext) -> None:
    """Give up the connection: when the driver cannot read an answer, the rest of it waits there for whoever comes next."""
    if context.execution_context is not None and _unread(context.dialect, context.original_exception):
        context.is_disconnect = True
        context.invalidate_pool_on_disconnect = False


def _unread(dialect: Dialect, error: BaseException) -> bool:
    """Such as text that MariaDB takes for UTF-8, and Python does not."""
    return not isinstance(error, dialect.loaded_dbapi.Error)


def _closed(connection: Any) -> bool:
    return not connection.connected or connection._stream_broken  # noqa: SLF001 -- `connected` says only what we did


async def _run(dialect: Dialect, connection: Any, plan: Plan, arguments: Arguments) -> Answer:
    cursor = connection.cursor()
    try:
        await cursor.execute(plan.sql, arguments)
        if not plan.returns:
            return Answer((), cursor.rowcount)
        rows = await cursor.fetchall()
        told = tuple([column[1] for column in cursor.description])
    except Exception as error:
        if _unread(dialect, error):
            connection.close()
        raise
    finally:
        await cursor.close()
    if told != plan.told:
        plan.learn(dialect, told)
    return Answer(rows, -1)


async def _run_and_commit(dialect: Dialect, connection: Any, plan: Plan, arguments: Arguments) -> Answer:
    try:
        answer = await _run(dialect, connection, plan, arguments)
        await connection.commit()
    except Exception:
        if not _closed(connection):
            await connection.rollback()
        raise
    return answer


def _told(error: BaseException | None) -> tuple[int, str]:
    match getattr(error, "args", ()):
        case (int(code), str(message), *_):
            return code, message
    return 0, str(error)
