"""Group commit, on a real file with the engine that units of work have."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine

from leyden.data.backend import Use
from leyden.data.backends.sqlite import SQLite
from leyden.data.backends.sqlite_writes import Writes
from leyden.data.errors import DatabaseDownError
from leyden.data.settings import DataSettings
from leyden.data.urls import parse

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE CHECK (name <> 'bad'));
CREATE TABLE part (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER no_ghost BEFORE INSERT ON item WHEN new.name = 'ghost' BEGIN SELECT RAISE(ROLLBACK, 'ghost'); END;
"""
INSERT = "INSERT INTO item (name) VALUES (?) RETURNING id, name"
BREAKING = "INSERT OR ROLLBACK INTO item (name) VALUES ('a')"
COUNT = "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n)"
ENDLESS = f"INSERT INTO item (id) SELECT {COUNT}"
INTERRUPT, UNIQUE = sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CONSTRAINT_UNIQUE


def engine(path: Path, **changed: Any) -> AsyncEngine:
    settings = DataSettings(url=SecretStr(f"sqlite:///{path}"), **{"pool_timeout": 1, "busy_timeout": 1, **changed})
    return SQLite(parse(settings), settings).engine(Use.WRITE, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    connection = sqlite3.connect(tmp_path / "items.db")
    connection.executescript(TABLES)
    connection.close()
    return tmp_path / "items.db"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[AsyncEngine]:
    writer = engine(path)
    yield writer
    await writer.dispose()


@pytest.fixture
async def writes(writer: AsyncEngine) -> AsyncIterator[Writes]:
    writes = Writes(writer)
    yield writes
    await writes.aclose()


def stored(path: Path, sql: str = "SELECT name FROM item ORDER BY name") -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [value for (value,) in connection.execute(sql)]


async def together(*runs: Any) -> list[Any]:
    """Outcomes of writes that wait at the same time."""
    return list(await asyncio.gather(*runs, return_exceptions=True))


def code(outcome: Any) -> int | None:
    """SQLite's number of the error, None for what was written."""
    return outcome.sqlite_errorcode if isinstance(outcome, sqlite3.Error) else None


async def test_each_gets_its_rows_and_its_count(writes: Writes, path: Path) -> None:
    assert await writes.run(INSERT, ("a",)) == ([(1, "a")], 1)
    assert await writes.run("INSERT INTO item (name) VALUES (?)", ("b",)) == ([], 1)
    assert await writes.run("UPDATE item SET name = name || '!'", ()) == ([], 2)
    assert await writes.run("DELETE FROM item WHERE id > ?", (9,)) == ([], 0)
    assert stored(path) == ["a!", "b!"]


async def test_those_who_come_together_share_a_commit(writes: Writes, writer: AsyncEngine, path: Path) -> None:
    turns = []
    event.listen(writer.sync_engine.pool, "checkout", lambda *_: turns.append(1))
    outcomes = await together(*(writes.run(INSERT, (f"n{i:03}",)) for i in range(250)))
    assert [rows[0][1] for rows, _ in outcomes] == stored(path)
    assert 3 <= len(turns) < 50  # a hundred at most in one; fewer where the machine is slow


async def test_a_statement_that_fails_answers_only_its_caller(writes: Writes, path: Path) -> None:
    outcomes = await together(
        writes.run(INSERT, ("a",)),
        writes.run(INSERT, ("bad",)),
        writes.run(INSERT, ("a",)),
        writes.run("INSERT INTO nowhere VALUES (1)", ()),
        writes.run(INSERT, (2**63,)),
        writes.run("INSERT INTO item (name) VALUES ('x'), ('y'), ('bad')", ()),
        writes.run(INSERT, ("b",)),
    )
    kinds = [type(outcome) for outcome in outcomes]
    integrity, operational = sqlite3.IntegrityError, sqlite3.OperationalError
    assert kinds == [tuple, integrity, integrity, operational, OverflowError, integrity, tuple]
    assert stored(path) == ["a", "b"]


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("INSERT INTO part (item) VALUES (99)", "FOREIGN KEY"),
        ("INSERT INTO item (name) VALUES ('ghost')", "ghost"),
        ("INSERT OR ROLLBACK INTO item (name) VALUES ('a')", "UNIQUE"),
        ("INSERT OR FAIL INTO item (name) VALUES ('x'), ('a')", "UNIQUE"),
        ("INSERT INTO item (name) VALUES ('z') RETURNING CAST(x'ff' AS TEXT)", "decode"),
    ],
)
async def test_a_statement_that_spoils_the_transaction_answers_only_its_caller(
    writes: Writes, path: Path, sql: str, error: str
) -> None:
    outcomes = await together(
        writes.run(INSERT, ("a",)),
        writes.run("INSERT INTO part (item) VALUES (1)", ()),
        writes.run(sql, ()),
        writes.run(INSERT, ("b",)),
    )
    assert isinstance(outcomes[2], sqlite3.Error)
    assert error in str(outcomes[2])
    assert [outcomes[i][1] for i in (0, 1, 3)] == [1, 1, 1]
    assert stored(path) == ["a", "b"]
    assert stored(path, "SELECT item FROM part") == [1]


