"""SQLAlchemy's way to aiosqlite, shortened: a statement is one trip to the thread of its connection, instead of four."""

import asyncio
import math
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, NamedTuple, NoReturn, cast

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
    AsyncAdapt_aiosqlite_ss_cursor,
)
from sqlalchemy.util import EMPTY_DICT
from sqlalchemy.util.concurrency import await_

from leyden.data.backends.sqlite_idle import Idling
from leyden.data.backends.sqlite_readers import forget_error
from leyden.data.errors import InvalidValueError, UnitOfWorkError
from leyden.data.search_conditions import FOLD

_STEPS = 10_000
"""Operations of SQLite's machine between two looks at the clock: well under a millisecond."""

_UNDONE = (
    "The database undid this unit of work at an error that was caught, and nothing of it is stored. Let such an error "
    "leave the unit of work; put what may fail and may be caught into `async with session.begin_nested()`."
)
_ENDED = "no active connection: the transaction did nothing for longer than idle_timeout, and was undone"
"""By its first words SQLAlchemy knows that a connection is lost."""
_TO_SAVEPOINT = "ROLLBACK TO "


class _Told(NamedTuple):
    """What a cursor knows after its statement."""

    description: Any
    rowcount: int
    lastrowid: int | None
    rows: Sequence[Any]


_NOTHING = _Told(None, -1, None, ())


@dataclass(slots=True)
class Rules:
    """How a connection runs its statements; its methods that take the connection are called in its thread."""

    begin: str | None
    limit: float
    until: float = field(default=math.inf, init=False)
    autocommit: bool = field(default=False, init=False)
    begun: bool = field(default=False, init=False)
    """A transaction has been opened, and neither committed nor rolled back by whom it was opened for."""
    unwanted: bool = field(default=False, init=False)
    """Nobody waits for what runs any more, and the connection will not be used again."""
    ended: bool = field(default=False, init=False)
    """The transaction did nothing for too long, and the pool has another connection in the place of this one."""

    def passed(self) -> bool:
        return self.unwanted or monotonic() > self.until

    def start(self) -> None:
        self.until = monotonic() + self.limit

    def stop(self) -> None:
        self.until = math.inf

    def run(self, connection: sqlite3.Connection, operation: str, work: Callable[[sqlite3.Cursor], _Told]) -> _Told:
        """Open the transaction if there should be one, and end a statement that takes too long."""
        if operation.startswith(_TO_SAVEPOINT) and (self.ended or self._undone(connection)):
            return _NOTHING  # it is taken back, with all the rest: the error that did it is what is to be told
        if not operation.startswith("PRAGMA"):  # SQLAlchemy asks and sets some where no transaction is meant to begin
            self.open(connection)
        cursor = connection.cursor()
        self.start()
        try:
            told = work(cursor)
        except OverflowError as error:  # an integer that needs more than 64 bits
            raise InvalidValueError from error
        except BaseException:
            self.stop()
            forget_error(connection)
            raise
        finally:
            self.stop()
            cursor.close()
        if not connection.in_transaction:
            self.begun = False  # it was a COMMIT or a ROLLBACK
        return told

    def open(self, connection: sqlite3.Connection) -> None:
        self.refuse_ended()
        self._refuse_undone(connection)
        if self.begin is not None and not self.autocommit and not connection.in_transaction:
            connection.execute(self.begin)
            self.begun = True

    def commit(self, connection: sqlite3.Connection) -> None:
        """One that is refused undoes the transaction, as elsewhere: SQLAlchemy takes that for granted."""
        try:
            self.refuse_ended()
            self._refuse_undone(connection)
            connection.commit()
        finally:
            self.rollback(connection)

    def rollback(self, connection: sqlite3.Connection) -> None:
        connection.rollback()
        self.begun = False

    def end(self, connection: sqlite3.Connection) -> None:
        """As a server does it: what is left of the transaction is the error that its next statement gets."""
        self.ended = True
        self.rollback(connection)

    def refuse_ended(self) -> None:
        if self.ended:
            raise sqlite3.OperationalError(_ENDED)

    def _refuse_undone(self, connection: sqlite3.Connection) -> None:
        """What came before would be missing: another transaction may not go on in its place."""
        if self._undone(connection):
            raise UnitOfWorkError(_UNDONE)

    def _undone(self, connection: sqlite3.Connection) -> bool:
        """Some errors end the transaction: an interrupt, a full disk, RAISE(ROLLBACK), ON CONFLICT ROLLBACK."""
        return self.begun and not connection.in_transaction


