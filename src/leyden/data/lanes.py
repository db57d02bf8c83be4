"""The straight way of a plan to the driver: a connection for the length of one statement."""

from asyncio import CancelledError
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, NoReturn, Protocol, cast

from sqlalchemy import Dialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry

from leyden.core import Events
from leyden.data.errors import DatabaseDownError
from leyden.data.events import QueryRan
from leyden.data.plans import Plan, Row
from leyden.data.pool import Pool, PoolStatus

Arguments = tuple[Any, ...]


class Answer(NamedTuple):
    """Rows as the driver gives them, and how many a statement without any has changed."""

    rows: Sequence[Row]
    changed: int


class Lane(Protocol):
    @property
    def dialect(self) -> Dialect:
        """Knows the server's version, once `open` has been awaited."""
        ...

    async def open(self) -> None:
        """Have been connected once."""
        ...

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        """Raises SQLAlchemy's errors, DatabaseDownError and DatabaseBusyError."""
        ...

    async def close(self) -> None: ...


class DriverLane(Lane, Protocol):
    """A lane that ends at a driver, and so knows who waits there."""

    @property
    def queued(self) -> int:
        """How many more callers wait for a connection of the engine's pool than that pool knows of."""
        ...

    @property
    def threads(self) -> PoolStatus | None:
        """Of threads with connections of their own; None where the connections are those of the engine."""
        ...


RunOn = Callable[[Dialect, Any, Plan, Arguments], Awaitable[Answer]]
"""Run a plan on a driver's own connection: `learn` its types first where the plan has not."""


class PooledLane:
    """Borrows from the pool of an engine."""

    queued = 0
    threads = None

    def __init__(self, engine: AsyncEngine, run_on: RunOn) -> None:
        self._engine = engine
        self._run_on = run_on

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    @property
    def _pool(self) -> Pool:
        return cast("Pool", self._engine.sync_engine.pool)

    async def open(self) -> None:
        self._pool.take_back(await self._pool.lend())

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        pool = self._pool
        entry = await pool.lend()
        try:
            answer = await self._run_on(self.dialect, entry.driver_connection, plan, arguments)
        except CancelledError as error:  # nobody knows what the server is doing now
            pool.drop(entry, error)
            raise
        except Exception as error:  # noqa: BLE001 -- a driver's errors have no common root; each is raised on
            self._refused(pool, entry, plan, error)
        pool.take_back(entry)
        return answer

    async def close(self) -> None:
        """The engine closes its own pool."""

    def _refused(self, pool: Pool, entry: ConnectionPoolEntry, plan: Plan, error: Exception) -> NoReturn:
        lost = isinstance(error, OSError) or pool.closed(entry.driver_connection)
        connection = cast("DBAPIConnection", entry.dbapi_connection)
        if lost:
            pool.drop(entry, error)
        else:
            pool.take_back(entry)
        if isinstance(error, OSError):
            raise DatabaseDownError from error
        known = as_sqlalchemy(self.dialect, connection, plan.sql, error, lost=lost)
        if known is error:  # none of the driver's: what a type makes of a value it cannot take
            raise error
        raise known from error


def as_sqlalchemy(
    dialect: Dialect, connection: DBAPIConnection | None, sql: str, error: Exception, *, lost: bool = False
) -> Exception:
    """A driver's error as SQLAlchemy's own execution would have raised it."""
    known = _adapted(connection, error)
    if not isinstance(known, dialect.loaded_dbapi.Error):
        return error
    return DBAPIError.instance(
        sql,
        None,
        known,
        dialect.loaded_dbapi.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )


def _adapted(connection: DBAPIConnection | None, error: Exception) -> Exception:
    """The errors of asyncpg are not those of a DB-API; SQLAlchemy's connection around it knows the table."""
    handle = getattr(connection, "_handle_exception", None)
    if handle is None:
        return error
    try:
        handle(error)
    except Exception as known:  # noqa: BLE001 -- it raises whatever it has made of the error
        return known
    return error


class Watched:
    """A lane that tells what ran; free of cost while nobody listens."""

    def __init__(self, lane: DriverLane, events: Events) -> None:
        self._lane = lane
        self._events = events

    @property
    def dialect(self) -> Dialect:
        return self._lane.dialect

    @property
    def queued(self) -> int:
        return self._lane.queued

    @property
    def threads(self) -> PoolStatus | None:
        return self._lane.threads

    async def open(self) -> None:
        await self._lane.open()

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        if not self._events.heard(QueryRan):
            return await self._lane.run(plan, arguments)
        began, failed = perf_counter(), True
        try:
            answer = await self._lane.run(plan, arguments)
            failed = False
        finally:
            self._events.emit(QueryRan(plan.sql, perf_counter() - began, failed))
        return answer

    async def close(self) -> None:
        await self._lane.close()
