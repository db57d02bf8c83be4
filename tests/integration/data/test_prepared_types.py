"""The same values and parameters as SQLAlchemy's own execution, for every type of column on each database."""

import datetime as dt
import enum
import math
import sqlite3
import string
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Dialect,
    Enum,
    Executable,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    Time,
    TypeDecorator,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    text,
    types,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.types import TypeEngine, UserDefinedType

from leyden.data import Database, prepared
from leyden.data.types import Document, Timestamp

pytestmark = [
    pytest.mark.filterwarnings("ignore:Dialect .* does \\*not\\* support Decimal"),
    pytest.mark.filterwarnings("ignore:Type object .* does not refer to an OperatorClass"),  # MONEY of SQLAlchemy
]

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


class Point(UserDefinedType[tuple[int, int]]):
    """A type that SQLAlchemy knows nothing of."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(40)"

    def bind_processor(self, dialect: Dialect) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else f"{value[0]}/{value[1]}"

    def result_processor(self, dialect: Dialect, coltype: Any) -> Any:  # noqa: ARG002
        return lambda value: None if value is None else tuple(map(int, value.split("/")))


class Wrapped(TypeDecorator[str]):
    """What the database itself converts on the way in and on the way out."""

    impl = String(80)
    cache_ok = True

    def bind_expression(self, bindparam: BindParameter[str]) -> ColumnElement[str]:
        return func.lower(bindparam, type_=self)

    def column_expression(self, column: ColumnElement[str]) -> ColumnElement[str]:
        return func.upper(column, type_=self)


@dataclass(frozen=True)
class Kind:
    """One type of column, values for it, and where it exists.

    `compared` where the database can compare it, `nullable` where SQLAlchemy can write NULL.
    """

    name: str
    type: TypeEngine[Any]
    values: some.SearchStrategy[Any]
    dialects: tuple[str, ...] = EVERYWHERE
    compared: bool = True
    nullable: bool = True
    extension: str | None = None


def decimals(places: int, digits: int) -> some.SearchStrategy[Decimal]:
    most = 10**digits
    return some.integers(-most, most).map(lambda number: Decimal(number).scaleb(-places))


texts = some.text(string.ascii_letters + "äß€'%:\\\" ?$1", max_size=20)
shorts = some.text(string.ascii_letters, max_size=9)
singles = some.floats(width=32, allow_nan=False, allow_infinity=False, min_value=-1e6, max_value=1e6)
doubles = some.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100, allow_subnormal=False)
nowhere = some.sampled_from([math.nan, math.inf, -math.inf])
early = some.dates(dt.date(1000, 1, 1), dt.date(9000, 12, 31))
days = some.dates(dt.date(1000, 1, 1), dt.date(9999, 12, 31))
hours = some.times().map(lambda hour: hour.replace(microsecond=0))
ends = dt.datetime(1000, 1, 3), dt.datetime(9999, 12, 29)  # noqa: DTZ001 -- a naive one is the case
moments = some.datetimes(*ends)
seconds = moments.map(lambda moment: moment.replace(microsecond=0))
recent = some.datetimes(dt.datetime(1970, 1, 2), dt.datetime(2037, 12, 30))  # noqa: DTZ001 -- as above
offsets = some.integers(-15 * 60, 15 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
places = some.sampled_from(["Europe/Amsterdam", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]).map(ZoneInfo)
zoned = some.datetimes(*ends, timezones=some.just(dt.UTC) | offsets | places)
spans = some.timedeltas(dt.timedelta(days=-300), dt.timedelta(days=300))
documents = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**31), 2**31) | texts,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
untyped: Any = sqlite  # whose types of times have constructors without annotations
WRITTEN = r"(?P<day>\d+)/(?P<month>\d+)/(?P<year>\d+)"
POSTGRESQL, MYSQL, SQLITE = ("postgresql",), ("mysql",), ("sqlite",)
LOOSE, STRICT = ("sqlite", "mysql"), ("sqlite", "postgresql")
SQLITE_3_45 = SQLITE if sqlite3.sqlite_version_info >= (3, 45) else ()


def whole(bits: int, *, unsigned: bool = False) -> some.SearchStrategy[int]:
    return some.integers(0, 2**bits - 1) if unsigned else some.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def ranges(ends: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    """With any bounds, of which each may be missing; or empty."""
    pairs = some.tuples(ends, ends).map(sorted)
    bounds = some.sampled_from(["[)", "[]", "(]", "()"])
    between = some.builds(lambda pair, bound: postgresql.Range(*pair, bounds=bound), pairs, bounds)
    above, below = ends.map(lambda end: postgresql.Range(end, None)), ends.map(lambda end: postgresql.Range(None, end))
    return between | above | below | some.just(postgresql.Range(empty=True))


def multiranges(ends: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.lists(ranges(ends), max_size=3).map(postgresql.ranges.MultiRange)


def each(
    values: some.SearchStrategy[Any],
    *sorts: TypeEngine[Any],
    dialects: tuple[str, ...] = EVERYWHERE,
    compared: bool = True,
) -> list[Kind]:
    """A kind of each type, named after its class."""
    place = dialects[0] if len(dialects) == 1 else "sql"
    return [Kind(f"{place}_{type(sort).__name__.lower()}", sort, values, dialects, compared) for sort in sorts]


KINDS = [
    Kind("integer", Integer(), whole(32)),
    Kind("small", types.SmallInteger(), whole(16)),
    Kind("big", types.BigInteger(), whole(64)),
    Kind("string", String(100), texts),
    Kind("text", Text(), texts),
    Kind("unicode", types.Unicode(100), texts),
    Kind("unicode_text", types.UnicodeText(), texts),
    Kind("boolean", types.Boolean(), some.booleans()),
    Kind("single", types.Float(), singles, compared=False),
    Kind("double", types.Double(), doubles),
    Kind("double_nowhere", types.Double(), nowhere, STRICT),
    Kind("decimal_float", types.Float(asdecimal=True), decimals(3, 6), compared=False),
    Kind("numeric", Numeric(18, 4), decimals(4, 14)),
    Kind("numeric_float", Numeric(18, 4, asdecimal=False), some.integers(-9999, 9999).map(float)),
    Kind("numeric_nowhere", Numeric(), nowhere.map(Decimal), STRICT),
    Kind("date", types.Date(), days),
    Kind("time", Time(), hours),
    Kind("moment", types.DateTime(), moments, STRICT),
    Kind("second", types.DateTime(), seconds),
    Kind("zoned", types.DateTime(timezone=True), zoned, POSTGRESQL),
    Kind("timestamp", Timestamp(), zoned),
    Kind("interval", types.Interval(), spans, STRICT),
    Kind("interval_mysql", types.Interval(), spans.map(lambda span: dt.timedelta(seconds=int(span.total_seconds()))), MYSQL, compared=False),
    Kind("binary", types.LargeBinary(), some.binary(max_size=50)),
    Kind("uuid", types.Uuid(), some.uuids(version=4)),
    Kind("uuid_text", types.Uuid(native_uuid=False), some.uuids(version=4)),
    Kind("uuid_string", types.Uuid(as_uuid=False), some.uuids(version=4).map(str)),
    Kind("uuid_plain", types.Uuid(as_uuid=False, native_uuid=False), some.uuids(version=4).map(str)),
    Kind("enum", Enum(Colour, native_enum=False), some.sampled_from(Colour)),
    Kind("enum_native", Enum(Colour, name="colour_native"), some.sampled_from(Colour)),
    Kind("enum_text", Enum("one", "two", name="enum_text", native_enum=False), some.sampled_from(["one", "two"])),
    Kind("enum_by_value", Enum(Colour, native_enum=False, values_callable=lambda kind: [c.value for c in kind]), some.sampled_from(Colour)),
    Kind("document", Document(), documents, compared=False),
    Kind("json", types.JSON(), documents | some.just(types.JSON.NULL), compared=False),
    Kind("json_nullable", types.JSON(none_as_null=True), documents, compared=False),
    Kind("pickle", types.PickleType(), some.lists(some.integers() | texts | some.uuids(version=4), max_size=3), compared=False),
    Kind("shouted", Shouted(), texts),
    Kind("cents", Cents(), decimals(2, 8)),
    Kind("wrapped", Wrapped(), texts),
    Kind("own", Point(), some.tuples(whole(16), whole(16))),
    Kind("variant", String(80).with_variant(Shouted(), "postgresql").with_variant(Text(), "mysql"), texts),
    *each(whole(32), types.INTEGER()),
    *each(whole(16), types.SMALLINT()),
    *each(whole(64), types.BIGINT()),
    *each(decimals(3, 9), types.NUMERIC(12, 3), types.DECIMAL(12, 3)),
    *each(singles, types.FLOAT(), types.REAL(), compared=False),
    *each(doubles, types.DOUBLE_PRECISION()),
    *each(doubles, types.DOUBLE(), dialects=LOOSE),
    *each(some.booleans(), types.BOOLEAN()),
    *each(texts, types.VARCHAR(99), types.TEXT()),
    *each(texts, types.NVARCHAR(99), dialects=LOOSE),
    *each(texts, types.CLOB(), dialects=SQLITE),
    *each(shorts, types.CHAR(9), types.NCHAR(9)),
    *each(some.binary(max_size=9), types.BLOB(), types.BINARY(9), types.VARBINARY(9), dialects=LOOSE),
    *each(days, types.DATE()),
    *each(hours, types.TIME()),
    *each(seconds, types.DATETIME(), dialects=LOOSE),
    *each(recent.map(lambda moment: moment.replace(microsecond=0)), types.TIMESTAMP()),
    *each(some.uuids(version=4), types.UUID(), dialects=STRICT),
    *each(some.lists(some.none() | decimals(2, 5), max_size=3), types.ARRAY(Numeric(9, 2)), dialects=POSTGRESQL),
    Kind("array", postgresql.ARRAY(Integer), some.lists(whole(8), max_size=3), POSTGRESQL),
    Kind("array_of_arrays", postgresql.ARRAY(Integer, dimensions=2), some.lists(some.tuples(whole(8), some.none() | whole(8)).map(list), max_size=3), POSTGRESQL),
    Kind("array_of_tuples", postgresql.ARRAY(Text, dimensions=2, as_tuple=True), some.lists(some.tuples(texts, texts), max_size=3), POSTGRESQL),
    Kind("array_of_enums", postgresql.ARRAY(Enum(Colour, name="colour_native")), some.lists(some.sampled_from(Colour), max_size=3), POSTGRESQL, compared=False),
    Kind("array_of_types", postgresql.ARRAY(Shouted()), some.lists(some.none() | texts, max_size=3), POSTGRESQL),
    Kind("array_of_moments", postgresql.ARRAY(Timestamp()), some.lists(zoned, max_size=3), POSTGRESQL),
    Kind("array_of_ranges", postgresql.ARRAY(postgresql.INT4RANGE()), some.lists(ranges(whole(9)), max_size=3), POSTGRESQL),
    Kind("array_of_documents", postgresql.ARRAY(postgresql.JSONB(), dimensions=1), some.lists(documents, max_size=3), POSTGRESQL, compared=False),
    *each(documents, postgresql.JSON(), postgresql.JSONB(), dialects=POSTGRESQL, compared=False),
    Kind("jsonpath", postgresql.JSONPATH(), some.sampled_from(["$.a", '$[*]."b"']), POSTGRESQL, compared=False, nullable=False),
    Kind("hstore", postgresql.HSTORE(), some.dictionaries(texts, some.none() | texts, max_size=3), POSTGRESQL, extension="hstore"),
    Kind("citext", postgresql.CITEXT(), texts, POSTGRESQL, extension="citext"),
    Kind("inet", postgresql.INET(), some.sampled_from(["10.0.0.1", "10.1.0.0/16", "::1"]), POSTGRESQL),
    Kind("cidr", postgresql.CIDR(), some.sampled_from(["10.0.0.0/8", "fe80::/64"]), POSTGRESQL),
    Kind("macaddr", postgresql.MACADDR(), some.sampled_from(["08:00:2b:01:02:03", "08002b010203"]), POSTGRESQL),
    Kind("macaddr8", postgresql.MACADDR8(), some.just("08:00:2b:01:02:03:04:05"), POSTGRESQL),
    Kind("bit", postgresql.BIT(4), some.text("01", min_size=4, max_size=4).map(postgresql.BitString), POSTGRESQL),
    Kind("bit_varying", postgresql.BIT(9, varying=True), some.text("01", max_size=9).map(postgresql.BitString), POSTGRESQL),
    Kind("money", postgresql.MONEY(), decimals(2, 6).map(str), POSTGRESQL),
    Kind("oid", postgresql.OID(), whole(32, unsigned=True), POSTGRESQL),
    Kind("regclass", postgresql.REGCLASS(), some.sampled_from(["pg_class", "pg_type"]), POSTGRESQL, compared=False),
    Kind("regconfig", postgresql.REGCONFIG(), some.sampled_from(["english", "simple"]), POSTGRESQL),
    Kind("tsquery", postgresql.TSQUERY(), some.sampled_from(["'a' & 'b'", "!'a' | 'b':*"]), POSTGRESQL),
    Kind("tsvector", postgresql.TSVECTOR(), some.just("'a':1 'b':2"), POSTGRESQL),
    *each(some.binary(max_size=9), postgresql.BYTEA(), dialects=POSTGRESQL),
    *each(spans, postgresql.INTERVAL(precision=3), dialects=POSTGRESQL),
    Kind("time_zoned", Time(timezone=True), some.times(timezones=offsets), POSTGRESQL),
    *each(some.times(timezones=offsets), postgresql.TIME(timezone=True, precision=2), dialects=POSTGRESQL),
    *each(zoned, postgresql.TIMESTAMP(timezone=True, precision=3), dialects=POSTGRESQL),
    *each(some.sampled_from(Colour), postgresql.ENUM(Colour, name="colour_postgresql"), dialects=POSTGRESQL),
    Kind("domain", postgresql.DOMAIN("percent", Numeric(5, 2)), decimals(2, 4), POSTGRESQL),
    *each(ranges(whole(31)), postgresql.INT4RANGE(), postgresql.INT8RANGE(), dialects=POSTGRESQL),
    *each(ranges(decimals(3, 9)), postgresql.NUMRANGE(), dialects=POSTGRESQL),
    *each(ranges(early), postgresql.DATERANGE(), dialects=POSTGRESQL),
    *each(ranges(moments), postgresql.TSRANGE(), dialects=POSTGRESQL),
    *each(ranges(zoned), postgresql.TSTZRANGE(), dialects=POSTGRESQL),
    *each(multiranges(whole(31)), postgresql.INT4MULTIRANGE(), postgresql.INT8MULTIRANGE(), dialects=POSTGRESQL),
    *each(multiranges(decimals(3, 9)), postgresql.NUMMULTIRANGE(), dialects=POSTGRESQL),
    *each(multiranges(early), postgresql.DATEMULTIRANGE(), dialects=POSTGRESQL),
    *each(multiranges(moments), postgresql.TSMULTIRANGE(), dialects=POSTGRESQL),
    *each(multiranges(zoned), postgresql.TSTZMULTIRANGE(), dialects=POSTGRESQL),
    *each(whole(12, unsigned=True), mysql.BIT(12), dialects=MYSQL, compared=False),
    Kind("bits_all", mysql.BIT(64), whole(64, unsigned=True), MYSQL, compared=False),
    *each(whole(8), mysql.TINYINT(), dialects=MYSQL),
    Kind("tiny_one", mysql.TINYINT(1), whole(8), MYSQL),
    *each(whole(16, unsigned=True), mysql.SMALLINT(unsigned=True), dialects=MYSQL),
    *each(whole(24, unsigned=True), mysql.MEDIUMINT(unsigned=True), dialects=MYSQL),
    *each(whole(32, unsigned=True), mysql.INTEGER(unsigned=True, zerofill=True), dialects=MYSQL),
    *each(whole(64, unsigned=True), mysql.BIGINT(unsigned=True), dialects=MYSQL),
    *each(decimals(6, 18), mysql.DECIMAL(20, 6), mysql.NUMERIC(20, 6), dialects=MYSQL),
    *each(singles, mysql.FLOAT(), dialects=MYSQL, compared=False),
    *each(doubles, mysql.DOUBLE(asdecimal=False), mysql.REAL(asdecimal=False), dialects=MYSQL),
    Kind("double_decimal", mysql.DOUBLE(20, 4), decimals(4, 9), MYSQL),
    *each(some.sets(some.sampled_from("abc"), min_size=1), mysql.SET("a", "b", "c"), dialects=MYSQL, compared=False),
    Kind("set_of_bits", mysql.SET("a", "b", "", retrieve_as_bitwise=True), some.sets(some.sampled_from(["a", "b"])), MYSQL, compared=False),
    *each(some.sampled_from("xy"), mysql.ENUM("x", "y"), dialects=MYSQL),
    Kind("enum_of_class", mysql.ENUM(Colour), some.sampled_from(Colour), MYSQL),
    *each(some.integers(1901, 2155), mysql.YEAR(), dialects=MYSQL, compared=False),
    *each(documents, mysql.JSON(), dialects=MYSQL, compared=False),
    *each(some.times(), mysql.TIME(fsp=6), dialects=MYSQL),
    *each(moments, mysql.DATETIME(fsp=6), dialects=MYSQL),
    *each(recent, mysql.TIMESTAMP(fsp=6), dialects=MYSQL),
    *each(shorts, mysql.CHAR(9, ascii=True), mysql.NCHAR(9), dialects=MYSQL),
    *each(texts, mysql.VARCHAR(99, collation="utf8mb4_bin"), mysql.NVARCHAR(99), mysql.TINYTEXT(), mysql.TEXT(), mysql.MEDIUMTEXT(), mysql.LONGTEXT(), dialects=MYSQL),
    *each(some.binary(max_size=9), mysql.TINYBLOB(), mysql.MEDIUMBLOB(), mysql.LONGBLOB(), dialects=MYSQL),
    *each(some.ip_addresses(v=4).map(str), mysql.INET4(), dialects=MYSQL),
    *each(some.ip_addresses(v=6).map(str), mysql.INET6(), dialects=MYSQL),
    *each(days, untyped.DATE(), dialects=SQLITE),
    Kind("date_written", untyped.DATE(storage_format="%(day)02d/%(month)02d/%(year)04d", regexp=WRITTEN), days, SQLITE),
    *each(some.times(), untyped.TIME(), dialects=SQLITE),
    *each(moments, untyped.DATETIME(), dialects=SQLITE),
    Kind("moment_cut", untyped.DATETIME(truncate_microseconds=True), moments, SQLITE),
    *each(documents, sqlite.JSON(), dialects=SQLITE, compared=False),
    *each(documents, sqlite.JSONB(), dialects=SQLITE_3_45, compared=False),
]  # fmt: skip


NO_COLUMNS: dict[type[Any], str] = {
    TypeEngine: "the base of all",
    TypeDecorator: "a base; Shouted, Cents and Wrapped are such",
    UserDefinedType: "a base; Point is such",
    postgresql.NamedType: "the base of ENUM and DOMAIN",
    types.NullType: "stands for a type that is not known",
    types.MatchType: "what match() gives",
    types.TupleType: "what tuple_() gives, for IN",
    types.Variant: "kept for its name: with_variant gives the type itself",
}
"""Types of which no column can be made, each with what it is."""


def test_every_type_that_sqlalchemy_has_for_these_databases_is_here() -> None:
    modules: Any = {types: dir(types), **{module: module.__all__ for module in (postgresql, mysql, sqlite)}}
    found = [getattr(module, name) for module, names in modules.items() for name in names if name[0] != "_"]
    known = {kind for kind in found if isinstance(kind, type) and issubclass(kind, TypeEngine)}
    here = {type(kind.type) for kind in KINDS}
    assert known - here - NO_COLUMNS.keys() == set()
    assert here & NO_COLUMNS.keys() == set()


def table(dialect: str, extensions: Collection[str]) -> Table:
    """Each type is that of one column, whose key is not its name."""
    kinds = [kind for kind in KINDS if dialect in kind.dialects and kind.extension in (None, *extensions)]
    columns = [Column(f"c_{kind.name}", kind.type, key=kind.name) for kind in kinds]
    return Table("prepared_kinds", MetaData(), Column("id", Integer, primary_key=True), *columns)


def kinds(made: Table) -> list[Kind]:
    return [kind for kind in KINDS if kind.name in made.c]


def of(made: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {kind.name: row[kind.name] for kind in kinds(made)}


def same(ours: Any, theirs: Any) -> bool:
    """Equal in value and in type, at any depth."""
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict):
        return list(ours) == list(theirs) and all(same(ours[key], theirs[key]) for key in ours)
    return bool(ours == theirs or (ours != ours and theirs != theirs)) and repr(ours) == repr(theirs)  # noqa: PLR0124 -- NaN


def differences(ours: Any, theirs: Any) -> dict[str, tuple[Any, Any]]:
    assert ours._fields == theirs._fields
    pairs = zip(ours._fields, ours, theirs, strict=True)
    return {name: (mine, other) for name, mine, other in pairs if name != "id" and not same(mine, other)}


@pytest.fixture
async def stored(database: Database) -> tuple[Database, Table]:
    async with database.writer.begin() as connection:
        extensions = await with_extensions(connection) if database.dialect == "postgresql" else ()
        made = table(database.dialect, extensions)
        await connection.run_sync(made.metadata.create_all)
    return database, made


async def with_extensions(connection: AsyncConnection) -> Collection[str]:
    """Those that the server has, of those that types need."""
    there = set(await connection.scalars(text("SELECT name FROM pg_available_extensions")))
    for name in (found := there & {kind.extension for kind in KINDS}):
        await connection.execute(text(f"CREATE EXTENSION {name}"))
    return found


rows = some.fixed_dictionaries(
    {kind.name: some.none() | kind.values if kind.nullable else kind.values for kind in KINDS}
)
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
    row = of(made, row)
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


def conditions(kind: Kind, column: Column[Any], value: Any, dialect: str) -> tuple[dict[str, Any], list[str]]:
    """Expressions with a type's values as literals and as parameters; and the names of these parameters."""
    if not kind.compared:
        return {"": column}, []
    equal = column == bindparam(f"{kind.name}_value")
    # MariaDB's driver gives the time of an expression as text, which SQLAlchemy's type cannot read.
    if dialect == "mysql" and isinstance(kind.type, Time):
        return {"": column, "_equal": equal}, [f"{kind.name}_value"]
    other, third = [bindparam(f"{kind.name}_{name}", type_=column.type) for name in ("other", "third")]
    expressions = {
        "": column,
        "_equal": equal,
        "_literal": func.coalesce(column, literal(value, column.type)),
        "_parameter": func.coalesce(column, third),
        "_case": case((column.is_not(null()), column), else_=other),
    }
    return expressions, [f"{kind.name}_{name}" for name in ("value", "other", "third")]


