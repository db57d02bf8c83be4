"""Cursor pages on each database: any order, both ways, while rows come and go, for their own reader only."""

import asyncio
import datetime as dt
import enum
import functools
import random
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from pydantic import BaseModel
from sqlalchemy import Float, ForeignKey, LargeBinary, Numeric, Row, Select, String, delete, event, func, select, text
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, aliased, joinedload, mapped_column, relationship

from leyden.core import ConfigurationError
from leyden.data import (
    Base,
    CursorPage,
    CursorParams,
    Database,
    InvalidCursorError,
    PageParams,
    Total,
    insert_many,
    paginate,
)

BINARY = String(20).with_variant(String(20, collation="C"), "postgresql")
BINARY = BINARY.with_variant(VARCHAR(20, collation="utf8mb4_nopad_bin"), "mysql", "mariadb")
"""Sorted by code point, as Python does."""


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class CursorShelf(Base):
    __tablename__ = "cursor_shelves"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    books: Mapped[list["CursorBook"]] = relationship(back_populates="shelf", order_by="CursorBook.id")


class CursorBook(Base):
    __tablename__ = "cursor_books"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shelf_id: Mapped[int | None] = mapped_column(ForeignKey("cursor_shelves.id"))
    title: Mapped[str] = mapped_column(BINARY)
    pages: Mapped[int | None]
    subtitle: Mapped[str | None] = mapped_column(BINARY)
    shelf: Mapped[CursorShelf | None] = relationship(back_populates="books", lazy="raise")


class CursorKind(Base):
    """A column of each type that can be sorted by."""

    __tablename__ = "cursor_kinds"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    integer: Mapped[int | None]
    text: Mapped[str | None]
    double: Mapped[float | None]
    single: Mapped[float | None] = mapped_column(Float(24))
    decimal: Mapped[Decimal | None] = mapped_column(Numeric(30, 12))
    flag: Mapped[bool | None]
    moment: Mapped[dt.datetime | None]
    day: Mapped[dt.date | None]
    hour: Mapped[dt.time | None]
    other_id: Mapped[uuid.UUID | None]
    colour: Mapped[Colour | None]
    span: Mapped[dt.timedelta | None]
    content: Mapped[bytes | None] = mapped_column(LargeBinary(20))


class BookRead(BaseModel):
    id: int
    title: str


TABLES = [Base.metadata.tables[f"cursor_{name}"] for name in ("shelves", "books", "kinds")]


async def create(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))


@pytest.fixture
async def shop(database: Database) -> Database:
    await create(database)
    chance = random.Random(41)  # noqa: S311
    async with database.session() as session:
        session.add_all([CursorShelf(id=number, name=f"s{number % 2}") for number in (1, 2, 3)])
        await session.flush()
        for number in range(47):
            session.add(
                CursorBook(
                    id=number,
                    shelf_id=chance.choice([None, 1, 2, 3]),
                    title=chance.choice(["a", "A", "b", "ä", ""]),
                    pages=chance.choice([None, -1, 0, 1, 2]),
                    subtitle=chance.choice([None, "x", "y"]),
                )
            )
    return database


async def page_of(
    database: Database, statement: Select[*tuple[Any, ...]], cursor: str | None = None, size: int = 7, **more: Any
) -> CursorPage[Any]:
    async with database.reader() as session:
        return await paginate(session, statement, CursorParams(database, size, cursor), **more)


async def forwards(
    database: Database, statement: Select[*tuple[Any, ...]], size: int = 7
) -> tuple[list[Any], CursorPage[Any]]:
    page = await page_of(database, statement, size=size)
    items = list(page.items)
    assert page.previous is None
    while page.next is not None:
        page = await page_of(database, statement, page.next, size)
        items += page.items
    return items, page


async def backwards(
    database: Database, statement: Select[*tuple[Any, ...]], last: CursorPage[Any], size: int = 7
) -> list[Any]:
    items, page = list(last.items), last
    while page.previous is not None:
        page = await page_of(database, statement, page.previous, size)
        items = page.items + items
    return items


Order = tuple[str, bool, bool | None]
"""Column, downwards, nulls first."""


def clause(order: Order) -> Any:
    name, descending, nulls_first = order
    column = getattr(CursorBook, name)
    found = column.desc() if descending else column.asc()
    return found if nulls_first is None else found.nulls_first() if nulls_first else found.nulls_last()


