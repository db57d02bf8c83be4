"""A database that forgets at the end of a test all that the test did to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from leyden.data import Database

_PATIENCE = 10.0
"""Seconds that a session waits for another one of the same test."""


@asynccontextmanager
async def rolled_back(database: Database) -> AsyncIterator[Database]:
    """A stand-in for `database` whose sessions all join one transaction, rolled back on leaving.

    Give it to the app as `client(app, overrides={Database: stand_in})`: what the test writes the app reads, and the
    other way round. One connection serves one session at a time: concurrent ones wait for each other.
    Statements that commit by themselves, such as CREATE TABLE on MariaDB, are not undone.
    """
    async with database.writer.connect() as connection:
        transaction = await connection.begin()
        try:
            yield _OneAtATime(database, connection)
        finally:
            await transaction.rollback()


class _OneAtATime(Database):
    """The database within one connection, which its sessions take in turn."""

    def __init__(self, database: Database, connection: AsyncConnection) -> None:
        vars(self).update(vars(database.within(connection)))
        self._free = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        async with self._turn(), super().session() as session:
            yield session

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncSession]:
        async with self._turn(), super().reader() as session:
            yield session

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        task = asyncio.current_task()
        if self._holder is task:  # a session within a session: savepoints nest
            yield
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._free.acquire()
        except TimeoutError:
            raise RuntimeError(
                "Another task of this test keeps a session open, and a rolled-back database has one connection. "
                "Leave that session before the app is called concurrently."
            ) from None
        self._holder = task
        try:
            yield
        finally:
            self._holder = None
            self._free.release()
