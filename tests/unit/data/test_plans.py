"""What prepared statements take from inside SQLAlchemy, which a new version of it may move."""

import enum
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Enum,
    Float,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    TypeDecorator,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.dialects.mysql import asyncmy
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlalchemy.types import TypeEngine

from leyden.core import ConfigurationError
from leyden.data.plans import MOST_PLANS, UNKNOWN, Plan, Plans, compile_plan
from leyden.data.statements import declare

DIALECTS: list[Callable[[], Dialect]] = [aiosqlite.dialect, asyncpg.dialect, partial(asyncmy.dialect, is_mariadb=True)]
MOVED = "SQLAlchemy has moved what a plan is made of: see leyden/data/plans.py and leyden/data/statements.py"


class Colour(enum.Enum):
    RED = 1


class Marked(TypeDecorator[str]):
    impl = String(9)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str:  # noqa: ARG002 -- SQLAlchemy's signature
        return f"<{value}>"

    def process_result_value(self, value: str | None, dialect: Dialect) -> str:  # noqa: ARG002 -- SQLAlchemy's signature
        return f"[{value}]"


rows = Table(
    "rows",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("colour", Enum(Colour, native_enum=False)),
    Column("marked", Marked()),
    Column("facts", JSON()),
    Column("made", Integer, default=lambda context: len(context.get_current_parameters()["marked"])),
    Column("kept", Integer, default=7, onupdate=lambda: 8),
)


def plan(statement: Any, dialect: Dialect, *given: str) -> Plan:
    found = compile_plan(declare(statement), dialect, given)
    assert found is not None, MOVED
    return found


@pytest.mark.parametrize("make", DIALECTS, ids=["sqlite", "postgresql", "mariadb"])
def test_sqlalchemy_still_has_what_a_plan_is_made_of(make: Callable[[], Dialect]) -> None:
    compiled: Any = select(rows).where(rows.c.marked == bindparam("marked")).compile(dialect=make())
    for name in ("_bind_processors", "_result_columns", "post_compile_params", "literal_execute_params",
                 "escaped_bind_names", "positiontup", "insert_prefetch", "update_prefetch", "binds"):  # fmt: skip
        assert hasattr(compiled, name), f"{name}: {MOVED}"
    assert compiled._bind_processors["marked"]("a") == "<a>", MOVED
    kinds = [column.type for column in compiled._result_columns]
    assert [type(kind) for kind in kinds] == [Integer, Enum, Marked, JSON, Integer, Integer], MOVED
    assert kinds[2]._cached_result_processor(make(), None)("a") == "[a]", MOVED
    statement: Any = insert(rows).returning(rows.c.id)
    assert [column.name for column in statement._returning] == ["id"], MOVED
    assert select(rows).with_for_update()._for_update_arg is not None, MOVED
    assert select(rows)._with_options == (), MOVED


@pytest.mark.parametrize("make", DIALECTS, ids=["sqlite", "postgresql", "mariadb"])
def test_arguments_are_converted_in_the_order_of_the_placeholders(make: Callable[[], Dialect]) -> None:
    adding = plan(insert(rows).returning(rows.c.id), make(), "marked", "colour", "facts")
    assert set(adding.arguments({"colour": Colour.RED, "marked": "a", "facts": [1]}, {})) == {"RED", "<a>", "[1]", 1, 7}
    changing = plan(update(rows).where(rows.c.id == bindparam("id")), make(), "id", "marked")
    assert sorted(changing.arguments({"id": 5, "marked": "b"}, {}), key=str) == [5, 8, "<b>"]


@pytest.mark.parametrize("make", DIALECTS, ids=["sqlite", "postgresql", "mariadb"])
def test_rows_are_converted_once_the_driver_has_told_its_types(make: Callable[[], Dialect]) -> None:
    reading = plan(select(rows.c.id, rows.c.marked, rows.c.colour), make())
    reading.learn(make(), [None, None, None])
    assert [list(row) for row in reading.rows([(1, "a", "RED")])] == [[1, "[a]", Colour.RED]]
    plain = plan(select(rows.c.id), make())
    plain.learn(make(), [None])
    assert plain.convert is None


def test_a_parameter_that_needs_nothing_is_passed_on_as_it_is() -> None:
    reading = plan(select(rows.c.id).where(rows.c.id == bindparam("id")), DIALECTS[1](), "id")
    value = object()
    assert reading.arguments({"id": value}, {})[0] is value


@pytest.mark.parametrize(
    ("statement", "given"),
    [
        (select(rows.c.id).where(rows.c.id.in_(bindparam("ids", expanding=True))), ["ids"]),
        (select(rows.c.id).execution_options(schema_translate_map={None: "other"}), []),
        (insert(rows).values(id=func.coalesce(1)), []),
    ],
)
def test_what_only_sqlalchemy_can_run_has_no_plan(statement: Any, given: Sequence[str]) -> None:
    found = compile_plan(declare(statement), aiosqlite.dialect(), given)
    assert (found is None) == (not isinstance(statement, type(insert(rows))))


@pytest.mark.parametrize("make", [sqlite.dialect, postgresql.dialect, mysql.dialect])
def test_wrong_parameters_are_named(make: Callable[[], Dialect]) -> None:
    statement = declare(select(rows.c.id).where(rows.c.id == bindparam("id")))
    with pytest.raises(ConfigurationError, match=r"no parameter 'idd'. It has: id\."):
        compile_plan(statement, make(), ["id", "idd"])
    with pytest.raises(ConfigurationError, match="needs the parameter 'id'"):
        compile_plan(statement, make(), [])


def kinds_of_numbers() -> list[TypeEngine[Any]]:
    return [Numeric(), Numeric(asdecimal=False), Float(), Float(asdecimal=True)]


def test_numbers_depend_on_what_the_driver_says() -> None:
    table = Table("numbers", MetaData(), *[Column(f"n{place}", kind) for place, kind in enumerate(kinds_of_numbers())])
    reading = plan(select(table), DIALECTS[1]())
    reading.learn(DIALECTS[1](), [701, 701, 701, 701])  # float8
    (row,) = reading.rows([(1.5, 1.5, 1.5, 1.5)])
    assert [type(value).__name__ for value in row] == ["Decimal", "float", "float", "Decimal"]


def test_a_plan_learns_again_what_a_migration_has_changed() -> None:
    dialect = DIALECTS[1]()
    reading = plan(select(Table("prices", MetaData(), Column("price", Numeric()))), dialect)
    for told, value in ((1700, Decimal(1)), (701, 1.0), (1700, Decimal(1))):
        reading.learn(dialect, [told])
        assert reading.told == (told,)
        ((price,),) = reading.rows([(value,)])
        assert isinstance(price, Decimal)


def test_names_in_any_order_have_one_plan_and_a_statement_has_a_bounded_number_of_them() -> None:
    plans, reading = Plans(), plan(select(rows.c.id), DIALECTS[0]())
    assert plans["a", "b"] is UNKNOWN
    assert plans.keep(("a", "b"), reading) is reading
    assert plans.keep(("c",), None) is None
    for _ in range(2):
        assert plans["a", "b"] is plans["b", "a"] is reading
        assert plans["c",] is None
    assert plans["a",] is UNKNOWN
    assert len(plans) == 2
    for number in range(3 * MOST_PLANS):
        plans.keep((f"n{number}",), reading)
        assert plans[f"n{number}",] is reading
        assert len(plans) <= MOST_PLANS
    assert plans["b", "a"] is UNKNOWN
