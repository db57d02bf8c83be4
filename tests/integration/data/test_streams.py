"""Streams on each database: every row, in flat memory, and no connection kept from others."""

import asyncio
import csv
import gc
import io
import json
import resource
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, Field, ValidationError
from sqlalchemy import Numeric, String, bindparam, func, insert, select, text
from sqlalchemy.orm import Mapped, mapped_column
from starlette.responses import Response
from starlette.types import Message

from leyden import create_app
from leyden.core import ConfigurationError
from leyden.data import (
    Base,
    Database,
    DatabaseBusyError,
    DatabaseDep,
    DataSettings,
    Timestamp,
    battery,
    insert_many,
    prepared,
    stream_csv,
    stream_json_lines,
)
from leyden.testing import client

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


class Film(Base):
    __tablename__ = "stream_films"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    shown_at: Mapped[datetime] = mapped_column(Timestamp())


class FilmRead(BaseModel):
    id: int
    title: str = Field(serialization_alias="name")
    price: Decimal | None


class Cheap(BaseModel):
    id: int = Field(le=3000)


# Of a statement that is cancelled while it begins SQLAlchemy closes the connection and leaves psycopg's cursor open.
cursors_may_stay_open = pytest.mark.filterwarnings("ignore:.*AsyncServerCursor.*:ResourceWarning")

MANY = {
    "sqlite": """INSERT INTO stream_films WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {0})
                 SELECT n, printf('Film %.*c', 100, 'x'), n / 8, '2026-01-01 00:00:00.000000' FROM c""",
    "postgresql": """INSERT INTO stream_films SELECT n, 'Film ' || repeat('x', 100), n / 8, '2026-01-01 00:00:00+00'
                     FROM generate_series(1, {0}) AS n""",
    "mysql": """INSERT INTO stream_films SELECT seq, concat('Film ', repeat('x', 100)), seq DIV 8, '2026-01-01'
                FROM seq_1_to_{0}""",
}


@pytest.fixture
async def ready(database_url: str) -> Any:
    async with Database(DataSettings(url=database_url, pool_timeout=0.3)) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Film.__table__.create)  # type: ignore[attr-defined]  # a Table
        yield database


async def fill(database: Database, rows: int) -> None:
    async with database.writer.begin() as connection:
        await connection.exec_driver_sql(MANY[database.dialect].format(rows).replace("%", percent(database)))


def percent(database: Database) -> str:
    """As the driver wants it."""
    return "%" if database.dialect == "sqlite" else "%%"


class Caller:
    """A server with one client, which may stop reading or go away."""

    def __init__(self, *, on_piece: Callable[[int], Awaitable[None]] | None = None) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.size = 0
        self.pieces = 0
        self.lines = 0
        self.complete = False
        self.gone = asyncio.Event()
        self._on_piece = on_piece

    async def ask(self, response: Response, method: str = "GET") -> None:
        await response({"type": "http", "method": method, "asgi": {}}, self._receive, self._send)

    async def _receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.pieces += 1
        self.size += len(message["body"])
        self.lines += message["body"].count(b"\n")
        self.complete = not message["more_body"]
        if self._on_piece is not None:
            await self._on_piece(self.pieces)


async def is_free(database: Database) -> bool:
    """Whether every connection for snapshots is back, clean and good for work."""
    assert database.pools["snapshot"].in_use == 0
    for _ in range(database.settings.snapshot_pool_size):
        async with database.snapshot() as session:
            assert await session.scalar(select(func.count()).select_from(Film)) is not None
    return True


def app_of(database: Database, make: Callable[[Database], Response]) -> FastAPI:
    app = create_app([battery(database.settings)])

    @app.get("/export")
    async def export(database: DatabaseDep) -> Response:
        return make(database)

    return app


async def test_rows_are_json_objects_of_their_columns_or_of_a_model(ready: Database) -> None:
    rows = [{"id": 1, "title": '上海, "so"\n=1', "price": Decimal("1.50"), "shown_at": NEW_YEAR}]
    rows += [{"id": 2, "title": "", "price": None, "shown_at": NEW_YEAR}]
    async with ready.session() as session:
        await insert_many(session, Film, rows)
    statement = select(Film).order_by(Film.id)
    async with client(app_of(ready, lambda database: stream_json_lines(database, statement))) as http:
        plain = await http.get("/export")
    assert plain.headers["content-type"] == "application/jsonl"
    assert "content-disposition" not in plain.headers
    assert [json.loads(line) for line in plain.text.splitlines()] == [
        {"id": 1, "title": '上海, "so"\n=1', "price": "1.50", "shown_at": "2026-01-01T00:00:00Z"},
        {"id": 2, "title": "", "price": None, "shown_at": "2026-01-01T00:00:00Z"},
    ]
    async with client(app_of(ready, lambda database: stream_json_lines(database, statement, into=FilmRead))) as http:
        shaped = await http.get("/export")
    assert [json.loads(line) for line in shaped.text.splitlines()] == [
        {"id": 1, "name": '上海, "so"\n=1', "price": "1.50"},
        {"id": 2, "name": "", "price": None},
    ]


