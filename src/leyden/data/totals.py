"""How many rows a statement has: counted, estimated, or not asked."""

import json
import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from sqlalchemy import ClauseElement, Executable, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.ext.compiler import compiles

from leyden.data.types import MYSQL

COUNTED = 10_000
"""Up to here SQLite, which has no estimate, counts."""


class Total(StrEnum):
    """How a page finds out how many items there are in all.

    EXACT counts them all, which takes longer the more there are. ESTIMATED asks PostgreSQL's or MariaDB's planner,
    and counts as far as 10,000 on SQLite. NONE does not ask.
    """

    EXACT = "exact"
    ESTIMATED = "estimated"
    NONE = "none"


async def counted(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> int:
    rows = statement.order_by(None).subquery()
    return await session.scalar(select(func.count()).select_from(rows)) or 0


async def estimated(session: AsyncSession, statement: Select[*tuple[Any, ...]]) -> tuple[int, bool]:
    """How many, and whether that is no more than an estimate."""
    dialect = session.get_bind().dialect.name
    plain = statement.order_by(None)
    if dialect == "sqlite":
        found = await counted(session, plain.limit(COUNTED + 1))
        return found, found > COUNTED
    asked = _Explain(select(literal_column("1")).select_from(plain.subquery()))
    told = (await session.execute(asked)).scalar_one()
    plan = json.loads(told) if isinstance(told, str) else told
    return (_rows_of_mariadb(plan) if dialect in MYSQL else int(plan[0]["Plan"]["Plan Rows"])), True


class _Explain(Executable, ClauseElement):
    inherit_cache = False

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement


@compiles(_Explain, "postgresql")
def _for_postgresql(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN (FORMAT JSON) {compiler.process(element.statement, **options)}"


@compiles(_Explain, *MYSQL)
def _for_mariadb(element: _Explain, compiler: Any, **options: Any) -> str:
    return f"EXPLAIN FORMAT=JSON {compiler.process(element.statement, **options)}"


def _rows_of_mariadb(plan: Any) -> int:
    """Each table has so many rows for each row of the table before it."""
    return round(math.prod(_rows_of_tables(plan["query_block"])))


def _rows_of_tables(step: Any) -> Iterator[float]:
    """Of a plan's outermost query: a table that is made by an inner one says how many rows come of that."""
    if isinstance(step, list):
        for each in step:
            yield from _rows_of_tables(each)
    elif isinstance(step, dict):
        for name, part in step.items():
            if name == "table":
                yield part.get("rows", 0) * part.get("filtered", 100) / 100
            else:
                yield from _rows_of_tables(part)
