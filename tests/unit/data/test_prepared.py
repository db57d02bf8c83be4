"""What can be prepared, and what rows become."""

import gc
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from sqlalchemy import (
    Dialect,
    ForeignKey,
    bindparam,
    column,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
    union,
    update,
)
from sqlalchemy import table as light_table
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import (
    Bundle,
    Mapped,
    composite,
    mapped_column,
    relationship,
    selectinload,
    with_loader_criteria,
)
from typing_extensions import TypedDict

from leyden.core import ConfigurationError
from leyden.data import Base, Database, DataSettings, InvalidValueError, prepared
from leyden.data.backend import Use
from leyden.data.prepared import _plans_of


@dataclass
class Size:
    width: int
    height: int


class Box(Base):
    __tablename__ = "unit_boxes"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column("label_text", default="?")
    size: Mapped[Size] = composite(mapped_column("width", default=1), mapped_column("height", default=2))
    lids: Mapped[list["Lid"]] = relationship()


class Lid(Base):
    __tablename__ = "unit_lids"

    id: Mapped[int] = mapped_column(primary_key=True)
    box_id: Mapped[int] = mapped_column(ForeignKey(Box.id))


class BoxRead(BaseModel):
    id: int
    label: str


class BoxDict(TypedDict):
    id: int
    label: str


