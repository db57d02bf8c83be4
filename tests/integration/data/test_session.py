"""The unit of work on each database, in requests and in plain code."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import anyio.to_thread
import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket, status
from fastapi.responses import StreamingResponse
from sqlalchemy import CheckConstraint, ForeignKey, QueuePool, func, select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, StatementError
from sqlalchemy.orm import Mapped, mapped_column
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Message, Receive, Scope, Send

from leyden import create_app
from leyden.core.resources import installed
from leyden.data import (
    Base,
    ConflictError,
    Database,
    DatabaseBusyError,
    DatabaseDep,
    DataSettings,
    InvalidValueError,
    LockedError,
    Model,
    ReaderDep,
    SessionDep,
    battery,
    uuid7,
)
from leyden.data.errors import UnitOfWorkError
from leyden.testing import FrozenClock, client


class Account(Model):
    __tablename__ = "session_accounts"
    __table_args__ = (CheckConstraint("balance >= 0", name="balance_positive"),)

    email_key: Mapped[str] = mapped_column(unique=True, info={"field": "email"})
    balance: Mapped[int] = mapped_column(default=0)
    seen_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any] | None]


class Transfer(Model):
    __tablename__ = "session_transfers"

    account_id: Mapped[Any] = mapped_column(ForeignKey(Account.id, deferrable=None))
    amount: Mapped[int]


TABLES = [Base.metadata.tables[name] for name in ("session_accounts", "session_transfers")]


async def create_tables(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))


@pytest.fixture
async def ready(database: Database) -> Database:
    await create_tables(database)
    return database


async def count(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Account)) or 0


async def test_fifty_concurrent_changes_of_one_row_are_all_there(ready: Database) -> None:
    async with ready.session() as session:
        session.add(account := Account(email_key="a"))

    async def add_one_ten_times() -> None:
        for _ in range(10):
            async with ready.session() as session:
                found = await session.get_one(Account, account.id, with_for_update=True)
                await asyncio.sleep(0)
                found.balance += 1

    await asyncio.gather(*(add_one_ten_times() for _ in range(5)))
    async with ready.reader() as session:
        assert (await session.get_one(Account, account.id)).balance == 50


async def test_sqlite_needs_no_lock_clause_and_waits_for_another_process(tmp_path: Any) -> None:
    settings = DataSettings(url=f"sqlite:///{tmp_path}/x.db")
    async with Database(settings) as one, Database(settings) as other:
        await create_tables(one)
        async with one.session() as session:
            session.add(account := Account(email_key="a"))

        async def add_one_ten_times(database: Database) -> None:
            for _ in range(10):
                async with database.session() as session:
                    (await session.get_one(Account, account.id)).balance += 1

        await asyncio.gather(*(add_one_ten_times(database) for database in (one, other, one, other, one)))
        async with one.reader() as session:
            assert (await session.get_one(Account, account.id)).balance == 50


async def test_one_of_fifty_equal_inserts_wins_and_the_others_hear_which_field_it_was(ready: Database) -> None:
    async def register() -> str:
        try:
            async with ready.session() as session:
                session.add(Account(email_key="same@example.org"))
        except ConflictError as error:
            return ",".join([str(error.status), *(field.field for field in error.fields)])
        return "201"

    outcomes = await asyncio.gather(*(register() for _ in range(50)))
    assert sorted(outcomes) == ["201"] + ["409,email"] * 49
    assert await count(ready) == 1


@pytest.mark.parametrize(
    ("values", "field", "code"),
    [
        ({"email_key": None}, "email", "not_null"),
        ({"email_key": "b", "balance": -1}, "balance", "check"),
        ({"email_key": "taken"}, "email", "unique"),
    ],
)
async def test_a_broken_constraint_is_a_conflict_that_names_the_field(
    ready: Database, values: dict[str, Any], field: str, code: str
) -> None:
    async with ready.session() as session:
        session.add(Account(email_key="taken"))
    with pytest.raises(ConflictError) as refused:
        async with ready.session() as session:
            session.add(Account(**values))
    assert [(found.field, found.code) for found in refused.value.fields] == [(field, code)]
    assert refused.value.__cause__ is not None
    assert await count(ready) == 1


async def test_a_reference_to_nothing_is_a_conflict_that_names_the_field(ready: Database) -> None:
    with pytest.raises(ConflictError) as refused:
        async with ready.session() as session:
            session.add(Transfer(account_id=uuid7(), amount=1))
    assert [(found.field, found.code) for found in refused.value.fields] == [("account_id", "foreign_key")]


async def test_deleting_what_is_in_use_is_a_conflict_without_a_field(ready: Database) -> None:
    async with ready.session() as session:
        session.add(account := Account(email_key="a"))
        await session.flush()
        session.add(Transfer(account_id=account.id, amount=1))
    with pytest.raises(ConflictError) as refused:
        async with ready.session() as session:
            await session.delete(await session.get_one(Account, account.id))
    assert refused.value.fields == ()


@pytest.mark.parametrize("values", [{"balance": 2**70}, {"email_key": "x" * 300, "balance": 1}, {"email_key": "a\0b"}])
async def test_what_cannot_be_stored_is_the_callers_error_or_is_stored_whole(
    ready: Database, values: dict[str, Any]
) -> None:
    try:
        async with ready.session() as session:
            session.add(account := Account(**{"email_key": "a", **values}))
    except InvalidValueError:
        assert await count(ready) == 0
        return
    assert 2**70 not in values.values()
    async with ready.reader() as session:
        assert (await session.get_one(Account, account.id)).email_key == values["email_key"]


async def test_an_error_takes_everything_back(ready: Database) -> None:
    async def fail() -> None:
        async with ready.session() as session:
            session.add(Account(email_key="a"))
            await session.flush()
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await count(ready) == 0
    assert in_use(ready) == 0


async def test_a_session_can_commit_on_the_way_and_not_after_its_end(ready: Database) -> None:
    async with ready.session() as session:
        session.add(Account(email_key="a"))
        await session.commit()
        session.add(Account(email_key="b"))
    assert await count(ready) == 2
    with pytest.raises(InvalidRequestError):
        await session.execute(select(Account))


async def test_a_read_session_cannot_write(ready: Database) -> None:
    async def add() -> None:
        async with ready.reader() as session:
            session.add(Account(email_key="a"))
            await session.flush()

    async def insert() -> None:
        async with ready.reader() as session:
            await session.execute(text("INSERT INTO session_accounts (email_key) VALUES ('a')"))

    with pytest.raises(UnitOfWorkError, match="only reads"):
        await add()
    with pytest.raises(DBAPIError, match=r"(?i)read.?only"):
        await insert()
    assert await count(ready) == 0


async def test_moments_come_back_in_utc_to_the_microsecond_and_naive_ones_are_refused(ready: Database) -> None:
    moment = datetime(2026, 3, 29, 3, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    async with ready.session() as session:
        session.add(account := Account(email_key="a", seen_at=moment))
    async with ready.reader() as session:
        found = await session.scalar(select(Account).where(Account.seen_at == moment))
        assert found is not None
        assert found.id == account.id
        assert found.seen_at == moment
        assert found.seen_at.tzinfo is UTC
    with pytest.raises(StatementError, match="has no time zone"):
        async with ready.session() as session:
            session.add(Account(email_key="b", seen_at=datetime(2026, 1, 1)))  # noqa: DTZ001 -- the naive one


async def test_documents_are_stored_whole_and_searched_by_what_is_in_them(ready: Database) -> None:
    facts = {"town": {"name": "Zürich", "lakes": 1}, "tags": ["a", None, 1.5], "none": None}
    async with ready.session() as session:
        session.add_all([Account(email_key="a", facts=facts), Account(email_key="b", facts=None)])
    async with ready.reader() as session:
        by_text = select(Account).where(Account.facts["town"]["name"].as_string() == "Zürich")
        found = (await session.scalars(by_text)).one()
        assert found.facts == facts
        by_number = select(Account.email_key).where(Account.facts["town"]["lakes"].as_integer() > 0)
        assert (await session.scalars(by_number)).all() == ["a"]
        empty = select(Account.email_key).where(Account.facts.is_(None))
        assert (await session.scalars(empty)).all() == ["b"]


async def test_rows_know_when_they_were_made_and_changed(database: Database) -> None:
    clock = FrozenClock()
    async with Database(database.settings, clock=clock) as ready:
        await create_tables(ready)
        async with ready.session() as session:
            session.add(account := Account(email_key="a"))
        made = clock.now()
        assert account.created_at == account.updated_at == made
        clock.advance(timedelta(minutes=5))
        async with ready.session() as session:
            (await session.get_one(Account, account.id)).balance = 7
        async with ready.reader() as session:
            found = await session.get_one(Account, account.id)
            assert (found.created_at, found.updated_at) == (made, clock.now())


async def test_a_full_pool_is_a_503_within_its_timeout(database_url: str) -> None:
    settings = DataSettings(url=database_url, pool_size=1, pool_timeout=0.2)
    async with Database(settings) as database, database.session() as holder:
        await asyncio.create_task(holder.execute(text("SELECT 1")))  # as if another request held it
        with pytest.raises(DatabaseBusyError) as refused:
            async with asyncio.timeout(2), database.session() as session:
                await session.execute(text("SELECT 1"))
    assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})


async def test_a_lock_is_held_by_one_at_a_time_and_freed_by_an_error(database: Database) -> None:
    async def hold(other: Database) -> None:
        async with database.lock("seed"):
            with pytest.raises(LockedError, match="'seed'"):
                async with other.lock("seed", timeout=0.2):
                    pass
            async with other.lock("another", timeout=0.2):
                pass
            raise LookupError

    async with Database(database.settings) as other:
        with pytest.raises(LookupError):
            await hold(other)
    async with database.lock("seed", timeout=1):
        pass


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
async def test_a_lock_on_postgresql_is_a_transactions_and_no_timeout_ends_it(database_url: str) -> None:
    settings = DataSettings(url=database_url)
    async with Database(settings) as database:
        async with database.session() as session:
            name = await session.scalar(text("SELECT current_database()"))
            for timeout in ("idle_in_transaction_session_timeout", "transaction_timeout"):
                if await session.scalar(text("SELECT 1 FROM pg_settings WHERE name = :name"), {"name": timeout}):
                    await session.execute(text(f'ALTER DATABASE "{name}" SET {timeout} = 200'))
        async with database.lock("seed"):
            await asyncio.sleep(0.5)
            async with database.reader() as session:
                held = text(
                    "SELECT state FROM pg_stat_activity JOIN pg_locks USING (pid) "
                    "WHERE locktype = 'advisory' AND datname = :name"
                )
                assert (await session.scalars(held, {"name": name})).all() == ["idle in transaction"]
            with pytest.raises(LockedError):
                async with database.lock("seed", timeout=0.1):
                    pass


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg"], indirect=True)
async def test_a_lock_keeps_no_concurrent_index_waiting_neither_held_nor_waited_for(database: Database) -> None:
    async with database.session() as session:
        await session.execute(text("CREATE TABLE shelves (number INTEGER)"))

    async def wait() -> None:
        async with database.lock("seed"):
            pass

    async with database.lock("seed"):
        waiter = asyncio.create_task(wait())
        async with asyncio.timeout(10), database.writer.connect() as connection:
            plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
            for number in range(3):
                await plain.execute(text(f"CREATE INDEX CONCURRENTLY i{number} ON shelves (number)"))
        assert not waiter.done()
    await waiter


async def test_a_unit_of_work_that_would_wait_for_itself_is_refused_at_once() -> None:
    async with Database(DataSettings(url="sqlite://", pool_timeout=30)) as ready:

        async def nest() -> None:
            async with ready.session() as outer:
                await outer.execute(text("SELECT 1"))
                async with ready.session() as inner:
                    await inner.execute(text("SELECT 1"))

        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(UnitOfWorkError, match="use its session"):
                    await nest()
        async with ready.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1


async def test_units_of_work_that_follow_each_other_or_run_side_by_side_are_not_refused() -> None:
    async with Database(DataSettings(url="sqlite://", pool_timeout=10)) as ready:

        async def work() -> None:
            async with ready.session() as session:
                await session.execute(text("SELECT 1"))
                await asyncio.sleep(0.01)

        async with ready.session() as outer:  # holds nothing yet, and nothing any more after its commit
            await work()
            await outer.execute(text("SELECT 1"))
            await outer.commit()
            await work()
            await outer.execute(text("SELECT 1"))
            children = [asyncio.create_task(work()) for _ in range(3)]
            await asyncio.sleep(0.05)
        await asyncio.gather(*children, work(), work())
        async with ready.session() as outer:
            await asyncio.create_task(outer.execute(text("SELECT 1")))
            async with ready.reader() as reader:
                await reader.execute(text("SELECT 1"))


@pytest.mark.parametrize(("path", "method"), [("writing", "session"), ("reading", "reader")])
async def test_a_socket_is_refused_a_session_for_its_life_and_told_what_to_take(path: str, method: str) -> None:
    app = create_app([battery(DataSettings(url="sqlite://"))])

    @app.websocket("/writing")
    async def write(websocket: WebSocket, session: SessionDep) -> None: ...

    @app.websocket("/reading")
    async def read(websocket: WebSocket, session: ReaderDep) -> None: ...

    def visit() -> None:
        with (
            TestClient(app) as visitor,
            pytest.raises(WebSocketDenialResponse) as refused,
            visitor.websocket_connect(f"/{path}"),
        ):
            raise AssertionError("it opened")
        assert refused.value.status_code == 500
        assert f"Take DatabaseDep, and for each piece of work: async with database.{method}()" in refused.value.text

    await anyio.to_thread.run_sync(visit)


def app_of(settings: DataSettings) -> FastAPI:
    app = create_app([battery(settings)])

    @app.post("/accounts", status_code=201)
    async def register(email: str, session: SessionDep, tasks: BackgroundTasks) -> dict[str, str]:
        session.add(Account(email_key=email))
        tasks.add_task(app.state.ran.append, email)
        return {"email": email}

    @app.post("/refused")
    async def refuse(session: SessionDep) -> None:
        session.add(Account(email_key="refused"))
        await session.flush()
        raise HTTPException(status.HTTP_402_PAYMENT_REQUIRED)

    @app.get("/unused")
    async def leave_alone(session: SessionDep, reader: ReaderDep) -> dict[str, int]:
        return {"writers": len(session.new), "readers": len(reader.new)}

    @app.get("/streamed")
    async def stream(session: SessionDep, reader: ReaderDep, database: DatabaseDep) -> StreamingResponse:
        await session.execute(text("SELECT 1"))
        await reader.execute(text("SELECT 1"))
        assert in_use(database) > 0

        async def body() -> AsyncIterator[bytes]:
            yield b"%d" % in_use(database)

        return StreamingResponse(body())

    @app.get("/listed")
    async def listed(session: SessionDep) -> list[int]:
        return [number for (number,) in await session.execute(text("SELECT 1"))]

    app.state.ran = []
    return app


def in_use(database: Database) -> int:
    return sum(pool.checkedout() for pool in pools(database))


def pools(database: Database) -> set[QueuePool]:
    found = {engine.pool for engine in (database.writer, database.readers)}
    return {pool for pool in found if isinstance(pool, QueuePool)}


async def test_a_commit_that_fails_is_the_answer_and_background_work_does_not_run(database_url: str) -> None:
    app = app_of(DataSettings(url=database_url))
    async with client(app) as browser:
        await create_tables(installed(app).resources[Database])  # type: ignore[index]  # it runs
        answers = [await browser.post("/accounts", params={"email": "a"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [201, 409]
        assert app.state.ran == ["a"]
        assert (await browser.post("/refused")).status_code == 402
        assert await count(installed(app).resources[Database]) == 1  # type: ignore[index]


async def test_a_constraint_that_is_checked_at_commit_is_still_a_409(database_url: str) -> None:
    app = create_app([battery(DataSettings(url=database_url))])

    @app.post("/orphans", status_code=201)
    async def adopt(session: SessionDep) -> None:
        await session.execute(text("INSERT INTO orphans VALUES (7)"))

    async with client(app) as browser:
        database = installed(app).resources[Database]  # type: ignore[index]
        async with database.session() as session:
            await session.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
            later = "" if database.dialect == "mysql" else "DEFERRABLE INITIALLY DEFERRED"  # MySQL knows no later
            await session.execute(text(f"CREATE TABLE orphans (id INTEGER REFERENCES parents (id) {later})"))
        assert (await browser.post("/orphans")).status_code == 409
        async with database.reader() as session:
            assert await session.scalar(text("SELECT count(*) FROM orphans")) == 0


async def test_a_session_that_is_not_used_opens_no_connection(database_url: str) -> None:
    app = app_of(DataSettings(url=database_url))
    async with client(app) as browser:
        database = installed(app).resources[Database]  # type: ignore[index]
        await database.writer.dispose()
        await database.readers.dispose()
        assert (await browser.get("/unused")).status_code == 200
        assert {pool.checkedin() for pool in pools(database)} == {0}


async def test_no_connection_is_held_while_the_response_is_sent(database_url: str) -> None:
    app = app_of(DataSettings(url=database_url))
    used: list[int] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            used.append(in_use(installed(app).resources[Database]))  # type: ignore[index]
            await send(message)

        await app(scope, receive, note)

    async with client(app):
        from httpx2 import ASGITransport, AsyncClient

        async with AsyncClient(transport=ASGITransport(watched), base_url="http://localhost") as browser:
            assert (await browser.get("/streamed")).text == "0"
            assert (await browser.get("/listed")).json() == [1]
    assert used
    assert set(used) == {0}
