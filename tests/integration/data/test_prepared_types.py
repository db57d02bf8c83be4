"""The same values and parameters as SQLAlchemy's own execution, for every type of column on each database."""

import datetime as dt
import enum
import math
import string
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Double,
    Enum,
    Executable,
    Float,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Numeric,
    PickleType,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    Unicode,
    Uuid,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from leyden.data import Database, prepared
from leyden.data.types import Document, Timestamp

pytestmark = pytest.mark.filterwarnings("ignore:Dialect .* does \\*not\\* support Decimal")

EVERYWHERE = ("sqlite", "postgresql", "mysql")


class Colour(enum.Enum):
    RED = "r"
    GREEN = "g"


class Shouted(TypeDecorator[str]):
    """Kept in capitals and with a mark, so that each way through it shows."""

    impl = String(80)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else f"{dialect.name}:{value.upper()}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.removeprefix(f"{dialect.name}:").lower() + "!"


class Cents(TypeDecorator[Decimal]):
    """A type of its own whose Python value is of another kind than the column's."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002
        return None if value is None else Decimal(value) / 100


@dataclass(frozen=True)
class Kind:
    """One type of column, values for it, and where it exists; `compared` where the database can compare it."""

    name: str
    type: TypeEngine[Any]
    values: some.SearchStrategy[Any]
    dialects: tuple[str, ...] = EVERYWHERE
    compared: bool = True


def decimals(places: int, digits: int) -> some.SearchStrategy[Decimal]:
    most = 10**digits
    return some.integers(-most, most).map(lambda number: Decimal(number).scaleb(-places))


texts = some.text(string.ascii_letters + "äß€'%:\\\" ?$1", max_size=20)
singles = some.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)
doubles = some.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100, allow_subnormal=False)
days = some.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31))
hours = some.times().map(lambda hour: hour.replace(microsecond=0))
moments = some.datetimes(dt.datetime(1000, 1, 2), dt.datetime(9999, 12, 30))  # noqa: DTZ001 -- a naive one is the case
spans = some.timedeltas(dt.timedelta(days=-300), dt.timedelta(days=300))
documents = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**31), 2**31) | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
ranges = some.tuples(some.integers(-1000, 0), some.integers(1, 1000)).map(lambda ends: postgresql.Range(*ends))
POSTGRESQL = ("postgresql",)
MYSQL = ("mysql",)

KINDS = [
    Kind("integer", Integer(), some.integers(-(2**31), 2**31 - 1)),
    Kind("small", SmallInteger(), some.integers(-(2**15), 2**15 - 1)),
    Kind("big", BigInteger(), some.integers(-(2**63), 2**63 - 1)),
    Kind("string", String(100), texts),
    Kind("text", Text(), texts),
    Kind("unicode", Unicode(100), texts),
    Kind("boolean", Boolean(), some.booleans()),
    Kind("single", Float(), singles, compared=False),
    Kind("double", Double(), doubles),
    Kind("decimal_float", Float(asdecimal=True), decimals(3, 6), compared=False),
    Kind("numeric", Numeric(18, 4), decimals(4, 14)),
    Kind("numeric_float", Numeric(18, 4, asdecimal=False), some.integers(-9999, 9999).map(float)),
    Kind("date", Date(), days),
    Kind("time", Time(), hours),
    Kind("moment", DateTime(), moments, ("sqlite", "postgresql")),
    Kind("second", DateTime(), moments.map(lambda moment: moment.replace(microsecond=0))),
    Kind("zoned", DateTime(timezone=True), moments.map(lambda moment: moment.replace(tzinfo=dt.UTC)), POSTGRESQL),
    Kind("timestamp", Timestamp(), moments.map(lambda moment: moment.replace(tzinfo=dt.UTC))),
    Kind("interval", Interval(), spans, ("sqlite", "postgresql")),
    Kind("interval_mysql", Interval(), spans.map(lambda span: dt.timedelta(seconds=int(span.total_seconds()))), MYSQL, compared=False),
    Kind("binary", LargeBinary(), some.binary(max_size=50)),
    Kind("uuid", Uuid(), some.uuids(version=4)),
    Kind("uuid_text", Uuid(native_uuid=False), some.uuids(version=4)),
    Kind("uuid_string", Uuid(as_uuid=False), some.uuids(version=4).map(str)),
    Kind("uuid_plain", Uuid(as_uuid=False, native_uuid=False), some.uuids(version=4).map(str)),
    Kind("enum", Enum(Colour, native_enum=False), some.sampled_from(Colour)),
    Kind("enum_native", Enum(Colour, name="colour_native"), some.sampled_from(Colour)),
    Kind("enum_text", Enum("one", "two", name="enum_text", native_enum=False), some.sampled_from(["one", "two"])),
    Kind("enum_by_value", Enum(Colour, native_enum=False, values_callable=lambda kind: [c.value for c in kind]),
         some.sampled_from(Colour)),
    Kind("document", Document(), documents, compared=False),
    Kind("json", JSON(), documents | some.just(JSON.NULL), compared=False),
    Kind("json_nullable", JSON(none_as_null=True), documents, compared=False),
    Kind("pickle", PickleType(), some.lists(some.integers() | texts | some.uuids(version=4), max_size=3), compared=False),
    Kind("shouted", Shouted(), texts),
    Kind("cents", Cents(), decimals(2, 8)),
    Kind("variant", String(80).with_variant(Shouted(), "postgresql").with_variant(Text(), "mysql"), texts),
    Kind("array", postgresql.ARRAY(Integer), some.lists(some.integers(-9, 9), max_size=3), POSTGRESQL),
    Kind("array_of_enums", postgresql.ARRAY(Enum(Colour, name="colour_native")),
         some.lists(some.sampled_from(Colour), max_size=3), POSTGRESQL, compared=False),
    Kind("array_of_types", postgresql.ARRAY(Shouted()), some.lists(texts, max_size=3), POSTGRESQL),
    Kind("jsonb", postgresql.JSONB(), documents, POSTGRESQL, compared=False),
    Kind("inet", postgresql.INET(), some.sampled_from(["10.0.0.1", "10.1.0.0/16", "::1"]), POSTGRESQL),
    Kind("cidr", postgresql.CIDR(), some.sampled_from(["10.0.0.0/8", "fe80::/64"]), POSTGRESQL),
    Kind("range", postgresql.INT4RANGE(), ranges, POSTGRESQL),
    Kind("multirange", postgresql.INT4MULTIRANGE(), ranges.map(lambda one: postgresql.ranges.MultiRange([one])),
         POSTGRESQL),
    Kind("bytea", postgresql.BYTEA(), some.binary(max_size=9), POSTGRESQL),
    Kind("span", postgresql.INTERVAL(), spans, POSTGRESQL),
    Kind("tsvector", postgresql.TSVECTOR(), some.just("'a':1 'b':2"), POSTGRESQL),
    Kind("bits", mysql.BIT(12), some.integers(0, 4095), MYSQL, compared=False),
    Kind("tiny", mysql.TINYINT(), some.integers(-128, 127), MYSQL),
    Kind("decimal", mysql.DECIMAL(20, 6), decimals(6, 18), MYSQL),
    Kind("set", mysql.SET("a", "b", "c"), some.sets(some.sampled_from("abc"), min_size=1), MYSQL, compared=False),
    Kind("set_of_bits", mysql.SET("a", "b", "", retrieve_as_bitwise=True),
         some.sets(some.sampled_from(["a", "b"])), MYSQL, compared=False),
    Kind("enum_mysql", mysql.ENUM("x", "y"), some.sampled_from("xy"), MYSQL),
    Kind("year", mysql.YEAR(), some.integers(1901, 2155), MYSQL, compared=False),
    Kind("json_mysql", mysql.JSON(), documents, MYSQL, compared=False),
    Kind("time_exact", mysql.TIME(fsp=6), some.times(), MYSQL),
    Kind("moment_exact", mysql.DATETIME(fsp=6), moments, MYSQL),
    Kind("long_text", mysql.LONGTEXT(), texts, MYSQL),
]  # fmt: skip


def kinds(dialect: str) -> list[Kind]:
    return [kind for kind in KINDS if dialect in kind.dialects]


def table(dialect: str) -> Table:
    """Each type is that of one column, whose key is not its name."""
    columns = [Column(f"c_{kind.name}", kind.type, key=kind.name) for kind in kinds(dialect)]
    return Table("prepared_kinds", MetaData(), Column("id", Integer, primary_key=True), *columns)


def same(ours: Any, theirs: Any) -> bool:
    """Equal in value and in type, at any depth."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, float) and math.isnan(ours):
        return math.isnan(theirs)
    return bool(ours == theirs) and repr(ours) == repr(theirs)


