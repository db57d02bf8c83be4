"""What MariaDB undoes by itself at a deadlock, and what then becomes of the unit of work."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import OperationalError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, Database, DataSettings
from leyden.data.errors import ContentionError
from leyden.testing.services import Unavailable, fresh_database, skip_or_fail


class Purse(Base):
    __tablename__ = "undone_purses"

    id: Mapped[int] = mapped_column(primary_key=True)
    coins: Mapped[int]


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    try:
        with fresh_database("mariadb", tmp_path) as url:
            yield url
    except Unavailable as reason:
        skip_or_fail(str(reason))


async def give(session: AsyncSession, which: int, coins: int) -> None:
    await session.execute(update(Purse).where(Purse.id == which).values(coins=Purse.coins + coins))


class Payment:
    """Takes 10 coins out of a purse of its own, meets another payment in a deadlock, and puts 10 into the fifth purse."""

    def __init__(self, database: Database, *, nested: bool, goes_on: bool) -> None:
        self._database = database
        self._nested = nested
        self._goes_on = goes_on
        self._met = asyncio.Barrier(2)

    async def run(self, one: int, other: int, mine: int) -> None:
        async with self._database.session() as session:
            await give(session, mine, -10)
            await give(session, one, 1)
            await self._met.wait()
            try:
                if self._nested:
                    async with session.begin_nested():
                        await give(session, other, 1)
                else:
                    await give(session, other, 1)
            except OperationalError:
                if not self._goes_on:
                    return  # and the unit of work is committed
            await give(session, 5, 10)


async def prepare(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.tables["undone_purses"].create)
        await connection.execute(insert(Purse), [{"id": number, "coins": 0} for number in range(1, 6)])


async def coins(database: Database) -> list[int]:
    async with database.reader() as session:
        return [*await session.scalars(select(Purse.coins).order_by(Purse.id))]


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("nested", [True, False])
async def test_of_a_unit_of_work_that_catches_its_deadlock_nothing_is_stored(
    url: str, *, nested: bool, goes_on: bool
) -> None:
    async with Database(DataSettings(url=url)) as database:
        await prepare(database)
        payment = Payment(database, nested=nested, goes_on=goes_on)
        ended = await asyncio.gather(payment.run(1, 2, 3), payment.run(2, 1, 4), return_exceptions=True)
        (lost,) = [error for error in ended if error is not None]
        assert isinstance(lost, SQLAlchemyError if goes_on else PendingRollbackError), lost
        *_, third, fourth, fifth = await coins(database)
        assert sorted((third, fourth)) == [-10, 0]
        assert fifth == 10
        assert database.pools["write"].in_use == 0


async def test_a_deadlock_that_nobody_catches_is_contention_and_leaves_the_other_connections(url: str) -> None:
    async with Database(DataSettings(url=url, pool_size=3)) as database:
        await prepare(database)
        met = asyncio.Barrier(2)

        async def both(one: int, other: int) -> None:
            async with database.session() as session:
                await give(session, one, 1)
                await met.wait()
                await give(session, other, 1)

        async with database.session() as bystander:
            await give(bystander, 5, 1)
            ended = await asyncio.gather(both(1, 2), both(2, 1), return_exceptions=True)
            assert [type(error) for error in ended if error is not None] == [ContentionError]
        assert await coins(database) == [1, 1, 0, 0, 1]
