"""The database: units of work, read sessions, and locks across processes."""

import asyncio
import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from fastapi import Depends
from sqlalchemy import QueuePool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from starlette.requests import HTTPConnection

from leyden.core import Clock, Events, StartError, SystemClock, resource
from leyden.data.backend import Use
from leyden.data.base import CLOCK_OPTION
from leyden.data.callers import Caller, Writers, caller_of, note_writes, on_behalf_of
from leyden.data.connections import Connections, status_of
from leyden.data.errors import ContentionError, DatabaseDownError, LockedError, UnitOfWorkError
from leyden.data.lanes import Lane, Watched
from leyden.data.pool import PoolStatus
from leyden.data.read_sessions import ReadSession
from leyden.data.refusals import refusal
from leyden.data.replicas import ReadLane, Replica, Route, WriteLane, replica_settings
from leyden.data.retries import ATTEMPTS, stand_back
from leyden.data.settings import DataSettings
from leyden.data.translation import translated
from leyden.data.units import UnitOfWork
from leyden.data.urls import backend_for, in_memory, parse, shown

T = TypeVar("T")

_POLL = 0.05


class Missing(StrEnum):
    """What a SQLite file that is not there means; what migrates has one of these among the overrides of `running`."""

    REFUSED = "refused"
    """There is no start."""
    MADE = "made"
    EMPTY = "empty"
    """A database with nothing in it, of which there is no file yet either."""


