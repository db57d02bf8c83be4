"""A pool whose connections are asked whether they live only where there is reason to doubt it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic, time
from typing import Any, TypeVar, cast

from sqlalchemy import AsyncAdaptedQueuePool, Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util import memoized_property
from sqlalchemy.util.concurrency import await_, greenlet_spawn
from sqlalchemy.util.queue import AsyncAdaptedQueue

T = TypeVar("T")

DOUBT = 1.0
"""Seconds of idling after which a connection is asked. A question is a round trip, and more in a transaction."""

ANSWER = 1.0
"""Seconds that a connection has to answer the question."""

_SINCE = "leyden_idle_since"

Closed = Callable[[Any], bool]
"""Whether a driver's connection knows by itself, without asking, that it is closed."""


class _Line(asyncio.LifoQueue[ConnectionPoolEntry]):
    """Who waits is handed what comes back, the first first; asyncio's own wakes them, and whoever comes by takes it."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._waiting: deque[asyncio.Future[ConnectionPoolEntry]] = deque()

    def put_nowait(self, item: ConnectionPoolEntry) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(item)
                return
        super().put_nowait(item)

    async def get(self) -> ConnectionPoolEntry:
        if not self.empty():
            return self.get_nowait()
        waiter: asyncio.Future[ConnectionPoolEntry] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except BaseException:  # cancelled, perhaps when it had been handed one already
            if waiter.done() and not waiter.cancelled():
                self.put_nowait(waiter.result())
            raise


class _Queue(AsyncAdaptedQueue[ConnectionPoolEntry]):
    @memoized_property
    def _queue(self) -> asyncio.Queue[ConnectionPoolEntry]:
        return _Line(maxsize=self.maxsize)


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, fair to those who wait; it also lends connections without what is wrapped around a loan: 50 us."""

    _queue_class = _Queue
    _sqla_logger_namespace = "sqlalchemy.pool"  # by its own name SQLAlchemy would log every connection as one of ours
    closed: Closed = staticmethod(lambda _connection: False)
    waiting = 0

    async def lend(self) -> ConnectionPoolEntry:
        """A connection that lives; `take_back` must follow. Raises what connecting to the database raises."""
        entry = self._fresh()
        return await greenlet_spawn(self._borrow) if entry is None else entry

    def take_back(self, entry: ConnectionPoolEntry) -> None:
        entry.info[_SINCE] = monotonic()
        self._do_return_conn(entry)

    def drop(self, entry: ConnectionPoolEntry, error: BaseException) -> None:
        """Take back a connection of which nobody knows what state it is in: it is closed, another one takes its place."""
        try:
            entry.invalidate(error)
        finally:
            self._do_return_conn(entry)

    def doubted(self, entry: ConnectionPoolEntry) -> bool:
        if entry.dbapi_connection is None:
            return False
        since: float = entry.info.get(_SINCE, 0.0)
        return monotonic() - since > DOUBT or self.closed(entry.driver_connection)

    def _fresh(self) -> ConnectionPoolEntry | None:
        """The connection used last, if one is idle and beyond doubt."""
        if not self.checkedin():
            return None
        entry = super()._do_get()
        connected: float = entry.last_connect_time  # type: ignore[attr-defined]  # which the protocol leaves out
        if entry.dbapi_connection is None or connected <= self._invalidate_time or self.doubted(entry):
            self._do_return_conn(entry)
            return None
        return entry

    def _borrow(self) -> ConnectionPoolEntry:
        """Wait for a connection, open it if it is not, and see that it lives."""
        entry = self._do_get()
        try:
            if self.doubted(entry) and not _answers(cast("Dialect", self._dialect), entry):
                self._invalidate_time = time()  # those opened before are as dead as this one
            entry.get_connection()  # type: ignore[attr-defined]  # which the protocol leaves out; opens one anew
        except BaseException as error:
            self.drop(entry, error)
            raise
        return entry

    def recreate(self) -> "Pool":
        pool = cast("Pool", super().recreate())
        pool.closed = self.closed
        return pool

    def _do_get(self) -> ConnectionPoolEntry:
        self.waiting += 1
        try:
            return super()._do_get()
        finally:
            self.waiting -= 1


def pool_of(size: int, *, timeout: float) -> dict[str, Any]:
    """What an engine is told to have such a pool, of at most `size` connections; the one used last is given out first."""
    return {
        "poolclass": Pool,
        "pool_size": size,
        "max_overflow": 0,
        "pool_timeout": timeout,
        "pool_use_lifo": True,
    }


def keep_alive(engine: AsyncEngine, closed: Closed) -> None:
    """Before a connection is given out it is asked whether it lives, if it has idled or its driver says it does not."""
    sync = engine.sync_engine
    if not isinstance(sync.pool, Pool):
        return
    sync.pool.closed = closed

    def note(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_SINCE] = monotonic()

    def ask(_connection: DBAPIConnection, entry: ConnectionPoolEntry, _loan: PoolProxiedConnection) -> None:
        if cast("Pool", sync.pool).doubted(entry) and not _answers(sync.dialect, entry):
            raise InvalidatePoolError

    event.listen(sync, "connect", note)
    event.listen(sync, "checkin", note)
    event.listen(sync, "checkout", ask)


def _answers(dialect: Dialect, entry: ConnectionPoolEntry) -> bool:
    connection = cast("DBAPIConnection", entry.dbapi_connection)
    try:
        return bool(await_(_in_time(greenlet_spawn(dialect.do_ping, connection))))
    except (dialect.loaded_dbapi.Error, OSError):  # TimeoutError is one
        return False


async def _in_time(answer: Awaitable[T]) -> T:
    """`asyncio.wait_for` may forget that it was cancelled, before Python 3.12."""
    async with asyncio.timeout(ANSWER):
        return await answer


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many connections a pool may have, has open, and has given out; and how many callers wait for one.

    Of threads, each of which has a connection: how many there may be, are, and are in a statement.
    """

    size: int
    opened: int
    in_use: int
    waiting: int


def pool_status(engine: AsyncEngine, *, queued: int = 0) -> PoolStatus:
    """`queued` callers wait for a connection of the engine's where its pool does not see them."""
    pool = cast("Pool", engine.sync_engine.pool)
    return PoolStatus(
        size=pool.size(),
        opened=pool.checkedin() + pool.checkedout(),
        in_use=pool.checkedout(),
        waiting=pool.waiting + queued,
    )
