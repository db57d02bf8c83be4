"""What the ORM can do on a session that keeps its connection for one statement only, on each database."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import ForeignKey, event, func, select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, NoResultFound
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column, relationship, selectinload

from leyden.data import Base, Database, Model
from leyden.data.errors import UnitOfWorkError


class ReadShelf(Model):
    __tablename__ = "read_shelves"

    name: Mapped[str]
    books: Mapped[list["ReadBook"]] = relationship(back_populates="shelf", order_by="ReadBook.title")


class ReadBook(Model):
    __tablename__ = "read_books"

    title: Mapped[str]
    shelf_id: Mapped[str] = mapped_column(ForeignKey("read_shelves.id"))
    shelf: Mapped[ReadShelf] = relationship(back_populates="books")


# An attribute of type uuid, as the key that it refers to.
ReadBook.__table__.c.shelf_id.type = ReadShelf.__table__.c.id.type
TABLES = [Base.metadata.tables[name] for name in ("read_shelves", "read_books")]


@pytest.fixture
async def full(database: Database) -> AsyncIterator[Database]:
    """Two shelves with three books each."""
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
    async with database.session() as session:
        for name in ("a", "b"):
            session.add(ReadShelf(name=name, books=[ReadBook(title=f"{name}{number}") for number in range(3)]))
    yield database
    assert in_use(database) == 0, "a connection was not given back"


def in_use(database: Database) -> int:
    return sum(pool.in_use for pool in database.pools.values())


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """What the engine of read sessions runs meanwhile."""
    seen: list[str] = []
    engine = database.readers.sync_engine

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_every_way_to_read_gives_the_connection_back_at_once(full: Database) -> None:
    async with full.reader() as session:
        shelf = (await session.scalars(select(ReadShelf).order_by(ReadShelf.name))).first()
        assert in_use(full) == 0
        assert shelf is not None
        assert await session.get(ReadShelf, shelf.id) is shelf
        assert in_use(full) == 0
        assert await session.scalar(select(func.count()).select_from(ReadBook)) == 6
        assert in_use(full) == 0
        assert (await session.execute(select(ReadShelf.name).order_by(ReadShelf.name))).all() == [("a",), ("b",)]
        assert in_use(full) == 0
        books = await shelf.awaitable_attrs.books
        assert [book.title for book in books] == ["a0", "a1", "a2"]
        assert in_use(full) == 0
        await session.refresh(shelf)
        assert in_use(full) == 0
        assert (await session.get_one(ReadBook, books[0].id)).title == "a0"
        assert (await session.scalars(select(ReadBook).execution_options(populate_existing=True))).all()
        assert in_use(full) == 0
        assert await session.run_sync(lambda sync: sync.scalar(text("SELECT 7"))) == 7
        assert in_use(full) == 0


async def test_what_is_loaded_beside_the_rows_comes_on_the_same_connection(full: Database) -> None:
    taken = 0

    def note(*_: object) -> None:
        nonlocal taken
        taken += 1

    event.listen(full.readers.sync_engine, "checkout", note)
    async with full.reader() as session:
        with statements(full) as seen:
            shelves = (await session.scalars(select(ReadShelf).options(selectinload(ReadShelf.books)))).all()
        assert sorted(book.title for shelf in shelves for book in shelf.books) == ["a0", "a1", "a2", "b0", "b1", "b2"]
        assert in_use(full) == 0
    assert len([statement for statement in seen if "read_" in statement]) == 2
    assert taken == 1


async def test_two_statements_may_see_what_was_committed_in_between_and_one_object_is_kept(full: Database) -> None:
    async with full.reader() as session:
        shelf = (await session.scalars(select(ReadShelf).where(ReadShelf.name == "a"))).one()
        async with full.session() as writing:
            (await writing.get_one(ReadShelf, shelf.id)).name = "c"
        assert await session.scalar(select(ReadShelf.name).where(ReadShelf.id == shelf.id)) == "c"
        assert shelf.name == "a"
        await session.refresh(shelf)
        assert shelf.name == "c"


async def test_a_stream_may_be_read_while_other_statements_run_and_is_given_back_at_the_end(full: Database) -> None:
    async with full.reader() as session:
        titles = []
        async for book in await session.stream_scalars(select(ReadBook).order_by(ReadBook.title)):
            shelf = await session.get_one(ReadShelf, book.shelf_id)
            titles.append(f"{shelf.name}:{book.title}")
        assert titles == ["a:a0", "a:a1", "a:a2", "b:b0", "b:b1", "b:b2"]
        rows = [row async for row in await session.stream(select(ReadBook.title).order_by(ReadBook.title))]
        assert len(rows) == 6
    assert in_use(full) == 0


async def test_a_stream_that_is_left_halfway_is_closed(full: Database) -> None:
    async with full.reader() as session:
        async for _ in await session.stream(select(ReadBook)):
            break
    assert in_use(full) == 0
    async with full.reader() as session:
        assert await session.scalar(text("SELECT 1")) == 1


async def test_a_connection_that_was_asked_for_is_given_back_at_the_end(full: Database) -> None:
    async with full.reader() as session:
        connection = await session.connection()
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
        assert in_use(full) == 1
    assert in_use(full) == 0


async def test_an_error_leaves_the_session_usable(full: Database) -> None:
    async with full.reader() as session:
        shelf = (await session.scalars(select(ReadShelf).order_by(ReadShelf.name))).first()
        assert shelf is not None
        for _ in range(2):
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT nothing FROM nowhere"))
            assert in_use(full) == 0
        with pytest.raises(NoResultFound):
            await session.get_one(ReadShelf, ReadBook.id.type.python_type(int=7))
        assert await session.scalar(text("SELECT 1")) == 1
        assert len(await shelf.awaitable_attrs.books) == 3


async def test_nothing_is_changed_by_whatever_way(full: Database) -> None:
    async def merged(session: AsyncSession) -> None:
        shelf = (await session.scalars(select(ReadShelf))).first()
        assert shelf is not None
        await session.merge(ReadShelf(id=shelf.id, name="changed"))
        await session.flush()

    async def changed(session: AsyncSession) -> None:
        shelf = (await session.scalars(select(ReadShelf))).first()
        assert shelf is not None
        shelf.name = "changed"
        await session.commit()

    async def deleted(session: AsyncSession) -> None:
        await session.delete((await session.scalars(select(ReadBook))).first())
        await session.commit()

    for change in (merged, changed, deleted):
        with pytest.raises(UnitOfWorkError, match="only reads"):
            async with full.reader() as session:
                await change(session)
        assert in_use(full) == 0
    async with full.reader() as session:
        assert (await session.scalars(select(ReadShelf.name).order_by(ReadShelf.name))).all() == ["a", "b"]


async def test_objects_stay_readable_after_the_end_and_the_session_does_not(full: Database) -> None:
    async with full.reader() as session:
        shelf = (await session.scalars(select(ReadShelf).order_by(ReadShelf.name))).first()
    assert shelf is not None
    assert shelf.name == "a"
    with pytest.raises(InvalidRequestError):
        await session.execute(text("SELECT 1"))


async def test_twenty_read_sessions_share_two_connections(full: Database) -> None:
    settings = full.settings.model_copy(update={"pool_size": 2, "pool_timeout": 5.0})
    async with Database(settings) as narrow:

        async def read() -> int:
            async with narrow.reader() as session:
                found = 0
                for _ in range(5):
                    found += len((await session.scalars(select(ReadBook))).all())
                    await asyncio.sleep(0.01)
                return found

        assert await asyncio.gather(*(read() for _ in range(20))) == [30] * 20
        assert narrow.pools["read"].opened <= 2


async def test_a_read_that_is_cancelled_gives_no_dirty_connection_back(full: Database) -> None:
    settings = full.settings.model_copy(update={"pool_size": 1})
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
        "postgresql": "SELECT pg_sleep(3)",
        "mysql": "SELECT SLEEP(3)",
    }[full.dialect]
    async with Database(settings) as narrow:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05), narrow.reader() as session:
                    await session.execute(text(slow))
            assert in_use(narrow) == 0
            async with asyncio.timeout(3), narrow.reader() as session:
                assert await session.scalar(text("SELECT 1")) == 1
