"""A second database that follows the first one, for reads that may be a little late."""

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy import Dialect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.core import ConfigurationError
from leyden.data.backend import Backend, Trouble
from leyden.data.callers import Caller
from leyden.data.errors import DatabaseDownError
from leyden.data.lanes import Answer, Arguments, Lane
from leyden.data.plans import Plan
from leyden.data.settings import DataSettings
from leyden.data.urls import KINDS, backend_for, in_memory, parse, shown

_log = logging.getLogger("leyden.data")

_AGAIN = 2.0
"""Seconds between two looks at a replica that does not answer. Nobody waits for them."""


def replica_settings(settings: DataSettings) -> DataSettings | None:
    """The settings of the replica as a database of its own.

    Raises ConfigurationError where it is not the same kind of database as the primary.
    """
    if settings.replica is None:
        return None
    own = settings.model_copy(update={"url": settings.replica, "replica": None})
    backend_for(own)
    url, primary = parse(own), parse(settings)
    if KINDS[url.drivername] is not KINDS[primary.drivername]:
        raise ConfigurationError(
            f"The replica {shown(url)} is not the same kind of database as {shown(primary)}, which it should follow. "
            f"Correct data.replica (APP_DATA__REPLICA): it starts with {primary.drivername}:// too."
        )
    if in_memory(url):
        raise ConfigurationError("A database in memory follows nothing. Leave data.replica out, or set it to a file.")
    return own


class Replica:
    """Where reads go that may be late, as long as it answers: `up` is False from the first failure to the next answer."""

    def __init__(self, backend: Backend, engine: AsyncEngine, lane: Lane | None, *, patience: float) -> None:
        self.backend = backend
        self.engine = engine
        self.lane = lane
        self.up = True
        self._patience = patience
        self._asking: asyncio.Task[None] | None = None

    def gives_way(self, error: BaseException) -> bool:
        """Whether the primary should be asked instead, after this error of the replica's."""
        if self._lost(error):
            self._take_out(error)
            return True
        # Its pool is full, or what was read is being replaced by what comes from the primary.
        return isinstance(error, PoolTimeoutError) or self._trouble(error) is Trouble.CONTENDED

    async def ping(self) -> None:
        async with asyncio.timeout(self._patience), self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])
        if self.lane is not None:
            await self.lane.close()
        await self.engine.dispose()
        self.backend.close()

    def _lost(self, error: BaseException) -> bool:
        lost = isinstance(error, DatabaseDownError) or getattr(error, "connection_invalidated", False)
        return lost or self._trouble(error) is Trouble.DOWN

    def _trouble(self, error: BaseException) -> Trouble | None:
        return self.backend.trouble(error) if isinstance(error, DBAPIError) else None

    def _take_out(self, error: BaseException) -> None:
        if not self.up:
            return
        self.up = False
        _log.warning("the replica does not answer, reads go to the primary: %r", error.__cause__ or error)
        self._asking = asyncio.get_running_loop().create_task(self._ask_until_up())

    async def _ask_until_up(self) -> None:
        while not self.up:
            await asyncio.sleep(_AGAIN)
            try:
                await self.ping()
            except (OSError, SQLAlchemyError, DatabaseDownError) as error:
                _log.debug("the replica still does not answer: %r", error)
            else:
                self.up = True
        _log.warning("the replica answers again")


@dataclass(frozen=True, slots=True)
class Route:
    """Where the reads of one caller go, decided anew for each of them."""

    replica: Replica
    caller: Caller

    @property
    def to_replica(self) -> bool:
        return self.replica.up and not self.caller.needs_primary


@dataclass(frozen=True, slots=True)
class ReadLane:
    """To the replica, or to the primary."""

    primary: Lane
    route: Route

    @property
    def dialect(self) -> Dialect:
        return self.primary.dialect

    async def open(self) -> None:
        await self.primary.open()

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        replica = self.route.replica
        if replica.lane is None or not self.route.to_replica:
            return await self.primary.run(plan, arguments)
        try:
            return await replica.lane.run(plan, arguments)
        except (SQLAlchemyError, DatabaseDownError) as error:
            if not replica.gives_way(error):
                raise
        return await self.primary.run(plan, arguments)

    async def close(self) -> None:
        """The database closes its own, and the replica its."""


@dataclass(frozen=True, slots=True)
class WriteLane:
    """To the primary, and the caller is known to have written."""

    primary: Lane
    caller: Caller

    @property
    def dialect(self) -> Dialect:
        return self.primary.dialect

    async def open(self) -> None:
        await self.primary.open()

    async def run(self, plan: Plan, arguments: Arguments) -> Answer:
        answer = await self.primary.run(plan, arguments)
        self.caller.note()
        return answer

    async def close(self) -> None:
        """The database closes its own."""
