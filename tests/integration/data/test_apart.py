"""Pools of their own for background work, on each database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import bindparam, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data import Database, DatabaseBusyError, DataSettings, prepared
from leyden.testing.rollback import rolled_back


async def hold(database: Database, ready: asyncio.Event, seconds: float) -> None:
    async with database.snapshot() as session:
        await session.execute(text("SELECT 1"))
        ready.set()
        await asyncio.sleep(seconds)


async def test_background_work_has_pools_of_its_own(database_url: str) -> None:
    async with Database(DataSettings(url=database_url, snapshot_pool_size=1, pool_timeout=0.2)) as database:
        async with database.apart(pool_size=3, statement_timeout=60) as apart:
            assert apart.pools["read"].size == 3
            assert database.pools["read"].size == 10
            ready = asyncio.Event()
            holder = asyncio.create_task(hold(apart, ready, 0.5))
            await ready.wait()
            async with database.snapshot() as session:
                assert await session.scalar(text("SELECT 1")) == 1
            with pytest.raises(DatabaseBusyError):
                async with apart.snapshot() as session:
                    await session.execute(text("SELECT 1"))
            await holder
            assert database.pools["snapshot"].in_use == 0
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1


@asynccontextmanager
async def exhausted(database: Database) -> AsyncIterator[None]:
    """Every connection of its own for writing and for reading is held, by tasks of their own."""
    done = asyncio.Event()

    async def keep(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            await done.wait()

    pools = database.pools
    keepers = [keep(database.writer) for _ in range(pools["write"].size)]
    keepers += [keep(database.readers) for _ in range(pools["read"].size)]
    async with asyncio.TaskGroup() as group:
        for keeper in keepers:
            group.create_task(keeper)
        try:
            async with asyncio.timeout(5):
                while sum(database.pools[name].in_use for name in ("write", "read")) < len(keepers):  # noqa: ASYNC110 -- nothing tells
                    await asyncio.sleep(0.01)
            yield
        finally:
            done.set()


async def write(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("UPDATE counts SET number = number + 1"))


async def read(database: Database) -> None:
    async with database.reader() as session:
        await session.execute(text("SELECT number FROM counts"))


read_straight: Any = prepared(select(literal_column("number").label("number")).select_from(text("counts")))


@pytest.mark.parametrize("exhausting", ["web", "tasks"])
async def test_whoever_takes_all_connections_of_one_side_leaves_the_other_its_own(
    database_url: str, exhausting: str
) -> None:
    settings = DataSettings(url=database_url, pool_size=2, pool_timeout=0.2)
    async with Database(settings) as web:
        async with web.session() as session:
            await session.execute(text("CREATE TABLE counts (number INTEGER)"))
            await session.execute(text("INSERT INTO counts VALUES (0)"))
        async with web.apart(pool_size=2, statement_timeout=60) as tasks:
            full, free = (web, tasks) if exhausting == "web" else (tasks, web)
            async with exhausted(full):
                for refused in (read, write):
                    with pytest.raises(DatabaseBusyError):
                        await refused(full)
                await read(free)
                assert await read_straight.all(free) == [0]
                if web.dialect == "sqlite":  # a process has one writer, for which both wait
                    with pytest.raises(DatabaseBusyError):
                        await write(free)
                else:
                    await write(free)
            await write(full)
            await read(full)


async def test_both_write_and_see_each_other(database_url: str) -> None:
    async with Database(DataSettings(url=database_url)) as database:
        async with database.session() as session:
            await session.execute(text("CREATE TABLE counts (number INTEGER)"))
            await session.execute(text("INSERT INTO counts VALUES (0)"))
        async with database.apart(pool_size=2, statement_timeout=60) as apart:

            async def add(where: Database) -> None:
                for _ in range(10):
                    async with where.session() as session:
                        await session.execute(text("UPDATE counts SET number = number + 1"))

            await asyncio.gather(*(add(where) for where in (database, apart, database, apart)))
            async with apart.reader() as session:
                assert await session.scalar(text("SELECT number FROM counts")) == 40
            if database.dialect == "sqlite":
                assert apart.writer is database.writer, "a process has one writer"
        async with database.reader() as session:
            assert await session.scalar(text("SELECT number FROM counts")) == 40


async def test_its_statements_have_a_deadline_of_their_own(database_url: str) -> None:
    settings = DataSettings(url=database_url, statement_timeout=0.3)
    async with Database(settings) as database, database.apart(pool_size=1, statement_timeout=None) as apart:
        if database_url.startswith("postgresql+psycopg"):  # there it is the role's
            return
        slow = {
            "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000000) SELECT max(i) FROM n",
            "postgresql": "SELECT 1 FROM pg_sleep(:seconds)",
            "mysql": "SELECT 1 + SLEEP(:seconds)",
        }[database.dialect]
        statement = text(slow)
        if database.dialect != "sqlite":
            statement = statement.bindparams(bindparam("seconds", 0.8))
        async with apart.reader() as session:
            assert await session.scalar(statement) in (1, 3_000_000)
        with pytest.raises(DatabaseBusyError):
            async with database.reader() as session:
                await session.execute(statement)


async def test_of_a_database_in_memory_it_is_the_same_one() -> None:
    async with Database(DataSettings(url="sqlite://")) as database:
        async with database.session() as session:
            await session.execute(text("CREATE TABLE counts (number INTEGER)"))
        async with database.apart(pool_size=1, statement_timeout=60) as apart, apart.reader() as session:
            assert await session.scalar(text("SELECT count(*) FROM counts")) == 0
        async with database.reader() as session:
            assert await session.scalar(text("SELECT count(*) FROM counts")) == 0


async def test_in_a_test_that_is_rolled_back_it_is_the_same_transaction(database_url: str) -> None:
    async with (
        Database(DataSettings(url=database_url)) as database,
        rolled_back(database) as stand_in,
        stand_in.apart(pool_size=1, statement_timeout=60) as apart,
        apart.session() as session,
    ):
        assert await session.scalar(text("SELECT 1")) == 1
