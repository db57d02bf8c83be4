"""Cell 16, writers: four processes change one SQLite file at the same time, at a steady pace and as fast as they can.

Each change reads a number and writes the next one, so a lost update is a number that is too small.
"""

import asyncio
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic, sleep

from chaos.judge import NONE, SLOW, percentile
from chaos.plan import Plan
from load.figures import Figure, Target
from sqlalchemy import select
from sqlalchemy.orm import Mapped

from leyden.core import LeydenError
from leyden.data import Database, DataSettings, Model

PROCESSES = 4
CHANGES = 40
"""Of each process, in a round."""
RATE = 50.0
"""Changes a second, of all processes together."""
ROUNDS = 4
"""Of each kind, in a whole run."""
LONG_ENOUGH, SOON = 0.5, 0.5
"""Seconds in which all processes have begun; and then until the first change is due."""


class Number(Model):
    __tablename__ = "numbers"

    value: Mapped[int]


@dataclass(frozen=True)
class Changes:
    """Those of one process: milliseconds from when each was due to when it was committed, and what was refused."""

    times: list[float]
    refused: list[str]


def figures(plan: Plan) -> Iterator[Figure]:
    folder, rounds = plan.room("writers"), plan.share(ROUNDS)
    for name, pause in (("steady", PROCESSES / RATE), ("fast", 0.0)):
        done, value = [], 0
        for number in range(rounds):
            file = folder / f"{name}-{number}.db"
            done += _round(file, pause)
            value += asyncio.run(_value(file))
        yield from _told(name, done, value, expected=rounds * PROCESSES * CHANGES, bounded=pause > 0)


def _told(name: str, done: Sequence[Changes], value: int, *, expected: int, bounded: bool) -> Iterator[Figure]:
    times = [time for changes in done for time in changes.times]
    yield Figure(f"{name}_changes", len(times), "writes", Target(">=", expected))
    yield Figure(f"{name}_refused", sum(len(changes.refused) for changes in done), "writes", NONE)
    yield Figure(f"{name}_lost_updates", len(times) - value, "writes", NONE)
    yield Figure(f"{name}_p50", percentile(times, 0.5), "ms")
    yield Figure(f"{name}_p99", percentile(times, 0.99), "ms", Target("<", SLOW) if bounded else None)


def _round(file: Path, pause: float) -> list[Changes]:
    asyncio.run(_make(file))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["chaos.writers", "chaos.victims"])
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        list(pool.map(sleep, [LONG_ENOUGH] * PROCESSES))  # each takes one, and by then all are there
        # Each is due between two of another, so that together they keep a steady pace.
        due = [monotonic() + SOON + pause * number / PROCESSES for number in range(PROCESSES)]
        return list(pool.map(partial(_process, str(file), pause), due))


def _process(file: str, pause: float, due: float) -> Changes:
    return asyncio.run(_change(Path(file), pause, due))


async def _change(file: Path, pause: float, due: float) -> Changes:
    changes = Changes([], [])
    async with _database(file) as database:
        for _ in range(CHANGES):
            due = max(due, monotonic()) if not pause else due
            await asyncio.sleep(due - monotonic())
            try:
                await _one_more(database)
            except LeydenError as error:
                changes.refused.append(repr(error))
            else:
                changes.times.append((monotonic() - due) * 1000)
            due += pause
    return changes


async def _one_more(database: Database) -> None:
    async with database.session() as session:
        number = (await session.scalars(select(Number))).one()
        number.value += 1


async def _make(file: Path) -> None:
    async with _database(file) as database:
        async with database.writer.begin() as connection:
            await connection.run_sync(Number.metadata.tables["numbers"].create)
        async with database.session() as session:
            session.add(Number(value=0))


async def _value(file: Path) -> int:
    async with _database(file) as database, database.reader() as session:
        return (await session.scalars(select(Number.value))).one()


def _database(file: Path) -> Database:
    return Database(DataSettings(url=f"sqlite:///{file}"))
