"""Prepared statements when something goes wrong: cancelled, too slow, too many, cut off, or changed underneath."""

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Dialect,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    bindparam,
    insert,
    literal_column,
    select,
    text,
    type_coerce,
    update,
)
from sqlalchemy.exc import DontWrapMixin, StatementError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import UserDefinedType

from leyden.data import Database, DatabaseBusyError, DatabaseDownError, DataSettings, prepared
from leyden.data.errors import UnitOfWorkError
from leyden.testing.services import DATABASES, Unavailable, fresh_database, skip_or_fail

things = Table(
    "trouble_things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("name", String(20), unique=True),
    Column("price", Numeric(10, 2)),
)
add = prepared(insert(things).returning(things.c.id))
find: Any = prepared(select(things.c.id, things.c.name, things.c.price).where(things.c.id == bindparam("id")))
names = prepared(select(things.c.name).order_by(things.c.id))
rename = prepared(update(things).where(things.c.id == bindparam("which")))
SLOW = {
    "sqlite": prepared(
        select(
            literal_column(
                "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT count(*) FROM n)"
            ).label("slept")
        )
    ),
    "postgresql": prepared(select(literal_column("(SELECT 1 FROM pg_sleep(20))").label("slept"))),
    "mysql": prepared(select(literal_column("SLEEP(20)").label("slept"))),
}
BRIEFLY = {
    "sqlite": SLOW["sqlite"],
    "postgresql": prepared(select(literal_column("(SELECT 1 FROM pg_sleep(0.02))").label("slept"))),
    "mysql": prepared(select(literal_column("SLEEP(0.02)").label("slept"))),
}


async def opened(url: str, **settings: Any) -> Database:
    return await Database(DataSettings(url=url, **settings)).__aenter__()


Start = Callable[..., Awaitable[Database]]


@pytest.fixture
async def start(database_url: str) -> AsyncIterator[Start]:
    """Opens the database with settings of the test's own; it has one thing."""
    started: list[Database] = []

    async def start(**settings: Any) -> Database:
        started.append(database := await opened(database_url, **settings))
        async with database.writer.begin() as connection:
            await connection.run_sync(things.metadata.create_all)
        await add(database, name="first", price=1)
        return database

    yield start
    for database in started:
        await database.__aexit__()


async def open_transactions(database: Database) -> int:
    """How many connections of this database are in a transaction and do nothing."""
    asked = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'",
        "mysql": "SELECT count(*) FROM information_schema.innodb_trx AS t "
        "JOIN information_schema.processlist AS p ON p.id = t.trx_mysql_thread_id WHERE p.db = DATABASE()",
        "sqlite": "SELECT 0",
    }
    async with database.reader() as session:
        return await session.scalar(text(asked[database.dialect])) or 0


async def work(database: Database, number: int) -> None:
    for turn in range(20):
        match turn % 4:
            case 0:
                await BRIEFLY[database.dialect](database)
            case 1:
                await add(database, name=f"{number}-{turn}")
            case 2:
                async with database.session() as session:
                    await rename.changed(session, which=1, name="first")
        await find(database, id=1)


