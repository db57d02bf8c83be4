"""Processes that write to one SQLite file through Leyden's Database and are ended in the middle of it.

Forked from a process that has imported everything, so that a thousand of them take minutes. What they mean to write and
what was acknowledged goes through a pipe to the one who judges: a pipe outlives whoever wrote to it.
"""

import asyncio
import multiprocessing
import random
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sqlalchemy import LargeBinary, bindparam, insert
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Database, DataSettings, Model, prepared

WRITERS = 4
MOST = 2000
"""Units of work of a process that nobody ends."""
PARTS = 3
"""Rows of a unit of work: all there, or none."""
PAGES = (10, 6000)
"""Bytes in a row: from a piece of a page to several, so that kills do not always meet the same step of a commit."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["chaos.victims"])


class Entry(Model):
    __tablename__ = "entries"

    key: Mapped[str] = mapped_column(index=True)
    parts: Mapped[int]
    filling: Mapped[bytes] = mapped_column(LargeBinary)


write_entry = prepared(
    insert(Entry).values(key=bindparam("key"), parts=bindparam("parts"), filling=bindparam("filling"))
)

Tell = Callable[[str, str], None]


def settings(file: Path) -> DataSettings:
    return DataSettings(url=f"sqlite:///{file}")


async def make(file: Path) -> None:
    """The table, in a new file."""
    async with Database(settings(file)) as database, database.writer.begin() as connection:
        await connection.run_sync(Entry.metadata.tables["entries"].create)


def write(file: str, seed: int, pipe: "Connection[Any, Any]") -> None:
    """What a victim does, once it is watched."""
    while "TracerPid:\t0\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)

    def tell(kind: str, key: str) -> None:
        pipe.send((kind, key))

    asyncio.run(_write(Path(file), random.Random(seed), tell))  # noqa: S311 -- to be repeated


async def _write(file: Path, chance: random.Random, tell: Tell) -> None:
    async with Database(settings(file)) as database, asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(_work(database, chance, tell))


async def _work(database: Database, chance: random.Random, tell: Tell) -> None:
    for _ in range(MOST // WRITERS):
        key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        filling = bytes(chance.randint(*PAGES))
        tell("intent", key)
        await chance.choice((_unit_of_work, _prepared_write))(database, key, filling)
        tell("ack", key)


async def _unit_of_work(database: Database, key: str, filling: bytes) -> None:
    async with database.session() as session:
        session.add_all(Entry(key=key, parts=PARTS, filling=filling) for _ in range(PARTS))


async def _prepared_write(database: Database, key: str, filling: bytes) -> None:
    await write_entry.changed(database, key=key, parts=1, filling=filling)
