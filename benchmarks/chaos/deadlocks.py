"""How many deadlocks a server has found, which is at least as many as were retried."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chaos.held import engine_of
from sqlalchemy import text

DETECTED = "ERROR:  deadlock detected"
COUNTER = text("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'")


@dataclass
class Deadlocks:
    """`found` is known at the end; None where a database has none, as SQLite with its one writer."""

    found: int | None = None


@contextmanager
def logged(log: Path) -> Iterator[Deadlocks]:
    """By PostgreSQL, whose own counters go with a crash."""
    counted = Deadlocks()
    yield counted
    counted.found = log.read_text(errors="replace").count(DETECTED)


@contextmanager
def counted_by_mariadb(url: str) -> Iterator[Deadlocks]:
    """By the whole server: nothing else may use it meanwhile."""
    counted, before = Deadlocks(), asyncio.run(_counter(url))
    yield counted
    counted.found = asyncio.run(_counter(url)) - before


async def _counter(url: str) -> int:
    engine = engine_of(url)
    try:
        async with engine.connect() as connection:
            return int((await connection.execute(COUNTER)).one()[1])
    finally:
        await engine.dispose()
