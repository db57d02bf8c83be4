"""A transaction on SQLite in which nothing happens is undone, and the one connection that writes is free again."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.data import Database, DatabaseDownError, DataSettings
from leyden.data.backends.sqlite_idle import Idling
from leyden.testing.rollback import rolled_back

IDLE = 0.1
LONG = 3 * IDLE


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/x.db", idle_timeout=IDLE, busy_timeout=0)
    async with Database(settings) as database:
        async with database.session() as session:
            await session.execute(text("CREATE TABLE seen (name TEXT)"))
        yield database


async def add(session: AsyncSession, name: str = "mine") -> None:
    await session.execute(text("INSERT INTO seen VALUES (:name)"), {"name": name})


async def names(database: Database) -> list[str]:
    async with database.reader() as session:
        return [*await session.scalars(text("SELECT name FROM seen ORDER BY name"))]


async def select(session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))


async def stream(session: AsyncSession) -> None:
    await session.stream(text("SELECT name FROM seen"))


async def in_savepoint(session: AsyncSession) -> None:
    async with session.begin_nested():
        await add(session)


async def commit(session: AsyncSession) -> None:
    await session.commit()


@pytest.mark.parametrize(
    ("first", "following"),
    [(add, None), (add, add), (add, select), (select, stream), (stream, in_savepoint), (in_savepoint, commit)],
)
async def test_whatever_follows_is_refused_and_others_have_gone_on(
    database: Database,
    first: Callable[[AsyncSession], Awaitable[None]],
    following: Callable[[AsyncSession], Awaitable[None]] | None,
) -> None:
    holds, done = asyncio.Event(), asyncio.Event()

    async def dawdle() -> None:
        async with database.session() as session:
            await add(session)
            await first(session)
            holds.set()
            await done.wait()
            if following is not None:
                await following(session)

    dawdling = asyncio.create_task(dawdle())
    await holds.wait()
    async with database.session() as session:
        await add(session, "another's")
    assert database.pools["write"].in_use == 0
    done.set()
    with pytest.raises(DatabaseDownError):
        await dawdling
    assert await names(database) == ["another's"]
    async with database.session() as session:
        await add(session, "later")
    assert await names(database) == ["another's", "later"]
    assert database.pools["write"].opened == 1


async def test_rows_that_are_taken_too_late_are_refused(database: Database) -> None:
    async def take_late() -> None:
        async with database.session() as session:
            for number in range(300):
                await add(session, str(number))
            rows = await session.stream(text("SELECT name FROM seen"))
            assert await rows.fetchmany(10)
            await asyncio.sleep(LONG)
            while await rows.fetchmany(10):
                """The first ones were there already."""

    with pytest.raises(DatabaseDownError):
        await take_late()
    assert await names(database) == []


async def test_a_unit_of_work_that_does_something_now_and_then_goes_on(tmp_path: Path) -> None:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/y.db", idle_timeout=0.8)
    async with Database(settings) as database:
        async with database.session() as session:
            await session.execute(text("CREATE TABLE seen (name TEXT)"))
            for number in range(3):
                await add(session, str(number))
                await asyncio.sleep(0.2)
            rows = await session.stream(text("SELECT name FROM seen").execution_options(yield_per=1))
            for _ in range(3):
                assert await rows.fetchone()
                await asyncio.sleep(0.2)
        assert await names(database) == ["0", "1", "2"]


async def test_a_statement_that_takes_longer_is_not_idle(database: Database) -> None:
    async with database.session() as session:
        await add(session)
        began = time.monotonic()
        await session.execute(
            text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000) SELECT max(i) FROM n")
        )
        assert time.monotonic() - began > IDLE
    assert await names(database) == ["mine"]


async def test_after_its_commit_a_session_may_do_something_else_for_long(database: Database) -> None:
    async with database.session() as session:
        await add(session)
        await session.commit()
        await asyncio.sleep(LONG)
        await add(session)
    assert await names(database) == ["mine", "mine"]


async def test_after_a_rollback_the_session_begins_anew(database: Database) -> None:
    async with database.session() as session:
        await add(session)
        await asyncio.sleep(LONG)
        await session.rollback()
        await add(session, "again")
    assert await names(database) == ["again"]


async def test_an_error_of_its_own_leaves_the_unit_of_work_as_it_is(database: Database) -> None:
    async def fail_late() -> None:
        async with database.session() as session:
            await add(session)
            await asyncio.sleep(LONG)
            raise LookupError

    with pytest.raises(LookupError):
        await fail_late()
    assert await names(database) == []
    assert database.pools["write"].opened == 1


async def test_a_plain_connection_is_not_gone_on_with_either(database: Database) -> None:
    async with database.writer.connect() as connection:
        transaction = await connection.begin()
        await connection.execute(text("INSERT INTO seen VALUES ('mine')"))
        await asyncio.sleep(LONG)
        await transaction.rollback()
        with pytest.raises(OperationalError, match="idle_timeout"):
            await connection.execute(text("INSERT INTO seen VALUES ('again')"))
    assert await names(database) == []


async def test_what_reads_may_take_its_time(database: Database) -> None:
    async with database.snapshot() as session:
        assert await session.scalar(text("SELECT count(*) FROM seen")) == 0
        await asyncio.sleep(LONG)
        assert await session.scalar(text("SELECT count(*) FROM seen")) == 0


async def test_without_a_timeout_nothing_is_ended(tmp_path: Path) -> None:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/y.db", idle_timeout=None)
    async with Database(settings) as database, database.session() as session:
        await session.execute(text("CREATE TABLE seen (name TEXT)"))
        await asyncio.sleep(LONG)
        await add(session)


async def test_a_test_that_is_rolled_back_late_leaves_nothing_behind(database: Database) -> None:
    async with rolled_back(database) as stand_in:
        async with stand_in.session() as session:
            await add(session)
        await asyncio.sleep(LONG)
    assert await names(database) == []
    async with database.session() as session:
        await add(session)


async def test_a_statement_that_comes_at_the_last_moment_is_done(database: Database) -> None:
    """Whichever comes first: it is never undone in its middle, or committed without what came before it."""
    for turn in range(8):
        async with database.session() as session:
            await session.execute(text("DELETE FROM seen"))

        async def two() -> None:
            async with database.session() as session:
                await add(session, "one")
                await asyncio.sleep(IDLE - 0.002 + turn * 0.0005)  # noqa: B023 -- awaited in this turn
                await add(session, "two")

        outcome = (await asyncio.gather(two(), return_exceptions=True))[0]
        if outcome is None:
            assert await names(database) == ["one", "two"]
        else:
            assert isinstance(outcome, DatabaseDownError)
            assert await names(database) == []


async def test_one_timer_serves_many_statements() -> None:
    ended: list[float] = []
    idling = Idling(0.4, lambda: ended.append(time.monotonic()))
    for _ in range(3):
        idling.start()
        await asyncio.sleep(0.15)
        idling.pause()
    last = time.monotonic()
    idling.start()
    await asyncio.sleep(0.6)
    assert [moment - last >= 0.399 for moment in ended] == [True]
    idling.start()
    idling.stop()
    await asyncio.sleep(0.5)
    assert len(ended) == 1
