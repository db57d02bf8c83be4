"""Pools of their own for background work, on each database."""

import asyncio

import pytest
from sqlalchemy import bindparam, text

from leyden.data import Database, DatabaseBusyError, DataSettings
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
