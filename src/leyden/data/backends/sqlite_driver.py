"""SQLAlchemy's way to aiosqlite, shortened: a statement is one trip to the thread of its connection, instead of four."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)
from sqlalchemy.util import EMPTY_DICT
from sqlalchemy.util.concurrency import await_

from leyden.data.backends.sqlite_readers import forget_error


class _Told(NamedTuple):
    """What a cursor knows after its statement."""

    description: Any
    rowcount: int
    lastrowid: int | None
    rows: Sequence[Any]


_NOTHING = _Told(None, -1, None, ())


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """Has all its rows at once, as SQLAlchemy's has, and no cursor of the driver's left open."""

    __slots__ = ("_told", "arraysize")

    def __init__(self, connection: AsyncAdapt_aiosqlite_connection) -> None:
        self._adapt_connection = connection
        self._connection = connection._connection  # noqa: SLF001 -- as SQLAlchemy's own cursor does
        self._soft_closed_memoized = EMPTY_DICT
        self._rows = deque()
        self._told = _NOTHING
        self.arraysize = 1

    @property
    def description(self) -> Any:
        return self._told.description

    @property
    def rowcount(self) -> int:
        return self._told.rowcount

    @property
    def lastrowid(self) -> int | None:  # type: ignore[override]  # None before the first insert, as sqlite3 has it
        return self._told.lastrowid

    async def _execute_async(self, operation: str, parameters: Any) -> None:
        await self._in_thread(_execute, operation, parameters or ())

    async def _executemany_async(self, operation: str, parameters: Iterable[Any]) -> None:
        await self._in_thread(_execute_many, operation, parameters)

    async def _in_thread(self, run: Any, operation: str, parameters: Any) -> None:
        driver: Any = self._connection
        async with self._adapt_connection._execute_mutex:  # noqa: SLF001 -- as above
            # aiosqlite's own methods are one step each; its private one runs a function in the thread.
            self._told = await driver._execute(run, driver._conn, operation, parameters)  # noqa: SLF001 -- as above
            self._rows = deque(self._told.rows)

    async def _async_soft_close(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        self._rows.clear()


class Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = Cursor  # type: ignore[assignment]  # a type that is narrower than SQLAlchemy wrote it down


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """The module that an engine is given instead of aiosqlite."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **keywords: Any) -> Connection:
        return Connection(self, await_(_connect(*arguments, **keywords)))  # type: ignore[arg-type]  # as SQLAlchemy's own


async def _connect(*arguments: Any, **keywords: Any) -> aiosqlite.Connection:
    """As SQLAlchemy does it; but of a connection that failed the thread has ended when its error is told.

    Otherwise it may speak to an event loop that is closed by then, and die with a traceback.
    """
    connection = aiosqlite.connect(*arguments, **keywords)
    thread = connection._thread  # noqa: SLF001 -- nothing public knows it
    thread.daemon = True
    try:
        return await connection
    except Exception:
        while thread.is_alive():  # noqa: ASYNC110 -- it has been told to end, and tells nobody when it has
            await asyncio.sleep(0.001)
        raise


def _execute(connection: sqlite3.Connection, operation: str, parameters: Any) -> _Told:
    cursor = connection.cursor()
    try:
        cursor.execute(operation, parameters)
        rows = cursor.fetchall()
        return _Told(cursor.description, cursor.rowcount, cursor.lastrowid, rows)
    except BaseException:
        forget_error(connection)
        raise
    finally:
        cursor.close()


def _execute_many(connection: sqlite3.Connection, operation: str, parameters: Iterable[Any]) -> _Told:
    cursor = connection.cursor()
    try:
        cursor.executemany(operation, parameters)
        return _Told(None, cursor.rowcount, cursor.lastrowid, ())
    except BaseException:
        forget_error(connection)
        raise
    finally:
        cursor.close()
