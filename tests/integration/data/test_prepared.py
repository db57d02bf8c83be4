"""Prepared statements on each database: alone, for reading, and inside a unit of work."""

import asyncio
import tracemalloc
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    String,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import Mapped, aliased, mapped_column

from leyden.core import ConfigurationError, Events
from leyden.data import (
    Base,
    ConflictError,
    CursorParams,
    Database,
    DataSettings,
    InvalidValueError,
    Model,
    PageParams,
    Total,
    prepared,
    uuid7,
)
from leyden.data.errors import InvalidCursorError, UnitOfWorkError
from leyden.data.events import QueryRan
from leyden.testing import FrozenClock
from leyden.testing.rollback import rolled_back


class Part(Model):
    __tablename__ = "prepared_parts"
    __table_args__ = (CheckConstraint("stock >= 0", name="stock_positive"),)

    serial_key: Mapped[str] = mapped_column("serial", String(20), unique=True, info={"field": "serial"})
    stock: Mapped[int] = mapped_column(default=0)
    shelf: Mapped[str] = mapped_column(server_default="floor")
    maker_id: Mapped[int | None] = mapped_column(ForeignKey("prepared_makers.id"))
    facts: Mapped[dict[str, Any] | None]


class Maker(Base):
    __tablename__ = "prepared_makers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    initial: Mapped[str] = mapped_column(default=lambda context: context.get_current_parameters()["name"][0])


TABLES = [Base.metadata.tables[name] for name in ("prepared_makers", "prepared_parts")]


class PartRead(BaseModel):
    serial_key: str
    stock: int


add: Any = prepared(insert(Part).returning(Part.id, Part.serial_key, Part.stock, Part.shelf, Part.created_at))
find = prepared(select(Part.serial_key, Part.stock).where(Part.serial_key == bindparam("serial")), into=PartRead)
everything = prepared(select(Part).order_by(Part.serial_key))
take = prepared(
    update(Part)
    .where(Part.serial_key == bindparam("serial_key"), Part.stock >= bindparam("amount"))
    .values(stock=Part.stock - bindparam("amount"))
)
count = prepared(select(func.count().label("number")).select_from(Part))
naming = prepared(select(Part.serial_key).where(Part.serial_key.in_(bindparam("serials", expanding=True))))


async def create_tables(database: Database) -> None:
    async with database.writer.begin() as connection:
        await connection.run_sync(lambda sync: Base.metadata.create_all(sync, tables=TABLES))


@pytest.fixture
async def ready(database: Database) -> Database:
    await create_tables(database)
    return database


async def numbered(database: Database, many: int) -> None:
    async with database.session() as session:
        session.add_all(Part(serial_key=f"p{number:04}", stock=number) for number in range(many))


async def test_it_runs_alone_for_reading_and_within_a_unit_of_work(ready: Database) -> None:
    await add(ready, serial_key="a", stock=3)
    async with ready.reader() as reader, ready.session() as session:
        for where in (ready, reader, session):
            assert await find(where, serial="a") == PartRead(serial_key="a", stock=3)
            assert await find(where, serial="b") is None
            assert await find.all(where, serial="a") == [PartRead(serial_key="a", stock=3)]
            assert await find.all(where, serial="b") == []
            assert await count(where) == 1
            assert await naming.all(where, serials=["a", "b"]) == ["a"]


async def test_a_whole_model_is_its_columns_under_the_models_names(ready: Database) -> None:
    added = await add(ready, serial_key="a", facts={"x": [1]})
    (part,) = await everything.all(ready)
    assert part._fields == tuple(Part.__mapper__.column_attrs.keys())
    assert (part.id, part.serial_key, part.shelf, part.facts) == (added.id, "a", "floor", {"x": [1]})
    insert_whole: Any = prepared(insert(Part).returning(Part))
    again = await insert_whole(ready, serial_key="b")
    assert again._fields == part._fields
    assert (again.serial_key, again.shelf, again.facts) == ("b", "floor", None)
    other = aliased(Part)
    pairs = select(Part.serial_key.label("one"), other.serial_key.label("two")).join(other, Part.id < other.id)
    assert await prepared(pairs).all(ready) == [("a", "b")]