async def test_a_full_disk_fails_all_and_writes_nothing(writes: Writes, writer: AsyncEngine, path: Path) -> None:
    async with writer.connect() as connection:
        pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
        await connection.rollback()
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.execute(f"PRAGMA max_page_count = {pages + 5}")
    outcomes = await together(
        *(writes.run(INSERT, (f"{i}",)) for i in range(5)), writes.run(INSERT, ("x" * 1_000_000,))
    )
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    assert all("full" in str(error) for error in failed)
    assert isinstance(outcomes[-1], sqlite3.OperationalError)
    assert len(stored(path)) == len(outcomes) - len(failed)


async def test_a_long_statement_is_refused_at_its_deadline_and_takes_nobody_along(path: Path) -> None:
    writer = engine(path, statement_timeout=0.3)
    writes = Writes(writer)
    await writes.run(INSERT, ("first",))
    units: list[float] = []

    async def unit() -> None:
        began = time.monotonic()
        async with writer.begin() as connection:
            await connection.execute(text("INSERT INTO item (name) VALUES ('unit')"))
            units.append(time.monotonic() - began)

    began = time.monotonic()
    jobs = [(INSERT, ("a",)), (ENDLESS, ()), (INSERT, ("b",)), (INSERT, ("a",)), (ENDLESS, ()), (INSERT, ("c",))]
    tasks = [asyncio.create_task(writes.run(sql, args)) for sql, args in jobs]
    await asyncio.sleep(0.1)
    outcomes = await together(unit(), *tasks)
    assert [code(outcome) for outcome in outcomes] == [None, None, INTERRUPT, None, UNIQUE, INTERRUPT, None]
    assert outcomes[2] is not outcomes[5]
    assert 0.6 <= time.monotonic() - began < 3
    assert units[0] < 0.55  # between the two long ones
    assert stored(path) == ["a", "b", "c", "first", "unit"]
    await writes.aclose()
    await writer.dispose()


async def test_a_long_statement_among_those_that_must_be_alone_takes_nobody_along(path: Path) -> None:
    writer = engine(path, statement_timeout=0.3)
    writes = Writes(writer)
    sometimes_long = f"INSERT INTO item (name) SELECT CASE WHEN EXISTS (SELECT 1 FROM part) THEN 'x' ELSE {COUNT} END"  # noqa: S608
    jobs = [(INSERT, ("a",)), ("INSERT INTO part (item) VALUES (1)", ()), (sometimes_long, ()), (BREAKING, ())]
    outcomes = await together(*(writes.run(sql, args) for sql, args in [*jobs, (ENDLESS, ()), (INSERT, ("b",))]))
    assert [code(outcome) for outcome in outcomes] == [None, None, None, UNIQUE, INTERRUPT, None]
    assert stored(path) == ["a", "b", "x"]
    assert stored(path, "SELECT item FROM part") == [1]
    await writes.aclose()
    await writer.dispose()