class Cursor(AsyncAdapt_aiosqlite_cursor):
    """Has all its rows at once, as SQLAlchemy's has, and no cursor of the driver's left open."""

    __slots__ = ("_told", "arraysize")

    def __init__(self, connection: "Connection") -> None:
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
        def work(cursor: sqlite3.Cursor) -> _Told:
            cursor.execute(operation, parameters or ())
            rows = cursor.fetchall()
            return _Told(cursor.description, cursor.rowcount, cursor.lastrowid, rows)

        await self._in_thread(operation, work)

    async def _executemany_async(self, operation: str, parameters: Iterable[Any]) -> None:
        def work(cursor: sqlite3.Cursor) -> _Told:
            cursor.executemany(operation, parameters)
            return _Told(None, cursor.rowcount, cursor.lastrowid, ())

        await self._in_thread(operation, work)

    async def _in_thread(self, operation: str, work: Callable[[sqlite3.Cursor], _Told]) -> None:
        connection: Any = self._adapt_connection
        async with connection._execute_mutex:  # noqa: SLF001 -- as above
            connection.idling.pause()
            try:
                self._told = await in_thread(self._connection, connection.rules.run, operation, work)
            except asyncio.CancelledError:
                connection.rules.unwanted = True  # closing waits for the thread
                raise
            finally:
                connection.rest()
            self._rows = deque(self._told.rows)

    async def _async_soft_close(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        self._rows.clear()


class StreamCursor(AsyncAdapt_aiosqlite_ss_cursor):
    """Takes its rows from SQLite as they are asked for."""

    __slots__ = ()

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        connection = cast("Connection", self._adapt_connection)
        connection.idling.pause()
        try:
            await in_thread(self._connection, connection.rules.open)
            return await super()._execute_async(operation, parameters)
        finally:
            connection.rest()

    def fetchone(self) -> Any:
        return self._fetch(super().fetchone)

    def fetchmany(self, size: int | None = None) -> Any:
        return self._fetch(partial(super().fetchmany, size))

    def fetchall(self) -> Any:
        return self._fetch(super().fetchall)

    def _fetch(self, take: Callable[[], Any]) -> Any:
        connection = cast("Connection", self._adapt_connection)
        connection.idling.pause()
        try:
            connection.rules.refuse_ended()
            return take()
        except Exception as error:  # noqa: BLE001 -- all are raised on
            connection._handle_exception(error)  # noqa: SLF001 -- as SQLAlchemy's own cursor does
        finally:
            connection.rest()


class Connection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ("_ending", "idling", "rules", "when_idle")
    _cursor_cls = Cursor  # type: ignore[assignment]  # narrower than SQLAlchemy wrote it down
    _ss_cursor_cls = StreamCursor

    def __init__(self, driver: "Driver", connection: Any, rules: Rules) -> None:
        super().__init__(driver, connection)
        self.rules = rules
        self.idling = Idling(driver.idle, self._begin_end)
        self.when_idle: Callable[[], None] = _nobody
        self._ending: asyncio.Task[None] | None = None

    def rest(self) -> None:
        """A statement has ended: from now on the transaction, if there is one, does nothing."""
        if self.rules.begun and not self.rules.unwanted:
            self.idling.start()

    @property
    def isolation_level(self) -> str | None:
        """None is what SQLAlchemy calls AUTOCOMMIT. That of sqlite3 stays None: our BEGIN is our own."""
        return None if self.rules.autocommit or self.rules.begin is None else ""

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        self.rules.autocommit = value is None

    def commit(self) -> None:
        self._end(self.rules.commit)

    def rollback(self) -> None:
        self._end(self.rules.rollback)

    def _end(self, how: Callable[[sqlite3.Connection], None]) -> None:
        self.idling.stop()
        if self._connection._connection is None:  # noqa: SLF001 -- as SQLAlchemy's own connection does
            return
        try:
            await_(in_thread(self._connection, how))
        except Exception as error:  # noqa: BLE001 -- the same: all are raised on
            self._handle_exception(error)

    def _begin_end(self) -> None:
        self._ending = asyncio.create_task(self._end_idle())

    async def _end_idle(self) -> None:
        if not self.idling.passed() or self._connection._connection is None:  # noqa: SLF001 -- as above
            return
        self.idling.stop()
        try:
            await in_thread(self._connection, self.rules.end)
        finally:
            self.when_idle()

    def _handle_exception(self, error: Exception) -> NoReturn:
        """SQLAlchemy forgets a lost connection, and leaves closing it to the pool, which has another one by now."""
        if self.rules.ended:
            await_(self._connection.close())
        super()._handle_exception(error)


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """The module that an engine is given instead of aiosqlite.

    Connections run `pragmas` first; `begin` opens a transaction before a statement that finds none; statements are
    interrupted after `limit` seconds, and a transaction is undone that does nothing for `idle` seconds.
    """

    def __init__(
        self, pragmas: Sequence[str], *, begin: str | None = None, limit: float = math.inf, idle: float = math.inf
    ) -> None:
        super().__init__(aiosqlite, sqlite3)
        self.idle = idle
        self._pragmas = pragmas
        self._begin = begin
        self._limit = limit

    def connect(self, *arguments: Any, **keywords: Any) -> Connection:
        rules = Rules(self._begin, self._limit)
        return Connection(self, await_(self._opened(rules, *arguments, **keywords)), rules)

    async def _opened(self, rules: Rules, *arguments: Any, **keywords: Any) -> aiosqlite.Connection:
        connection = await _connect(*arguments, **keywords)
        try:
            await in_thread(connection, self._prepare, rules)
        except BaseException:
            await connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, rules: Rules) -> None:
        prepare(connection, self._pragmas)
        connection.set_progress_handler(rules.passed, _STEPS)


def _nobody() -> None:
    """To be told, where no pool lends the connection."""


def prepare(connection: sqlite3.Connection, pragmas: Sequence[str]) -> None:
    """What every connection of ours has, those of reader threads too."""
    for pragma in pragmas:
        connection.execute(pragma).close()
    connection.create_function("regexp", 2, _matches, deterministic=True)
    connection.create_function(FOLD, 1, _casefold, deterministic=True)


def _matches(pattern: str, value: str | None) -> bool | None:
    """As SQLAlchemy has it: SQLite knows the operator REGEXP, and no function behind it."""
    return None if value is None else re.search(pattern, value) is not None


def _casefold(value: Any) -> Any:
    """Not in the place of lower(), which knows ASCII only: indexes may have been made with that."""
    return value.casefold() if isinstance(value, str) else value


async def in_thread(connection: Any, run: Callable[..., Any], *arguments: Any) -> Any:
    """Call `run(sqlite3_connection, ...)` in the thread of an aiosqlite connection."""
    # aiosqlite's own methods are one step each; its private one runs a function in the thread.
    return await connection._execute(run, connection._conn, *arguments)  # noqa: SLF001 -- there is no public one


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
