"""What a row and a page cost in a table of 1,000 rows, of 100,000 and of 10,000,000.

    make bench NAME=data_size             about three minutes
    .venv/bin/python benchmarks/data_size.py --rows 100000

Through read sessions, in this process and without HTTP, on PostgreSQL and SQLite: a point read by primary key, pages of
20 by cursor in the order of the primary key and newest first, and beside them numbered pages, without a total and with
an exact one, each at random places. The sizes take turns; a figure is the median in milliseconds. Point reads and cursor
pages may cost 1.5 times as much in the largest table as in the smallest.

Prints `name value unit target pass|short`, saves a whole run in benchmarks/results/data_size.json, and ends with exit
code 1 where one is short of its target.
"""

import argparse
import asyncio
import random
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from statistics import median
from typing import Any

from load import figures, rows
from load.figures import Figure, Target
from load.rows import Place, Unavailable
from sqlalchemy import Integer, Select, String, select
from sqlalchemy.orm import mapped_column

from leyden.data import Base, Database, DataSettings, PageParams, Timestamp, get_or_404, paginate
from leyden.data.cursors import CursorParams
from leyden.data.pages import CursorPage
from leyden.data.totals import Total

SIZES = (1_000, 100_000, 10_000_000)
FLAT = Target("<=", 1.5)
PAGE = 20
ROUNDS = 40
EACH = 5
PATIENCE = 10.0
"""Seconds for one kind of read in a table of one size: deep numbered pages are cut there."""

TABLE = "CREATE TABLE {table} (id {key} PRIMARY KEY, name varchar(100) NOT NULL, created_at {moment} NOT NULL)"
INDEX = "CREATE INDEX ix_{table} ON {table} (created_at, id)"

# Three rows a second, so that moments are not unique.
POSTGRESQL = (
    TABLE,
    """INSERT INTO {table} SELECT n, 'Row ' || n, timestamptz '2024-01-01 00:00:00+00' + n / 3 * interval '1 second'
       FROM generate_series(1, {size}) AS n""",
    INDEX,
    "VACUUM ANALYZE {table}",
)
SQLITE = (
    "PRAGMA synchronous = OFF",
    TABLE,
    """INSERT INTO {table} WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {size})
       SELECT n, 'Row ' || n, strftime('%Y-%m-%d %H:%M:%S.000000', 1704067200 + n / 3, 'unixepoch') FROM counted""",
    INDEX,
    "ANALYZE {table}",
)
WORDS = {
    "postgresql": {"key": "integer", "moment": "timestamptz"},
    "sqlite": {"key": "INTEGER", "moment": "DATETIME"},
}
FILLS = {"postgresql": POSTGRESQL, "sqlite": SQLITE}


@dataclass(frozen=True)
class Sized:
    """A table of one size in a database."""

    database: Database
    size: int
    model: Any

    @property
    def place(self) -> int:
        """Somewhere with a page behind it."""
        return random.randint(1, self.size - 2 * PAGE)  # noqa: S311 -- no secret

    @property
    def by_key(self) -> Select[Any]:
        return select(self.model).order_by(self.model.id)

    @property
    def newest_first(self) -> Select[Any]:
        return select(self.model).order_by(self.model.created_at.desc(), self.model.id.desc())


Prepare = Callable[[Sized], Awaitable[Callable[[], Awaitable[object]]]]
"""Chooses a place, which is not measured, and gives what is."""


async def point(table: Sized) -> Callable[[], Awaitable[object]]:
    key = table.place

    async def read() -> object:
        async with table.database.reader() as session:
            return await get_or_404(session, table.model, key)

    return read


async def cursor(table: Sized) -> Callable[[], Awaitable[object]]:
    return await _cursor(table, table.by_key, table.by_key.where(table.model.id > table.place))


async def newest_cursor(table: Sized) -> Callable[[], Awaitable[object]]:
    moment = rows.FIRST + timedelta(
        seconds=table.place // 3
    )  # by the index: a search for the key would chill every cache
    return await _cursor(table, table.newest_first, table.newest_first.where(table.model.created_at <= moment))