async def test_a_statement_that_only_reads_for_too_long_undoes_nothing(path: Path) -> None:
    writer = engine(path, statement_timeout=0.3)
    writes = Writes(writer)
    outcomes = await together(writes.run(INSERT, ("a",)), writes.run(f"SELECT {COUNT}", ()), writes.run(INSERT, ("b",)))
    assert [code(outcome) for outcome in outcomes] == [None, INTERRUPT, None]
    assert stored(path) == ["a", "b"]
    await writes.aclose()
    await writer.dispose()


async def test_an_interrupt_from_elsewhere_answers_only_whom_it_met(
    writes: Writes, writer: AsyncEngine, path: Path
) -> None:
    connections: list[Any] = []
    event.listen(writer.sync_engine.pool, "checkout", lambda connection, *_: connections.append(connection))
    await writes.run(INSERT, ("first",))
    tasks = [
        asyncio.create_task(writes.run(sql, args)) for sql, args in ((INSERT, ("a",)), (ENDLESS, ()), (INSERT, ("b",)))
    ]
    await asyncio.sleep(0.1)
    connections[-1].driver_connection._conn.interrupt()
    assert [code(outcome) for outcome in await together(*tasks)] == [None, INTERRUPT, None]
    assert stored(path) == ["a", "b", "first"]


async def test_who_is_cancelled_before_the_turn_is_not_written(writes: Writes, writer: AsyncEngine, path: Path) -> None:
    async with writer.connect() as connection:
        await connection.execute(text("INSERT INTO item (name) VALUES ('unit')"))
        tasks = [asyncio.create_task(writes.run(INSERT, (name,))) for name in "abc"]
        await asyncio.sleep(0.05)
        tasks[1].cancel()
        await connection.commit()
    outcomes = await together(*tasks)
    assert isinstance(outcomes[1], asyncio.CancelledError)
    assert stored(path) == ["a", "c", "unit"]


async def test_who_is_cancelled_later_takes_nobody_along(writes: Writes, path: Path) -> None:
    for turn in range(30):
        tasks = [asyncio.create_task(writes.run(INSERT, (f"{turn} {i}",))) for i in range(10)]
        await asyncio.sleep(turn / 10_000)
        tasks[turn % 10].cancel()
        outcomes = await together(*tasks)
        assert [type(outcome) for outcome in outcomes].count(tuple) >= 9
        assert {rows[0][1] for rows, _ in (o for o in outcomes if isinstance(o, tuple))} <= set(stored(path))


async def test_all_are_told_when_a_unit_of_work_keeps_the_connection(path: Path) -> None:
    writer = engine(path, pool_timeout=0.1)
    writes = Writes(writer)
    async with writer.connect():
        outcomes = await together(*(writes.run(INSERT, (name,)) for name in "abc"))
    assert [type(outcome) for outcome in outcomes] == [PoolTimeoutError] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert await writes.run(INSERT, ("d",)) == ([(1, "d")], 1)
    await writes.aclose()
    await writer.dispose()


async def test_all_are_told_when_another_process_writes(path: Path) -> None:
    writer = engine(path, busy_timeout=0.1)
    writes = Writes(writer)
    assert (await writes.run(INSERT, ("a",)))[1] == 1
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await together(*(writes.run(INSERT, (name,)) for name in "bcd"))
    assert [getattr(outcome, "sqlite_errorcode", None) for outcome in outcomes] == [sqlite3.SQLITE_BUSY] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert (await writes.run(INSERT, ("e",)))[1] == 1
    assert stored(path) == ["a", "e"]
    await writes.aclose()
    await writer.dispose()


async def test_a_database_that_cannot_be_opened_is_told_to_all(tmp_path: Path) -> None:
    writer = engine(tmp_path / "no folder" / "x.db")
    writes = Writes(writer)
    outcomes = await together(*(writes.run(INSERT, (name,)) for name in "ab"))
    assert [type(outcome) for outcome in outcomes] == [DatabaseDownError] * 2
    await writes.aclose()
    await writer.dispose()