def compared(orders: Sequence[Order], dialect: str) -> Callable[[Any, Any], int]:
    """How Python sorts what the database is told to."""

    def side(one: Any, other: Any, order: Order) -> int:
        name, descending, nulls_first = order
        ours, theirs = getattr(one, name), getattr(other, name)
        if (ours is None) is (theirs is None):
            return 0 if ours == theirs else (-1 if ours < theirs else 1) * (-1 if descending else 1)
        first = nulls_first if nulls_first is not None else descending == (dialect == "postgresql")
        return -1 if (ours is None) is first else 1

    def compare(one: Any, other: Any) -> int:
        last = orders[-1][1] if orders else False
        found = (side(one, other, order) for order in (*orders, ("id", last, None)))
        return next((number for number in found if number), 0)

    return compare


orders = some.lists(
    some.tuples(
        some.sampled_from(["title", "pages", "subtitle", "shelf_id"]),
        some.booleans(),
        some.sampled_from([None, True, False]),
    ),
    max_size=3,
    unique_by=lambda order: order[0],
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=orders, size=some.integers(min_value=1, max_value=50))
async def test_every_order_is_pythons_both_ways(shop: Database, wanted: list[Order], size: int) -> None:
    statement = select(CursorBook).order_by(*map(clause, wanted))
    async with shop.reader() as session:
        books = (await session.scalars(select(CursorBook))).all()
    expected = [book.id for book in sorted(books, key=functools.cmp_to_key(compared(wanted, shop.dialect)))]
    size = max(size, 5)  # the fewer, the longer it takes
    found, last = await forwards(shop, statement, size)
    assert [book.id for book in found] == expected
    assert [book.id for book in await backwards(shop, statement, last, size)] == expected


async def test_no_value_of_any_type_is_lost_or_doubled(database: Database) -> None:
    await create(database)
    chance = random.Random(7)  # noqa: S311
    makers: dict[str, Callable[[], Any]] = {
        "integer": lambda: chance.randrange(5),
        "text": lambda: chance.choice(["a", "B", "cä", "A b", "a "]),
        "double": chance.random,
        "single": chance.random,
        "decimal": lambda: Decimal(chance.randrange(10**14)) / 10**12 + 10**9,
        "flag": lambda: chance.random() < 0.5,
        "moment": lambda: dt.datetime(2026, 3, 29, 1, 0, 0, chance.randrange(9), tzinfo=dt.UTC),
        "day": lambda: dt.date(2020, 1, chance.randrange(1, 9)),
        "hour": lambda: dt.time(1, 2, chance.randrange(60)),
        "other_id": lambda: uuid.UUID(int=chance.getrandbits(128), version=4),
        "colour": lambda: chance.choice(list(Colour)),
        "span": lambda: dt.timedelta(chance.randrange(4), 3),
        "content": lambda: chance.randbytes(2),
    }
    async with database.session() as session:
        for _ in range(40):
            values = {name: None if chance.random() < 0.2 else make() for name, make in makers.items()}
            session.add(CursorKind(id=uuid.UUID(int=chance.getrandbits(128), version=4), **values))
    for name in makers:
        for statement in (
            select(CursorKind).order_by(getattr(CursorKind, name)),
            select(CursorKind).order_by(getattr(CursorKind, name).desc(), CursorKind.integer),
        ):
            found, last = await forwards(database, statement)
            assert len({row.id for row in found}) == len(found) == 40, name
            assert [row.id for row in await backwards(database, statement, last)] == [row.id for row in found]


async def test_a_page_is_one_query_and_a_total_is_another(shop: Database) -> None:
    queries: list[str] = []
    listen = functools.partial(event.listen, shop.readers.sync_engine, "before_cursor_execute")
    listen(lambda _c, _cur, statement, *_: queries.append(statement) if statement.startswith("SELECT") else None)
    page = await page_of(shop, select(CursorBook), total=None)
    await page_of(shop, select(CursorBook), page.next)
    assert len(queries) == 2
    assert (page.total, page.estimated) == (None, False)
    queries.clear()
    assert (await page_of(shop, select(CursorBook), page.next, total=Total.EXACT)).total == 47
    assert len(queries) == 2


