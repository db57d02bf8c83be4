"""Work that meets others at the same data, for real, is done again; and what that costs is bounded."""

import asyncio
import sqlite3
from typing import Any, Self

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, Database, DataSettings
from leyden.testing import queries

POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
MARIADB = pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Till(Base):
    __tablename__ = "contention_tills"

    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


def give(till: int, cents: int) -> Any:
    return update(Till).where(Till.id == till).values(cents=Till.cents + cents)


@pytest.fixture
async def tills(database_url: str) -> str:
    async with Database(DataSettings(url=database_url)) as database, database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.tables["contention_tills"].create)
        await connection.execute(insert(Till), [{"id": number, "cents": 100} for number in range(1, 10)])
    return database_url


async def held(database: Database) -> list[int]:
    async with database.reader() as session:
        return [*await session.scalars(select(Till.cents).where(Till.id <= 2).order_by(Till.id))]


def code(error: DBAPIError) -> Any:
    """The number or state of the database itself."""
    match getattr(error.orig, "args", ()):
        case (int(number), *_):  # MariaDB's
            return number
    return getattr(error.orig, "sqlite_errorcode", None) or getattr(error.orig, "sqlstate", None)


class Holder:
    """Another unit of work that has taken from a till, and keeps it locked until it is told to end."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ready, self._told = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._hold())
        await self._ready.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def end(self) -> None:
        self._told.set()
        assert self._task is not None
        await self._task

    async def _hold(self) -> None:
        async with Database(DataSettings(url=self._url)) as other, other.session() as session:
            await session.execute(give(2, -5))
            self._ready.set()
            await self._told.wait()


async def test_a_lock_that_was_not_to_be_had_in_time_is_asked_for_again(tills: str) -> None:
    tries: list[Any] = []
    async with (
        Database(DataSettings(url=tills, lock_timeout=1.0, busy_timeout=0.05)) as database,
        Holder(tills) as holder,
    ):

        async def work(session: AsyncSession) -> None:
            tries.append(None)
            if len(tries) == 2:
                await holder.end()
            if database.dialect == "postgresql":  # which psycopg leaves to the role
                await session.execute(text("SET LOCAL lock_timeout = '100ms'"))
            try:
                await session.execute(give(1, -10))
                await session.execute(give(2, 10))
            except DBAPIError as error:
                tries[-1] = code(error)
                raise

        await database.transaction(work)
        assert tries == [{"sqlite": sqlite3.SQLITE_BUSY, "postgresql": "55P03", "mysql": 1205}[database.dialect], None]
        assert await held(database) == [90, 105]
        assert database.pools["write"].in_use == 0


@POSTGRESQL
@pytest.mark.parametrize(("level", "other"), [("REPEATABLE READ", 1), ("SERIALIZABLE", 2)])
async def test_what_has_no_place_in_the_order_of_transactions_is_done_again(tills: str, level: str, other: int) -> None:
    tries = 0
    async with Database(DataSettings(url=tills)) as database:

        async def move(session: AsyncSession, till: int, cents: int) -> None:
            """Having seen all of them, of which the serializable ones know."""
            await session.connection(execution_options={"isolation_level": level})
            await session.execute(select(Till))
            if cents < 0:
                await meanwhile()
            await session.execute(give(till, cents))

        async def meanwhile() -> None:
            nonlocal tries
            tries += 1
            if tries == 1:
                async with database.session() as session:
                    await move(session, other, 7)

        with queries(database) as ran:
            await database.transaction(lambda session: move(session, 1, -10))
        assert tries == 2
        assert sum(query.failed for query in ran) <= 1, "a commit that is refused is no statement"
        assert await held(database) == ([97, 100] if other == 1 else [90, 107])


@MARIADB
async def test_on_mariadb_a_row_that_has_changed_since_it_was_read_is_changed_by_a_new_attempt(tills: str) -> None:
    tries: list[Any] = []
    async with Database(DataSettings(url=tills)) as database:

        async def work(session: AsyncSession) -> None:
            tries.append(None)
            await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            await session.execute(text("SET SESSION innodb_snapshot_isolation = ON"))  # the default from 11.8 on
            await session.execute(select(Till))
            if len(tries) == 1:
                async with database.session() as meanwhile:
                    await meanwhile.execute(give(1, 7))
            try:
                await session.execute(give(1, -10))
            except DBAPIError as error:
                tries[-1] = code(error)
                raise

        await database.transaction(work)
        assert tries == [1020, None]
        assert await held(database) == [97, 100]