@seed(20261122)
@settings(bounded, max_examples=4)
@given(row=rows, other=rows)
async def test_values_in_conditions_and_expressions_are_as_by_sqlalchemy(
    stored: tuple[Database, Table], row: dict[str, Any], other: dict[str, Any]
) -> None:
    database, made = stored
    row = of(made, row)
    columns: list[Any] = [null().label("empty"), func.count().over().label("number")]
    parameters: dict[str, Any] = {"most": 3, "from": 0}
    for kind in kinds(made):
        expressions, names = conditions(kind, made.c[kind.name], row[kind.name], database.dialect)
        columns += [expression.label(f"{kind.name}{name}") for name, expression in expressions.items()]
        parameters |= dict.fromkeys(names, row[kind.name])
    found_by = or_(*[column.element for column in columns if column.name.endswith("_equal")], made.c.id > 0)
    statement = (
        select(*columns).where(found_by).order_by(made.c.id.desc()).limit(bindparam("most")).offset(bindparam("from"))
    )
    async with database.session() as session:
        for values in (row, of(made, other)):
            await session.execute(insert(made), values)
    async with database.reader() as reader, database.session() as session:
        expected = (await session.execute(statement, parameters)).all()
        assert len(expected) > 1
        for where in (database, reader, session):
            found = await prepared(statement).all(where, **parameters)
            for ours, theirs in zip(found, expected, strict=True):
                assert differences(ours, theirs) == {}


@seed(20261122)
@bounded
@given(row=rows)
async def test_an_update_sets_what_sqlalchemy_would(stored: tuple[Database, Table], row: dict[str, Any]) -> None:
    database, made = stored
    row = of(made, row)
    change = prepared(update(made).where(made.c.id == bindparam("which")))
    read = prepared(select(made).where(made.c.id == bindparam("id")))
    async with database.session() as session:
        _, expected = await by_sqlalchemy(session, made, row)
        first, second = [(await by_sqlalchemy(session, made, {}))[0].id for _ in range(2)]
        assert await change.changed(session, which=first, **row) == 1
    assert await change.changed(database, which=second, **row) == 1
    for changed in (first, second):
        assert differences(await read(database, id=changed), expected) == {}
