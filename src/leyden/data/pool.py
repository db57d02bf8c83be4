"""A pool whose connections are asked whether they live only where there is reason to doubt it."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

from sqlalchemy import AsyncAdaptedQueuePool, Dialect, QueuePool, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.util.concurrency import greenlet_spawn

DOUBT = 1.0
"""Seconds of idling after which a connection is asked. A question is a round trip, and more in a transaction."""

_SINCE = "leyden_idle_since"

Closed = Callable[[Any], bool]
"""Whether a driver's connection knows by itself, without asking, that it is closed."""


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's pool, which also lends connections without what SQLAlchemy wraps around each loan: 50 us."""

    _sqla_logger_namespace = "sqlalchemy.pool"  # by its own name SQLAlchemy would log every connection as one of ours
    closed: Closed = staticmethod(lambda _connection: False)
    waiting = 0

    async def lend(self) -> ConnectionPoolEntry:
        """A connection that lives; `take_back` must follow. Raises what connecting to the database raises."""
        entry = None if self.waiting else self._fresh()
        while entry is None:
            await greenlet_spawn(self._refresh)
            entry = self._fresh()
        return entry

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

    def _refresh(self) -> None:
        """Wait for a connection as everybody does, which opens or revives it, and leave it where `_fresh` looks first."""
        self.connect().close()

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


def keep_alive(engine: AsyncEngine, closed: Closed) -> None:
    """Before a connection is given out it is asked whether it lives, if it has idled or its driver says it does not."""
    sync = engine.sync_engine
    if not isinstance(sync.pool, Pool):
        return
    sync.pool.closed = closed

    def note(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info[_SINCE] = monotonic()

    def ask(connection: DBAPIConnection, entry: ConnectionPoolEntry, _loan: PoolProxiedConnection) -> None:
        if cast("Pool", sync.pool).doubted(entry) and not _answers(sync.dialect, connection):
            raise InvalidatePoolError

    event.listen(sync, "connect", note)
    event.listen(sync, "checkin", note)
    event.listen(sync, "checkout", ask)


def _answers(dialect: Dialect, connection: DBAPIConnection) -> bool:
    try:
        return dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error:
        return False


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """How many connections a pool may have, has open, and has given out; and how many callers wait for one."""

    size: int
    opened: int
    in_use: int
    waiting: int


def pool_status(engine: AsyncEngine) -> PoolStatus:
    pool = cast("QueuePool", engine.sync_engine.pool)
    return PoolStatus(
        size=pool.size(),
        opened=pool.checkedin() + pool.checkedout(),
        in_use=pool.checkedout(),
        waiting=getattr(pool, "waiting", 0),
    )