async def test_defaults_are_those_of_a_session(database_url: str) -> None:
    clock = FrozenClock(datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC))
    async with Database(DataSettings(url=database_url), clock=clock) as database:
        await create_tables(database)
        async with database.session() as session:
            inside = await add(session, serial_key="inside")
        for part in (inside, await add(database, serial_key="outside")):
            assert isinstance(part.id, uuid.UUID)
            assert part.id.version == 7
            assert (part.stock, part.shelf, part.created_at) == (0, "floor", clock.now())
        clock.advance(60)
        assert await take.changed(database, serial_key="outside", amount=0) == 1
        (part,) = await prepared(select(Part.updated_at).where(Part.serial_key == "outside")).all(database)
        assert part == clock.now()
        maker = prepared(insert(Maker).values(name="Zoe").returning(Maker.initial))
        assert await maker(database) == "Z"
        assert await prepared(insert(Maker).returning(Maker.initial))(database, name="Yan") == "Y"


async def test_an_update_may_call_a_parameter_like_a_column(ready: Database) -> None:
    await add(ready, serial_key="a", stock=3)
    async with ready.session() as session:
        assert await take.changed(session, serial_key="a", amount=1) == 1
    assert await take.changed(ready, serial_key="a", amount=2) == 1
    assert await take.changed(ready, serial_key="a", amount=1) == 0
    assert await find(ready, serial="a") == PartRead(serial_key="a", stock=0)
    restock = prepared(update(Part).where(Part.serial_key == bindparam("serial_key")))
    assert await restock.changed(ready, serial_key="a", stock=9) == 1
    assert await find(ready, serial="a") == PartRead(serial_key="a", stock=9)
    remove = prepared(delete(Part).where(Part.serial_key.in_(bindparam("serials", expanding=True))))
    assert await remove.changed(ready, serials=["a", "b"]) == 1
    assert await prepared(insert(Maker)).changed(ready, name="Yan") == 1


async def test_rows_come_of_every_kind_of_write_that_the_database_can_answer(ready: Database) -> None:
    await add(ready, serial_key="a", stock=3)
    longer = prepared(update(Part).values(shelf=Part.shelf + bindparam("more")).returning(Part.shelf.label("place")))
    if ready.dialect == "mysql":
        with pytest.raises(ConfigurationError, match=r"UPDATE \.\.\. RETURNING"):
            await longer(ready, more="!")
    else:
        assert await longer(ready, more="!") == "floor!"
    copied = prepared(
        insert(Part)
        .from_select(
            ["id", "serial", "stock"], select(bindparam("id", type_=Part.id.type), Part.serial_key + "2", Part.stock)
        )
        .returning(Part.serial_key, func.length(Part.serial_key).label("length"))
    )
    assert await copied.all(ready, id=uuid.uuid4()) == [("a2", 2)]
    several = prepared(
        insert(Part).values([{"serial_key": bindparam("x")}, {"serial_key": "y"}]).returning(Part.serial_key)
    )
    if ready.writer.driver.startswith("psycopg"):
        with pytest.raises(ConfigurationError, match=r"values\(\[\.\.\.\]\)"):
            await several.all(ready, x="x")
        await numbered(ready, 2)
        assert await prepared(
            update(Part).where(Part.serial_key != "a", Part.serial_key != "a2").values(stock=0)
        ).changed(ready)
    else:
        assert sorted(await several.all(ready, x="x")) == ["x", "y"]
    gone = prepared(delete(Part).where(Part.stock == bindparam("stock")).returning(Part.serial_key))
    assert sorted(await gone.all(ready, stock=3)) == ["a", "a2"]
    assert await gone.changed(ready, stock=0) == 2


async def test_the_rows_of_an_insert_are_counted_whichever_way_it_gets_its_values(ready: Database) -> None:
    given = prepared(insert(Part))
    bound = prepared(insert(Part).values(serial_key=bindparam("serial")))
    copied = prepared(
        insert(Maker).from_select(["id", "name", "initial"], select(Part.stock + 1, Part.serial_key, Part.shelf))
    )
    async with ready.session() as session:
        assert await given.changed(session, serial_key="a", stock=1, facts={"x": 1}) == 1
        assert await bound.changed(session, serial="b") == 1
    assert await given.changed(ready, serial_key="c", stock=2) == 1
    assert await copied.changed(ready) == 3
    assert await count(ready) == 3


