"""A process of its own that writes to a SQLite file: `python sqlite_writer.py increment|append FILE ...`."""

import asyncio
import json
import os
import sys
import time

from sqlalchemy import insert, text
from sqlalchemy.orm import Mapped, mapped_column

from leyden.data import Base, Database, DataSettings, prepared


class Entry(Base):
    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(primary_key=True)


add_entry = prepared(insert(Entry).returning(Entry.id))


async def increment(file: str, times: int) -> None:
    """Read, think, write, in one unit of work; prints how long each took."""
    took = []
    async with Database(DataSettings(url=f"sqlite:///{file}")) as database:
        for _ in range(times):
            began = time.monotonic()
            async with database.session() as session:
                value = await session.scalar(text("SELECT value FROM counters"))
                await asyncio.sleep(0.001)
                await session.execute(text("UPDATE counters SET value = :value"), {"value": value + 1})
            took.append(time.monotonic() - began)
    os.write(1, json.dumps(took).encode())


async def append(file: str) -> None:
    """By sessions and prepared statements in turn, for ever; each row that is acknowledged is told on a line."""
    async with Database(DataSettings(url=f"sqlite:///{file}")) as database:
        while True:
            async with database.session() as session:
                session.add(entry := Entry())
            tell(entry.id)
            for number in await asyncio.gather(*(add_entry(database) for _ in range(3))):
                tell(number)


def tell(number: int | None) -> None:
    os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["increment", file, times]:
            asyncio.run(increment(file, int(times)))
        case ["append", file]:
            asyncio.run(append(file))