async def test_csv_is_what_a_csv_reader_reads_and_a_file_for_the_browser(ready: Database) -> None:
    async with ready.session() as session:
        await insert_many(
            session, Film, [{"id": 1, "title": '=A1,"x"\r\ny', "price": Decimal(-2), "shown_at": NEW_YEAR}]
        )

    def make(database: Database) -> Response:
        return stream_csv(database, select(Film), headers={"title": "片名"}, filename="電影 2026.csv", bom=True)

    async with client(app_of(ready, make)) as http:
        answer = await http.get("/export")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.content.startswith(b"\xef\xbb\xbfid,")
    assert list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))) == [
        ["id", "片名", "price", "shown_at"],
        ["1", '\'=A1,"x"\r\ny', "-2.00", "2026-01-01T00:00:00Z"],
    ]


async def test_an_empty_table_is_an_empty_stream_and_a_head_alone(ready: Database) -> None:
    lines, table = Caller(), Caller()
    await lines.ask(stream_json_lines(ready, select(Film)))
    await table.ask(stream_csv(ready, select(Film.id)))
    assert (lines.status, lines.size, lines.complete) == (200, 0, True)
    assert (table.status, table.size, table.complete) == (200, len(b"id\r\n"), True)
    assert await is_free(ready)


async def test_two_hundred_thousand_rows_are_all_sent_in_flat_memory(ready: Database) -> None:
    await fill(ready, 200_000)
    await Caller().ask(stream_json_lines(ready, select(Film).limit(5000)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    caller = Caller()
    await caller.ask(stream_json_lines(ready, select(Film).order_by(Film.id)))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (caller.lines, caller.complete) == (200_000, True)
    assert caller.pieces > 300
    assert caller.size > 30_000_000
    assert grown < 25_000, f"{grown} kB"
    assert await is_free(ready)


async def test_the_event_loop_has_its_turns_while_rows_are_sent(ready: Database) -> None:
    await fill(ready, 20_000)
    longest, over = 0.0, False

    async def tick() -> None:
        nonlocal longest
        while not over:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    await Caller().ask(stream_csv(ready, select(Film)))  # compiles, connects
    gc.collect()
    gc.disable()  # it takes longer the more tests there were before
    try:
        ticking = asyncio.create_task(tick())
        caller = Caller()
        await caller.ask(stream_csv(ready, select(Film)))
        over = True
        await ticking
    finally:
        gc.enable()
    assert caller.lines == 20_001
    assert longest < 0.05  # seconds of the processor; it is a few milliseconds


async def test_a_prepared_statement_takes_its_parameters_and_its_shape_along(ready: Database) -> None:
    await fill(ready, 10)
    some = prepared(select(Film.id).where(Film.id <= bindparam("most")), into=Cheap)
    caller = Caller()
    await caller.ask(stream_json_lines(ready, some, parameters={"most": 4}))
    assert (caller.lines, caller.size) == (4, 4 * len(b'{"id":1}\n'))


async def test_what_writes_is_not_streamed(ready: Database) -> None:
    writing = prepared(insert(Film).returning(Film.id))
    with pytest.raises(ConfigurationError, match="Only select"):
        stream_json_lines(ready, writing)
    with pytest.raises(ConfigurationError, match="no column 'titel'"):
        stream_csv(ready, select(Film), headers={"titel": "Title"})


async def test_head_has_the_headers_and_asks_for_few_rows(ready: Database) -> None:
    await fill(ready, 10_000)
    caller = Caller()
    await caller.ask(stream_csv(ready, select(Film), filename="films.csv"), "HEAD")
    assert (caller.status, caller.size, caller.complete) == (200, 0, True)
    assert caller.headers["content-disposition"] == 'attachment; filename="films.csv"'
    assert await is_free(ready)


async def test_all_rows_are_of_one_moment(ready: Database) -> None:
    await fill(ready, 10_000)

    async def add(piece: int) -> None:
        if piece == 1:
            async with ready.session() as session:
                await session.execute(text("UPDATE stream_films SET title = 'changed'"))
                session.add(Film(id=0, title="new", shown_at=NEW_YEAR))

    caller = Caller(on_piece=add)
    await caller.ask(stream_csv(ready, select(Film.title).where(Film.title != "changed")))
    assert caller.lines == 10_001


async def test_inside_the_transaction_of_a_test_a_stream_sees_its_rows_and_leaves_it_open(ready: Database) -> None:
    async with ready.writer.connect() as connection:
        await connection.begin()
        inside = ready.within(connection)
        async with inside.session() as session:
            await insert_many(
                session, Film, [{"id": n, "title": "x" * 100, "shown_at": NEW_YEAR} for n in range(1, 5001)]
            )
        for method, lines in (("HEAD", 0), ("GET", 5000)):
            caller = Caller()
            await caller.ask(stream_json_lines(inside, select(Film)), method)
            assert (caller.lines, caller.complete) == (lines, True)
        async with inside.session() as session:
            assert await session.scalar(select(func.count()).select_from(Film)) == 5000
        await connection.rollback()
    assert await is_free(ready)


async def test_a_full_pool_is_a_503_before_anything_is_sent(ready: Database) -> None:
    await fill(ready, 10)
    holding = [ready.snapshot() for _ in range(ready.settings.snapshot_pool_size)]
    for session in [await each.__aenter__() for each in holding]:
        await session.execute(text("SELECT 1"))
    caller = Caller()
    with pytest.raises(DatabaseBusyError) as refused:
        await caller.ask(stream_json_lines(ready, select(Film)))
    assert (caller.status, refused.value.status) == (0, 503)
    assert refused.value.headers["Retry-After"]
    for each in holding:
        await each.__aexit__(None, None, None)
    assert await is_free(ready)


async def test_an_error_before_the_first_row_is_an_answer_and_one_later_is_no_end(ready: Database) -> None:
    await fill(ready, 10_000)
    for most, status in ((None, 0), (9_000, 200)):
        statement = select(Film.id).order_by(Film.id.desc() if most is None else Film.id)
        caller = Caller()
        with pytest.raises(ValidationError):
            await caller.ask(stream_json_lines(ready, statement, into=Cheap))
        assert (caller.status, caller.complete) == (status, False)
        assert await is_free(ready)


async def test_a_client_that_goes_away_frees_the_connection_at_once(ready: Database) -> None:
    await fill(ready, 100_000)

    async def leave(piece: int) -> None:
        if piece == 3:
            caller.gone.set()

    caller = Caller(on_piece=leave)
    began = asyncio.get_running_loop().time()
    await caller.ask(stream_json_lines(ready, select(Film)))
    assert not caller.complete
    assert caller.pieces < 10
    assert asyncio.get_running_loop().time() - began < 5
    assert await is_free(ready)


@cursors_may_stay_open
async def test_a_client_that_goes_away_while_the_database_looks_for_the_first_row(ready: Database) -> None:
    # Minutes; but MariaDB goes on with a statement whose client has gone, and keeps its table until then.
    await fill(ready, 5_000 if ready.dialect == "mysql" else 30_000)
    other = Film.__table__.alias()
    long = select(func.count()).select_from(Film).join(other, Film.title.concat(other.c.title) == "no such title")
    caller = Caller()
    asyncio.get_running_loop().call_later(0.2, caller.gone.set)
    began = asyncio.get_running_loop().time()
    await caller.ask(stream_json_lines(ready, long))
    assert asyncio.get_running_loop().time() - began < 10
    assert caller.status == 0
    assert await is_free(ready)
    gc.collect()


async def test_a_client_that_does_not_read_is_given_up(ready: Database) -> None:
    await fill(ready, 50_000)
    caller = Caller(on_piece=lambda piece: asyncio.sleep(3600 if piece == 2 else 0))
    with pytest.raises(TimeoutError, match="nothing for"):
        await caller.ask(stream_json_lines(ready, select(Film), patience=0.3))
    assert (caller.pieces, caller.complete) == (2, False)
    assert await is_free(ready)


async def test_a_slow_client_is_waited_for_longer_than_a_transaction_may_be_idle(database_url: str) -> None:
    async with Database(DataSettings(url=database_url, idle_timeout=1.0)) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Film.__table__.create)  # type: ignore[attr-defined]  # a Table
        await fill(database, 10_000)
        caller = Caller(on_piece=lambda piece: asyncio.sleep(2 if piece == 2 else 0))
        await caller.ask(stream_csv(database, select(Film)))
        assert (caller.lines, caller.complete) == (10_001, True)


@cursors_may_stay_open
async def test_cancelled_anywhere_it_leaves_clean_connections(ready: Database) -> None:
    await fill(ready, 20_000)
    await Caller().ask(stream_json_lines(ready, select(Film).limit(1)))
    # Where asyncpg is cancelled twice, one of its own futures may end with an error that nobody asks for.
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    for turn in range(30):
        task = asyncio.create_task(Caller().ask(stream_json_lines(ready, select(Film))))
        await asyncio.sleep(turn * 0.004)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert await is_free(ready)
    gc.collect()
