"""Cell 16, full: a disk without room. What cannot be written is refused with 503 and not acknowledged; with room again,
it is written again, and what was acknowledged is there.

`python -m chaos.full_disk FOLDER LEDGER` is the app, in a mount namespace of its own, where FOLDER is a small tmpfs.
"""

import asyncio
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from chaos import kills, ledger, victims
from chaos.judge import NONE
from chaos.ledger import Ledger, Unjudged
from chaos.plan import Plan
from chaos.victims import Entry, write_entry
from fastapi import FastAPI
from load.figures import Figure, Target
from pydantic import BaseModel

from leyden import create_app, data, http
from leyden.data import DatabaseDep, SessionDep
from leyden.http import HttpSettings
from leyden.testing import client

SIZE = 8
"""MiB of the disk."""
BALLAST = 4 * 2**20
"""Bytes that are given back when the disk has been full for long enough."""
FILLING = 20_000
ENOUGH = 20
"""Answers of a kind, refusals first and successes afterwards, in each of the two ways of writing."""
WAYS = ("unit_of_work", "prepared")
MOMENTS = ("full", "after")
MOST = 1000
PATIENCE = 60
MOUNT = 'mount -t tmpfs -o size="$0"m tmpfs "$1" && shift && exec "$@"'
HERE = Path(__file__).parents[1]


def figures(plan: Plan) -> Iterator[Figure]:
    """Raises Unjudged where a disk cannot be mounted."""
    folder = plan.room("disk")
    disk, told = folder / "disk", folder / "clients.jsonl"
    disk.mkdir()
    mine = [sys.executable, "-m", "chaos.full_disk", str(disk), str(told)]
    command = ["unshare", "-m", "sh", "-c", MOUNT, str(SIZE), str(disk), *mine]
    ended = subprocess.run(
        command, cwd=HERE, capture_output=True, text=True, timeout=PATIENCE, check=False, start_new_session=True
    )
    if ended.returncode:
        raise Unjudged(f"the app on the full disk ended with code {ended.returncode}: {ended.stderr[-2000:]}")
    yield from _told(ledger.read(told), folder)


def _told(entries: list[dict[str, Any]], folder: Path) -> Iterator[Figure]:
    answers = [entry for entry in entries if entry["kind"] in ("ack", "refused")]
    for way in WAYS:
        here = [entry for entry in answers if entry["way"] == way]
        refused = [entry for entry in here if entry["kind"] == "refused"]
        yield Figure(f"{way}_refused", len(refused), "writes", Target(">=", ENOUGH))
        yield Figure(f"{way}_acknowledged", len(here) - len(refused), "writes", Target(">=", ENOUGH))
        wrong = sum(not (entry["status"] == 503 and entry["problem"] and entry["retry_after"]) for entry in refused)
        yield Figure(f"{way}_refused_wrongly", wrong, "writes", NONE)
    for moment in MOMENTS:
        last = next(number for number, entry in enumerate(entries) if entry == {"kind": "copied", "as": moment})
        held = kills.judge(folder / f"{moment}.db", entries[:last])
        yield Figure(f"{moment}_lost", held.lost, "writes", NONE)
        yield Figure(f"{moment}_torn", held.torn, "writes", NONE)
        yield Figure(f"{moment}_refused_but_made", held.of_nobody, "writes", NONE)
        yield Figure(f"{moment}_damaged", held.damaged, "files", NONE)


class Order(BaseModel):
    key: str


def app_on(file: Path) -> FastAPI:
    app = create_app([http.battery(HttpSettings()), data.battery(victims.settings(file))])
    app.post("/unit_of_work", status_code=201)(_unit_of_work)
    app.post("/prepared", status_code=201)(_prepared)
    return app


async def _unit_of_work(order: Order, session: SessionDep) -> None:
    session.add_all(Entry(key=order.key, parts=2, filling=bytes(FILLING)) for _ in range(2))


async def _prepared(order: Order, database: DatabaseDep) -> None:
    await write_entry.changed(database, key=order.key, parts=1, filling=bytes(FILLING))


async def write(disk: Path, told: Path) -> None:
    """Until nothing fits any more; then with some room again."""
    file, ballast = disk / "app.db", disk / "ballast"
    ballast.write_bytes(bytes(BALLAST))
    await victims.make(file)
    with Ledger(told) as kept:
        async with client(app_on(file), raise_app_exceptions=False) as caller:
            await _until("refused", caller, kept)
            _copy(file, told.with_name("full.db"), kept)
            ballast.unlink()
            await _until("ack", caller, kept)
            _copy(file, told.with_name("after.db"), kept)


async def _until(kind: str, caller: httpx2.AsyncClient, kept: Ledger) -> None:
    """Enough of such answers, in each of the ways."""
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(MOST):
        if all(seen[way, kind] >= ENOUGH for way in WAYS):
            return
        way = WAYS[number % len(WAYS)]
        key = str(uuid.uuid4())
        kept.keep("intent", key=key)
        answer = await caller.post(f"/{way}", json={"key": key})
        got = "ack" if answer.status_code == 201 else "refused"
        problem = answer.headers.get("content-type") == "application/problem+json"
        facts = {"status": answer.status_code, "problem": problem, "retry_after": answer.headers.get("retry-after")}
        kept.keep(got, key=key, way=way, **facts)
        seen[way, got] += 1
    raise Unjudged(f"{MOST} writes, and of these answers there were only {dict(seen)}")


def _copy(file: Path, to: Path, kept: Ledger) -> None:
    """As it lies there, with its log: the disk goes with this process."""
    for suffix in ("", "-wal"):
        if (source := file.with_name(file.name + suffix)).exists():
            shutil.copyfile(source, to.with_name(to.name + suffix))
    kept.keep("copied", **{"as": to.stem})


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), Path(sys.argv[2])))