async def test_a_unit_of_work_sees_what_it_has_written_and_takes_it_back(ready: Database) -> None:
    async def write_and_fail() -> None:
        async with ready.session() as session:
            session.add(Part(serial_key="object"))
            assert await find(session, serial="object") == PartRead(serial_key="object", stock=0)
            assert await naming.all(session, serials=["object"]) == ["object"]
            await add(session, serial_key="statement")
            assert await count(session) == 2
            assert await count(ready) == 0
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()
    assert await count(ready) == 0
    async with ready.session() as session:
        await add(session, serial_key="kept")
    assert await count(ready) == 1


async def test_a_write_outside_commits_alone_and_is_seen_at_once(ready: Database) -> None:
    for number in range(20):
        await add(ready, serial_key=str(number))
        assert await count(ready) == number + 1
        async with ready.reader() as reader:
            assert await count(reader) == number + 1
    assert ready.pools["write"].in_use == 0


async def test_a_write_that_fails_leaves_nothing_and_names_the_field(ready: Database) -> None:
    await add(ready, serial_key="a", stock=1)
    for _ in range(30):
        with pytest.raises(ConflictError) as refused:
            await add(ready, serial_key="a")
        assert [(field.field, field.code) for field in refused.value.fields] == [("serial", "unique")]
    with pytest.raises(ConflictError) as refused:
        await prepared(update(Part).values(stock=-1)).changed(ready)
    assert [field.field for field in refused.value.fields] == ["stock"]
    if ready.dialect != "sqlite":  # which has no longest text
        with pytest.raises(InvalidValueError):
            await add(ready, serial_key="a" * 21)
    with pytest.raises(InvalidValueError):
        await add(ready, serial_key="b", stock=2**70)
    await asyncio.gather(*(add(ready, serial_key=f"n{number}") for number in range(20)))
    assert await count(ready) == 21
    assert await find(ready, serial="a") == PartRead(serial_key="a", stock=1)
    assert ready.pools["write"].in_use == 0


async def test_wrong_parameters_are_refused_before_anything_is_done(ready: Database) -> None:
    async with ready.reader() as reader, ready.session() as session:
        for where in (ready, reader, session):
            for wrong, named in (
                ({}, "serial"),
                ({"serial": "a", "Serial": "b"}, "Serial"),
                ({"serial_key": 1}, "serial"),
            ):
                with pytest.raises(ConfigurationError, match=f"'{named}"):
                    await find(where, **wrong)
                with pytest.raises(ConfigurationError, match=f"'{named}"):
                    await find.pages(where, PageParams(), **wrong)
                with pytest.raises(ConfigurationError, match=f"'{named}"):
                    [row async for row in find.stream(where, **wrong)]
        with pytest.raises(ConfigurationError, match="has no parameter 'stok'"):
            await add(session, serial_key="a", stok=1)
    strange: list[dict[str, Any]] = [{"serial_key": "a", "stok": 1}, {"serial_key": "a", "serial": "b"}]
    for given in strange:
        with pytest.raises(ConfigurationError, match="has no parameter"):
            await add(ready, **given)
        with pytest.raises(ConfigurationError, match="has no parameter"):
            await take.changed(ready, amount=1, **given)
    assert await count(ready) == 0


async def test_a_read_that_is_refused_leaves_its_session_without_a_connection(ready: Database) -> None:
    async with ready.reader() as reader:
        for where in (reader, ready):
            with pytest.raises(InvalidCursorError):
                await everything.pages(where, CursorParams(ready, size=5, cursor="none"))
            assert ready.pools["read"].in_use == 0
            with pytest.raises(ConfigurationError):
                await everything.pages(where, PageParams(), serials=["a"])
            assert ready.pools["read"].in_use == 0
            with pytest.raises(ConfigurationError):
                await naming.all(where, serial=["a"])
            assert ready.pools["read"].in_use == 0
            assert (await everything.pages(where, PageParams())).items == []
            assert ready.pools["read"].in_use == 0