@dataclass
class BoxValue:
    id: int
    label: str


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(DataSettings(url="sqlite://")) as started:
        async with started.writer.begin() as connection:
            tables = [Base.metadata.tables[name] for name in ("unit_boxes", "unit_lids")]
            await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=tables))
        async with started.session() as session:
            session.add_all([Box(label="a"), Box(label="b")])
        yield started


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (union(select(Box.id), select(Lid.id)), "Only select"),
        (text("SELECT 1"), "Only select"),
        (select(Box).from_statement(text("SELECT * FROM unit_boxes")), "Only select"),
        (select(Box).options(selectinload(Box.lids)), "loads no objects"),
        (insert(Box).returning(Box).options(selectinload(Box.lids)), "loads no objects"),
        (select(Box.id, Lid.id), "called 'id'"),
        (select(Box, Lid), "called 'id'"),
        (select(Box.__table__, Lid.__table__), "called 'id'"),
        (delete(Lid).returning(Lid, Lid.id), "called 'id'"),
        (select(Box.id, text("1")), "plain text"),
    ],
)
def test_what_would_be_dropped_or_mixed_up_is_refused(statement: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        prepared(statement)


def test_a_column_without_a_name_fits_into_nothing() -> None:
    with pytest.raises(ConfigurationError, match="Give it a label"):
        prepared(select(Box.id, literal(1)), into=BoxRead)


async def test_rows_become_what_is_asked_for(database: Database) -> None:
    statement = select(Box.id, Box.label).where(Box.id == bindparam("id"))
    assert await prepared(statement, into=BoxRead)(database, id=1) == BoxRead(id=1, label="a")
    assert await prepared(statement, into=BoxValue)(database, id=1) == BoxValue(1, "a")
    assert await prepared(statement, into=BoxDict)(database, id=1) == {"id": 1, "label": "a"}
    row: Any = await prepared(statement)(database, id=1)
    assert (row.label, row[0], tuple(row), row._mapping["id"]) == ("a", 1, (1, "a"), 1)
    assert await prepared(select(Box.label).order_by(Box.id)).all(database) == ["a", "b"]
    with pytest.raises(ValidationError):
        await prepared(select(Box.id, literal_column("NULL").label("label")), into=BoxRead).all(database)


async def test_a_value_of_many_columns_is_made_by_sqlalchemy(database: Database) -> None:
    assert await prepared(select(Box.size).limit(1))(database) == Size(1, 2)
    found: Any = await prepared(select(Bundle("both", Box.id, Box.label)).limit(1))(database)
    assert tuple(found) == (1, "a")


async def test_criteria_for_a_model_are_kept(database: Database) -> None:
    only = with_loader_criteria(Box, Box.label == "b")
    assert await prepared(select(Box.label).options(only)).all(database) == ["b"]


async def test_a_table_without_types_can_be_written(database: Database) -> None:
    boxes = light_table("unit_boxes", column("label_text"), column("width"), column("height"))
    assert await prepared(insert(boxes)).changed(database, label_text="c", width=3, height=4) == 1
    assert await prepared(update(boxes).where(boxes.c.width == 3)).changed(database, height=5) == 1
    assert await prepared(select(boxes.c.height).where(boxes.c.label_text == "c"))(database) == 5


async def test_names_of_a_model_are_its_own_and_those_of_a_table_the_databases(database: Database) -> None:
    table = Base.metadata.tables["unit_boxes"]
    model, plain = prepared(insert(Box).returning(Box)), prepared(insert(table).returning(table))
    first: Any = await model(database, label="m")
    second: Any = await plain(database, label_text="t")
    assert first._fields == ("id", "label", "width", "height")
    assert second._fields == ("id", "label_text", "width", "height")
    for statement, wrong in ((model, "label_text"), (plain, "label")):
        with pytest.raises(ConfigurationError, match=f"no parameter '{wrong}'"):
            await statement(database, **{wrong: "x"})


async def test_a_schema_that_a_connection_translates_is_left_to_sqlalchemy(database: Database) -> None:
    await prepared(select(Box.id)).all(database)
    async with database.session() as session:
        await session.connection(execution_options={"schema_translate_map": {None: "main"}})
        assert await prepared(select(Box.id)).all(session) == [1, 2]


async def test_a_number_too_large_for_the_database_is_told_as_that(database: Database) -> None:
    with pytest.raises(InvalidValueError):
        await prepared(select(Box.id).where(Box.id == bindparam("id")))(database, id=2**63)


async def test_how_many_rows_were_changed_is_known_with_a_common_table_too(database: Database) -> None:
    chosen = select(Box.id).where(Box.label == bindparam("label")).cte("chosen")
    change = prepared(update(Box).where(Box.id.in_(select(chosen.c.id))).values(label="z"))
    assert await change.changed(database, label="a") == 1
    async with database.session() as session:
        assert await change.changed(session, label="b") == 1
    counted = prepared(select(func.count().label("n")).select_from(Box).where(Box.label == "z"))
    assert await counted(database) == 2


async def test_a_database_that_is_gone_is_not_kept_by_its_statements() -> None:
    find = prepared(select(Box.label))

    async def use() -> None:
        async with Database(DataSettings(url="sqlite://")) as other:
            async with other.writer.begin() as connection:
                await connection.run_sync(Base.metadata.tables["unit_boxes"].create)
            await find.all(other)

    await use()
    gc.collect()
    before = sum(isinstance(thing, Dialect) for thing in gc.get_objects())
    for _ in range(3):
        await use()
    gc.collect()
    assert sum(isinstance(thing, Dialect) for thing in gc.get_objects()) <= before


def test_it_says_what_it_is() -> None:
    assert repr(prepared(select(Box.id))) == "prepared(SELECT unit_boxes.id FROM unit_boxes)"


async def test_a_bug_in_a_statement_leaves_as_the_drivers_error_and_is_not_its_own_cause() -> None:
    async with Database(DataSettings(url="sqlite://")) as database:
        with pytest.raises(OperationalError, match="nofn") as raised:
            await prepared(select(literal_column("nofn(1)").label("x")))(database)
    seen: list[BaseException] = []
    cause: BaseException | None = raised.value
    while cause is not None:
        assert cause not in seen
        seen.append(cause)
        cause = cause.__cause__


async def test_the_order_of_the_names_makes_no_plan_of_its_own() -> None:
    async with Database(DataSettings(url="sqlite://")) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.tables["unit_boxes"].create)
        change: Any = prepared(update(Box).where(Box.id == bindparam("which")))
        for names in permutations(("which", "label", "width", "height")):
            await change.changed(database, **dict.fromkeys(names, 1))
        lane = database.lane(Use.WRITE)
        assert lane is not None
        assert len(_plans_of(change, lane.dialect)) == 1
