"""A deadlock that a server has found is one that the campaign counts."""

import asyncio
import importlib
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from leyden.testing.clusters import PostgreSQLCluster
from leyden.testing.services import Unavailable, fresh_database, skip_or_fail


async def deadlock(url: str) -> None:
    """Two who take the same two rows in the opposite order; one of them is refused."""
    engine = importlib.import_module("chaos.held").engine_of(url)
    taken = [asyncio.Event(), asyncio.Event()]

    async def take(first: int) -> None:
        async with engine.begin() as connection:
            for place in (first, 1 - first):
                await connection.execute(text(f"UPDATE pair SET n = n + 1 WHERE id = {place}"))  # noqa: S608 -- a number
                taken[first].set()
                await taken[1 - first].wait()

    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE pair (id INTEGER PRIMARY KEY, n INTEGER)"))
            await connection.execute(text("INSERT INTO pair VALUES (0, 0), (1, 0)"))
        ended = await asyncio.wait_for(asyncio.gather(take(0), take(1), return_exceptions=True), 20)
    finally:
        await engine.dispose()
    assert sum(isinstance(how, DBAPIError) for how in ended) == 1


def test_by_the_log_of_postgresql() -> None:
    deadlocks = importlib.import_module("chaos.deadlocks")
    try:
        with PostgreSQLCluster() as cluster, deadlocks.logged(cluster.folder / "log") as counted:
            asyncio.run(deadlock(cluster.url))
    except Unavailable as reason:
        skip_or_fail(str(reason))
    assert counted.found == 1


def test_by_the_counter_of_mariadb(tmp_path: Path) -> None:
    """Other tests may add to it: at least one is this one's."""
    deadlocks = importlib.import_module("chaos.deadlocks")
    try:
        with fresh_database("mariadb", tmp_path) as url, deadlocks.counted_by_mariadb(url) as counted:
            asyncio.run(deadlock(url))
    except Unavailable as reason:
        skip_or_fail(str(reason))
    assert counted.found >= 1