async def _cursor(table: Sized, statement: Select[Any], beginning: Select[Any]) -> Callable[[], Awaitable[object]]:
    """The page after the one that begins somewhere."""
    params = CursorParams(table.database, size=PAGE, context="benchmark")
    async with table.database.reader() as session:
        first: CursorPage[Any] = await paginate(session, beginning, params)
    following = CursorParams(table.database, size=PAGE, context="benchmark", cursor=first.next)

    async def read() -> object:
        async with table.database.reader() as session:
            return await paginate(session, statement, following)

    return read


async def offset(table: Sized) -> Callable[[], Awaitable[object]]:
    return _numbered(table, Total.NONE)


async def offset_total(table: Sized) -> Callable[[], Awaitable[object]]:
    return _numbered(table, Total.EXACT)


def _numbered(table: Sized, total: Total) -> Callable[[], Awaitable[object]]:
    params = PageParams(page=table.place // PAGE + 1, size=PAGE)

    async def read() -> object:
        async with table.database.reader() as session:
            return await paginate(session, table.by_key, params, total=total)

    return read


READS: dict[str, Prepare] = {
    "point": point,
    "cursor": cursor,
    "newest_cursor": newest_cursor,
    "offset": offset,
    "offset_total": offset_total,
}
FLAT_ONES = ("point", "cursor", "newest_cursor")


def main() -> int:
    parser = argparse.ArgumentParser(description="What a row and a page cost in a small table and in a large one.")
    parser.add_argument("--rows", type=int, default=SIZES[-1], help="of the largest table")
    largest = parser.parse_args().rows
    if largest < SIZES[0]:
        parser.error(f"--rows starts at {SIZES[0]}")
    sizes = [*(size for size in SIZES if size < largest), largest]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was made is removed
    found: list[Figure] = []
    try:
        for kind in FILLS:
            with rows.workplace() as folder, rows.seeded(kind, folder) as place:
                url = place.copy("sizes")
                fill(kind, place, url, sizes)
                found += asyncio.run(measured(kind, url, sizes))
    except Unavailable as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped; nothing is saved.", file=sys.stderr)
        return 130
    for figure in found:
        print(figure)
    if largest == SIZES[-1]:
        figures.save("data_size", found)
    return int(not all(figure.good for figure in found))


def fill(kind: str, place: Place, url: str, sizes: list[int]) -> None:
    for size in sizes:
        print(f"{kind}: {size} rows ...", end=" ", file=sys.stderr, flush=True)
        before = time.monotonic()
        words = {**WORDS[kind], "table": f"rows_{size}", "size": size}
        place.run(url, *(statement.format(**words) for statement in FILLS[kind]))
        print(f"{time.monotonic() - before:.0f} s", file=sys.stderr, flush=True)


async def measured(kind: str, url: str, sizes: list[int]) -> list[Figure]:
    taken: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    async with Database(DataSettings(url=url)) as database:
        tables = [Sized(database, size, model_of(size)) for size in sizes]
        for name, prepare in READS.items():
            for turn in range(ROUNDS + 1):
                for table in tables:
                    if turn == 0 or sum(taken[name, table.size]) < PATIENCE:
                        taken[name, table.size] += await timed(prepare, table)
                        if turn == 0:  # compiles, connects
                            taken[name, table.size].clear()
            print(f"{kind}: {name}", file=sys.stderr, flush=True)
    return list(judged(kind, taken, sizes))


async def timed(prepare: Prepare, table: Sized) -> list[float]:
    seconds = []
    for _ in range(EACH):
        read = await prepare(table)
        before = time.perf_counter()
        await read()
        seconds.append(time.perf_counter() - before)
    return seconds


def judged(kind: str, taken: dict[tuple[str, int], list[float]], sizes: list[int]) -> list[Figure]:
    lines = []
    for name in READS:
        medians = {size: median(taken[name, size]) * 1000 for size in sizes}
        lines += [Figure(f"{kind}_{name}_{size}", value, "ms") for size, value in medians.items()]
        growth = medians[sizes[-1]] / medians[sizes[0]]
        lines.append(Figure(f"{kind}_{name}_growth", growth, "ratio", FLAT if name in FLAT_ONES else None))
    return lines


@cache  # mapped once: both databases have the same tables
def model_of(size: int) -> Any:
    columns = {
        "id": mapped_column(Integer, primary_key=True),
        "name": mapped_column(String(100)),
        "created_at": mapped_column(Timestamp()),
    }
    return type(f"Row{size}", (Base,), {"__tablename__": f"rows_{size}", **columns})


if __name__ == "__main__":
    sys.exit(main())
