"""Statements, locks and idle transactions that end at their deadline, and work that is done again after a deadlock."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import literal_column, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from leyden import create_app
from leyden.core import OverloadedError, Resources, Stage, run_checks
from leyden.core.resources import installed
from leyden.data import (
    ContentionError,
    Database,
    DatabaseBusyError,
    DatabaseDownError,
    DataSettings,
    ReaderDep,
    battery,
    prepared,
)
from leyden.data.checks import CHECKS
from leyden.testing import client
from leyden.testing.services import skip_or_fail

PROXY = Path(__file__).parents[4] / "shared" / "tools" / "chaosproxy.py"
SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) SELECT max(i) FROM n"
LATE = 1.5
"""Seconds after its deadline in which a refusal must have come: MariaDB counts some in whole seconds."""


def slow(database: Database, seconds: float) -> str:
    return {
        "sqlite": ENDLESS.format(rows=int(seconds * 1_500_000)),
        "postgresql": f"SELECT 1 + length(pg_sleep({seconds})::text)",
        "mysql": f"SELECT 1 + SLEEP({seconds})",
    }[database.dialect]


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Database]:
    """psycopg leaves deadlines to the role; there, to the database, which goes with the test."""
    if url.startswith("postgresql+psycopg"):
        async with Database(DataSettings(url=url)) as database, database.session() as session:
            name = make_url(url).database
            for option, server in (
                ("statement_timeout", "statement_timeout"),
                ("lock_timeout", "lock_timeout"),
                ("idle_timeout", "idle_in_transaction_session_timeout"),
            ):
                if option in options:
                    await session.execute(text(f'ALTER DATABASE "{name}" SET {server} = {options[option] * 1000:.0f}'))
    async with Database(DataSettings(url=url, **options)) as database:
        yield database


@asynccontextmanager
async def refused_after(seconds: float, error: type[OverloadedError]) -> AsyncIterator[None]:
    began = time.monotonic()
    with pytest.raises(error) as refused:
        yield
    assert refused.value.status == 503
    assert seconds * 0.9 <= time.monotonic() - began < seconds + LATE


async def test_a_statement_ends_at_its_deadline_and_its_connection_serves_the_next(database_url: str) -> None:
    async with opened(database_url, statement_timeout=0.3, pool_size=1) as database:
        for kind in (database.reader, database.session):
            async with refused_after(0.3, DatabaseBusyError), kind() as session:
                await session.execute(text(slow(database, 5)))
            async with kind() as session:
                assert await session.scalar(text("SELECT 1")) == 1
        find = prepared(select(literal_column(f"({slow(database, 5)})").label("found")))
        async with refused_after(0.3, DatabaseBusyError):
            await find(database)
        assert {name: pool.in_use for name, pool in database.pools.items() if pool.in_use} == {}


async def test_a_snapshot_has_no_deadline_for_a_statement(database_url: str) -> None:
    if database_url.startswith("postgresql+psycopg"):
        return  # there it is the role's, for all alike
    async with opened(database_url, statement_timeout=0.2) as database, database.snapshot() as session:
        assert await session.scalar(text(slow(database, 0.8))) is not None


async def fill(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("CREATE TABLE purses (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)"))
        await session.execute(text("INSERT INTO purses VALUES (0, 1000), (1, 1000)"))


async def take(session: AsyncSession, number: int, amount: int) -> None:
    change = "UPDATE purses SET balance = balance - :amount WHERE id = :id"
    await session.execute(text(change), {"amount": amount, "id": number})


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
async def test_a_held_lock_stalls_nobody_longer_than_the_lock_timeout(database_url: str) -> None:
    async with opened(database_url, lock_timeout=1.0) as database:
        await fill(database)
        async with database.session() as holder:
            await take(holder, 0, 1)

            async def wait_for_it() -> None:
                async with refused_after(1.0, DatabaseBusyError), database.session() as session:
                    await take(session, 0, 1)

            async def pass_by() -> float:
                began = time.monotonic()
                async with database.session() as session:
                    await take(session, 1, 1)
                async with database.reader() as session:
                    assert await session.scalar(text("SELECT balance FROM purses WHERE id = 0")) == 1000
                return time.monotonic() - began

            async with asyncio.TaskGroup() as group:
                group.create_task(wait_for_it())
                passing = group.create_task(pass_by())
            assert passing.result() < 0.9
        async with database.session() as session:
            await take(session, 0, 1)


async def test_on_sqlite_another_process_that_writes_is_waited_for_that_long(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    async with Database(DataSettings(url=url)) as other, opened(url, busy_timeout=0.4) as database:
        await fill(database)
        async with other.session() as holder:
            await take(holder, 0, 1)
            async with refused_after(0.4, ContentionError), database.session() as session:
                await take(session, 1, 1)
            async with database.reader() as reader:
                assert await reader.scalar(text("SELECT balance FROM purses WHERE id = 0")) == 1000


async def test_a_transaction_that_does_nothing_is_ended_and_lets_go_of_its_locks(database_url: str) -> None:
    async with opened(database_url, idle_timeout=1.0, lock_timeout=5.0) as database:
        await fill(database)

        async def dawdle() -> None:
            async with database.session() as session:
                await take(session, 0, 1)
                await asyncio.sleep(2.0)
                await take(session, 1, 1)

        async def be_ended() -> None:
            with pytest.raises(DatabaseDownError):
                await dawdle()

        async def come_later() -> float:
            await asyncio.sleep(0.2)
            began = time.monotonic()
            async with database.session() as session:
                await take(session, 0, 1)
            return time.monotonic() - began

        async with asyncio.TaskGroup() as group:
            group.create_task(be_ended())
            late = group.create_task(come_later())
        assert late.result() < 1.0 + LATE
        async with database.reader() as session:
            assert (await session.scalars(text("SELECT balance FROM purses ORDER BY id"))).all() == [999, 1000]
        assert database.pools["write"].in_use == 0


async def test_a_client_hears_503_at_the_deadline_and_when_to_come_back(database_url: str) -> None:
    async with opened(database_url, statement_timeout=0.3):
        app = create_app([battery(DataSettings(url=database_url, statement_timeout=0.3))])

    @app.get("/slow")
    async def wait(session: ReaderDep) -> None:
        await session.execute(text(slow(installed(app).resources[Database], 60)))  # type: ignore[index]  # it runs

    async with client(app, raise_app_exceptions=False) as browser:
        began = time.monotonic()
        answer = await browser.get("/slow")
        assert time.monotonic() - began < 0.3 + LATE
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize("database_url", ["psycopg"], indirect=True)
async def test_a_role_without_deadlines_is_told_before_a_deployment(database_url: str) -> None:
    async def found() -> list[str]:
        async with Database(DataSettings(url=database_url)) as database:
            findings = await run_checks(CHECKS, Resources({Database: database}), Stage.DEPLOY)
            return [finding.message for finding in findings if finding.id == "data.W006"]

    assert "statement_timeout, lock_timeout, idle_in_transaction_session_timeout" in (await found())[0]
    async with opened(database_url, statement_timeout=5, lock_timeout=2):
        assert "no idle_in_transaction_session_timeout" in (await found())[0]
    async with opened(database_url, idle_timeout=10):
        assert await found() == []


# Deadlocks


async def move(session: AsyncSession, source: int, target: int) -> None:
    await take(session, source, 1)
    await asyncio.sleep(0.02)  # in which the other one has taken its first too
    await take(session, target, -1)


async def test_a_storm_of_deadlocks_reaches_no_caller_and_loses_nothing(database_url: str) -> None:
    # PostgreSQL looks for a deadlock after a second; who waits behind several has waited for longer than for a lock.
    async with opened(database_url, pool_timeout=20, lock_timeout=20) as database:
        await fill(database)
        repeated = 0

        async def transfer(source: int, target: int) -> None:
            for _ in range(3):
                tries = 0

                async def work(session: AsyncSession) -> None:
                    nonlocal tries, repeated
                    tries += 1
                    repeated += tries > 1
                    await move(session, source, target)

                await database.transaction(work, attempts=30)

        await asyncio.gather(*(transfer(number % 2, (number + 1) % 2) for number in range(4)))
        async with database.reader() as session:
            assert (await session.scalars(text("SELECT balance FROM purses ORDER BY id"))).all() == [1000, 1000]
        if database.dialect != "sqlite":
            assert repeated > 0, "there was no deadlock to show anything"


async def test_who_meets_a_deadlock_every_time_is_told_503_after_the_last_attempt(database_url: str) -> None:
    async with Database(DataSettings(url=database_url)) as database:
        await fill(database)
        tries = 0

        async def work(session: AsyncSession) -> None:
            nonlocal tries
            tries += 1
            await take(session, 0, 1)
            raise ContentionError

        with pytest.raises(ContentionError) as refused:
            await database.transaction(work, attempts=3)
        assert (tries, refused.value.status, refused.value.headers) == (3, 503, {"Retry-After": "1"})
        async with database.reader() as session:
            assert await session.scalar(text("SELECT balance FROM purses WHERE id = 0")) == 1000


@pytest.mark.parametrize("error", [asyncio.CancelledError, DatabaseBusyError, DatabaseDownError, LookupError])
async def test_nothing_but_contention_is_repeated(error: type[BaseException]) -> None:
    async with Database(DataSettings(url="sqlite://")) as database:
        tries = 0

        async def work(session: AsyncSession) -> None:
            nonlocal tries
            tries += 1
            raise error

        with pytest.raises(error):
            await database.transaction(work)
        assert tries == 1


# Connections that have died


@SERVERS
async def test_a_connection_is_asked_only_after_idling_or_when_its_driver_knows_it_is_closed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Database(DataSettings(url=database_url, pool_size=1)) as database:
        asked = 0
        dialect = database.readers.sync_engine.dialect
        ping = dialect.do_ping

        def count(connection: Any) -> bool:
            nonlocal asked
            asked += 1
            return ping(connection)

        monkeypatch.setattr(dialect, "do_ping", count)

        async def read() -> Any:
            async with database.reader() as session:
                return await session.scalar(text(own_id(database)))

        first = await read()
        for _ in range(20):
            assert await read() == first
        assert asked == 0
        await asyncio.sleep(1.1)
        assert await read() == first
        assert asked == 1
        async with database.session() as session:
            await session.execute(text(end_of(database, first)))
        await asyncio.sleep(0.2)  # less than the second after which it would be asked anyway
        assert await read() != first


def own_id(database: Database) -> str:
    return "SELECT pg_backend_pid()" if database.dialect == "postgresql" else "SELECT CONNECTION_ID()"


def end_of(database: Database, connection: int) -> str:
    return f"SELECT pg_terminate_backend({connection})" if database.dialect == "postgresql" else f"KILL {connection}"


@pytest.fixture
def proxy(database_url: str) -> Iterator[tuple[str, Callable[[str], Any]]]:
    """The same database behind a proxy with faults, and how to order one."""
    if not PROXY.is_file():
        skip_or_fail(f"there is no {PROXY.name} beside the repository")
    url = make_url(database_url)
    port, control = free_port(), free_port()
    target = (str(url.host), str(url.port or {"postgresql": 5432, "mysql": 3306}[url.get_backend_name()]))
    with subprocess.Popen([sys.executable, str(PROXY), str(port), *target, str(control)]) as process:
        try:

            def order(command: str) -> Any:
                with socket.create_connection(("127.0.0.1", control), timeout=5) as connection:
                    connection.sendall(command.encode() + b"\n")
                    return json.loads(connection.makefile().readline())

            wait_for(lambda: order("stats"))
            yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False), order
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(work: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            work()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


@SERVERS
async def test_a_black_hole_ends_at_a_deadline_for_everybody(proxy: tuple[str, Callable[[str], Any]]) -> None:
    url, order = proxy
    options = {"statement_timeout": 0.5, "connect_timeout": 1.0, "pool_timeout": 1.0, "pool_size": 2}
    find = prepared(select(literal_column("1").label("one")))
    alone = Database(DataSettings(url=url, statement_timeout=1.0, connect_timeout=2.0))
    async with Database(DataSettings(url=url, **options)) as database, alone:

        async def read() -> None:
            async with database.reader() as session:
                await session.execute(text("SELECT 1"))

        async def write() -> None:
            async with database.session() as session:
                await session.execute(text("SELECT 1"))

        async def ask() -> None:
            await find(database)

        async def ask_alone() -> float:
            began = time.monotonic()
            with pytest.raises(DatabaseDownError):
                await find(alone)
            return time.monotonic() - began

        await asyncio.gather(read(), read(), write(), write(), ask(), find(alone))
        await asyncio.to_thread(order, "blackhole on")
        lonely = asyncio.create_task(ask_alone())
        began = time.monotonic()
        outcomes = await asyncio.gather(*(one() for one in (read, write, ask) * 5), return_exceptions=True)
        assert time.monotonic() - began < 8
        assert await lonely < 3.5  # one statement's time; asking a second time takes as long again
        assert {type(outcome) for outcome in outcomes} <= {DatabaseDownError, DatabaseBusyError}
        await asyncio.to_thread(order, "clear")
        await asyncio.to_thread(order, "reset")
        async with asyncio.timeout(10):
            await asyncio.gather(*(one() for one in (read, write, ask) * 5))
        assert {pool.in_use for pool in database.pools.values()} == {0}


@SERVERS
async def test_connections_that_were_cut_are_replaced_before_anybody_meets_them(
    proxy: tuple[str, Callable[[str], Any]],
) -> None:
    url, order = proxy
    async with Database(DataSettings(url=url, pool_size=5)) as database:
        refused = 0

        async def work(kind: Any) -> None:
            async with kind() as session:
                await session.execute(text("SELECT 1"))

        for _ in range(5):
            await asyncio.gather(*(work(kind) for kind in (database.reader, database.session) * 5))
            await asyncio.to_thread(order, "reset")
            await asyncio.sleep(0.05)
            outcomes = await asyncio.gather(
                *(work(kind) for kind in (database.reader, database.session) * 5), return_exceptions=True
            )
            refused += sum(outcome is not None for outcome in outcomes)
        assert refused == 0
