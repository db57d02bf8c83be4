"""Reads straight on the driver, on a real file."""

import asyncio
import gc
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from leyden.data.backends import sqlite_readers
from leyden.data.backends.sqlite_readers import Readers
from leyden.data.errors import DatabaseBusyError, DatabaseDownError

pytestmark = pytest.mark.anyio

POINT = "SELECT id, name FROM item WHERE id = ?"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
SLOW = ENDLESS.replace("FROM n)", "FROM n LIMIT 3000000)")  # about half a second


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "items.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
        connection.executemany("INSERT INTO item VALUES (?, ?)", [(i, f"name {i}") for i in range(1000)])
    connection.close()
    return tmp_path / "items.db"


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, cached_statements=512)
    connection.execute("PRAGMA query_only=ON")
    return connection


@pytest.fixture
def make(path: Path) -> Iterator[Callable[..., Readers]]:
    made: list[Readers] = []

    def make(**changed: Any) -> Readers:
        options = {"threads": 3, "waiting": 1000, "patience": 2.0, "statement_timeout": 10.0, **changed}
        made.append(Readers(partial(connect, path), **options))
        return made[-1]

    yield make
    threads = [reader.thread for readers in made for reader in readers._readers]
    for readers in made:
        readers.close()
    for thread in threads:
        thread.join(2)
        assert not thread.is_alive()


async def test_many_callers_get_each_their_own_rows_from_one_thread(make: Callable[..., Readers]) -> None:
    readers = make(waiting=5000)
    found = await asyncio.gather(*(readers.fetch(POINT, (i % 1100,)) for i in range(3000)))
    assert found == [[(i % 1100, f"name {i % 1100}")] if i % 1100 < 1000 else [] for i in range(3000)]
    assert await readers.fetch(POINT, (7,)) == [(7, "name 7")]


async def test_where_nobody_waits_one_thread_is_enough(
    make: Callable[..., Readers], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_readers, "_TICK", 10)  # seconds: no help is called on a busy machine
    readers = make()
    for i in range(300):
        assert await readers.fetch(POINT, (i,)) == [(i, f"name {i}")]
    assert len(readers._readers) == 1


async def test_a_slow_query_holds_up_nobody(make: Callable[..., Readers]) -> None:
    readers = make()
    before = asyncio.create_task(readers.fetch(POINT, (1,)))
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    began = time.monotonic()
    assert await before == [(1, "name 1")]  # done just before, by the same thread
    await asyncio.gather(*(readers.fetch(POINT, (i,)) for i in range(100)))
    assert time.monotonic() - began < 0.4
    assert not slow.done()
    slow.cancel()


async def test_a_query_that_takes_long_is_answered(make: Callable[..., Readers]) -> None:
    assert await make().fetch(SLOW, ()) == [(3000000,)]


async def test_what_nobody_waits_for_any_more_is_interrupted(make: Callable[..., Readers]) -> None:
    readers = make(threads=1)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    await asyncio.sleep(0.05)
    slow.cancel()
    assert await asyncio.wait_for(readers.fetch(POINT, (1,)), 1) == [(1, "name 1")]


