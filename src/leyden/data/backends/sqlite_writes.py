"""Group commit on SQLite: single statements that come at the same time share one transaction, and one fsync."""

import asyncio
import copy
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from leyden.core import Outcome
from leyden.data.backends.sqlite_driver import Rules, in_thread
from leyden.data.backends.sqlite_readers import forget_error
from leyden.data.errors import DatabaseDownError

Written = tuple[list[tuple[Any, ...]], int]
"""The rows of RETURNING, and how many rows were changed."""

_MOST = 100
_LONGEST = 0.02
"""Seconds after which no further statement joins a transaction: units of work and other processes wait for its end."""
_CLOSE = 5.0


class Writes:
    """Single-statement writes outside a unit of work, on the connection that units of work share."""

    def __init__(self, writer: AsyncEngine) -> None:
        self._writer = writer
        self._waiting: deque[_Write] = deque()
        self._draining: asyncio.Task[None] | None = None
        self._in_line = False

    @property
    def queued(self) -> int:
        """How many wait for the connection, without the task that waits for it in their place."""
        return sum(write.wanted for write in self._waiting) - self._in_line

    async def run(self, sql: str, args: Sequence[Any]) -> Written:
        """The statement's result, once it is committed; errors are those of sqlite3 and of the pool.

        Cancelled before its turn, it is not run; cancelled later, it may or may not have been.
        """
        write = _Write(sql, args, asyncio.get_running_loop().create_future())
        self._waiting.append(write)
        if self._draining is None or self._draining.done():
            # What the first caller has in its context is not the others'.
            self._draining = asyncio.create_task(self._drain(), context=Context())
        return await write.answer

    async def aclose(self) -> None:
        """Let what waits be written, for five seconds at most; before the engine is disposed of."""
        if self._draining is not None and not self._draining.done():
            await asyncio.wait([self._draining], timeout=_CLOSE)
            self._draining.cancel()
            await asyncio.wait([self._draining])

    async def _drain(self) -> None:
        while self._waiting:
            batch: list[_Write] = []
            try:
                await self._commit(batch)
            except BaseException as error:
                ended = not isinstance(error, Exception)
                for write in [*batch, *(_taken(self._waiting) if ended or not batch else ())]:
                    write.fail(error)
                if ended:
                    raise

    async def _commit(self, batch: "list[_Write]") -> None:
        """One turn on the connection, in the order in which units of work ask for it too."""
        async with self._turn() as connection:
            raw = await connection.get_raw_connection()
            driver: Any = raw.dbapi_connection
            batch += _taken(self._waiting, most=_MOST)
            await in_thread(raw.driver_connection, _commit_together, driver.rules, batch)
            for write in reversed(batch):
                if not write.tell():
                    self._waiting.appendleft(write)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[AsyncConnection]:
        self._in_line = True
        try:
            async with self._writer.connect() as connection:
                self._in_line = False
                yield connection
        finally:
            self._in_line = False


@dataclass(slots=True)
class _Write:
    sql: str
    args: Sequence[Any]
    answer: "asyncio.Future[Written]"
    outcome: Outcome[Written] | None = None

    @property
    def wanted(self) -> bool:
        return not self.answer.done()

    def tell(self) -> bool:
        """Whether there was an outcome to tell, or nobody to hear it."""
        if self.answer.done():
            return True
        if self.outcome is None:
            return False
        if self.outcome.error is not None:
            self.answer.set_exception(self.outcome.error)
        else:
            self.answer.set_result(self.outcome.result())
        return True

    def fail(self, error: BaseException) -> None:
        """Each caller gets an error of its own, because raising one adds to it."""
        if self.answer.done():
            return
        own = copy.copy(error) if isinstance(error, Exception) else DatabaseDownError()
        own.__cause__ = error
        self.answer.set_exception(own)


def _taken(waiting: deque[_Write], *, most: int | None = None) -> list[_Write]:
    """The first of those that wait, without those that were cancelled."""
    taken: list[_Write] = []
    while waiting and (most is None or len(taken) < most):
        write = waiting.popleft()
        if write.wanted:
            taken.append(write)
    return taken


class _InterruptedError(Exception):
    """A statement was over its time, and the transaction ended with it."""


def _commit_together(connection: sqlite3.Connection, rules: Rules, batch: list[_Write]) -> None:
    """In the thread of the connection: give each its outcome, or none to those for which there was no time."""
    with suppress(_InterruptedError):  # who waits for the connection has waited long enough: the others come after
        if not _transact(connection, rules, batch):
            _transact_each(connection, rules, batch)


def _transact_each(connection: sqlite3.Connection, rules: Rules, batch: list[_Write]) -> None:
    for write in batch:
        write.outcome = None
    for write in batch:
        try:
            _transact(connection, rules, [write])
        except _InterruptedError:
            raise
        except Exception as error:  # noqa: BLE001 -- it is this one's alone: the others' are settled or still to come
            write.outcome = Outcome(error=error.with_traceback(None))


def _transact(connection: sqlite3.Connection, rules: Rules, batch: list[_Write]) -> bool:
    """Whether it was committed; if not, one statement spoilt it for all, and each needs a transaction of its own."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _run(connection, rules, batch):
            return False
        connection.execute("COMMIT")
    except sqlite3.IntegrityError as error:  # a deferred constraint: of which statement, nobody can tell
        batch[-1].outcome = Outcome(error=error.with_traceback(None))
        return False
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return True


def _run(connection: sqlite3.Connection, rules: Rules, batch: list[_Write]) -> bool:
    """Whether all is well with the transaction: a statement that fails usually undoes only itself."""
    until = monotonic() + _LONGEST
    for write in batch:
        write.outcome = None
        if not write.wanted or monotonic() > until:
            continue
        before = connection.total_changes
        write.outcome = _outcome(connection, rules, write)
        if (error := write.outcome.error) is None:
            continue
        forget_error(connection)
        if not connection.in_transaction:
            _refuse_end(batch, write, error)
        if not connection.in_transaction or connection.total_changes != before:
            return False
    return True


def _refuse_end(batch: list[_Write], culprit: _Write, error: BaseException) -> None:
    """Nothing of the transaction is written; unless it is known whose fault that is, it is everybody's error."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        for write in batch:
            if write is not culprit:
                write.outcome = None
        raise _InterruptedError
    if not isinstance(error, sqlite3.IntegrityError):
        raise error  # the disk is full or broken


def _outcome(connection: sqlite3.Connection, rules: Rules, write: _Write) -> Outcome[Written]:
    cursor = connection.cursor()
    rules.start()
    try:
        cursor.execute(write.sql, write.args)
        rows = cursor.fetchall()
        changed = cursor.rowcount
        if changed < 0:  # the driver does not count what begins with WITH
            (changed,) = cursor.execute("SELECT changes()").fetchone()
        return Outcome((rows, changed))
    except StopIteration as error:  # of a parameter; a future takes any other
        return Outcome(error=RuntimeError(f"A parameter raised {error!r}."))
    except Exception as error:  # noqa: BLE001 -- an outcome carries it to the caller
        return Outcome(error=error.with_traceback(None))
    finally:
        rules.stop()
        cursor.close()