async def test_units_of_work_go_on_beside(writes: Writes, writer: AsyncEngine, path: Path) -> None:
    waits = []

    async def unit(i: int) -> None:
        began = time.monotonic()
        async with writer.begin() as connection:
            waits.append(time.monotonic() - began)
            await connection.execute(text("INSERT INTO item (name) VALUES (:name)"), {"name": f"unit {i}"})

    async def keep_writing(n: int) -> None:
        for i in range(20):
            await writes.run(INSERT, (f"{n} {i}",))

    async def units() -> None:
        for i in range(20):
            await unit(i)

    await asyncio.gather(units(), *(keep_writing(n) for n in range(30)))
    assert len(stored(path)) == 620
    assert len(waits) == 20
    assert sorted(waits)[10] < 0.3


async def test_what_the_first_caller_carries_is_not_the_others(writes: Writes, writer: AsyncEngine) -> None:
    carried: ContextVar[str] = ContextVar("carried", default="nothing")
    seen = []
    event.listen(writer.sync_engine.pool, "checkout", lambda *_: seen.append(carried.get()))
    carried.set("the first one's")
    await writes.run(INSERT, ("a",))
    assert seen == ["nothing"]


async def test_closing_writes_what_waits(writes: Writes, path: Path) -> None:
    tasks = [asyncio.create_task(writes.run(INSERT, (f"{i}",))) for i in range(150)]
    await asyncio.sleep(0)
    await writes.aclose()
    await writes.aclose()
    assert not any(isinstance(outcome, Exception) for outcome in await together(*tasks))
    assert len(stored(path)) == 150


def test_event_loops_may_follow_each_other(path: Path) -> None:
    writer = engine(path)
    writes = Writes(writer)

    async def leave_some_behind() -> None:
        async with writer.connect():
            tasks = [asyncio.create_task(writes.run(INSERT, (name,))) for name in "ab"]
            await asyncio.sleep(0.01)
            assert not any(task.done() for task in tasks)

    async def write(name: str) -> None:
        assert (await writes.run(INSERT, (name,)))[1] == 1
        await writes.aclose()
        await writer.dispose()

    asyncio.run(write("x"))
    asyncio.run(leave_some_behind())
    asyncio.run(write("y"))
    assert {"x", "y"} <= set(stored(path))


FORKING = """
import asyncio, os, sys
from pathlib import Path
from pydantic import SecretStr
from leyden.data.backend import Use
from leyden.data.backends.sqlite import SQLite
from leyden.data.backends.sqlite_writes import Writes
from leyden.data.settings import DataSettings
from leyden.data.urls import parse

async def main():
    settings = DataSettings(url=SecretStr(f"sqlite:///{sys.argv[1]}"))
    writes = Writes(SQLite(parse(settings), settings).engine(Use.WRITE, 1))
    async def client(n):
        for i in range(100_000):
            name = f"{os.getpid()} {n} {i}"
            await writes.run("INSERT INTO item (name) VALUES (?)", (name,))
            os.write(1, f"{name}\\n".encode())
    await asyncio.gather(*map(client, range(16)))

for _ in sys.stdin:
    pid = os.fork()
    if pid == 0:
        asyncio.run(main())
    os.write(1, f"pid {pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"end\\n")
"""


def written_until_killed(process: "subprocess.Popen[str]", seconds: float) -> set[str]:
    """What a child of the process says that it has written before it is killed."""
    assert process.stdin is not None
    assert process.stdout is not None
    print("go", file=process.stdin, flush=True)
    lines = [process.stdout.readline().strip() for _ in range(2)]  # one of them is its number: it is writing
    (number,) = (line.removeprefix("pid ") for line in lines if line.startswith("pid "))
    time.sleep(seconds)
    os.kill(int(number), signal.SIGKILL)
    while (line := process.stdout.readline().strip()) != "end":
        lines.append(line)
    return {line for line in lines if not line.startswith("pid ")}


def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(path: Path) -> None:
    acknowledged: set[str] = set()
    command = [sys.executable, "-c", FORKING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        for turn in range(20):
            acknowledged |= written_until_killed(process, turn / 400)
            assert acknowledged <= set(stored(path))
    assert stored(path, "PRAGMA integrity_check") == ["ok"]
    assert len(acknowledged) > 100
