"""Batches: one unit of work, an outcome an item, on each database."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import CheckConstraint, ForeignKey, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app
from leyden import http as leyden_http
from leyden.core import ConfigurationError, NotFoundError
from leyden.data import (
    Base,
    BatchItem,
    ConflictError,
    Database,
    DatabaseBusyError,
    DatabaseDownError,
    Model,
    SessionDep,
    TooManyItemsError,
    batch,
    batch_answer,
    battery,
    get_or_404,
    uuid7,
)
from leyden.testing import client


class Shelf(Model):
    __tablename__ = "batch_shelves"
    __table_args__ = (CheckConstraint("room >= 0", name="room_left"),)

    name: Mapped[str] = mapped_column(unique=True)
    room: Mapped[int] = mapped_column(default=3)


class Book(Model):
    __tablename__ = "batch_books"

    title: Mapped[str] = mapped_column(unique=True)
    shelf_id: Mapped[Any] = mapped_column(ForeignKey(Shelf.id))


TABLES = [Base.metadata.tables[name] for name in ("batch_shelves", "batch_books")]


@pytest.fixture
async def ready(database: Database) -> Database:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=TABLES))
    return database


async def names(database: Database) -> list[str]:
    async with database.reader() as session:
        return list(await session.scalars(select(Shelf.name).order_by(Shelf.name)))


async def add(session: AsyncSession, name: str) -> str:
    session.add(Shelf(name=name))
    return name.upper()


async def test_each_item_has_an_outcome_in_order_and_only_the_bad_ones_are_taken_back(ready: Database) -> None:
    made: list[Shelf] = []

    async def keep(session: AsyncSession, name: str) -> str:
        made.append(Shelf(name=name))
        session.add(made[-1])
        if name == "unkind":
            raise NotFoundError
        return name.upper()

    async with ready.session() as session:
        session.add(Shelf(name="before"))
        outcomes = await batch(session, ["a", "before", "unkind", "b", "a", "c"], keep)
        assert [shelf in session for shelf in made] == [outcome.ok for outcome in outcomes]
    assert [outcome.value for outcome in outcomes] == ["A", None, None, "B", None, "C"]
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [type(None), ConflictError, NotFoundError, type(None), ConflictError, type(None)]
    assert [field.field for field in outcomes[1].error.fields] == ["name"]  # type: ignore[union-attr]  # a ConflictError
    assert await names(ready) == ["a", "b", "before", "c"]


async def test_what_an_item_changed_before_it_failed_is_as_it_was_and_can_be_read_at_once(ready: Database) -> None:
    async with ready.session() as session:
        session.add(shelf := Shelf(name="shelf"))
        session.add(doomed := Shelf(name="doomed"))

    async with ready.session() as session:
        shelf = await session.get_one(Shelf, shelf.id)
        doomed = await session.get_one(Shelf, doomed.id)

        async def put(session: AsyncSession, title: str) -> int:
            shelf.room -= 1
            session.add(Book(title=title, shelf_id=shelf.id))
            if title == "bad":
                await session.delete(doomed)
                await session.flush()
                raise NotFoundError
            return shelf.room

        outcomes = await batch(session, ["a", "bad", "a", "b", "c", "d"], put)
        assert [outcome.value for outcome in outcomes] == [2, None, None, 1, 0, None]
        assert [field.field for field in outcomes[5].error.fields] == ["room"]  # type: ignore[union-attr]  # a ConflictError
        assert (shelf.room, doomed in session, doomed.name) == (0, True, "doomed")
    async with ready.reader() as session:
        assert (await session.get_one(Shelf, shelf.id)).room == 0
        assert list(await session.scalars(select(Book.title).order_by(Book.title))) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "error", [LookupError("bug"), ConfigurationError("wrong"), DatabaseBusyError(), TimeoutError()]
)
async def test_a_bug_and_an_outage_end_the_batch_and_nothing_is_committed(ready: Database, error: Exception) -> None:
    done: list[str] = []

    async def work(session: AsyncSession, name: str) -> None:
        session.add(Shelf(name=name))
        done.append(name)
        if name == "b":
            raise error

    with pytest.raises(type(error)) as raised:
        async with ready.session() as session:
            await batch(session, ["a", "b", "c"], work)
    assert raised.value is error
    assert done == ["a", "b"]
    assert await names(ready) == []
    async with ready.session() as session:
        await batch(session, ["x"], add)
    assert await names(ready) == ["x"]


async def test_an_error_in_what_was_pending_before_is_no_items_fault(ready: Database) -> None:
    async def run() -> None:
        async with ready.session() as session:
            session.add_all([Shelf(name="a"), Shelf(name="a")])
            await batch(session, ["b"], add)

    with pytest.raises(ConflictError):
        await run()
    assert await names(ready) == []


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
async def test_a_connection_that_is_lost_on_the_way_ends_the_batch(ready: Database) -> None:
    async def work(session: AsyncSession, name: str) -> str:
        if name == "b":
            mysql = ready.dialect == "mysql"
            connection = await session.scalar(text("SELECT connection_id()" if mysql else "SELECT pg_backend_pid()"))
            async with ready.writer.connect() as other:
                kill = f"KILL {connection}" if mysql else f"SELECT pg_terminate_backend({connection})"
                await other.execute(text(kill))
        return await add(session, name)

    with pytest.raises(DatabaseDownError):
        async with ready.session() as session:
            await batch(session, ["a", "b", "c"], work)
    assert await names(ready) == []


@pytest.mark.parametrize("database_url", ["postgresql", "psycopg", "mariadb"], indirect=True)
async def test_a_deadlock_ends_one_of_two_batches_as_busy_and_the_other_is_done(ready: Database) -> None:
    async with ready.session() as session:
        session.add_all([Shelf(name="a"), Shelf(name="b")])
    met = asyncio.Barrier(2)

    async def run(order: str) -> str:
        async def work(session: AsyncSession, name: str) -> None:
            await session.execute(update(Shelf).where(Shelf.name == name).values(room=Shelf.room - 1))
            if name == order[0]:
                await met.wait()

        try:
            async with ready.session() as session:
                await batch(session, order, work)
        except DatabaseBusyError:
            return "busy"
        return "done"

    assert sorted(await asyncio.gather(run("ab"), run("ba"))) == ["busy", "done"]
    async with ready.reader() as session:
        assert set(await session.scalars(select(Shelf.room))) == {2}


async def test_a_cancelled_batch_commits_nothing_and_gives_a_clean_connection_back(ready: Database) -> None:
    reached = asyncio.Event()

    async def work(session: AsyncSession, name: str) -> None:
        await add(session, name)
        await session.flush()
        if name == "b":
            reached.set()
            await asyncio.sleep(60)

    async def run() -> None:
        async with ready.session() as session:
            await batch(session, ["a", "b", "c"], work)

    running = asyncio.create_task(run())
    await reached.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await names(ready) == []
    async with ready.session() as session:
        await batch(session, ["x"], add)
    assert await names(ready) == ["x"]


async def test_too_many_items_are_refused_before_the_first(ready: Database) -> None:
    async with ready.session() as session:
        with pytest.raises(TooManyItemsError, match="At most 3 items"):
            await batch(session, (str(number) for number in range(10**9)), add, most=3)
        assert len(await batch(session, "abc", add, most=3)) == 3
    assert await names(ready) == ["a", "b", "c"]


class ShelfRead(BaseModel):
    name: str
    room: int


def shop(ready: Database, *, bare: bool = False) -> FastAPI:
    before = [] if bare else [leyden_http.battery(leyden_http.HttpSettings())]
    app = create_app([*before, battery(ready.settings)], title="Shop")

    @app.post("/shelves", response_model_exclude_none=True)
    async def make(shelves: list[str], session: SessionDep, request: Request) -> list[BatchItem[ShelfRead]]:
        async def one(session: AsyncSession, name: str) -> Shelf:
            if name == "gone":
                await get_or_404(session, Shelf, uuid7())
            session.add(shelf := Shelf(name=name))
            await session.flush()
            return shelf

        return await batch_answer(request, await batch(session, shelves, one), into=ShelfRead, status=201)

    return app


async def test_an_endpoint_answers_each_item_as_if_it_had_been_sent_alone(ready: Database) -> None:
    async with client(shop(ready)) as calling:
        answer = await calling.post("/shelves", json=["a", "a", "gone"], headers={"Accept-Language": "zh"})
        assert answer.status_code == 200
        assert answer.json() == [
            {"index": 0, "status": 201, "value": {"name": "a", "room": 3}},
            {
                "index": 1,
                "status": 409,
                "problem": {
                    "title": "冲突",
                    "detail": "此更改与已有内容冲突。",
                    "code": "conflict",
                    "errors": [{"field": "name", "code": "unique", "message": "此值已被使用。"}],
                },
            },
            {
                "index": 2,
                "status": 404,
                "problem": {"title": "未找到", "detail": "这里没有内容。", "code": "not_found"},
            },
        ]
        assert (await calling.post("/shelves", json=["x"] * 1001)).json()["code"] == "too_many_items"
    assert await names(ready) == ["a"]


async def test_without_the_http_battery_the_problems_are_english(ready: Database) -> None:
    async with client(shop(ready, bare=True)) as calling:
        answer = await calling.post("/shelves", json=["a", "a"])
    assert answer.json()[1]["problem"] == {
        "detail": "The change conflicts with what is there already.",
        "code": "conflict",
        "errors": [{"field": "name", "code": "unique", "message": "This is taken already."}],
    }