async def test_what_cannot_be_done_is_refused_clearly(ready: Database) -> None:
    await numbered(ready, 3)
    with pytest.raises(ConfigurationError, match=r"3 rows.*\.all"):
        await everything(ready)
    with pytest.raises(ConfigurationError, match="returning"):
        await take(ready, serial_key="a", amount=1)
    with pytest.raises(ConfigurationError, match="changes nothing"):
        await everything.changed(ready)
    with pytest.raises(ConfigurationError, match="only a select"):
        await add.pages(ready, PageParams(), serial_key="b")
    locking = prepared(select(Part.serial_key).with_for_update())
    async with ready.reader() as reader, ready.session() as session:
        for where in (reader, ready):
            with pytest.raises(UnitOfWorkError, match="stay locked"):
                await locking.all(where)
            with pytest.raises(UnitOfWorkError, match="stay locked"):
                [row async for row in locking.stream(where)]
            with pytest.raises(UnitOfWorkError, match="stay locked"):
                await locking.pages(where, PageParams())
        with pytest.raises(UnitOfWorkError, match="only reads"):
            await add(reader, serial_key="b")
        assert len(await locking.all(session)) == 3


async def test_joins_expressions_and_common_tables_are_as_sqlalchemy_has_them(ready: Database) -> None:
    async with ready.session() as session:
        session.add_all([maker := Maker(name="Ann"), Maker(name="Bob")])
        await session.flush()
        session.add_all(Part(serial_key=f"100%{number}", stock=number, maker_id=maker.id) for number in range(5))
    large = select(Part.maker_id, func.sum(Part.stock).label("sum")).group_by(Part.maker_id).cte("large")
    grouped = select(Maker.name, func.coalesce(large.c.sum, bindparam("none"), type_=large.c.sum.type).label("sum"))
    statements: list[tuple[Any, dict[str, Any]]] = [
        (grouped.outerjoin(large, large.c.maker_id == Maker.id).order_by(Maker.name), {"none": 7}),
        (select(Part.serial_key).where(Part.serial_key.startswith("100%", autoescape=True)).order_by(Part.serial_key), {}),
        (select(literal_column("'%'").label("percent"), Part.stock % 3).where(Part.stock > bindparam("more")).order_by(Part.stock), {"more": 1}),
        (select(case((Part.stock > 2, "many"), else_=bindparam("few")).label("how")).order_by(Part.serial_key), {"few": "?"}),
        (select(exists().where(Part.stock == bindparam("stock"))), {"stock": 3}),
        (select(Maker.name, Part.serial_key).join_from(Maker, Part).where(Part.stock.in_([1, 2])).order_by(Part.stock), {}),
        (select(Maker.id, select(func.max(Part.stock)).where(Part.maker_id == Maker.id).scalar_subquery().label("most")).order_by(Maker.name), {}),
        (select(Part.serial_key).distinct().order_by(Part.serial_key).limit(bindparam("few")), {"few": 2}),
    ]  # fmt: skip
    async with ready.reader() as reader, ready.session() as session:
        for statement, parameters in statements:
            expected = [tuple(row) for row in await session.execute(statement, parameters)]
            for where in (ready, reader, session):
                found = await prepared(statement).all(where, **parameters)
                rows = found if len(expected[0]) > 1 else [(value,) for value in found]
                assert [tuple(row) for row in rows] == expected


async def test_pages_are_those_of_paginate(ready: Database) -> None:
    await numbered(ready, 25)
    listed = prepared(
        select(Part.serial_key, Part.stock).where(Part.stock >= bindparam("least")).order_by(Part.serial_key),
        into=PartRead,
    )
    async with ready.reader() as reader, ready.session() as session:
        for where in (ready, reader, session):
            page = await listed.pages(where, PageParams(page=2, size=10), least=5)
            assert (page.total, page.pages, len(page.items)) == (20, 2, 10)
            assert page.items[0] == PartRead(serial_key="p0015", stock=15)
            page = await listed.pages(where, PageParams(page=1, size=10), Total.NONE, least=5)
            assert (page.total, page.has_next) == (None, True)
            seen: list[PartRead] = []
            cursor = None
            while True:
                part = await listed.pages(where, CursorParams(ready, size=7, cursor=cursor), least=5)
                seen += part.items
                if (cursor := part.next) is None:
                    break
            assert [item.stock for item in seen] == list(range(5, 25))
    serials = prepared(select(Part.serial_key).order_by(Part.serial_key))
    assert (await serials.pages(ready, PageParams(size=2))).items == ["p0000", "p0001"]


