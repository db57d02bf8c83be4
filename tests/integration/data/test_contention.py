"""Work that meets others at the same data, for real, is done again; and what that costs is bounded."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import pytest
from sqlalchemy import bindparam, insert, make_url, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, ContentionError, Database, DatabaseBusyError, DataSettings, QueryRan, prepared
from leyden.data.retries import ATTEMPTS
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


give_all = prepared(update(Till).where(Till.id <= bindparam("last")).values(cents=Till.cents + 1))


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


@asynccontextmanager
async def at_first_failure(database: Database, then: Callable[[], Awaitable[None]]) -> AsyncIterator[list[bool]]:
    """Which statements failed; after the first of them `then` is called."""
    failed: list[bool] = []
    happened = asyncio.Event()

    def hear(ran: QueryRan) -> None:
        failed.append(ran.failed)
        if ran.failed:
            happened.set()

    async def follow() -> None:
        await happened.wait()
        await then()

    stop = database.events.listen(QueryRan, hear)
    following = asyncio.create_task(follow())
    try:
        yield failed
    finally:
        stop()
        if not happened.is_set():  # else it is under way, and whom it waits for would be cancelled with it
            following.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([following])


# Units of work


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


# Prepared writes that stand alone


@POSTGRESQL
async def test_a_prepared_write_that_a_serialization_failure_undid_is_done_again(tills: str) -> None:
    async with Database(DataSettings(url=tills)) as first, first.session() as session:
        name = make_url(tills).database
        await session.execute(text(f"ALTER DATABASE \"{name}\" SET default_transaction_isolation = 'repeatable read'"))
    async with Database(DataSettings(url=tills)) as database, Holder(tills) as holder:
        with queries(database) as ran:
            writing = asyncio.create_task(give_all.changed(database, last=2))
            await someone_waits(database)
            await holder.end()
            assert await writing == 2
        assert [query.failed for query in ran if "UPDATE" in query.statement] == [True, False]
        assert await held(database) == [101, 96]


@MARIADB
async def test_a_prepared_write_that_a_deadlock_undid_is_done_again(tills: str) -> None:
    async with Database(DataSettings(url=tills)) as database:
        with queries(database) as ran:
            async with database.session() as heavier:  # of two who wait for each other the one who did less is undone
                await heavier.execute(insert(Till), [{"id": number, "cents": 1} for number in range(100, 200)])
                await heavier.execute(give(2, -5))
                writing = asyncio.create_task(give_all.changed(database, last=2))
                await someone_waits(database)
                await heavier.execute(give(1, -5))
            assert await writing == 2
        assert [query.failed for query in ran if "<=" in query.statement] == [True, False]
        assert await held(database) == [96, 96]


async def someone_waits(database: Database) -> None:
    """Until a statement waits for a lock."""
    asked = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx AS t "
        "JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id "
        "WHERE p.db = DATABASE() AND t.trx_state = 'LOCK WAIT'",
    }
    async with asyncio.timeout(5):
        while True:
            async with database.reader() as session:
                if await session.scalar(text(asked[database.dialect])):
                    return
            await asyncio.sleep(0.15)  # MariaDB makes its table anew when nobody has looked for a tenth of a second


@SQLITE
async def test_a_prepared_write_that_met_another_process_on_sqlite_is_done_again(tills: str) -> None:
    settings = DataSettings(url=tills, busy_timeout=0.05)
    async with Database(settings) as database, Holder(tills) as holder:
        async with at_first_failure(database, holder.end) as failed:
            assert await give_all.changed(database, last=2) == 2
        assert (failed[0], failed[-1]) == (True, False)
        assert await held(database) == [101, 96]


@SQLITE
async def test_whoever_meets_others_every_time_is_told_so_after_the_last_attempt(tills: str) -> None:
    settings = DataSettings(url=tills, busy_timeout=0)
    async with Database(settings) as database, Holder(tills):
        with queries(database) as ran, pytest.raises(ContentionError):
            await give_all.changed(database, last=2)
        assert [query.failed for query in ran] == [True] * ATTEMPTS
        with queries(database) as ran, pytest.raises(ContentionError):
            async with database.session() as session:
                await give_all.changed(session, last=2)
        assert [query.failed for query in ran] == [True]


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_prepared_write_waits_for_a_lock_no_longer_than_the_lock_timeout(tills: str) -> None:
    seconds = 0.3 if tills.startswith("postgresql") else 1.0
    async with Database(DataSettings(url=tills, lock_timeout=seconds)) as database, Holder(tills):
        began = time.monotonic()
        with queries(database) as ran, pytest.raises(DatabaseBusyError):
            await give_all.changed(database, last=2)
        assert [query.failed for query in ran] == [True]
        assert time.monotonic() - began >= seconds * 0.9
        assert database.pools["write"].in_use == 0