def differences(ours: Any, theirs: Any) -> dict[str, tuple[Any, Any]]:
    assert ours._fields == theirs._fields
    pairs = zip(ours._fields, ours, theirs, strict=True)
    return {name: (mine, other) for name, mine, other in pairs if name != "id" and not same(mine, other)}


@pytest.fixture
async def stored(database: Database) -> tuple[Database, Table]:
    made = table(database.dialect)
    async with database.writer.begin() as connection:
        await connection.run_sync(made.metadata.create_all)
    return database, made


rows = some.fixed_dictionaries({kind.name: some.none() | kind.values for kind in KINDS})

bounded = settings(max_examples=15, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))


async def by_sqlalchemy(session: AsyncSession, made: Table, row: dict[str, Any]) -> tuple[Any, Any]:
    """The row that SQLAlchemy has written, and what it says was written, which on SQLite may be 0 for 0.0."""
    add: Executable = insert(made).returning(made)
    told: Any = (await session.execute(add, row)).one()
    return told, (await session.execute(select(made).where(made.c.id == told.id))).one()


@seed(20261122)
@bounded
@given(row=rows)
async def test_a_row_is_written_and_read_as_by_sqlalchemy(stored: tuple[Database, Table], row: dict[str, Any]) -> None:
    database, made = stored
    row = {kind.name: row[kind.name] for kind in kinds(database.dialect)}
    add: Any = prepared(insert(made).returning(made))
    read = prepared(select(made).where(made.c.id == bindparam("id")))
    async with database.session() as session:
        told, expected = await by_sqlalchemy(session, made, row)
        inside = await add(session, **row)
    outside = await add(database, **row)
    for written in (inside, outside):
        assert differences(written, told) == {}
    async with database.reader() as reader, database.session() as session:
        for where in (database, reader, session):
            for written in (expected, inside, outside):
                assert differences(await read(where, id=written.id), expected) == {}


