"""Who keeps a connection while an answer is made out of what was read."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, Response
from pydantic import BaseModel, field_serializer
from sqlalchemy import insert, select
from sqlalchemy.orm import Mapped, mapped_column

from leyden import create_app
from leyden.core.resources import installed
from leyden.data import (
    Base,
    Database,
    DatabaseDep,
    DataSettings,
    ReaderDep,
    SessionDep,
    battery,
    prepared,
    stream_json_lines,
)
from leyden.testing import client

seen: list[set[str]] = []
"""The pools of which a connection was in use, each time that a name was serialised."""
running: list[Database] = []


class Guest(Base):
    __tablename__ = "answers_guests"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class GuestRead(BaseModel, from_attributes=True):
    name: str

    @field_serializer("name")
    def note(self, name: str) -> str:
        (database,) = running
        seen.append({pool for pool, status in database.pools.items() if status.in_use})
        return name


guests = prepared(select(Guest.name), into=GuestRead)


def app_with(url: str) -> FastAPI:
    app: FastAPI = create_app([battery(DataSettings(url=url))])

    @app.get("/reader", response_model=list[GuestRead])
    async def read(session: ReaderDep) -> list[Guest]:
        return [*await session.scalars(select(Guest))]

    @app.get("/prepared")
    async def straight(database: DatabaseDep) -> list[GuestRead]:
        return await guests.all(database)

    @app.get("/prepared-reader")
    async def straight_in_session(session: ReaderDep) -> list[GuestRead]:
        return await guests.all(session)

    @app.get("/committed", response_model=list[GuestRead])
    async def write_and_commit(session: SessionDep) -> list[Guest]:
        session.add(Guest(name="late"))
        found = [*await session.scalars(select(Guest))]
        await session.commit()
        return found

    @app.get("/uncommitted", response_model=list[GuestRead])
    async def write(session: SessionDep) -> list[Guest]:
        session.add(Guest(name="late"))
        return [*await session.scalars(select(Guest))]

    @app.get("/streamed")
    async def stream(database: DatabaseDep) -> Response:
        return stream_json_lines(database, guests)

    return app


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    yield
    seen.clear()
    running.clear()


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/reader", set()),
        ("/prepared", set()),
        ("/prepared-reader", set()),
        ("/committed", set()),
        ("/uncommitted", {"write"}),  # an answer that cannot be made undoes what was written
        ("/streamed", {"snapshot"}),  # the database finds the rows while they are sent
    ],
)
async def test_while_an_answer_is_serialised_a_connection_is_kept_by_those_alone_who_need_it(
    database_url: str, path: str, kept: set[str]
) -> None:
    app = app_with(database_url)
    async with client(app) as browser:
        database = installed(app).resources[Database]  # type: ignore[index]  # it runs
        running.append(database)
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.tables["answers_guests"].create)
            await connection.execute(insert(Guest), [{"name": "early"}] * 3)
        answer = await browser.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.text.count("early") == 3
        assert len(seen) >= 3
        assert seen == [kept] * len(seen)
        assert {status.in_use for status in database.pools.values()} == {0}