async def test_statements_of_every_shape_are_paged(shop: Database) -> None:
    other = aliased(CursorBook)
    shelf_name = CursorShelf.name.label("shelf")
    shapes: list[tuple[Select[*tuple[Any, ...]], int]] = [
        (select(CursorBook.title), 47),
        (select(CursorBook.title, CursorBook.pages).order_by(CursorBook.title), 47),
        (select(CursorBook.title.label("name")).order_by("name"), 47),
        (select(other).order_by(other.title.desc()), 47),
        (select(func.lower(CursorBook.title).label("low"), CursorBook.id).order_by("low"), 47),
        (select(CursorBook).outerjoin(CursorShelf).order_by(CursorShelf.name.desc(), CursorBook.title), 47),
        (select(CursorBook, CursorShelf).outerjoin(CursorShelf).order_by(shelf_name), 47),
        (select(CursorShelf).options(joinedload(CursorShelf.books)), 3),
        (select(CursorBook).options(joinedload(CursorBook.shelf)).order_by(CursorBook.pages), 47),
        (select(CursorBook.pages).distinct(), 5),
        (select(CursorBook.pages, func.count().label("n")).group_by(CursorBook.pages).order_by(func.count().desc()), 5),
        (select(CursorBook.__table__), 47),
    ]
    for statement, number in shapes:
        found, last = await forwards(shop, statement, 2)
        assert len(found) == number, str(statement)
        assert [_key(item) for item in await backwards(shop, statement, last, 2)] == [_key(item) for item in found]


def _key(item: Any) -> Any:
    if isinstance(item, Row):
        return tuple(map(_key, item))
    return getattr(item, "id", item)


async def test_rows_keep_their_shape_and_go_into_schemas(shop: Database) -> None:
    statement = select(CursorBook.title, CursorBook.id).order_by(CursorBook.pages)
    row = (await page_of(shop, statement)).items[0]
    assert (row.title, row.id, len(row)) == (row[0], row[1], 2)
    assert isinstance((await page_of(shop, statement, into=BookRead)).items[0], BookRead)
    shelves = await page_of(shop, select(CursorShelf).options(joinedload(CursorShelf.books)), size=2)
    assert sum(len(shelf.books) for shelf in shelves.items) > 2


async def test_a_joined_row_that_comes_often_is_shown_once_and_hides_none(shop: Database) -> None:
    statement = select(CursorShelf).join(CursorShelf.books)
    found, _ = await forwards(shop, statement, 2)
    assert [shelf.id for shelf in found] == [1, 2, 3]


async def test_what_cannot_be_paged_is_told_to_the_author(shop: Database) -> None:
    for statement, told in (
        (select(func.count()), "primary key"),
        (select(CursorBook).order_by("nothing"), "does not select"),
        (select(CursorBook).order_by(text("title")), "by the text 'title'"),
    ):
        with pytest.raises(ConfigurationError, match=told):
            await page_of(shop, statement)
    with pytest.raises(ConfigurationError, match="at least one item"):
        await page_of(shop, select(CursorBook), size=0)


async def test_a_cursor_is_good_for_its_order_and_context_only(shop: Database) -> None:
    statement = select(CursorBook).order_by(CursorBook.title)
    cursor = (await page_of(shop, statement)).next
    assert cursor is not None
    for other in (
        select(CursorBook).order_by(CursorBook.title.desc()),
        select(CursorBook).order_by(CursorBook.title, CursorBook.pages),
        select(CursorBook).order_by(CursorBook.subtitle),
        select(CursorBook),
    ):
        with pytest.raises(InvalidCursorError):
            await page_of(shop, other, cursor)
    async with shop.reader() as session:
        with pytest.raises(InvalidCursorError):
            await paginate(session, statement, CursorParams(shop, cursor=cursor, context="another list"))


async def test_beyond_rows_that_are_gone_a_cursor_leads_back(shop: Database) -> None:
    statement = select(CursorBook).order_by(CursorBook.id)
    page = await page_of(shop, statement, size=40)
    await remove(shop, CursorBook.id >= 40)
    empty = await page_of(shop, statement, page.next, 40)
    assert (empty.items, empty.next) == ([], None)
    back = await page_of(shop, statement, empty.previous, 40)
    assert [book.id for book in back.items] == list(range(40))
    assert back.previous is None
    later = await page_of(shop, statement, back.next, 5)
    await remove(shop, CursorBook.id < 40)
    assert later.items == []


async def test_before_rows_that_are_gone_a_cursor_leads_on(shop: Database) -> None:
    statement = select(CursorBook).order_by(CursorBook.id)
    second = await page_of(shop, statement, (await page_of(shop, statement)).next)
    await remove(shop, CursorBook.id < 7)
    empty = await page_of(shop, statement, second.previous)
    assert (empty.items, empty.previous) == ([], None)
    assert [book.id for book in (await page_of(shop, statement, empty.next)).items] == list(range(7, 14))