async def test_a_stream_has_every_row_and_gives_its_connection_back(ready: Database) -> None:
    await numbered(ready, 1200)
    some = prepared(select(Part.serial_key, Part.stock).where(Part.stock >= bindparam("least")), into=PartRead)
    async with ready.reader() as reader, ready.session() as session:
        for where in (ready, reader, session):
            rows = [row.stock async for row in some.stream(where, least=100)]
            assert sorted(rows) == list(range(100, 1200))
        for where in (ready, reader):
            assert [row async for row in some.stream(where, least=5000)] == []
            assert ready.pools["snapshot"].in_use == 0
        with pytest.raises(ConfigurationError, match="only a select"):
            [row async for row in add.stream(session, serial_key="s")]


async def test_it_works_in_a_database_that_forgets(ready: Database) -> None:
    async with rolled_back(ready) as stand_in:
        await add(stand_in, serial_key="a")
        with pytest.raises(ConflictError):
            await add(stand_in, serial_key="a")
        assert await find(stand_in, serial="a") == PartRead(serial_key="a", stock=0)
        async with stand_in.session() as session:
            assert await count(session) == 1
        async with stand_in.reader() as reader:
            assert await count(reader) == 1
        assert [row.stock async for row in find.stream(stand_in, serial="a")] == [0]
    assert await count(ready) == 0


async def test_both_ways_tell_alike_what_ran(database_url: str) -> None:
    events = Events()
    async with Database(DataSettings(url=database_url), events=events) as database:
        await create_tables(database)
        await add(database, serial_key="a")
        ran: list[QueryRan] = []
        events.listen(QueryRan, ran.append)
        async with database.session() as session:
            await find(session, serial="a")
        (inside,) = (query for query in ran if "SELECT prepared_parts" in query.statement)
        ran.clear()
        await find(database, serial="a")
        (outside,) = ran
        assert (outside.statement, outside.failed) == (inside.statement, inside.failed)
        ran.clear()
        with pytest.raises(ConflictError):
            await add(database, serial_key="a")
        assert [query.failed for query in ran if "INSERT" in query.statement] == [True]


async def test_a_stream_takes_no_more_memory_the_longer_it_is(ready: Database) -> None:
    numbers = select(literal_column("1").label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < bindparam("most")))
    counting = prepared(select(numbers.c.n, literal_column("'a text of some length'").label("text")))

    async def peak(many: int) -> int:
        async with ready.snapshot() as session:
            if ready.dialect == "mysql":
                await session.execute(text("SET SESSION max_recursive_iterations = 1000000"))
            tracemalloc.start()
            seen = [row.n async for row in counting.stream(session, most=many) if row.n % 1000 == 0]
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert len(seen) == many // 1000
        return most

    await peak(2000)
    assert await peak(40_000) < 2 * await peak(4000) + 1_000_000


async def test_an_upsert_is_one_statement(ready: Database) -> None:
    values: dict[str, Any] = {"id": bindparam("id"), "serial_key": bindparam("serial"), "stock": bindparam("stock")}
    statement: Any
    if ready.dialect == "mysql":
        adding = mysql.insert(Part).values(values)
        statement = adding.on_duplicate_key_update(stock=Part.stock + adding.inserted.stock)
    else:
        plain = postgresql.insert(Part) if ready.dialect == "postgresql" else sqlite.insert(Part)
        changed = {"stock": Part.stock + bindparam("more")}
        statement = plain.values(values).on_conflict_do_update(index_elements=["serial"], set_=changed)
    put = prepared(statement.returning(Part.stock))
    more = {} if ready.dialect == "mysql" else {"more": 5}
    async with ready.session() as session:
        assert await put(session, id=uuid7(), serial="a", stock=5, **more) == 5
    assert await put(ready, id=uuid7(), serial="a", stock=5, **more) == 10


async def test_a_select_that_writes_is_a_write(ready: Database) -> None:
    if ready.dialect != "postgresql":
        return  # which alone has it
    added = insert(Part).values(serial_key=bindparam("serial"), id=bindparam("id")).returning(Part.serial_key).cte()
    both = prepared(select(added.c.serial_key))
    assert await both(ready, serial="a", id=uuid7()) == "a"
    async with ready.reader() as reader:
        with pytest.raises(UnitOfWorkError):
            await both(reader, serial="b", id=uuid7())
    assert await count(ready) == 1
