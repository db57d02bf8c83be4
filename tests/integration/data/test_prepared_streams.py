"""Streams of prepared statements that are left, shared with other statements, or taken slowly, on each database."""

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.data import Database, DataSettings, prepared
from leyden.data.errors import UnitOfWorkError
from leyden.data.prepared import Prepared

MANY = 100_000
ENDLESS = 1_000_000_000
"""Rows that nobody reads to the end, whatever happens."""

kept = Table("prepared_stream_kept", MetaData(), Column("id", Integer, primary_key=True))
keep = prepared(insert(kept))
ids = prepared(select(kept.c.id).order_by(kept.c.id))


NUMBERS = {
    "sqlite": "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT {0}) SELECT n FROM c) AS numbers",
    "postgresql": "(SELECT generate_series(1, {0}) AS n) AS numbers",
    "mysql": "(SELECT seq AS n FROM seq_1_to_{0}) AS numbers",
}
"""Each made when it is asked for."""


def numbers(database: Database, many: int) -> Prepared[Any]:
    """As many rows of a hundred characters."""
    wide: Any = literal_column("'" + "x" * 100 + "'").label("text")
    return prepared(
        select(literal_column("n").label("n"), wide).select_from(text(NUMBERS[database.dialect].format(many)))
    )


@pytest.fixture
async def narrow(database_url: str) -> AsyncIterator[Database]:
    """With room for one of each kind."""
    settings = DataSettings(url=database_url, pool_size=1, snapshot_pool_size=1, pool_timeout=1.0)
    async with Database(settings) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(kept.create)
        yield database
        assert {status.in_use for status in database.pools.values()} == {0}


async def broken_off(stream: AsyncIterator[Any]) -> None:
    async with aclosing(stream) as rows:  # type: ignore[type-var]  # it is a generator
        async for _ in rows:
            break


async def forgotten(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        break


async def refused(stream: AsyncIterator[Any]) -> None:
    async def consume() -> None:
        async with aclosing(stream) as rows:  # type: ignore[type-var]  # the same
            async for _ in rows:
                raise LookupError

    with pytest.raises(LookupError):
        await consume()


async def cancelled_between(stream: AsyncIterator[Any]) -> None:
    async def consume() -> None:
        async with asyncio.timeout(0.1), aclosing(stream) as rows:  # type: ignore[type-var]  # the same
            async for _ in rows:
                await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await consume()


async def cancelled_within(stream: AsyncIterator[Any]) -> None:
    async def consume() -> None:
        async with asyncio.timeout(0.1):
            async for _ in stream:
                """On and on."""

    with pytest.raises(TimeoutError):
        await consume()


Leave = Callable[[AsyncIterator[Any]], Awaitable[None]]
LEAVING: tuple[Leave, ...] = (broken_off, forgotten, refused)
CANCELLING: tuple[Leave, ...] = (cancelled_between, cancelled_within)


async def test_a_stream_that_is_left_takes_nothing_with_it(narrow: Database) -> None:
    endless, many = numbers(narrow, ENDLESS), numbers(narrow, MANY)
    for leave in (*LEAVING, *CANCELLING):
        async with asyncio.timeout(5):
            await leave(endless.stream(narrow))
            gc.collect()
            # One that was forgotten is closed by the event loop, which tells nobody.
            while narrow.pools["snapshot"].in_use:  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.01)
    assert sum([1 async for _ in many.stream(narrow)]) == MANY


async def test_a_unit_of_work_goes_on_after_a_stream_that_was_left(narrow: Database) -> None:
    many = numbers(narrow, MANY)
    for leave in LEAVING:
        for then in ("commit", "statement", "savepoint"):
            async with narrow.session() as session:
                await keep.changed(session)
                await leave(many.stream(session))
                if then == "statement":
                    await keep.changed(session)
                if then == "savepoint":
                    async with session.begin_nested():
                        await keep.changed(session)
    assert len(await ids.all(narrow)) == 5 * len(LEAVING)


async def test_a_deadline_that_passes_over_what_is_left_of_a_stream_concerns_nobody(database_url: str) -> None:
    async with Database(DataSettings(url=database_url, statement_timeout=0.4)) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(kept.create)
        async with database.session() as session:
            await broken_off(numbers(database, MANY).stream(session))
            await asyncio.sleep(0.6)
            await keep.changed(session)
        assert len(await ids.all(database)) == 1