async def remove(database: Database, condition: Any) -> None:
    async with database.session() as session:
        await session.execute(delete(CursorBook).where(condition))


ROWS = 10_000


async def test_ten_thousand_rows_are_each_seen_once_while_others_come_and_go(database: Database) -> None:
    await create(database)
    chance = random.Random(1)  # noqa: S311
    untouched = [number for number in range(ROWS) if number % 5]
    async with database.session() as session:
        rows = [{"id": n, "title": chance.choice("abc"), "pages": chance.choice([None, 1, 2, 3])} for n in range(ROWS)]
        await insert_many(session, CursorBook, rows)
    over = asyncio.Event()

    async def disturb() -> None:
        """Every fifth row goes, and new ones come in all places."""
        for number in range(0, ROWS, 5):
            if over.is_set():
                return
            async with database.session() as session:
                await session.execute(delete(CursorBook).where(CursorBook.id == (number * 7919) % ROWS // 5 * 5))
                session.add(CursorBook(id=ROWS + number, title=chance.choice("abc"), pages=chance.choice([None, 2])))
            await asyncio.sleep(0)

    statement = select(CursorBook.id).order_by(CursorBook.pages.desc(), CursorBook.title)
    disturber = asyncio.create_task(disturb())
    found, last = await forwards(database, statement, 100)
    back = await backwards(database, statement, last, 100)
    over.set()
    await disturber
    for seen in (found, back):
        assert len(set(seen)) == len(seen)
        assert sorted(number for number in seen if number < ROWS and number % 5) == untouched
    assert any(number >= ROWS for number in back), "nothing was inserted meanwhile"


@pytest.mark.parametrize("total", list(Total))
async def test_a_numbered_page_says_how_sure_its_total_is(shop: Database, total: Total) -> None:
    async with shop.reader() as session:
        pages = [
            await paginate(session, statement, PageParams(page=number, size=20), total=total)
            for statement, number in (
                (select(CursorBook), 1),
                (select(CursorBook), 3),
                (select(CursorBook), 9),
                (select(CursorBook).where(CursorBook.id < 0), 1),
            )
        ]
    assert [len(page.items) for page in pages] == [20, 7, 0, 0]
    if total is Total.NONE:
        assert [(page.total, page.pages, page.has_next) for page in pages] == [
            (None, None, True),
            (None, None, False),
            (None, None, False),
            (None, None, False),
        ]
    elif total is Total.EXACT:
        assert [(page.total, page.pages) for page in pages] == [(47, 3), (47, 3), (47, 3), (0, 0)]
    else:
        assert (pages[1].total, pages[1].estimated) == (47, False), "the last page knows"
        assert (pages[3].total, pages[3].estimated) == (0, False)
        assert pages[0].estimated is (shop.dialect != "sqlite")
        assert 21 <= (pages[0].total or 0) < 5000


async def test_an_estimate_is_near_where_the_database_has_looked_at_its_rows(database: Database) -> None:
    await create(database)
    async with database.session() as session:
        await insert_many(session, CursorBook, [{"id": n, "title": str(n % 10)} for n in range(12_000)])
    analyze = {"sqlite": "ANALYZE", "postgresql": "ANALYZE cursor_books", "mysql": "ANALYZE TABLE cursor_books"}
    async with database.writer.connect() as connection:
        await connection.exec_driver_sql(analyze[database.dialect])
        await connection.commit()
    async with database.reader() as session:
        for statement, exact in ((select(CursorBook), 12_000), (select(CursorBook).where(CursorBook.id < 4000), 4000)):
            page = await paginate(session, statement, PageParams(), total=Total.ESTIMATED)
            assert page.total is not None
            assert page.estimated is (database.dialect != "sqlite" or exact > 10_000)
            assert 0.7 * exact < page.total < 1.4 * exact


async def test_an_open_unit_of_work_is_paged_with_its_own_changes(shop: Database) -> None:
    async with shop.session() as session:
        session.add(CursorBook(id=-1, title="new"))
        page = await _first(session, shop)
        assert [book.id for book in page.items] == [-1, 0]


async def _first(session: AsyncSession, database: Database) -> CursorPage[Any]:
    return await paginate(session, select(CursorBook).order_by(CursorBook.id), CursorParams(database, 2))
