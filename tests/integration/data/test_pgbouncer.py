"""Behind PgBouncer, which gives each transaction whichever server process is free: nothing may depend on which."""

import asyncio
import os
import shutil
import socket
import subprocess
import sysconfig
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Self

import pytest
from sqlalchemy import TextClause, bindparam, func, insert, make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column
from starlette.types import Message

from leyden.core import StartError
from leyden.data import (
    ConflictError,
    Database,
    DatabaseBusyError,
    DatabaseDownError,
    DataSettings,
    Model,
    prepared,
    stream_json_lines,
)
from leyden.data.urls import shown
from leyden.testing.services import Unavailable, fresh_database, skip_or_fail

SERVERS = 3
"""Server processes for each database; every test has more clients at some time."""
PATIENCE = 15.0

PID = text("SELECT pg_backend_pid()")
OTHERS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
KEPT = text("""
    SELECT 'setting ' || name FROM pg_settings WHERE source = 'session' AND name NOT IN
    ('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', -- PgBouncer's own
     'transaction_read_only', 'transaction_isolation') -- as its own transaction began
    UNION ALL SELECT 'statement ' || statement FROM pg_prepared_statements
    UNION ALL SELECT 'cursor ' || name FROM pg_cursors
    UNION ALL SELECT 'lock ' || objid FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()
""")
"""What clients have left on the server process that runs this."""
MANY = text("""
    INSERT INTO pgbouncer_coins (id, name, created_at, updated_at)
    SELECT gen_random_uuid(), 'coin ' || n, now(), now() FROM generate_series(1, :many) AS n
""")

PROJECT = {
    "pyproject.toml": """
        [tool.fastapi]
        entrypoint = "shop:app"
    """,
    "shop.py": """
        import os
        from leyden import create_app, data
        app = create_app([data.battery(data.DataSettings(url=os.environ["SHOP_URL"], connect_timeout=60))])
    """,
    "migrations/one.py": """
        '''Ticks.'''
        import sqlalchemy as sa
        from alembic import op
        revision, down_revision = "one", None
        def upgrade():
            op.create_table("ticks", sa.Column("n", sa.Integer))
            op.execute("INSERT INTO ticks (n) VALUES (1)")
    """,
    "migrations/two.py": """
        '''An index.'''
        from alembic import op
        revision, down_revision = "two", "one"
        def upgrade():
            with op.get_context().autocommit_block():
                op.create_index("ix_ticks_n", "ticks", ["n"], postgresql_concurrently=True)
    """,
}


class Coin(Model):
    __tablename__ = "pgbouncer_coins"

    name: Mapped[str] = mapped_column(unique=True)


SERVER = make_url(os.environ.get("LEYDEN_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres"))


class Bouncer:
    """A PgBouncer of our own before the PostgreSQL server that tests use, with all of its databases or with one."""

    def __init__(self, folder: Path, databases: str = "*") -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        users, self._settings = folder / "users", folder / "pgbouncer.ini"
        users.write_text(f'"{SERVER.username}" ""\n')
        self._settings.write_text(_settings(databases, self.port, users))
        self._log = folder / "log"

    def url(self, database: str, scheme: str = "postgresql+psycopg") -> str:
        through = SERVER.set(drivername=scheme, host="127.0.0.1", port=self.port, database=database)
        return through.render_as_string(hide_password=False)

    @contextmanager
    def running(self) -> Iterator[Self]:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        if program is None:
            skip_or_fail("PgBouncer is not installed; on Debian: apt install pgbouncer")
        with self._log.open("ab") as log:
            process = subprocess.Popen([program, str(self._settings)], stdout=log, stderr=log)
        try:
            self._wait_for(process)
            yield self
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not self._accepts():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"PgBouncer did not start:\n{self._log.read_text()}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def _settings(databases: str, port: int, users: Path) -> str:
    password = f"password={SERVER.password}" if SERVER.password else ""
    return f"""
        [databases]
        {databases} = host={SERVER.host} port={SERVER.port or 5432} user={SERVER.username} {password}
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = {port}
        unix_socket_dir =
        auth_type = trust
        auth_file = {users}
        pool_mode = transaction
        default_pool_size = {SERVERS}
        max_client_conn = 200
        ; else whoever comes next is mostly given the process that was used last
        server_round_robin = 1
        {"user = nobody" if os.geteuid() == 0 else ""}
    """


@pytest.fixture(scope="module")
def bouncer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bouncer]:
    with Bouncer(tmp_path_factory.mktemp("pgbouncer")).running() as running:
        yield running


