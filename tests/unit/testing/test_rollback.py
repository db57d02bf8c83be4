"""A rolled-back database forgets what a test did, on every database."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import String, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from leyden import create_app
from leyden.data import Database, DataSettings, ReaderDep, SessionDep, battery
from leyden.testing import client, rolled_back
from leyden.testing import rollback as rollback_module


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(DataSettings(url=SecretStr(database_url))) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        yield database


async def count(database: Database) -> int:
    async with database.reader() as session:
        return await session.scalar(select(func.count()).select_from(Thing)) or 0


def app_with_things() -> FastAPI:
    app = create_app([battery(DataSettings(url=SecretStr("sqlite://")))])

    @app.post("/things/{name}")
    async def add(name: str, session: SessionDep) -> str:
        session.add(Thing(name=name))
        return name

    @app.get("/things")
    async def names(session: ReaderDep) -> list[str]:
        return list(await session.scalars(select(Thing.name).order_by(Thing.name)))

    return app


async def test_nothing_of_a_test_is_left_after_it(database: Database) -> None:
    async with rolled_back(database) as stand_in:
        async with stand_in.session() as session:
            session.add(Thing(name="a"))
        assert await count(stand_in) == 1
    assert await count(database) == 0


async def test_nothing_is_left_when_the_test_fails(database: Database) -> None:
    async def failing_test() -> None:
        async with rolled_back(database) as stand_in:
            async with stand_in.session() as session:
                session.add(Thing(name="a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await failing_test()
    assert await count(database) == 0


async def test_test_and_app_see_what_the_other_wrote(database: Database) -> None:
    async with rolled_back(database) as stand_in, client(app_with_things(), overrides={Database: stand_in}) as http:
        async with stand_in.session() as session:
            session.add(Thing(name="of the test"))
        assert (await http.post("/things/of the app")).status_code == 200
        assert (await http.get("/things")).json() == ["of the app", "of the test"]
        assert await count(stand_in) == 2
    assert await count(database) == 0


async def test_a_unit_of_work_that_fails_undoes_only_itself(database: Database) -> None:
    async with rolled_back(database) as stand_in:
        async with stand_in.session() as session:
            session.add(Thing(name="kept"))
        with pytest.raises(ZeroDivisionError):
            await _add_and_fail(stand_in)
        assert await count(stand_in) == 1


async def _add_and_fail(database: Database) -> None:
    async with database.session() as session:
        session.add(Thing(name="undone"))
        await session.flush()
        raise ZeroDivisionError


async def test_a_row_the_database_refuses_is_a_conflict_and_the_test_goes_on(database: Database) -> None:
    app = app_with_things()
    async with rolled_back(database) as stand_in, client(app, overrides={Database: stand_in}) as http:
        assert (await http.post("/things/a")).status_code == 200
        assert (await http.post("/things/a")).status_code == 409
        assert (await http.get("/things")).json() == ["a"]


async def test_concurrent_requests_wait_for_each_other(database: Database) -> None:
    app = app_with_things()
    async with rolled_back(database) as stand_in, client(app, overrides={Database: stand_in}) as http:
        answers = await asyncio.gather(*(http.post(f"/things/{number}") for number in range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert await count(stand_in) == 20
    assert await count(database) == 0


async def test_a_test_may_call_the_app_while_its_own_session_is_open(database: Database) -> None:
    app = app_with_things()
    async with rolled_back(database) as stand_in, client(app, overrides={Database: stand_in}) as http:
        async with stand_in.session() as session:
            session.add(Thing(name="a"))
            await session.flush()
            assert (await http.post("/things/b")).status_code == 200
            assert set(await session.scalars(select(Thing.name))) == {"a", "b"}
        assert await count(stand_in) == 2


async def test_a_session_kept_from_the_others_is_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollback_module, "_PATIENCE", 0.05)
    path = tmp_path_factory.mktemp("kept") / "kept.db"
    async with (
        Database(DataSettings(url=SecretStr(f"sqlite:///{path}"))) as database,
        rolled_back(database) as stand_in,
        stand_in.session(),
    ):
        with pytest.raises(RuntimeError, match="keeps a session open"):
            await asyncio.create_task(_open(stand_in))


async def _open(database: Database) -> None:
    async with database.session():
        pytest.fail("must wait")
