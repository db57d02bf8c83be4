"""The straight way of a plan to SQLite: reads on threads of our own, writes that share a commit."""

from collections.abc import Awaitable
from typing import TypeVar, cast

from sqlalchemy import Dialect
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data.backends.sqlite_pool import WriterPool
from leyden.data.backends.sqlite_readers import Readers
from leyden.data.backends.sqlite_writes import Writes
from leyden.data.errors import InvalidValueError
from leyden.data.lanes import Answer, Arguments, as_sqlalchemy
from leyden.data.plans import Plan
from leyden.data.pool import PoolStatus

T = TypeVar("T")


class ReadLane:
    """Beside the engine of read sessions, on connections of its own."""

    queued = 0

    def __init__(self, engine: AsyncEngine, readers: Readers) -> None:
        self._engine = engine
        self._readers = readers

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    @property
    def threads(self) -> PoolStatus:
        return self._readers.status

    async def open(self) -> None:
        """The engine has been connected when the database was opened."""

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        rows = await _told(self.dialect, plan, self._readers.fetch(plan.sql, arguments))
        _learn(self.dialect, plan)
        return Answer(rows, -1)

    async def close(self) -> None:
        await self._readers.aclose()


class WriteLane:
    """On the connection that units of work share."""

    threads = None

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writes = Writes(engine)

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    @property
    def queued(self) -> int:
        return self._writes.queued

    async def open(self) -> None:
        async with self._engine.connect():
            """A dialect learns of its database with the first connection."""

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        # A task of its own writes what several callers give: it would wait for the one who waits for it.
        cast("WriterPool", self._engine.sync_engine.pool).refuse_holder()
        rows, changed = await _told(self.dialect, plan, self._writes.run(plan.sql, arguments))
        _learn(self.dialect, plan)
        return Answer(rows, changed)

    async def close(self) -> None:
        await self._writes.aclose()


async def _told(dialect: Dialect, plan: Plan, running: Awaitable[T]) -> T:
    try:
        return await running
    except OverflowError as error:
        raise InvalidValueError from error
    except dialect.loaded_dbapi.Error as error:
        raise as_sqlalchemy(dialect, None, plan.sql, error) from error


def _learn(dialect: Dialect, plan: Plan) -> None:
    if not plan.learned:
        plan.learn(dialect, [None] * len(plan.types))  # SQLite's driver tells no types