@pytest.fixture
def server_url(tmp_path: Path) -> Iterator[str]:
    """A new database, reached without PgBouncer."""
    try:
        with fresh_database("postgresql", tmp_path) as url:
            yield url
    except Unavailable as reason:
        skip_or_fail(str(reason))


@pytest.fixture
def database_url(bouncer: Bouncer, server_url: str) -> str:
    return bouncer.url(str(make_url(server_url).database))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With a table of coins, and every server process there: one transaction after the other meets them in turn."""
    async with Database(DataSettings(url=database_url)) as started:
        async with started.writer.begin() as connection:
            await connection.run_sync(Coin.__table__.create)  # type: ignore[attr-defined]  # a Table
        assert len(set(await everywhere(started, PID))) == SERVERS
        yield started
        assert await everywhere(started, KEPT) == []


async def everywhere(database: Database, statement: TextClause) -> list[object]:
    """What it finds on each of the server processes: so many transactions at once have one each."""
    meeting = asyncio.Barrier(SERVERS)

    async def ask() -> list[object]:
        async with asyncio.timeout(PATIENCE), database.session() as session:
            found = (await session.scalars(statement)).all()
            await meeting.wait()
            return list(found)

    answers = await asyncio.gather(*(ask() for _ in range(SERVERS)))
    return [found for answer in answers for found in answer]


async def names(database: Database) -> set[str]:
    async with database.reader() as session:
        return set(await session.scalars(select(Coin.name)))


async def add(database: Database, *coins: str, error: Exception | None = None) -> None:
    async with database.session() as session:
        for coin in coins:
            session.add(Coin(name=coin))
            await session.flush()
        if error is not None:
            raise error


async def test_a_unit_of_work_stays_with_one_process_and_the_next_one_meets_another(database: Database) -> None:
    met = set()
    for _ in range(SERVERS):
        async with database.session() as session:
            pids = {await session.scalar(PID) for _ in range(3)}
        assert len(pids) == 1
        met |= pids
    assert len(met) == SERVERS


async def test_a_unit_of_work_is_kept_or_taken_back_whole(database: Database) -> None:
    await add(database, "penny", "florin")
    with pytest.raises(ConflictError) as taken:
        await add(database, "groat", "penny")
    assert [field.field for field in taken.value.fields] == ["name"]
    with pytest.raises(ZeroDivisionError):
        await add(database, "guinea", error=ZeroDivisionError())
    assert await names(database) == {"penny", "florin"}


async def test_a_read_session_cannot_write_and_leaves_every_process_fit_for_writing(database: Database) -> None:
    async with database.reader() as session:
        assert len({await session.scalar(PID) for _ in range(SERVERS)}) == SERVERS
        for _ in range(SERVERS):
            with pytest.raises(DBAPIError, match="read-only transaction"):
                await session.execute(MANY, {"many": 1})
    for number in range(SERVERS):
        await add(database, f"penny {number}")
    assert len(await names(database)) == SERVERS


async def test_a_prepared_statement_runs_on_every_process_however_often_it_ran_on_others(database: Database) -> None:
    make = prepared(insert(Coin).values(name=bindparam("name")))
    find = prepared(select(Coin.name).where(Coin.name == bindparam("name")))
    for number in range(5 * SERVERS):
        name = f"penny {number}"
        async with database.session() as session:
            assert await make.changed(session, name=name) == 1
            assert await find(session, name=name) == name
        assert await find(database, name=name) == name


async def test_a_snapshot_sees_one_moment_and_a_stream_sends_one_while_others_write(database: Database) -> None:
    async with database.session() as session:
        await session.execute(MANY, {"many": 10_000})
    sent: list[bytes] = []

    async def hang() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))
        await add(database, f"new {len(sent)}")

    count = select(func.count()).select_from(Coin)
    async with database.snapshot() as session:
        before = await session.scalar(count)
        await stream_json_lines(database, select(Coin.name))({"type": "http", "method": "GET"}, hang, send)
        assert await session.scalar(count) == before == 10_000
    assert len(b"".join(sent).splitlines()) == 10_000
    assert len(sent) > 3
    assert len(await names(database)) == 10_000 + len(sent)


async def test_more_clients_than_server_processes_all_have_their_turn(database: Database, database_url: str) -> None:
    async with AsyncExitStack() as stack:
        settings = DataSettings(url=database_url, pool_timeout=PATIENCE)
        clients = [await stack.enter_async_context(Database(settings)) for _ in range(4)]

        async def work(number: int) -> None:
            client = clients[number % len(clients)]
            await add(client, f"penny {number}")
            async with client.reader() as reader:
                assert await reader.scalar(select(Coin.name).where(Coin.name == f"penny {number}"))

        await asyncio.gather(*(work(number) for number in range(80)))
        assert sum(pool.opened for client in clients for pool in client.pools.values()) > 5 * SERVERS
    assert len(await names(database)) == 80
    async with database.session() as session:
        assert await session.scalar(OTHERS) == SERVERS - 1


async def test_a_lock_has_one_holder_at_a_time(database: Database, database_url: str) -> None:
    holders = 0

    async def hold(client: Database) -> None:
        nonlocal holders
        async with client.lock("mint", timeout=PATIENCE):
            holders += 1
            async with client.session() as session:
                await session.execute(PID)
            assert holders == 1
            holders -= 1

    async with Database(DataSettings(url=database_url)) as other:
        await asyncio.gather(*(hold(client) for client in (database, other) * 3))


async def test_a_statement_whose_caller_has_gone_gives_its_process_back(database: Database) -> None:
    async def wait() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT pg_sleep(60)"))

    waiting = [asyncio.create_task(wait()) for _ in range(SERVERS)]
    await asyncio.sleep(0.5)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert len(set(await everywhere(database, PID))) == SERVERS


async def test_a_process_that_ends_is_a_503_and_the_next_one_works(database: Database) -> None:
    async def be_ended() -> None:
        async with database.session() as session:
            pid = await session.scalar(PID)
            async with database.session() as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            await session.execute(PID)

    with pytest.raises(DatabaseDownError):
        await be_ended()
    assert len(set(await everywhere(database, PID))) == SERVERS


async def test_the_deadlines_of_the_database_end_statements_and_idle_transactions(
    database_url: str, server_url: str
) -> None:
    name = make_url(server_url).database
    async with Database(DataSettings(url=server_url)) as before, before.session() as session:
        for deadline in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await session.execute(text(f"ALTER DATABASE {name} SET {deadline} = 1000"))

    async def work(database: Database, seconds: float, idle: float) -> None:
        async with database.session() as session:
            await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
            await asyncio.sleep(idle)
            await session.execute(PID)

    async with Database(DataSettings(url=database_url)) as database:
        with pytest.raises(DatabaseBusyError):
            await work(database, seconds=60, idle=0)
        with pytest.raises(DatabaseDownError):
            await work(database, seconds=0, idle=2.5)
        await work(database, seconds=0, idle=0)


async def test_four_upgrades_at_once_apply_each_migration_once(database_url: str, tmp_path: Path) -> None:
    for name, code in PROJECT.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(dedent(code))

    async def upgrade() -> tuple[int | None, list[str]]:
        leyden = Path(sysconfig.get_path("scripts"), "leyden")
        environment = {**os.environ, "SHOP_URL": database_url}
        command = (leyden, "db", "upgrade")
        started = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=STDOUT
        )
        out, _ = await started.communicate()
        return started.returncode, [line for line in out.decode().splitlines() if not line.startswith("careful")]

    done = sorted(await asyncio.gather(*(upgrade() for _ in range(4))), key=str)
    nothing = (0, ["Nothing to apply: the database is up to date."])
    assert done == [nothing, nothing, nothing, (0, ["applied one (Ticks)", "applied two (An index)"])]
    async with Database(DataSettings(url=database_url)) as database, database.reader() as session:
        assert (await session.scalars(text("SELECT n FROM ticks"))).all() == [1]


async def refused(url: str) -> str:
    """The sentence of the start that fails."""
    with pytest.raises(StartError) as caught:
        async with Database(DataSettings(url=url)):
            pass
    return str(caught.value)


async def test_asyncpg_is_refused_with_what_to_write(bouncer: Bouncer) -> None:
    said = await refused(bouncer.url("postgres", "postgresql"))
    assert said == (
        f"Before the database {shown(make_url(bouncer.url('postgres', 'postgresql')))} stands PgBouncer, which takes no "
        "settings for a session, and asyncpg sends some: unsupported startup parameter: statement_timeout. "
        "Write postgresql+psycopg:// in the database URL of the settings."
    )


async def test_a_database_that_pgbouncer_does_not_have_is_named(tmp_path: Path) -> None:
    with Bouncer(tmp_path, "shop").running() as bouncer:
        said = await refused(bouncer.url("nowhere"))
    assert said.startswith(f"The server 127.0.0.1:{bouncer.port} has no database called 'nowhere'. ")