async def test_a_unit_of_work_that_fails_in_a_stream_is_undone_and_does_not_read_on(narrow: Database) -> None:
    endless = numbers(narrow, ENDLESS)

    async def fail(unit: Callable[[], Any]) -> None:
        async with unit() as session:
            if unit == narrow.session:
                await keep.changed(session)
            async for _ in endless.stream(session):
                raise LookupError

    for unit in (narrow.session, narrow.snapshot):
        async with asyncio.timeout(3):
            with pytest.raises(LookupError):
                await fail(unit)
    gc.collect()
    assert await ids.all(narrow) == []


async def test_a_cancelled_stream_costs_the_unit_of_work_no_more_than_its_changes(narrow: Database) -> None:
    endless = numbers(narrow, ENDLESS)

    async def work() -> None:
        async with narrow.session() as session:
            await keep.changed(session)
            async for _ in endless.stream(session):
                """On and on."""

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await work()
    async with narrow.session() as session:
        await keep.changed(session)
    assert len(await ids.all(narrow)) == 1


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql", "mariadb"], indirect=True)
async def test_whoever_is_cancelled_while_rows_arrive_is_cancelled(narrow: Database) -> None:
    """Also at the very moment at which some arrive, or a connection is there: of several hundred times it is one of those."""
    endless = numbers(narrow, ENDLESS)

    async def read() -> None:
        async with narrow.session() as session:
            async for _ in endless.stream(session):
                """On and on."""

    began = monotonic()
    for attempt in range(400):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.0005 * (attempt % 20)):
                await read()
    assert monotonic() - began < 400 * 0.04


async def test_what_else_a_session_runs_ends_a_stream_or_does_not_disturb_it(narrow: Database) -> None:
    many = numbers(narrow, MANY)
    seen = 0

    async def interrupted(session: AsyncSession) -> None:
        nonlocal seen
        async with aclosing(many.stream(session)) as rows:  # type: ignore[type-var]  # it is a generator
            async for _ in rows:
                seen += 1
                if seen == 1:
                    await keep.changed(session)

    async with narrow.session() as session:
        if narrow.dialect == "mysql":
            with pytest.raises(UnitOfWorkError, match="MariaDB"):
                await interrupted(session)
            assert seen < MANY
        else:
            await interrupted(session)
            assert seen == MANY
    assert len(await ids.all(narrow)) == 1
    async with narrow.session() as session:
        async for _ in numbers(narrow, 400).stream(session):  # as many as come at once
            await keep.changed(session)
    assert len(await ids.all(narrow)) == 401
    async with narrow.session() as session:
        async with aclosing(many.stream(session)) as first:  # type: ignore[type-var]  # the same
            assert (await anext(first)).n == 1
        assert sum([1 async for _ in many.stream(session)]) == MANY


# Whoever leaves a stream of SQLAlchemy's own leaves psycopg's cursor open.
cursors_may_stay_open = pytest.mark.filterwarnings("ignore:.*AsyncServerCursor.*:ResourceWarning")


@cursors_may_stay_open
async def test_rows_wait_with_the_database_until_they_are_asked_for(narrow: Database) -> None:
    endless = numbers(narrow, ENDLESS)

    async def wait(rows: AsyncIterator[Any]) -> None:
        async for _ in rows:
            await asyncio.sleep(0.5)
            break

    async def of_statement(where: Any) -> None:
        async with aclosing(endless.stream(where)) as rows:  # type: ignore[type-var]  # it is a generator
            await wait(rows)

    async def in_unit() -> None:
        async with narrow.session() as session:
            await of_statement(session)
            await session.rollback()

    async def of_session() -> None:
        async with narrow.reader() as session:
            await wait(await session.stream(endless.statement))

    await of_statement(narrow)
    tracemalloc.start()
    try:
        await asyncio.gather(in_unit(), of_session())
        await of_statement(narrow)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 15_000_000
    gc.collect()


@cursors_may_stay_open
async def test_a_stream_of_a_plain_session_that_is_left_ends_with_its_session(narrow: Database) -> None:
    endless = numbers(narrow, ENDLESS)
    for unit in (narrow.reader, narrow.snapshot, narrow.session):
        async with asyncio.timeout(3):
            async with unit() as session:
                async for _ in await session.stream(endless.statement):
                    break
                await session.rollback()
            async with unit() as session:
                assert await session.scalar(text("SELECT 42")) == 42
    gc.collect()
