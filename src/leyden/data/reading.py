"""The rows of a select on their way from the database, a few at once, for a reader who may leave before the last."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

from anyio import CancelScope
from sqlalchemy import Connection, Row, Select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult
from sqlalchemy.util.concurrency import await_

from leyden.data.errors import UnitOfWorkError

T = TypeVar("T")

_AGAIN = 0.05
_THROWN_AWAY = 1000
"""Rows at once."""
_SENDS_ON = "asyncmy"
"""The driver on whose connections nothing else can be done before the last row of a stream has come."""
_READING = "leyden_reading"


@asynccontextmanager
async def reading(
    connection: AsyncConnection, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
) -> AsyncIterator["Reading"]:
    """The rows, which the database keeps until they are asked for."""
    opened = Reading(connection)
    try:
        await opened.open(statement, parameters)
        yield opened
    finally:
        await opened.close()


def make_way(connection: Connection, *_: object) -> None:
    """For a connection that can do nothing else before the last row has come: who reads there gets no more of them."""
    reading: Reading | None = connection.info.pop(_READING, None)
    if reading is not None:
        reading.cut()


class Reading:
    """One pass over the rows. Leaving early takes no time, and the transaction goes on."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._driver: Any = None
        self._result: AsyncResult[Any] | None = None
        self._finished = False
        self._cut = False

    async def open(self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> None:
        self._driver = (await self._connection.get_raw_connection()).driver_connection
        try:
            self._result = await self._interruptible(self._opened(statement, parameters))
        except Exception:
            self._finished = True  # it was refused
            raise
        if self._sends_on:
            self._connection.info[_READING] = self

    async def rows(self, size: int) -> Sequence[Row[Any]]:
        """The next ones, `size` at most; none when there are none left."""
        if self._result is None or self._finished:
            return ()
        if self._cut:
            raise UnitOfWorkError(
                "MariaDB sends the rows of a stream one after the other, and the session has run something else before "
                "the last one. Read all rows first, or stream from the database instead of the session."
            )
        found = await self._interruptible(self._result.fetchmany(size))
        if not found:
            self._finished = True
            self._connection.info.pop(_READING, None)
        return found

    async def close(self) -> None:
        """Take no more rows, though there may be some. Those that are sent all the same are left to what comes next."""
        if self._finished or (self._sends_on and self._result is not None):
            return
        with CancelScope(shield=True), suppress(SQLAlchemyError):  # it is broken already, then
            if self._result is not None:
                await self._result.close()
            elif not self._connection.in_nested_transaction():  # which is a test's own, and goes on
                await self._connection.invalidate()

    def cut(self) -> None:
        """Read on to the last row, and throw away what is read; to be called where SQLAlchemy may wait."""
        try:
            while self._result is not None and await_(self._result.fetchmany(_THROWN_AWAY)):
                self._cut = True
        except SQLAlchemyError:  # which ends it as well, and concerns nobody but the reader
            self._cut = True

    @property
    def _sends_on(self) -> bool:
        return self._connection.dialect.driver == _SENDS_ON

    async def _opened(
        self, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]
    ) -> AsyncResult[*tuple[Any, ...]]:
        return await self._connection.stream(statement, parameters)

    async def _interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """SQLite's thread would first end what it does, and whoever is cancelled would wait for that."""
        interrupt = getattr(self._driver, "interrupt", None)
        if interrupt is None:
            return await work
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        finally:
            with CancelScope(shield=True), suppress(ValueError):  # it is closed
                while not task.done():  # an interrupt before the statement begins is lost
                    await interrupt()
                    await asyncio.wait([task], timeout=_AGAIN)
            if not task.cancelled():
                task.exception()  # the caller has its own
