"""Transactions on SQLite: one that the database has ended is not gone on with, whoever caught the error."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from leyden.data import ConflictError, Database, DatabaseBusyError, DataSettings
from leyden.data.errors import UnitOfWorkError
from leyden.data.savepoints import savepoint

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL CHECK (balance >= 0), note TEXT);
CREATE TABLE plain (data);
CREATE TABLE only (value INTEGER UNIQUE ON CONFLICT ROLLBACK);
CREATE TABLE part (account INTEGER REFERENCES account DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER no_ghost BEFORE UPDATE OF note ON account WHEN new.note = 'ghost'
BEGIN SELECT RAISE(ROLLBACK, 'no ghosts'); END;
INSERT INTO account (id, balance) VALUES (1, 100), (2, 100), (9, 0);
INSERT INTO only VALUES (1);
"""
ENDLESS = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
LONG = f"INSERT INTO plain SELECT {ENDLESS}"
UNDOING = {
    "interrupt": LONG,
    "on conflict rollback": "INSERT INTO only VALUES (1)",
    "raise rollback": "UPDATE account SET note = 'ghost' WHERE id = 9",
    "full disk": "INSERT INTO plain VALUES (zeroblob(1000000))",
}
"""Statements that end the whole transaction."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with contextlib.closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript(TABLES)
    return tmp_path / "x.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    settings = DataSettings(url=SecretStr(f"sqlite:///{path}"), statement_timeout=0.2, busy_timeout=0.2)
    async with Database(settings) as database:
        async with database.writer.connect() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.execute("PRAGMA max_page_count = 100")
        yield database


@pytest.fixture(params=list(UNDOING.values()), ids=list(UNDOING))
def undoing(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def take(session: AsyncSession) -> None:
    await session.execute(text("UPDATE account SET balance = balance - 10 WHERE id = 1"))


async def give(session: AsyncSession) -> None:
    await session.execute(text("UPDATE account SET balance = balance + 10 WHERE id = 2"))


async def assert_as_before_and_usable(database: Database, path: Path) -> None:
    assert balances(path) == {1: 100, 2: 100, 9: 0}
    async with database.session() as session:
        await take(session)
        await give(session)
    assert balances(path) == {1: 90, 2: 110, 9: 0}


def balances(path: Path) -> dict[int, int]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT id, balance FROM account").fetchall())


Step = Callable[[AsyncSession], Awaitable[Any]]


async def unit_of_work(database: Database, *steps: Step) -> None:
    async with database.session() as session:
        for step in steps:
            await step(session)


def caught(sql: str, error: type[Exception] = DBAPIError) -> Step:
    """A statement whose error is swallowed."""

    async def step(session: AsyncSession) -> None:
        with pytest.raises(error):
            await session.execute(text(sql))

    return step


def nested(sql: str, within: Callable[[AsyncSession], AbstractAsyncContextManager[Any]]) -> Step:
    async def step(session: AsyncSession) -> None:
        async with within(session):
            await session.execute(text(sql))

    return step


async def stream(session: AsyncSession) -> None:
    await session.stream(text("SELECT id FROM account"))


async def read(session: AsyncSession) -> None:
    await session.execute(text("SELECT 1"))


async def commit(session: AsyncSession) -> None:
    await session.commit()


@pytest.mark.parametrize("following", [(give,), (read,), (stream,), (commit,), ()])
async def test_nothing_follows_a_caught_error_that_undid_all(
    database: Database, path: Path, undoing: str, following: tuple[Step, ...]
) -> None:
    with pytest.raises(UnitOfWorkError, match="undid this unit of work"):
        await unit_of_work(database, take, caught(undoing), *following)
    await assert_as_before_and_usable(database, path)


async def test_whoever_catches_that_too_does_not_commit_either(database: Database, path: Path, undoing: str) -> None:
    refused = (caught("SELECT 1", UnitOfWorkError), caught(undoing, UnitOfWorkError))
    with pytest.raises(UnitOfWorkError):
        await unit_of_work(database, take, caught(undoing), *refused)
    await assert_as_before_and_usable(database, path)


async def test_a_savepoint_is_undone_with_the_rest_and_tells_the_error_that_did_it(
    database: Database, path: Path, undoing: str
) -> None:
    async def in_savepoint(session: AsyncSession) -> None:
        with pytest.raises(DBAPIError):
            await nested(undoing, AsyncSession.begin_nested)(session)

    with pytest.raises(UnitOfWorkError, match="undid this unit of work"):
        await unit_of_work(database, take, in_savepoint, give)
    await assert_as_before_and_usable(database, path)


async def test_our_savepoint_says_busy_of_a_statement_over_its_time(database: Database, path: Path) -> None:
    with pytest.raises(DatabaseBusyError):
        await unit_of_work(database, take, nested(LONG, savepoint))
    await assert_as_before_and_usable(database, path)


async def test_after_a_rollback_the_session_begins_anew(database: Database, path: Path, undoing: str) -> None:
    async with database.session() as session:
        await take(session)
        with pytest.raises(DBAPIError):
            await session.execute(text(undoing))
        await session.rollback()
        await give(session)
        await session.commit()
        await give(session)
    assert balances(path) == {1: 100, 2: 120, 9: 0}


async def test_an_error_that_undoes_only_its_statement_may_be_caught(database: Database, path: Path) -> None:
    async def half(session: AsyncSession) -> None:
        await session.execute(text("UPDATE account SET balance = 5 WHERE id = 2"))
        await session.execute(text("UPDATE account SET balance = -1"))

    async def in_savepoint(session: AsyncSession) -> None:
        with contextlib.suppress(IntegrityError):
            async with session.begin_nested():
                await half(session)

    wrong = caught("UPDATE account SET balance = -1", IntegrityError)
    await unit_of_work(database, take, wrong, caught(f"SELECT {ENDLESS}"), in_savepoint, give)
    assert balances(path) == {1: 90, 2: 110, 9: 0}


async def test_a_commit_that_is_refused_leaves_nothing_to_the_next_unit_of_work(database: Database, path: Path) -> None:
    async def orphan(session: AsyncSession) -> None:
        await session.execute(text("INSERT INTO part VALUES (77)"))

    with pytest.raises(ConflictError):
        await unit_of_work(database, take, orphan)
    await assert_as_before_and_usable(database, path)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_a_transaction_may_be_ended_by_a_statement(database: Database, path: Path, end: str) -> None:
    async with database.session() as session:
        await take(session)
        await session.execute(text(end))
        await give(session)
    assert balances(path) == {1: 90 if end == "COMMIT" else 100, 2: 110, 9: 0}


async def test_a_transaction_that_could_not_begin_may_begin_later(database: Database, path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with database.session() as session:
            with pytest.raises(OperationalError, match="locked"):
                await take(session)
            other.execute("ROLLBACK")
            await give(session)
    assert balances(path) == {1: 100, 2: 110, 9: 0}


async def test_who_is_cancelled_while_beginning_leaves_the_next_unit_of_work_clean(
    database: Database, path: Path
) -> None:
    async def unit() -> None:
        async with database.session() as session:
            await take(session)

    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(unit())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    await assert_as_before_and_usable(database, path)


async def test_what_commits_by_itself_holds_no_lock_before_or_after(database: Database, path: Path) -> None:
    def written_by_another() -> None:
        with contextlib.closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            other.execute("INSERT INTO plain VALUES ('other')")

    async with database.writer.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("INSERT INTO plain VALUES ('one')"))
        written_by_another()
        await connection.execute(text("INSERT INTO plain VALUES ('two')"))
    written_by_another()
    async with database.session() as session:
        await session.execute(text("INSERT INTO plain VALUES ('three')"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            written_by_another()
        await session.rollback()
    async with database.reader() as session:
        found = list(await session.scalars(text("SELECT data FROM plain")))
    assert found == ["one", "other", "two", "other"]
