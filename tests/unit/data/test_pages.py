from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import ForeignKey, func, select
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from leyden import create_app
from leyden.core.resources import installed
from leyden.data import (
    Base,
    Database,
    DataSettings,
    Page,
    PageDep,
    PageParams,
    ReaderDep,
    Total,
    battery,
    paginate,
)
from leyden.testing import client


class PageShelf(Base):
    __tablename__ = "page_shelves"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["PageBook"]] = relationship()


class PageBook(Base):
    __tablename__ = "page_books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    shelf_id: Mapped[int] = mapped_column(ForeignKey("page_shelves.id"))


class BookRead(BaseModel):
    title: str


async def fill(database: Database) -> None:
    tables = [Base.metadata.tables[name] for name in ("page_shelves", "page_books")]
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=tables))
    async with database.session() as session:
        session.add_all([PageShelf(id=number) for number in (1, 2, 3)])
        await session.flush()
        session.add_all([PageBook(id=number, title=f"t{number:02}", shelf_id=1 + number % 3) for number in range(45)])


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(DataSettings(url="sqlite://")) as database:
        await fill(database)
        yield database


async def page_of(database: Database, statement: Any, page: int, size: int = 20, **into: Any) -> Page[Any]:
    async with database.reader() as session:
        return await paginate(session, statement, PageParams(page=page, size=size), **into)


async def test_a_page_has_its_items_and_how_many_there_are_in_all(database: Database) -> None:
    statement = select(PageBook).order_by(PageBook.title.desc())
    last = await page_of(database, statement, 3, into=BookRead)
    assert [item.title for item in last.items] == ["t04", "t03", "t02", "t01", "t00"]
    assert (last.page, last.size, last.total, last.pages) == (3, 20, 45, 3)
    assert all(isinstance(item, BookRead) for item in last.items)


async def test_beyond_the_last_page_and_of_nothing_there_are_no_items(database: Database) -> None:
    beyond = await page_of(database, select(PageBook), 4)
    assert (beyond.items, beyond.total, beyond.pages) == ([], 45, 3)
    nothing = await page_of(database, select(PageBook).where(PageBook.id < 0), 1)
    assert (nothing.items, nothing.total, nothing.pages) == ([], 0, 0)


async def test_without_an_order_it_is_the_primary_keys(database: Database) -> None:
    pages = [await page_of(database, select(PageBook), number, 7) for number in range(1, 8)]
    assert [item.id for page in pages for item in page.items] == list(range(45))


async def test_joined_collections_filters_and_rows_of_several_columns_count_right(database: Database) -> None:
    shelves = await page_of(database, select(PageShelf).options(joinedload(PageShelf.books)), 1, 2)
    assert ([shelf.id for shelf in shelves.items], shelves.total) == ([1, 2], 3)
    assert [len(shelf.books) for shelf in shelves.items] == [15, 15]
    both = await page_of(
        database, select(PageBook, PageShelf).join(PageShelf).where(PageShelf.id == 2).order_by(PageBook.id), 1, 5
    )
    assert (len(both.items), both.total) == (5, 15)
    grouped = (
        select(PageBook.shelf_id, func.count().label("books")).group_by(PageBook.shelf_id).order_by(PageBook.shelf_id)
    )
    counted = await page_of(database, grouped, 1)
    assert [tuple(row) for row in counted.items] == [(1, 15), (2, 15), (3, 15)]


async def test_equal_values_of_plain_columns_are_rows_of_their_own(database: Database) -> None:
    found = await page_of(database, select(PageBook.shelf_id), 1, 45)
    assert (len(found.items), found.total) == (45, 45)


async def test_a_page_tells_of_an_estimate_or_of_nothing_only_where_that_was_asked_for(database: Database) -> None:
    exact = (await page_of(database, select(PageBook), 1)).model_dump(exclude={"items"})
    assert exact == {"page": 1, "size": 20, "total": 45, "pages": 3}
    uncounted = (await page_of(database, select(PageBook), 1, total=Total.NONE)).model_dump(exclude={"items"})
    assert uncounted == {"page": 1, "size": 20, "total": None, "pages": None, "has_next": True}


def app_with_pages() -> FastAPI:
    app = create_app([battery(DataSettings(url="sqlite://"))], openapi_url="/openapi.json")

    @app.get("/books")
    async def books(reader: ReaderDep, page: PageDep, title: str = "") -> Page[BookRead]:
        return await paginate(reader, select(PageBook).where(PageBook.title.contains(title)), page, into=BookRead)

    return app


async def test_an_endpoint_takes_page_and_size_and_says_so_in_openapi() -> None:
    app = app_with_pages()
    async with client(app) as browser:
        await fill(installed(app).resources[Database])  # type: ignore[index]  # it runs
        answer = await browser.get("/books", params={"title": "t1", "page": 2, "size": 4})
        assert answer.json() == {
            "items": [{"title": f"t1{number}"} for number in (4, 5, 6, 7)],
            "page": 2,
            "size": 4,
            "total": 10,
            "pages": 3,
        }
        for bad in ({"page": 0}, {"page": 10**18}, {"size": 0}, {"size": 101}, {"size": "1e9"}):
            assert (await browser.get("/books", params=bad)).status_code == 422
        operation = (await browser.get("/openapi.json")).json()["paths"]["/books"]["get"]
        assert {parameter["name"] for parameter in operation["parameters"]} == {"page", "size", "title"}
