"""The pools of connections to one database, each with the straight way to the driver beside it."""

from collections.abc import Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.core import Events
from leyden.data.backend import Backend, Use
from leyden.data.engines import watch
from leyden.data.events import QueryRan
from leyden.data.lanes import Lane, Watched
from leyden.data.pool import PoolStatus, pool_status
from leyden.data.settings import DataSettings


class Connections:
    """One pool for writing, one for reading, one for snapshots, and a spare connection for the question of life.

    `beside` are those of the same process that write already: to a SQLite file a process has one writer.
    """

    def __init__(
        self,
        backend: Backend,
        settings: DataSettings,
        events: Events,
        *,
        options: Mapping[str, object],
        beside: "Connections | None" = None,
    ) -> None:
        self._backend = backend
        self._events = events
        self._options = options
        self._watched = False
        self._shared: Connections | None = beside if beside is not None and backend.dialect == "sqlite" else None
        self.writer: AsyncEngine = self._shared.writer if self._shared else self._engine(Use.WRITE, settings.pool_size)
        self.readers = self._engine(Use.READ, settings.pool_size)
        self.snapshots = self._engine(Use.SNAPSHOT, settings.snapshot_pool_size)
        self.spare = self._engine(Use.LOOK, 1)
        self.lanes: dict[Use, Watched | None] = {
            Use.READ: self._lane(Use.READ, self.readers),
            Use.WRITE: self._shared.lanes[Use.WRITE] if self._shared else self._lane(Use.WRITE, self.writer),
        }

    @property
    def looker(self) -> AsyncEngine:
        """Before the database is in use. A server is as well asked through a reader, which the first request then finds."""
        return self.spare if self._backend.dialect == "sqlite" else self.readers

    def watch(self, *others: AsyncEngine) -> None:
        """From when somebody listens: SQLAlchemy's events cost every statement something, heard or not."""
        if self._events.heard(QueryRan) and not self._watched:
            self._watched = True
            for engine in (*self._own(self.writer, self.readers, self.snapshots), *others):
                watch(engine, self._events)

    @property
    def status(self) -> dict[str, PoolStatus]:
        read, write = self.lanes[Use.READ], self.lanes[Use.WRITE]
        return {
            **status_of(Use.WRITE.value, self.writer, write),
            **status_of(Use.READ.value, self.readers, read),
            **status_of(Use.SNAPSHOT.value, self.snapshots),
        }

    async def close(self) -> None:
        """All but what is shared."""
        for use, lane in self.lanes.items():
            if lane is not None and not (self._shared and use is Use.WRITE):
                await lane.close()
        for engine in self._own(self.writer, self.readers, self.snapshots, self.spare):
            await engine.dispose()

    def _own(self, *engines: AsyncEngine) -> list[AsyncEngine]:
        return [engine for engine in engines if self._shared is None or engine is not self._shared.writer]

    def _engine(self, use: Use, size: int) -> AsyncEngine:
        return self._backend.engine(use, size).execution_options(**self._options)

    def _lane(self, use: Use, engine: AsyncEngine) -> Watched | None:
        lane = self._backend.lane(use, engine)
        return Watched(lane, self._events) if lane is not None else None


def status_of(name: str, engine: AsyncEngine, lane: Lane | None = None) -> dict[str, PoolStatus]:
    """How full an engine's pool is and, where its lane has threads, how busy those are."""
    if not isinstance(lane, Watched):
        return {name: pool_status(engine)}
    threads = {} if lane.threads is None else {f"{name}_threads": lane.threads}
    return {name: pool_status(engine, queued=lane.queued), **threads}
