"""Lists over HTTP on each database: whose cursor it is, and what else it is not."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import HTTPConnection

from leyden import create_app, http
from leyden.core import identify
from leyden.core.resources import installed
from leyden.data import (
    Base,
    CursorDep,
    CursorPage,
    Database,
    DataSettings,
    Listing,
    ReaderDep,
    battery,
    insert_many,
    listing,
    paginate,
)
from leyden.testing import client


class WebBook(Base):
    __tablename__ = "web_books"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    title: Mapped[str]
    pages: Mapped[int | None]


class BookRead(BaseModel):
    id: int
    title: str


async def create(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=[Base.metadata.tables["web_books"]]))


BookListing = Annotated[
    Listing,
    Depends(
        listing(
            filters={WebBook.title: ("eq",), WebBook.pages: ("gte",)},
            sorts=(WebBook.title, WebBook.pages),
            default="title",
        )
    ),
]


@dataclass(frozen=True)
class Caller:
    subject: str


async def signed_in(connection: HTTPConnection, x_user: Annotated[str, Header()] = "") -> None:
    if x_user:
        identify(connection, Caller(x_user))


def app_for(url: str) -> FastAPI:
    app = create_app([http.battery(http.HttpSettings()), battery(DataSettings(url=url))])

    async def books(
        reader: ReaderDep,
        page: CursorDep,
        wanted: BookListing,
        _user: Annotated[None, Depends(signed_in)],  # after the page, as it may happen
    ) -> CursorPage[BookRead]:
        return await paginate(reader, wanted.apply(select(WebBook)), page, into=BookRead)

    app.get("/books")(books)
    app.get("/shelves/{number}/books")(books)
    return app


async def test_over_http_a_cursor_is_good_for_its_list_and_its_reader_only(database_url: str) -> None:
    app = app_for(database_url)
    async with client(app) as browser:
        database = installed(app).resources[Database]  # type: ignore[index]  # it runs
        await create(database)
        async with database.session() as session:
            await insert_many(session, WebBook, [{"id": n, "title": "t", "pages": n} for n in range(30)])

        async def ask(path: str = "/books", user: str = "ada", **query: Any) -> tuple[int, Any]:
            answer = await browser.get(path, params=query, headers={"X-User": user})
            return answer.status_code, answer.json()

        filters: dict[str, Any] = {"title": "t", "pages__gte": 3, "sort": "-pages"}
        _, first = await ask(**filters, size=5)
        assert [item["id"] for item in first["items"]] == [29, 28, 27, 26, 25]
        cursor = first["next"]
        status, second = await ask(**filters, size=3, cursor=cursor)
        assert (status, [item["id"] for item in second["items"]]) == (200, [24, 23, 22])
        assert (await ask(**filters, cursor=second["previous"], size=5))[1]["items"] == first["items"]
        refused = [
            await ask(**filters, user="bob", cursor=cursor),
            await ask(**filters, user="", cursor=cursor),
            await ask(**filters | {"pages__gte": 4}, cursor=cursor),
            await ask(**filters | {"sort": "pages"}, cursor=cursor),
            await ask(title="t", sort="-pages", cursor=cursor),
            await ask(cursor=cursor),
            await ask("/shelves/1/books", **filters, cursor=cursor),
            await ask(**filters, cursor=""),
            await ask(**filters, cursor=cursor[:-1]),
            await ask(**filters, cursor=cursor + "A"),
            await ask(**filters, cursor="A" * 7000),
            *[await ask(**filters, cursor=flipped) for flipped in _flipped(cursor)],
        ]
        assert {(status, body["code"]) for status, body in refused} == {(400, "invalid_cursor")}
        assert "Start again from the first page" in refused[0][1]["detail"]
        shelf = (await ask("/shelves/1/books", size=5))[1]["next"]
        assert (await ask("/shelves/1/books", cursor=shelf))[0] == 200
        assert (await ask("/shelves/2/books", cursor=shelf))[0] == 400


def _flipped(cursor: str) -> list[str]:
    """Each character once another one."""
    return [cursor[:place] + ("A" if there != "A" else "B") + cursor[place + 1 :] for place, there in enumerate(cursor)]


async def test_two_apps_of_one_database_take_each_others_cursors(database_url: str) -> None:
    cursors: list[str] = []
    for _ in range(2):
        app = app_for(database_url)
        async with client(app) as browser:
            database = installed(app).resources[Database]  # type: ignore[index]  # it runs
            if not cursors:
                await create(database)
                async with database.session() as session:
                    await insert_many(session, WebBook, [{"id": n, "title": "t"} for n in range(30)])
            answer = await browser.get("/books", params={"cursor": cursors[0]} if cursors else {})
            assert answer.status_code == 200
            cursors.append(answer.json()["next"])