def conditions(made: Table, kind: Kind, value: Any, dialect: str) -> tuple[Select[*tuple[Any, ...]], list[str]]:
    """A statement with a type's values as literals, in conditions and in expressions; and its parameters of that type."""
    column: Column[Any] = made.c[kind.name]
    statement: Any = select(column.label("a"), null().label("b")).order_by(made.c.id)
    statement = statement.limit(bindparam("most")).offset(bindparam("from"))
    if not kind.compared:
        return statement, []
    statement = statement.where((column == bindparam("value")) | column.is_(None))
    # MariaDB's driver gives the time of an expression as text, which SQLAlchemy's type cannot read.
    if dialect == "mysql" and isinstance(kind.type, Time):
        return statement, ["value"]
    other, third = bindparam("other", type_=column.type), bindparam("third", type_=column.type)
    expressions = [
        func.coalesce(column, literal(value, column.type)).label("c"),
        func.coalesce(column, third).label("d"),
        case((made.c.id > 1, column), else_=other).label("e"),
        func.count().over().label("f"),
    ]
    return statement.add_columns(*expressions), ["value", "other", "third"]


@seed(20261122)
@settings(bounded, max_examples=4)  # each is a hundred statements
@given(row=rows, other=rows)
async def test_values_in_conditions_changes_and_expressions_are_as_by_sqlalchemy(
    stored: tuple[Database, Table], row: dict[str, Any], other: dict[str, Any]
) -> None:
    database, made = stored
    async with database.session() as session:
        for values in (row, other):
            await session.execute(insert(made), {kind.name: values[kind.name] for kind in kinds(database.dialect)})
    for kind in kinds(database.dialect):
        statement, names = conditions(made, kind, row[kind.name], database.dialect)
        parameters = {"most": 3, "from": 0} | dict.fromkeys(names, row[kind.name])
        async with database.reader() as reader, database.session() as session:
            expected = (await session.execute(statement, parameters)).all()
            for where in (database, reader, session):
                found = await prepared(statement).all(where, **parameters)
                for ours, theirs in zip(found, expected, strict=True):
                    assert differences(ours, theirs) == {}, kind


@seed(20261122)
@bounded
@given(row=rows)
async def test_an_update_sets_what_sqlalchemy_would(stored: tuple[Database, Table], row: dict[str, Any]) -> None:
    database, made = stored
    row = {kind.name: row[kind.name] for kind in kinds(database.dialect)}
    change = prepared(update(made).where(made.c.id == bindparam("which")))
    read = prepared(select(made).where(made.c.id == bindparam("id")))
    async with database.session() as session:
        _, expected = await by_sqlalchemy(session, made, row)
        first, second = [(await by_sqlalchemy(session, made, {}))[0].id for _ in range(2)]
        assert await change.changed(session, which=first, **row) == 1
    assert await change.changed(database, which=second, **row) == 1
    for changed in (first, second):
        assert differences(await read(database, id=changed), expected) == {}
