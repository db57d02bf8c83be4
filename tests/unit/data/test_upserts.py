from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from leyden.core import ConfigurationError
from leyden.data import Base, Database, DataSettings, upsert


class Counted(Base):
    __tablename__ = "upsert_counted"

    name: Mapped[str] = mapped_column(primary_key=True)
    fixed: Mapped[str | None] = mapped_column(onupdate="changed")
    said: Mapped[str | None] = mapped_column(onupdate=func.lower("CHANGED"))
    called: Mapped[str | None] = mapped_column(default=lambda: "called", onupdate=lambda: "called")


class Hidden(Base):
    __tablename__ = "upsert_hidden"

    name: Mapped[str] = mapped_column(primary_key=True)
    called: Mapped[str | None] = mapped_column(onupdate=lambda: "called")


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(DataSettings(url="sqlite://")) as database:
        async with database.writer.begin() as connection:
            tables = [Base.metadata.tables[name] for name in ("upsert_counted", "upsert_hidden")]
            await connection.run_sync(lambda c: Base.metadata.create_all(c, tables=tables))
        yield database


async def test_columns_that_change_by_themselves_do_so_too(database: Database) -> None:
    async with database.session() as session:
        row = await upsert(session, Counted, {"name": "a"}, key=["name"])
        assert (row.fixed, row.said, row.called) == (None, None, "called")
        row.called = "other"
        row = await upsert(session, Counted, {"name": "a"}, key=["name"])
        assert (row.fixed, row.said, row.called) == ("changed", "changed", "called")
        row = await upsert(session, Counted, {"name": "a", "said": "given"}, key=["name"])
        assert row.said == "given"


async def test_a_function_that_cannot_be_called_is_told_and_not_left_out(database: Database) -> None:
    async with database.session() as session:
        with pytest.raises(ConfigurationError, match=r"cannot call the onupdate of Hidden\.called"):
            await upsert(session, Hidden, {"name": "a"}, key=["name"])
