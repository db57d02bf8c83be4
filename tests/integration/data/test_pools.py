"""What `database.pools` tells: who has a connection, and who waits for one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from sqlalchemy import bindparam, literal_column, select, text, update
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, Database, DataSettings, PoolStatus, prepared

WAITING = 3
SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Crate(Base):
    __tablename__ = "pools_crates"

    id: Mapped[int] = mapped_column(primary_key=True)
    apples: Mapped[int]


fill = prepared(update(Crate).values(apples=10))
find = prepared(select(Crate.id).where(Crate.id == bindparam("id")))
slow = prepared(
    select(
        literal_column(
            "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
        ).label("n")
    )
)


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """One connection for writing, one for reading and one for snapshots."""
    settings = DataSettings(url=database_url, pool_size=1, snapshot_pool_size=1, pool_timeout=10)
    async with Database(settings) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.tables["pools_crates"].create)
        yield database


async def write(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("SELECT 1"))


async def read(database: Database) -> None:
    async with database.reader() as session:
        await session.execute(text("SELECT 1"))


async def snapshot(database: Database) -> None:
    async with database.snapshot() as session:
        await session.execute(text("SELECT 1"))


@asynccontextmanager
async def waiting(*callers: Awaitable[object]) -> AsyncIterator[None]:
    """They come, and are done when the block is left."""
    tasks = [asyncio.ensure_future(caller) for caller in callers]
    try:
        yield
    finally:
        await asyncio.gather(*tasks)


async def until(database: Database, name: str, expected: Callable[[PoolStatus], bool]) -> None:
    async with asyncio.timeout(5):
        while not expected(database.pools[name]):  # noqa: ASYNC110 -- nothing tells
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("name", "call"), [("write", write), ("read", read), ("snapshot", snapshot)])
async def test_who_waits_for_a_connection_is_counted_until_it_is_there(
    narrow: Database, name: str, call: Callable[[Database], Awaitable[None]]
) -> None:
    engine = {"write": narrow.writer, "read": narrow.readers, "snapshot": narrow.snapshots}[name]
    async with AsyncExitStack() as stack:
        held = await stack.enter_async_context(engine.connect())
        await stack.enter_async_context(waiting(*(call(narrow) for _ in range(WAITING))))
        await until(narrow, name, lambda pool: pool.waiting == WAITING)
        assert narrow.pools[name] == PoolStatus(size=1, opened=1, in_use=1, waiting=WAITING)
        await held.close()
    assert narrow.pools[name] == PoolStatus(size=1, opened=1, in_use=0, waiting=0)


async def test_prepared_writes_that_wait_are_counted_one_by_one_beside_units_of_work(narrow: Database) -> None:
    await fill.changed(narrow)
    async with narrow.session() as holder:
        await holder.execute(text("SELECT 1"))
        late = [asyncio.ensure_future(fill.changed(narrow)) for _ in range(WAITING)]
        unit = asyncio.create_task(write(narrow))
        await until(narrow, "write", lambda pool: pool.waiting == WAITING + 1)
        late[0].cancel()
        await until(narrow, "write", lambda pool: pool.waiting == WAITING)
        assert narrow.pools["write"] == PoolStatus(size=1, opened=1, in_use=1, waiting=WAITING)
    assert await asyncio.gather(*late[1:]) == [0] * (WAITING - 1)
    await unit
    await until(narrow, "write", lambda pool: (pool.in_use, pool.waiting) == (0, 0))


async def test_prepared_writes_that_were_all_cancelled_wait_no_more(narrow: Database) -> None:
    await fill.changed(narrow)
    async with narrow.session() as holder:
        await holder.execute(text("SELECT 1"))
        late = [asyncio.ensure_future(fill.changed(narrow)) for _ in range(WAITING)]
        await until(narrow, "write", lambda pool: pool.waiting == WAITING)
        for task in late:
            task.cancel()
        await until(narrow, "write", lambda pool: pool.waiting == 0)
    await until(narrow, "write", lambda pool: pool.in_use == 0)


@SQLITE
async def test_threads_that_read_and_who_waits_for_them_are_told_on_sqlite(narrow: Database) -> None:
    assert narrow.pools["read_threads"] == PoolStatus(size=4, opened=0, in_use=0, waiting=0)
    await find(narrow, id=1)
    assert narrow.pools["read_threads"] == PoolStatus(size=4, opened=1, in_use=0, waiting=0)
    reads = [asyncio.ensure_future(slow(narrow)) for _ in range(4 + WAITING)]
    await until(narrow, "read_threads", lambda threads: threads.in_use == 4)
    assert narrow.pools["read_threads"] == PoolStatus(size=4, opened=4, in_use=4, waiting=WAITING)
    assert narrow.pools["read"].in_use == 0
    for task in reads:
        task.cancel()
    await asyncio.wait(reads)
    await until(narrow, "read_threads", lambda threads: (threads.in_use, threads.waiting) == (0, 0))


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
async def test_elsewhere_prepared_reads_have_no_threads(narrow: Database) -> None:
    assert set(narrow.pools) == {"write", "read", "snapshot"}