class Database:
    """One database: `async with database.session() as session` is a unit of work, in a request or anywhere else.

    `writer` and `readers` are plain SQLAlchemy engines for what a session cannot do. Where a `missing` SQLite file is
    not made, one that is there is only looked at before `take_into_use`. Only inside requests does anything read the
    `replica`.
    """

    def __init__(
        self,
        settings: DataSettings,
        *,
        clock: Clock | None = None,
        events: Events | None = None,
        missing: Missing = Missing.MADE,
    ) -> None:
        self.settings = settings
        self._missing = missing
        self.backend = backend_for(settings)
        self.options = {CLOCK_OPTION: clock or SystemClock()}
        self.events = events or Events()
        self._connections = Connections(self.backend, settings, self.events, options=self.options)
        self._writers = Writers(settings.replica_lag)
        self.replica = self._follow(settings)
        self._caller: Caller | None = None
        self._connection: AsyncConnection | None = None

    def __repr__(self) -> str:
        return f"Database({self.address})"

    @property
    def writer(self) -> AsyncEngine:
        return self._connections.writer

    @property
    def readers(self) -> AsyncEngine:
        return self._connections.readers

    @property
    def snapshots(self) -> AsyncEngine:
        return self._connections.snapshots

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        return self.backend.dialect

    @property
    def in_memory(self) -> bool:
        """Whether it begins empty with the app and is gone when the app stops."""
        return in_memory(parse(self.settings))

    @property
    def exists(self) -> bool:
        """Whether its SQLite file is there, if it is one."""
        return self.backend.exists

    @property
    def looker(self) -> AsyncEngine:
        """An engine that leaves everything as it is, also the header of a SQLite file that is in no mode of ours yet."""
        return self._connections.looker

    @property
    def address(self) -> str:
        """The URL without its password."""
        return shown(parse(self.settings))

    async def __aenter__(self) -> Self:
        """Raises StartError, within `connect_timeout`, when the database does not answer or cannot be used."""
        if self.replica is not None:
            self.replica.backend.open(create=False)
        if self._missing is Missing.EMPTY and not self.exists:
            return self
        self.backend.open(create=self._missing is Missing.MADE)
        try:
            await self._ask(self.readers if self._missing is Missing.MADE else self.looker)
        except StartError:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connections.close()
        if self.replica is not None:
            await self.replica.close()
        self.backend.close()

    async def take_into_use(self) -> None:
        """Open it as requests will, with its SQLite file made where one that is missing means an empty database.

        Raises StartError, as a start does, when it cannot be used: when it is read-only.
        """
        self.backend.open(create=self._missing is not Missing.REFUSED)
        await self._ask(self.readers)

    async def ping(self) -> None:
        """One round trip on a connection for reading, or on a spare one while all of those are in use."""
        pool = self.readers.pool
        full = isinstance(pool, QueuePool) and pool.checkedout() >= pool.size()
        await _ping(self._connections.spare if full else self.readers)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A unit of work: connects at its first statement, commits on leaving, rolls back when an error leaves.

        Raises ConflictError, InvalidValueError, DatabaseBusyError and DatabaseDownError for what the database refused.
        """
        with translated(self.backend):
            async with self._open(self._writing()) as session:
                yield session
                await session.commit()

    async def transaction(self, work: Callable[[AsyncSession], Awaitable[T]], *, attempts: int = ATTEMPTS) -> T:
        """Run `work` in a unit of work of its own, and again from its start where others were changing the same data.

        That is a deadlock, a serialization failure, a lock that was not to be had in time. `work` must not do anything outside the database that may not happen twice; if it commits by itself it is not
        repeated. Raises what a unit of work raises, ContentionError after the last attempt.
        """
        for attempt in range(1, attempts + 1):
            try:
                async with self.session() as unit:
                    return await work(unit)
            except ContentionError:
                if attempt == attempts or (isinstance(unit, UnitOfWork) and unit.committed):
                    raise
            await stand_back(attempt)
        raise ValueError(f"attempts must be 1 or more, not {attempts}")

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncSession]:
        """A session that can only read: no transaction, and a connection for the length of each statement.

        What two statements see may differ: `snapshot` is for those who need one state.
        """
        with translated(self.backend):
            async with self._reading() as session:
                yield session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncSession]:
        """A session that reads one state of the database throughout, however long: for exports and reports.

        It keeps one of the few connections of `snapshot_pool_size`; raises DatabaseBusyError when none is free in time.
        """
        with translated(self.backend):
            async with self._open(self.snapshots, autoflush=False) as session:
                yield session

    def lane(self, use: Use) -> Lane | None:
        """The straight way to the driver, for prepared statements; None where all goes through sessions."""
        lane = self._connections.lanes[use]
        if self._connection is not None or lane is None:
            return None
        if (route := self._route) is None:
            return lane
        return WriteLane(lane, route.caller) if use is Use.WRITE else ReadLane(lane, route)

    @property
    def pools(self) -> dict[str, PoolStatus]:
        """How full each pool of connections is; on SQLite also how busy the threads of prepared reads are."""
        replica = self.replica
        return self._connections.status | (status_of("replica", replica.engine, replica.lane) if replica else {})

    def seen_by(self, connection: HTTPConnection) -> Self:
        """The same database for one request or socket, whose reads may go to the replica."""
        if self.replica is None:
            return self
        view = copy.copy(self)
        view._caller = caller_of(connection, self._writers)  # noqa: SLF001 -- a copy of self
        return view

    @asynccontextmanager
    async def apart(self, *, pool_size: int, statement_timeout: float | None) -> AsyncIterator[Self]:
        """The same database on connections of its own, so that neither side waits for the other's: for background work.

        To a SQLite file a process has one writer, which stays the one, and with it the deadline of what it writes.
        """
        if self._connection is not None:
            yield self
            return
        other = copy.copy(self)
        changes = {"pool_size": pool_size, "statement_timeout": statement_timeout, "replica": None}
        other.settings = settings = self.settings.model_copy(update=changes)
        other.backend, other.replica = self.backend.apart(settings), None
        connections = Connections(other.backend, settings, self.events, options=self.options, beside=self._connections)
        other._connections = connections  # noqa: SLF001 -- a copy of self
        try:
            yield other
        finally:
            await connections.close()

    @asynccontextmanager
    async def lock(self, name: str, *, timeout: float = 60.0) -> AsyncIterator[None]:  # noqa: ASYNC109 -- LockedError says more
        """Hold a lock that every process using this database respects; it is freed on leaving and by a crash.

        Raises LockedError when it is not free within `timeout` seconds.
        """
        async with self.backend.locker(name) as try_lock:
            try:
                async with asyncio.timeout(timeout):
                    while not await try_lock():  # noqa: ASYNC110 -- the holder is another process, no event tells
                        await asyncio.sleep(_POLL)
            except TimeoutError:
                raise LockedError(name=name) from None
            yield

    def within(self, connection: AsyncConnection) -> Self:
        """The same database inside the open transaction of one connection: commits are savepoints, so a test undoes all."""
        inner = copy.copy(self)
        inner._connection = connection  # noqa: SLF001 -- a copy of self
        return inner

    async def _ask(self, engine: AsyncEngine) -> None:
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await _ping(engine)
        except (TimeoutError, SQLAlchemyError, DatabaseDownError) as error:
            raise StartError(refusal(error, self.backend, self.settings)) from error

    def _follow(self, settings: DataSettings) -> Replica | None:
        own = replica_settings(settings)
        if own is None:
            return None
        note_writes(self.writer)
        backend = backend_for(own)
        engine = backend.engine(Use.READ, own.pool_size).execution_options(**self.options)
        lane = backend.lane(Use.READ, engine)
        return Replica(backend, engine, lane and Watched(lane, self.events), patience=settings.connect_timeout)

    def _writing(self) -> AsyncEngine:
        return self.writer if self._caller is None else on_behalf_of(self._caller, self.writer)

    def _reading(self) -> AsyncSession:
        if self._connection is not None:
            return self._open(self.readers, autoflush=False)
        self._watch()
        return ReadSession(self, self.readers, self._route)

    def _watch(self) -> None:
        self._connections.watch(*(() if self.replica is None else (self.replica.engine,)))

    @property
    def _route(self) -> Route | None:
        return None if self.replica is None or self._caller is None else Route(self.replica, self._caller)

    def _open(self, engine: AsyncEngine, **options: Any) -> UnitOfWork:
        """Objects stay readable after the commit; a session used after its end is an error, not a new transaction."""
        self._watch()
        if self._connection is not None:
            options["join_transaction_mode"] = "create_savepoint"
        return UnitOfWork(self._connection or engine, expire_on_commit=False, close_resets_only=False, **options)


async def _ping(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


_running = resource(Database)


async def database_of(connection: HTTPConnection) -> Database:
    return (await _running(connection)).seen_by(connection)


DatabaseDep = Annotated[Database, Depends(database_of)]


async def unit_of_work(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    _refuse_socket(connection, "SessionDep", "session")
    async with (await database_of(connection)).session() as session:
        yield session


async def read_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    _refuse_socket(connection, "ReaderDep", "reader")
    async with (await database_of(connection)).reader() as session:
        yield session


def _refuse_socket(connection: HTTPConnection, name: str, method: str) -> None:
    if connection.scope["type"] == "websocket":
        raise UnitOfWorkError(
            f"{name} would keep its connection to the database for as long as the WebSocket is open. "
            f"Take DatabaseDep, and for each piece of work: async with database.{method}() as session."
        )


# The scope ends both before the response is sent: a commit that fails is still an answer, and no connection waits for
# a slow client.
SessionDep = Annotated[AsyncSession, Depends(unit_of_work, scope="function")]
ReaderDep = Annotated[AsyncSession, Depends(read_session, scope="function")]
