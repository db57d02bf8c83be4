"""The database: units of work, read sessions, and locks across processes."""

import asyncio
import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

from fastapi import Depends
from sqlalchemy import QueuePool, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from starlette.requests import HTTPConnection

from leyden.core import Clock, StartError, SystemClock, resource
from leyden.data.base import CLOCK_OPTION
from leyden.data.errors import DatabaseDownError, LockedError, UnitOfWorkError
from leyden.data.settings import DataSettings
from leyden.data.translation import translated
from leyden.data.urls import backend_for, in_memory, parse, shown

_POLL = 0.05
_SILENT = "The database {address} does not answer: {reason}. Start it, or correct the database URL in the settings."


class NewFile:
    """Among the overrides of `running`, it lets a SQLite file be made that is not there: what migrates has to begin."""


class Database:
    """One database: `async with database.session() as session` is a unit of work, in a request or anywhere else.

    `writer` and `readers` are plain SQLAlchemy engines for what a session cannot do. `create=False` refuses to start
    where a SQLite file is not there, instead of making it.
    """

    def __init__(self, settings: DataSettings, *, clock: Clock | None = None, create: bool = True) -> None:
        self.settings = settings
        self._create = create
        self.backend = backend_for(settings)
        options = {CLOCK_OPTION: clock or SystemClock()}
        writer, readers = self.backend.engines()
        self.writer: AsyncEngine = writer.execution_options(**options)
        self.readers: AsyncEngine = readers.execution_options(**options)
        self._spare = self.backend.spare()
        self._connection: AsyncConnection | None = None

    def __repr__(self) -> str:
        return f"Database({self.address})"

    @property
    def dialect(self) -> str:
        """`sqlite`, `postgresql` or `mysql`."""
        return self.backend.dialect

    @property
    def in_memory(self) -> bool:
        """Whether it begins empty with the app and is gone when the app stops."""
        return in_memory(parse(self.settings))

    @property
    def address(self) -> str:
        """The URL without its password."""
        return shown(parse(self.settings))

    async def __aenter__(self) -> Self:
        """Raises StartError, within `connect_timeout`, when the database does not answer or cannot be used."""
        self.backend.open(create=self._create)
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await self.ping()
        except (TimeoutError, SQLAlchemyError, DatabaseDownError) as error:
            await self.__aexit__()
            raise StartError(self._told(_drivers(error))) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.writer.dispose()
        await self.readers.dispose()
        await self._spare.dispose()
        self.backend.close()

    async def ping(self) -> None:
        """One round trip on a connection for reading, or on a spare one while all of those are in use."""
        pool = self.readers.pool
        full = isinstance(pool, QueuePool) and pool.checkedout() >= pool.size()
        async with (self._spare if full else self.readers).connect() as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A unit of work: connects at its first statement, commits on leaving, rolls back when an error leaves.

        Raises ConflictError, InvalidValueError, DatabaseBusyError and DatabaseDownError for what the database refused.
        """
        with translated(self.backend):
            async with self._open(self.writer) as session:
                yield session
                await session.commit()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncSession]:
        """A session that can only read, and on SQLite waits for no writer."""
        with translated(self.backend):
            async with self._open(self.readers, autoflush=False) as session:
                yield session

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

    def _open(self, engine: AsyncEngine, **options: Any) -> AsyncSession:
        """Objects stay readable after the commit; a session used after its end is an error, not a new transaction."""
        if self._connection is not None:
            options["join_transaction_mode"] = "create_savepoint"
        return AsyncSession(self._connection or engine, expire_on_commit=False, close_resets_only=False, **options)

    def _told(self, error: BaseException) -> str:
        url = parse(self.settings)
        return (self.backend.refusal(error) or _SILENT).format(
            address=self.address,
            server=f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}",
            database=url.database,
            user=url.username,
            reason=self._reason(error),
        )

    def _reason(self, error: BaseException) -> str:
        """The driver's own words; some of its errors have none."""
        if isinstance(error, TimeoutError):
            return f"nothing came back within {self.settings.connect_timeout:g} s"
        match error.args:
            case (int(), str(said), *_):  # MySQL's drivers
                return said.rstrip(".")
        return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _drivers(error: BaseException) -> BaseException:
    """The driver's error behind ours or SQLAlchemy's; a deadline of ours has none that says more."""
    if isinstance(error, TimeoutError):
        return error
    return getattr(error, "orig", None) or error.__cause__ or error


DatabaseDep = Annotated[Database, Depends(resource(Database))]


async def unit_of_work(connection: HTTPConnection, database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    _refuse_socket(connection, "SessionDep", "session")
    async with database.session() as session:
        yield session


async def read_session(connection: HTTPConnection, database: DatabaseDep) -> AsyncIterator[AsyncSession]:
    _refuse_socket(connection, "ReaderDep", "reader")
    async with database.reader() as session:
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
