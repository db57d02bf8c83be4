"""What closing a session costs."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from leyden.data import Database, DataSettings


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(DataSettings(url="sqlite://")) as database:
        yield database


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The coroutines of which tasks are made."""
    made: list[str] = []
    create = asyncio.create_task

    def note(coroutine: object, **options: object) -> object:
        made.append(getattr(coroutine, "__qualname__", "?"))
        return create(coroutine, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "create_task", note)
    return made


async def test_a_session_that_holds_no_connection_closes_without_a_task(database: Database, tasks: list[str]) -> None:
    async with database.reader() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    async with database.session() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    assert [name for name in tasks if "close" in name] == []


async def test_one_that_holds_a_connection_gives_it_back_whatever_happens(database: Database, tasks: list[str]) -> None:
    async def fail() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert any("close" in name for name in tasks)
    assert {status.in_use for status in database.pools.values()} == {0}