async def cancelled_at_random(database: Database, many: int) -> list[BaseException | None]:
    chance = random.Random(38)  # noqa: S311
    tasks = []
    for number in range(many):
        tasks.append(asyncio.create_task(work(database, number)))
        asyncio.get_running_loop().call_later(chance.uniform(0, 0.03), tasks[-1].cancel)
        if number % 16 == 0:
            await asyncio.sleep(chance.uniform(0, 0.02))
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_cancelled_statement_returns_no_dirty_connection(start: Start) -> None:
    database = await start(pool_size=4, statement_timeout=5, pool_timeout=20)
    if database.writer.driver.startswith("psycopg"):
        return  # which runs them through sessions, and opens connections faster than the server ends the dropped ones
    ended = await cancelled_at_random(database, 2000)
    assert [error for error in ended if not isinstance(error, asyncio.CancelledError | None)] == []
    assert sum(isinstance(error, asyncio.CancelledError) for error in ended) > 1800

    async def clean() -> None:
        assert tuple(await find(database, id=1)) == (1, "first", 1)
        assert await rename.changed(database, which=1, name="first") == 1

    await asyncio.gather(*(clean() for _ in range(1000)))
    await asyncio.sleep(0.05)  # the last one has its answer before its connection is back
    assert await open_transactions(database) == 0
    for status in database.pools.values():
        assert (status.in_use, status.waiting) == (0, 0)
        assert status.opened <= status.size


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_who_is_cancelled_while_connecting_leaves_no_error_behind(database_url: str) -> None:
    told: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(context))
    engine = Database(DataSettings(url=database_url)).backend.migrator()

    async def connect() -> None:
        async with engine.connect():
            """It was faster."""

    try:
        for turns in range(20):
            task = asyncio.create_task(connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.sleep(0.001)  # its socket is closed
        gc.collect()
    finally:
        loop.set_exception_handler(before)
    assert told == []


async def test_a_slow_statement_is_ended_in_time(start: Start) -> None:
    database = await start(statement_timeout=0.3)
    if database.writer.driver.startswith("psycopg"):
        return  # whose timeouts are those of the role
    began = time.monotonic()
    async with database.reader() as reader:
        for where in (database, reader):
            with pytest.raises(DatabaseBusyError):
                await SLOW[database.dialect](where)
    with pytest.raises(DatabaseBusyError):
        async with database.session() as session:
            await SLOW[database.dialect](session)
    assert time.monotonic() - began < 5
    assert await names.all(database) == ["first"]


async def test_too_many_at_once_are_told_within_the_timeout_of_the_pool(start: Start) -> None:
    database = await start(pool_size=2, pool_timeout=0.5, statement_timeout=5)
    slow = [asyncio.create_task(SLOW[database.dialect](database)) for _ in range(4)]
    await asyncio.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(DatabaseBusyError):
        await asyncio.wait_for(find(database, id=1), 3)
    assert 0.3 < time.monotonic() - began < 2
    for task in slow:
        task.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    await asyncio.sleep(0.1)
    assert await find(database, id=1)


async def test_the_task_with_a_unit_of_work_is_told_not_to_write_beside_it(start: Start) -> None:
    database = await start()
    async with database.session() as session:
        await add(session, name="mine")
        began = time.monotonic()
        if database.dialect == "sqlite":
            with pytest.raises(UnitOfWorkError):
                await add(database, name="beside")
        else:
            await add(database, name="beside")
        assert time.monotonic() - began < 0.5
        reads = await names.all(database)
    assert "mine" not in reads
    assert "mine" in await names.all(database)


async def cut_off(database: Database, url: str) -> None:
    """End every connection that this database has, as a server does that goes away."""
    own = await opened(url)
    try:
        async with own.session() as session:
            if database.dialect == "postgresql":
                await session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
                return
            ours = await session.scalar(text("SELECT CONNECTION_ID()"))
            rows = await session.scalars(text("SELECT id FROM information_schema.processlist WHERE db = DATABASE()"))
            for other in rows.all():
                if other != ours:
                    await session.execute(text(f"KILL {other:d}"))
    finally:
        await own.__aexit__()


async def test_a_read_outlives_its_connection_and_a_write_says_so(start: Start, database_url: str) -> None:
    database = await start(pool_size=3)
    if database.dialect == "sqlite":
        return  # which has no server to lose
    for pause in (0, 0.05):
        await asyncio.gather(*(BRIEFLY[database.dialect](database) for _ in range(3)))
        await cut_off(database, database_url)
        await asyncio.sleep(pause)
        answers = await asyncio.gather(*(find(database, id=1) for _ in range(6)), return_exceptions=True)
        assert [answer for answer in answers if isinstance(answer, Exception)] == []
    await cut_off(database, database_url)
    for number in range(4):
        try:
            await add(database, name=f"n{number}")
        except DatabaseDownError:
            assert f"n{number}" not in await names.all(database)
    assert await add(database, name="after")
    async with database.reader() as reader:
        await cut_off(database, database_url)
        assert await find(reader, id=1)


CHANGES = {
    "sqlite": ["ADD COLUMN more text"],
    "postgresql": ["ADD COLUMN more text", "ALTER COLUMN name TYPE text", "ALTER COLUMN id TYPE bigint"],
    "mysql": ["ADD COLUMN more text", "MODIFY COLUMN name varchar(90)", "MODIFY COLUMN id bigint AUTO_INCREMENT"],
}


async def test_a_table_may_change_under_a_plan(start: Start) -> None:
    database = await start(pool_size=2)

    async def read(session: AsyncSession) -> Any:
        return await find(session, id=1)

    await asyncio.gather(*(database.transaction(read) for _ in range(4)))
    for change in CHANGES[database.dialect]:
        await asyncio.gather(*(find(database, id=1) for _ in range(4)))
        await asyncio.gather(*(add(database, name=f"{change[-12:]}{number}") for number in range(4)))
        async with database.writer.begin() as connection:
            await connection.execute(text(f"ALTER TABLE trouble_things {change}"))
        rows = await asyncio.gather(*(find(database, id=1) for _ in range(4)))
        rows += await asyncio.gather(*(database.transaction(read) for _ in range(4)))
        assert [tuple(row) for row in rows] == [(1, "first", 1)] * 8
        assert await add(database, name=change[-20:])


class Told(UserDefinedType[Any]):
    """Its values are what the driver says of the type of their column."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:  # noqa: ARG002 -- SQLAlchemy's
        return lambda _value: coltype


TYPES = {
    "postgresql": ("ALTER COLUMN price TYPE {}", {"double precision": 701, "real": 700, "numeric(10, 2)": 1700}),
    "mysql": ("MODIFY COLUMN price {}", {"double": 5, "integer": 3, "decimal(10, 2)": 246}),
}


async def test_a_plan_learns_again_when_a_column_gets_another_type(start: Start) -> None:
    database = await start(pool_size=2)
    if database.dialect == "sqlite" or database.writer.driver.startswith("psycopg"):
        return  # the one tells no types, the other reads through sessions, whose statements SQLAlchemy keeps
    told = prepared(select(type_coerce(things.c.price, Told()).label("told")))
    price = prepared(select(things.c.price))
    change, types = TYPES[database.dialect]

    async def read(session: AsyncSession) -> list[Any]:
        return [*await told.all(session), *await price.all(session)]

    for kind, number in types.items():
        async with database.writer.begin() as connection:
            await connection.execute(text(f"ALTER TABLE trouble_things {change.format(kind)}"))
        for _ in range(2):
            assert await asyncio.gather(*(told.all(database) for _ in range(4))) == [[number]] * 4
            found = await price.all(database)
            assert [type(value) for value in found] == [Decimal] or database.dialect == "mysql"
            assert await database.transaction(read) == [number, *found]


async def test_a_connection_keeps_a_bounded_number_of_statements(start: Start) -> None:
    database = await start(pool_size=1)
    if database.writer.driver != "asyncpg":
        return  # which alone keeps them for us
    ours = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%counted%'")
    for _ in range(2):
        for number in range(150):
            assert await prepared(select(literal_column(str(number)).label("counted")))(database) == number
    async with database.reader() as reader:
        assert 90 < (await reader.scalar(ours) or 0) <= 102


def test_one_statement_runs_on_databases_of_different_kinds(tmp_path: Path) -> None:
    async def use(url: str) -> None:
        async with Database(DataSettings(url=url)) as database:
            async with database.writer.begin() as connection:
                await connection.run_sync(things.metadata.create_all)
            assert await add(database, name="a", price=2) == 1
            assert tuple(await find(database, id=1)) == (1, "a", 2)

    for kind in (*DATABASES, *reversed(DATABASES)):
        try:
            with fresh_database(kind, tmp_path) as url:
                asyncio.run(use(url))
        except Unavailable as reason:
            skip_or_fail(str(reason))


async def test_an_error_of_no_driver_is_not_its_own_cause(start: Start) -> None:
    database = await start()
    if database.dialect != "postgresql":
        return  # the others have no room for such a time either
    before_christ = prepared(select(literal_column("'0044-03-15 12:00 BC'::timestamp").label("ides")))
    with pytest.raises(Exception) as refused:  # noqa: PT011 -- in asyncpg's own words
        await before_christ(database)
    assert refused.value.__cause__ is not refused.value
    assert await names.all(database) == ["first"]


async def by_each_way(database: Database, statement: Any, **parameters: Any) -> list[Exception]:
    """What a statement is refused with: by SQLAlchemy's own execution, and as a prepared one in each place."""
    refused = []
    alone = prepared(statement)
    ways: list[Callable[[AsyncSession], Awaitable[Any]]] = [
        lambda session: session.execute(statement, parameters),
        lambda session: alone.all(session, **parameters),
        lambda _session: alone.all(database, **parameters),
    ]
    for place in (database.reader, database.session):
        for way in ways:
            with pytest.raises(Exception) as raised:  # noqa: PT011 -- which one is the question
                async with place() as session:
                    await way(session)
            refused.append(raised.value)
    return refused


class AsItIsError(Exception, DontWrapMixin):
    """An error that SQLAlchemy is asked to let through."""


class Odd(TypeDecorator[int]):
    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        if value is None or value % 2 == 0:
            raise AsItIsError if value is None else ValueError(f"{value} is even.")
        return value


async def test_a_value_that_a_type_refuses_is_told_as_a_session_tells_it(start: Start) -> None:
    database = await start()
    odd = select(things.c.id).where(type_coerce(things.c.id, Odd) == bindparam("id"))
    assert await prepared(odd).all(database, id=1) == [1]
    for refused in await by_each_way(database, odd, id=2):
        assert type(refused) is StatementError
        assert str(refused).startswith("(builtins.ValueError) 2 is even.\n[SQL: SELECT ")
        assert repr(refused.orig) == "ValueError('2 is even.')"
    for refused in await by_each_way(database, odd, id=None):
        assert type(refused) is AsItIsError


async def test_an_answer_that_the_driver_cannot_read_is_not_left_to_whoever_comes_next(start: Start) -> None:
    database = await start(pool_size=1, pool_timeout=1)
    if database.dialect != "mysql":
        return  # elsewhere all of an answer has come before any of it is read
    unreadable: Any = select(literal_column("CAST(x'EDA080' AS CHAR)").label("half_a_pair"))
    for refused in await by_each_way(database, unreadable):
        assert type(refused) is UnicodeDecodeError
        assert await names.all(database) == ["first"]
        async with database.reader() as reader, database.session() as session:
            assert await reader.scalar(select(things.c.name)) == "first"
            assert await session.scalar(select(things.c.name)) == "first"
