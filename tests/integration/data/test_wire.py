"""What goes over the wire for a read: the statement, and nothing about transactions."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, make_url, select
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, Database, DataSettings, prepared
from leyden.data.backends import sqlite, sqlite_driver

READS = 10
TRANSACTION = (b"BEGIN", b"START TRANSACTION", b"COMMIT", b"ROLLBACK", b"SAVEPOINT", b"SET ")


class Stamp(Base):
    __tablename__ = "wire_stamps"

    id: Mapped[int] = mapped_column(primary_key=True)
    motif: Mapped[str]


find = prepared(select(Stamp.motif).where(Stamp.id == bindparam("id")))


async def fill(url: str) -> None:
    async with Database(DataSettings(url=url)) as database, database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.tables["wire_stamps"].create)
        await connection.execute(insert(Stamp).values(id=1, motif="blue"))


async def by_session(database: Database) -> None:
    async with database.reader() as session:
        for _ in range(READS):
            assert await session.scalar(select(Stamp.motif).where(Stamp.id == 1)) == "blue"


async def by_objects(database: Database) -> None:
    for _ in range(READS):
        async with database.reader() as session:
            assert (await session.get_one(Stamp, 1)).motif == "blue"


async def by_statement(database: Database) -> None:
    for _ in range(READS):
        assert await find(database, id=1) == "blue"


async def by_statement_in_session(database: Database) -> None:
    async with database.reader() as session:
        for _ in range(READS):
            assert await find(session, id=1) == "blue"


async def in_units_of_work(database: Database) -> None:
    for _ in range(READS):
        async with database.session() as session:
            assert await session.scalar(select(Stamp.motif).where(Stamp.id == 1)) == "blue"


Reading = pytest.mark.parametrize("reading", [by_session, by_objects, by_statement, by_statement_in_session])
Read = Callable[[Database], Awaitable[None]]


class Wire:
    """A way to a server on which every message of a client is noted."""

    def __init__(self, split: Callable[[bytes], Iterator[bytes]]) -> None:
        self._split = split
        self._sent = bytearray()

    def forget(self) -> None:
        """What came until now, of which the beginning has a form of its own."""
        assert self._sent
        self._sent.clear()

    @property
    def messages(self) -> list[bytes]:
        """Those that the server answers; nothing may be on its way."""
        return [*self._split(bytes(self._sent))]

    @asynccontextmanager
    async def to(self, host: str, port: int) -> AsyncIterator[int]:
        """The port where to connect instead."""
        pumps: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, forth = await asyncio.open_connection(host, port)
            pumps.add(asyncio.create_task(_pump(reader, forth, self._sent)))
            pumps.add(asyncio.create_task(_pump(back, writer, bytearray())))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
    try:
        while data := await reader.read(65536):
            seen += data
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def postgresql(sent: bytes) -> Iterator[bytes]:
    """A letter, a length, and what a message says: the server answers when it is asked to (S) and after a query (Q)."""
    begin = at = 0
    while at < len(sent):
        kind, at = sent[at : at + 1], at + 1 + int.from_bytes(sent[at + 1 : at + 5])
        if kind in b"SQ":
            yield sent[begin:at]
            begin = at


def mariadb(sent: bytes) -> Iterator[bytes]:
    """A length and a number, with the smallest byte first: each packet is a command."""
    at = 0
    while at < len(sent):
        end = at + 4 + int.from_bytes(sent[at : at + 3], "little")
        yield sent[at:end]
        at = end


@pytest.fixture
async def wired(database_url: str) -> AsyncIterator[tuple[Database, Wire]]:
    await fill(database_url)
    url = make_url(database_url)
    wire = Wire(postgresql if url.get_backend_name() == "postgresql" else mariadb)
    async with wire.to(str(url.host), url.port or 0) as port:
        through = url.set(host="127.0.0.1", port=port)
        if url.get_backend_name() == "postgresql":
            through = through.update_query_dict({"sslmode": "disable"})
        address = through.render_as_string(hide_password=False)
        async with Database(DataSettings(url=address, pool_size=1)) as database:
            yield database, wire


SERVERS = pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)


@SERVERS
@Reading
async def test_a_read_is_one_message_to_a_server_and_its_answer(wired: tuple[Database, Wire], reading: Read) -> None:
    database, wire = wired
    await reading(database)
    wire.forget()
    await reading(database)
    assert len(wire.messages) == READS, wire.messages
    assert [message for message in wire.messages if any(word in message.upper() for word in TRANSACTION)] == []


@SERVERS
async def test_of_a_unit_of_work_a_server_hears_the_end(wired: tuple[Database, Wire]) -> None:
    database, wire = wired
    await in_units_of_work(database)
    wire.forget()
    await in_units_of_work(database)
    assert sum(b"COMMIT" in message for message in wire.messages) == READS, wire.messages


@pytest.fixture
async def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Database, list[str]]]:
    """What SQLite itself says that it runs, on whatever connection."""
    ran: list[str] = []
    prepare = sqlite_driver.prepare

    def tracing(connection: sqlite3.Connection, pragmas: Any) -> None:
        prepare(connection, pragmas)
        connection.set_trace_callback(ran.append)

    for module in (sqlite, sqlite_driver):
        monkeypatch.setattr(module, "prepare", tracing)
    url = f"sqlite:///{tmp_path}/stamps.db"
    await fill(url)
    async with Database(DataSettings(url=url, pool_size=1)) as database:
        yield database, ran


@Reading
async def test_a_read_is_one_statement_to_sqlite(traced: tuple[Database, list[str]], reading: Read) -> None:
    database, ran = traced
    await reading(database)
    ran.clear()
    await reading(database)
    assert len(ran) == READS
    assert {statement.partition(" ")[0].strip() for statement in ran} == {"SELECT"}


async def test_a_unit_of_work_has_a_beginning_and_an_end_on_sqlite(traced: tuple[Database, list[str]]) -> None:
    database, ran = traced
    await in_units_of_work(database)
    ran.clear()
    await in_units_of_work(database)
    assert [statement.split()[0] for statement in ran] == ["BEGIN", "SELECT", "COMMIT"] * READS
