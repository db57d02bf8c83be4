"""A unit of work is in the database whole or not at all, also where an error in it was caught."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import CheckConstraint, bindparam, func, insert, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, ContentionError, Database, DataSettings, prepared
from leyden.data.errors import UnitOfWorkError


class Purse(Base):
    __tablename__ = "units_purses"
    __table_args__ = (CheckConstraint("cents >= 0", name="not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    cents: Mapped[int]


def move(purse: int, cents: int) -> Any:
    return update(Purse).where(Purse.id == purse).values(cents=Purse.cents + cents)


@pytest.fixture
async def purses(database: Database) -> Database:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=[Base.metadata.tables["units_purses"]]))
        await connection.execute(insert(Purse), [{"id": 1, "cents": 100}, {"id": 2, "cents": 100}])
    return database


async def held(database: Database) -> dict[int, int]:
    async with database.reader() as session:
        return {purse.id: purse.cents for purse in await session.scalars(select(Purse))}


async def test_an_error_that_is_caught_last_never_turns_success_into_nothing(purses: Database) -> None:
    async def debit_and_try() -> None:
        async with purses.session() as session:
            await session.execute(move(1, -10))
            with contextlib.suppress(DBAPIError):
                await session.execute(move(2, -1000))

    if purses.dialect == "postgresql":  # which undoes all of it at COMMIT, and says nothing
        with pytest.raises(UnitOfWorkError, match="begin_nested"):
            await debit_and_try()
        assert await held(purses) == {1: 100, 2: 100}
    else:
        await debit_and_try()
        assert await held(purses) == {1: 90, 2: 100}


async def test_what_fails_in_a_savepoint_takes_nothing_else_with_it(purses: Database) -> None:
    async with purses.session() as session:
        await session.execute(move(1, -10))
        with pytest.raises(DBAPIError):
            async with session.begin_nested():
                await session.execute(move(2, -1000))
    assert await held(purses) == {1: 90, 2: 100}


async def test_a_rollback_makes_a_fresh_start(purses: Database) -> None:
    async with purses.session() as session:
        with pytest.raises(DBAPIError):
            await session.execute(move(2, -1000))
        await session.rollback()
        await session.execute(move(1, -10))
    assert await held(purses) == {1: 90, 2: 100}


async def test_work_that_has_committed_by_itself_is_not_done_twice(purses: Database) -> None:
    async def commit_early(session: AsyncSession) -> None:
        await session.execute(move(1, -10))
        await session.commit()
        raise ContentionError

    with pytest.raises(ContentionError):
        await purses.transaction(commit_early)
    assert await held(purses) == {1: 90, 2: 100}


async def test_work_that_meets_others_is_done_again_from_its_start(purses: Database) -> None:
    tries = 0

    async def second_time_lucky(session: AsyncSession) -> int:
        nonlocal tries
        tries += 1
        await session.execute(move(1, -10))
        if tries == 1:
            raise ContentionError
        return tries

    assert await purses.transaction(second_time_lucky) == 2
    assert await held(purses) == {1: 90, 2: 100}
    with pytest.raises(ValueError, match="attempts"):
        await purses.transaction(second_time_lucky, attempts=0)


count = prepared(select(func.count(Purse.id)).where(Purse.id > bindparam("above")))


@pytest.mark.parametrize("asking", ["prepared", "sessions"])
async def test_a_pool_is_fair_to_those_who_wait(database_url: str, purses: Database, asking: str) -> None:
    async def by_statement(database: Database) -> None:
        await count(database, above=0)

    async def by_session(database: Database) -> None:
        async with database.reader() as session:
            await session.scalar(select(func.count(Purse.id)))

    ask: Callable[[Database], Any] = by_statement if asking == "prepared" else by_session
    slowest = 0.0
    async with Database(DataSettings(url=database_url, pool_size=3, pool_timeout=20)) as small:

        async def client() -> None:
            nonlocal slowest
            for _ in range(15):
                began = asyncio.get_running_loop().time()
                await ask(small)
                slowest = max(slowest, asyncio.get_running_loop().time() - began)

        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(client() for _ in range(60)))
        whole = asyncio.get_running_loop().time() - began
    # Everybody asks 15 times: who is served in turn waits for a fifteenth of the time, not for most of it.
    assert slowest < whole / 2
