"""What a list may be asked for, what it is told when it is asked for something else, and what OpenAPI says."""

import enum
import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Security
from fastapi.security import APIKeyQuery
from httpx2 import AsyncClient
from pydantic import BaseModel
from sqlalchemy import JSON, Numeric, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app, http
from leyden.core import ConfigurationError
from leyden.core.resources import installed
from leyden.data import Base, Database, DataSettings, Model, PageDep, ReaderDep, battery, paginate
from leyden.data.cursors import CursorDep
from leyden.data.listings import Listing, listing
from leyden.data.pages import CursorPage, Page
from leyden.testing import client

SNAPSHOT = Path(__file__).with_name("listing_parameters.json")


class Seen(enum.StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"


class ListedFilm(Model):
    __tablename__ = "listed_films"

    title: Mapped[str] = mapped_column(String(100))
    story: Mapped[str] = mapped_column(Text, default="")
    views: Mapped[int]
    price: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    rating: Mapped[float | None]
    visibility: Mapped[Seen]
    facts: Mapped[Any] = mapped_column(JSON, default=dict)


class FilmRead(BaseModel):
    title: str


FilmListing = Annotated[
    Listing,
    Depends(
        listing(
            filters={
                ListedFilm.title: ("eq", "contains", "startswith"),
                ListedFilm.views: ("eq", "gte", "lte", "in"),
                ListedFilm.price: ("gt", "lt"),
                ListedFilm.rating: ("ne", "gte", "isnull"),
                ListedFilm.visibility: ("eq", "in"),
                ListedFilm.created_at: ("lt",),
                ListedFilm.id: ("eq",),
            },
            sorts=(ListedFilm.created_at, ListedFilm.title, ListedFilm.rating),
            default="-created_at",
            names={ListedFilm.visibility: "seen_by"},
        )
    ),
]
router = APIRouter(prefix="/api")


@router.get("/films")
async def films(
    reader: ReaderDep,
    page: CursorDep,
    wanted: FilmListing,
    key: Annotated[str | None, Security(APIKeyQuery(name="key", auto_error=False))] = None,
    other: Annotated[str, Query(alias="X-Other")] = "",
) -> CursorPage[FilmRead]:
    return await paginate(reader, wanted.apply(select(ListedFilm)), page, into=FilmRead)


@router.get("/numbered")
async def numbered(reader: ReaderDep, page: PageDep, wanted: FilmListing) -> Page[FilmRead]:
    return await paginate(reader, wanted.apply(select(ListedFilm)), page, into=FilmRead)


def app_with_films() -> FastAPI:
    app = create_app(
        [http.battery(http.HttpSettings()), battery(DataSettings(url="sqlite://"))], openapi_url="/openapi.json"
    )
    app.include_router(router)
    return app


@pytest.fixture
async def browser() -> AsyncIterator[AsyncClient]:
    app = app_with_films()
    async with client(app) as browser:
        database = installed(app).resources[Database]  # type: ignore[index]  # it runs
        async with database.writer.begin() as connection:
            await connection.run_sync(
                lambda c: Base.metadata.create_all(c, tables=[Base.metadata.tables["listed_films"]])
            )
        async with database.session() as session:
            for number in range(12):
                session.add(
                    ListedFilm(
                        title=f"Film {number} 100%" if number % 2 else f"film_{number}",
                        views=number,
                        price=Decimal(number) / 4,
                        rating=None if number % 3 == 0 else number / 2,
                        visibility=Seen.PRIVATE if number > 9 else Seen.PUBLIC,
                    )
                )
                await session.flush()
        yield browser


async def numbers(browser: AsyncClient, query: str) -> list[int]:
    answer = await browser.get(f"/api/films?{query}")
    assert answer.status_code == 200, answer.text
    return [
        int("".join(c for c in item["title"].replace("100%", "") if c.isdigit())) for item in answer.json()["items"]
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]),
        ("size=3", [11, 10, 9]),
        ("title=film_4", [4]),
        ("title__contains=LM_", [10, 8, 6, 4, 2, 0]),
        ("title__contains=0%25", [11, 9, 7, 5, 3, 1]),
        ("title__startswith=FILM%201", [11, 1]),
        ("views=3", [3]),
        ("views=-1", []),
        ("views__gte=3&views__lte=5", [5, 4, 3]),
        ("views__in=3,5", [5, 3]),
        ("views__in=3&views__in=5,7", [7, 5, 3]),
        ("price__gt=2.25&price__lt=2.75", [10]),
        ("price__gt=-1&price__lt=0.25", [0]),
        ("rating__ne=0.5&views__lte=3", [3, 2, 0]),
        ("rating__isnull=true", [9, 6, 3, 0]),
        ("rating__isnull=false&views__lte=2", [2, 1]),
        ("seen_by=private", [11, 10]),
        ("seen_by__in=private,public&size=1", [11]),
        ("created_at__lt=2001-01-01T00:00:00Z", []),
        ("sort=created_at&size=2", [0, 1]),
        ("sort=rating,-title&size=5", [6, 0, 9, 3, 1]),
        ("key=k&X-Other=o&size=1", [11]),
    ],
)
async def test_a_list_is_filtered_and_sorted_as_asked(browser: AsyncClient, query: str, expected: list[int]) -> None:
    assert await numbers(browser, query) == expected


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("tittle=x", "unknown_parameter"),
        ("views__gt=1", "unknown_parameter"),
        ("visibility=public", "unknown_parameter"),
        ("page=2", "unknown_parameter"),
        ("size=1&tittle=x&%00=1", "unknown_parameter"),
        ("sort=titel", "unknown_sort"),
        ("sort=", "unknown_sort"),
        ("sort=story", "unknown_sort"),
        ("sort=title,-title", "repeated_sort"),
        ("views=1e400", "int_parsing"),
        ("views=99999999999", "less_than_equal"),
        ("views__in=", "int_parsing"),
        (f"views__in={','.join('1' * 101)}", "too_long"),
        ("price__gt=NaN", "finite_number"),
        ("price__gt=Infinity", "finite_number"),
        ("price__gt=1e400", "decimal_max_digits"),
        ("price__gt=1.001", "decimal_max_places"),
        ("rating__gte=NaN", "finite_number"),
        ("rating__gte=1e400", "finite_number"),
        ("seen_by=PUBLIC", "enum"),
        ("id=3", "uuid_parsing"),
        ("title=%00", "string_pattern_mismatch"),
        (f"title={'x' * 101}", "string_too_long"),
        ("title__contains=", "string_too_short"),
        ("created_at__lt=2026-01-01T00:00:00", "timezone_aware"),
        ("created_at__lt=0001-01-01T00:00:00%2B14:00", "value_error"),
        ("size=0", "greater_than_equal"),
        ("size=1000000000", "less_than_equal"),
    ],
)
async def test_what_a_list_cannot_do_is_a_422_that_names_it(browser: AsyncClient, query: str, code: str) -> None:
    answer = await browser.get(f"/api/films?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert code in {error["code"] for error in answer.json()["errors"]}


async def test_the_nearest_name_is_told_in_the_language_of_the_reader(browser: AsyncClient) -> None:
    answer = await browser.get("/api/films?tittle=x")
    assert answer.json()["errors"] == [
        {
            "field": "query.tittle",
            "code": "unknown_parameter",
            "message": "There is no parameter 'tittle'. Did you mean 'title'?",
        }
    ]
    for query, words in (("tittle=x", "没有参数“tittle”。您是否想用“title”"), ("sort=titel", "您是否想用“title”")):
        chinese = await browser.get(f"/api/films?{query}", headers={"Accept-Language": "zh"})
        assert words in chinese.json()["errors"][0]["message"]


async def test_each_route_knows_its_own_parameters(browser: AsyncClient) -> None:
    for path, own, other in (("films", "cursor", "page"), ("numbered", "page", "key")):
        known = await browser.get(f"/api/{path}?{own}=1")
        assert "unknown_parameter" not in known.text
        assert "unknown_parameter" in (await browser.get(f"/api/{path}?{other}=1")).text


async def test_a_page_leaves_out_what_was_not_asked_for(browser: AsyncClient) -> None:
    answer = (await browser.get("/api/films?size=1")).json()
    assert sorted(answer) == ["items", "next", "previous", "size"]


def test_openapi_shows_each_parameter_with_its_type() -> None:
    parameters = app_with_films().openapi()["paths"]["/api/films"]["get"]["parameters"]
    assert parameters == json.loads(SNAPSHOT.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, "something to filter or to sort by"),
        ({"filters": {ListedFilm.title: ("contain",)}}, "Did you mean 'contains'"),
        ({"filters": {ListedFilm.views: ("contains",)}}, "says nothing of views"),
        ({"filters": {ListedFilm.visibility: ("lt",)}}, "says nothing of visibility"),
        ({"filters": {ListedFilm.facts: ("eq",)}}, "facts cannot be a filter"),
        ({"filters": {ListedFilm.title: ("eq", "eq")}}, "called 'title'"),
        ({"filters": {ListedFilm.title: ("eq",)}, "names": {ListedFilm.title: "sort"}}, "called 'sort'"),
        ({"filters": {ListedFilm.title: ("eq",)}, "names": {ListedFilm.title: "a-b"}}, "Write it as a name"),
        ({"sorts": (ListedFilm.story,)}, "no greatest length"),
        ({"sorts": (ListedFilm.title, ListedFilm.title), "names": {}, "default": "titel"}, "Did you mean 'title'"),
        ({"sorts": (ListedFilm.title, ListedFilm.views), "names": {ListedFilm.views: "title"}}, "called 'title'"),
    ],
)
def test_a_listing_that_cannot_work_is_refused_when_it_is_made(asked: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        listing(**asked)