async def test_what_is_cancelled_before_its_turn_is_not_run(make: Callable[..., Readers]) -> None:
    readers = make(threads=1)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(readers.fetch(ENDLESS, ())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in [*waiting, slow]:
        task.cancel()
    assert await asyncio.wait_for(readers.fetch(POINT, (1,)), 1) == [(1, "name 1")]


async def test_a_statement_that_takes_too_long_is_interrupted_and_the_others_are_not(
    make: Callable[..., Readers],
) -> None:
    readers = make(threads=1, statement_timeout=0.05)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    others = [asyncio.create_task(readers.fetch(POINT, (i,))) for i in range(5)]
    with pytest.raises(sqlite3.OperationalError) as caught:
        await asyncio.wait_for(slow, 1)
    assert caught.value.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT
    assert await asyncio.gather(*others) == [[(i, f"name {i}")] for i in range(5)]


async def test_an_interrupt_that_comes_too_late_meets_nobody_else(make: Callable[..., Readers]) -> None:
    readers = make(threads=1)
    task = asyncio.create_task(readers.fetch(SLOW, ()))
    await asyncio.sleep(0.05)
    (reader,) = readers._readers
    assert reader._connection is not None
    reader._connection.interrupt()  # meant for the one before
    assert await task == [(3000000,)]


async def test_who_waits_too_long_for_a_turn_is_told(make: Callable[..., Readers]) -> None:
    readers = make(threads=1, patience=0.05)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    await asyncio.sleep(0.02)
    began = time.monotonic()
    outcomes = await asyncio.gather(*(readers.fetch(POINT, (i,)) for i in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseBusyError] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert time.monotonic() - began < 0.5
    assert not slow.done()


async def test_one_more_than_may_wait_is_told_at_once(make: Callable[..., Readers]) -> None:
    readers = make(threads=1, waiting=2)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    await asyncio.sleep(0.05)
    waiting = [asyncio.create_task(readers.fetch(POINT, (i,))) for i in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(DatabaseBusyError):
        await readers.fetch(POINT, (3,))
    slow.cancel()
    assert await asyncio.gather(*waiting) == [[(0, "name 0")], [(1, "name 1")]]


@pytest.mark.parametrize(
    ("sql", "args", "error"),
    [
        ("SELECT nothing FROM item", (), sqlite3.OperationalError),
        ("DELETE FROM item", (), sqlite3.OperationalError),
        (POINT, (), sqlite3.ProgrammingError),
        (POINT, (object(),), sqlite3.ProgrammingError),
        (POINT, (2**63,), OverflowError),
        ("SELECT CAST(x'ff' AS TEXT) FROM item", (), sqlite3.OperationalError),
    ],
)
async def test_errors_reach_their_caller_as_they_are_and_nobody_else(
    make: Callable[..., Readers], sql: str, args: tuple[Any, ...], error: type[Exception]
) -> None:
    readers = make(threads=1)
    wrong, right = readers.fetch(sql, args), readers.fetch(POINT, (1,))
    outcomes = await asyncio.gather(wrong, right, return_exceptions=True)
    assert type(outcomes[0]) is error
    assert outcomes[1] == [(1, "name 1")]


async def test_nobody_is_told_the_error_of_the_one_before(make: Callable[..., Readers]) -> None:
    readers = make(threads=1)
    for sql in ("SELECT nothing FROM item", "SELECT abs(-9223372036854775808)", "SELECT CAST(x'ff' AS TEXT)"):
        with pytest.raises(sqlite3.OperationalError):
            await readers.fetch(sql, ())
        with pytest.raises(OverflowError):
            await readers.fetch(POINT, (2**63,))


async def test_a_parameter_that_ends_an_iteration_stops_no_delivery(make: Callable[..., Readers]) -> None:
    class Bad:
        def __conform__(self, _protocol: object) -> str:
            raise StopIteration

    readers = make(threads=1)
    outcomes = await asyncio.gather(readers.fetch(POINT, (Bad(),)), readers.fetch(POINT, (1,)), return_exceptions=True)
    assert isinstance(outcomes[0], RuntimeError | sqlite3.Error)
    assert outcomes[1] == [(1, "name 1")]


async def test_no_statement_holds_a_snapshot_once_it_is_answered(make: Callable[..., Readers], path: Path) -> None:
    readers = make()
    await readers.fetch("SELECT * FROM item", ())
    with pytest.raises(sqlite3.OperationalError, match="decode"):
        await readers.fetch("SELECT CAST(x'ff' AS TEXT) FROM item", ())
    with pytest.raises(sqlite3.OperationalError, match="overflow"):
        await readers.fetch("SELECT abs(-9223372036854775808) FROM item", ())
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE item SET name = 'new'")
    (busy, log, moved) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.close()
    assert (busy, log, moved) == (0, 0, 0)
    assert await readers.fetch(POINT, (1,)) == [(1, "new")]


async def test_threads_keep_nothing_of_what_they_delivered(path: Path) -> None:
    class Text(str):
        __slots__ = ("__weakref__",)

    class Arguments(list[object]):
        """A list that can be watched."""

    def open_watched() -> sqlite3.Connection:
        connection = connect(path)
        connection.text_factory = lambda read: Text(read.decode())
        return connection

    readers = Readers(open_watched, threads=1, waiting=9, patience=1, statement_timeout=1)
    arguments = Arguments([7])
    rows = await readers.fetch(POINT, arguments)
    slow = asyncio.create_task(readers.fetch(ENDLESS, ()))
    await asyncio.sleep(0.05)
    gone = [weakref.ref(arguments), weakref.ref(rows[0][1]), weakref.ref(slow)]
    slow.cancel()
    del arguments, rows, slow
    await asyncio.sleep(0.1)
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3
    await readers.aclose()


async def test_a_file_that_cannot_be_opened_is_told_to_each_caller(tmp_path: Path) -> None:
    attempts = iter([tmp_path / "no folder" / "x.db"] * 2 + [tmp_path / "x.db"])
    readers = Readers(lambda: connect(next(attempts)), threads=1, waiting=9, patience=1, statement_timeout=1)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            await readers.fetch("SELECT 1", ())
    assert await readers.fetch("SELECT 1", ()) == [(1,)]
    await readers.aclose()


async def test_closing_ends_the_threads_and_whoever_waits(make: Callable[..., Readers]) -> None:
    readers = make(threads=2)
    running = [asyncio.create_task(readers.fetch(ENDLESS, ())) for _ in range(2)]
    await asyncio.sleep(0.1)
    waiting = asyncio.create_task(readers.fetch(POINT, (1,)))
    await asyncio.sleep(0)
    threads = [reader.thread for reader in readers._readers]
    assert len(threads) == 2
    began = time.monotonic()
    await readers.aclose()
    assert time.monotonic() - began < 1
    assert not any(thread.is_alive() for thread in threads)
    outcomes = await asyncio.gather(*running, waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [sqlite3.OperationalError] * 2 + [DatabaseDownError]
    assert await readers.fetch(POINT, (1,)) == [(1, "name 1")]  # as an engine that was disposed of


async def test_closing_what_was_never_used_does_nothing(make: Callable[..., Readers]) -> None:
    before = threading.active_count()
    readers = make()
    readers.close()
    await readers.aclose()
    assert threading.active_count() == before


def test_event_loops_may_follow_each_other_and_end_with_work_going_on(make: Callable[..., Readers]) -> None:
    readers = make(threads=2)

    async def leave_work_behind() -> None:
        tasks = [asyncio.create_task(readers.fetch(ENDLESS, ())) for _ in range(3)]
        assert await readers.fetch(POINT, (1,)) == [(1, "name 1")] or tasks
        await asyncio.sleep(0.03)

    async def read() -> None:
        assert await asyncio.wait_for(readers.fetch(POINT, (2,)), 2) == [(2, "name 2")]

    for _ in range(3):
        asyncio.run(read())
    readers._statement_timeout = 0.3
    asyncio.run(read())
    readers._threads = 9
    asyncio.run(leave_work_behind())
    asyncio.run(read())


def test_event_loops_may_run_beside_each_other(make: Callable[..., Readers]) -> None:
    readers = make()
    wrong: list[object] = []

    async def read() -> None:
        for i in range(300):
            found = await asyncio.gather(*map(readers.fetch, repeat(POINT, 5), [(i + n,) for n in range(5)]))
            wrong.extend(rows for n, rows in enumerate(found) if rows != [(i + n, f"name {i + n}")])

    threads = [threading.Thread(target=lambda: asyncio.run(read())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
