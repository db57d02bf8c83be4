"""The one connection that writes, and statements that are ended when they take too long."""

import asyncio
import math
from dataclasses import dataclass
from time import monotonic
from typing import Any

import aiosqlite
from sqlalchemy import AsyncAdaptedQueuePool, Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util.concurrency import await_

from leyden.data.errors import UnitOfWorkError

_STEPS = 10_000
"""Operations of SQLite's machine between two looks at the clock: well under a millisecond."""

_DEADLINE = "leyden_deadline"


class WriterPool(AsyncAdaptedQueuePool):
    """The one connection that writes. A task that has it and asks for it again would wait for itself."""

    _holder: asyncio.Task[Any] | None = None

    def _do_get(self) -> ConnectionPoolEntry:
        if self._holder is not None and self._holder is asyncio.current_task():
            raise UnitOfWorkError
        entry = super()._do_get()
        self._holder = asyncio.current_task()
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._holder = None  # first: whoever waits is given the connection by the next line
        super()._do_return_conn(record)


@dataclass(slots=True)
class Deadline:
    """Until when the statement that runs now may run."""

    at: float = math.inf

    def passed(self) -> bool:
        return monotonic() > self.at


def interrupt_after(limit: float, engine: AsyncEngine) -> None:
    """End each statement of this engine after `limit` seconds; SQLite asks in the thread in which it runs."""

    def watch(_connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_DEADLINE] = deadline = Deadline()
        connection: aiosqlite.Connection = entry.driver_connection  # type: ignore[assignment]  # Any | None to SQLAlchemy
        await_(connection.set_progress_handler(deadline.passed, _STEPS))

    def begin(connection: Connection, *_: Any) -> None:
        connection.info[_DEADLINE].at = monotonic() + limit

    def end(connection: Connection, *_: Any) -> None:
        connection.info[_DEADLINE].at = math.inf

    def fail(context: ExceptionContext) -> None:
        if context.connection is not None and not context.connection.invalidated:
            end(context.connection)

    event.listen(engine.sync_engine, "connect", watch)
    event.listen(engine.sync_engine, "before_cursor_execute", begin)
    event.listen(engine.sync_engine, "after_cursor_execute", end)
    event.listen(engine.sync_engine, "handle_error", fail)
