"""Cell 16, kills: a process that writes to SQLite ends at every tenth pwrite64, or fsync, and what was acknowledged is there.

One file lives through many of these ends, and is recovered by the next process; it is judged on copies, so that judging
mends nothing. A kill is no power cut: what the system holds for the disk survives it.
"""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from chaos import ledger, victims
from chaos.judge import NONE, SOME
from chaos.ledger import Ledger, Unjudged
from chaos.plan import Plan
from load.figures import Figure

KILLS = 1000
"""In a whole run: with nothing lost, 95 % sure that fewer than 3 in 1,000 kills lose something."""
STEP = 10
REACH = {"pwrite64": 20, "fdatasync": 4}
"""Of each call, after how many steps counting begins anew: a process lives for so many calls at most."""
LIVES = 20
"""Ends that one file lives through."""
LANES = 2
PATIENCE = 30.0


@dataclass
class Found:
    """What the judge has seen, over all kills."""

    ended: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    lost: int = 0
    torn: int = 0
    of_nobody: int = 0
    damaged: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.torn + self.of_nobody + self.damaged

    def __add__(self, other: "Found") -> "Found":
        return Found(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})


def figures(plan: Plan) -> Iterator[Figure]:
    """Raises Unjudged where strace cannot be used."""
    if shutil.which("strace") is None:
        raise Unjudged("strace is not installed. Run: apt install strace")
    folder, kills = plan.room("kills"), plan.share(KILLS, least=2 * len(REACH))
    lives = [range(first, min(kills, first + LIVES)) for first in range(0, kills, LIVES)]
    over = threading.Event()
    with ThreadPoolExecutor(LANES) as lanes:
        try:
            found = sum(lanes.map(partial(_live, folder, plan.seed, over), lives), start=Found())
        finally:
            over.set()
    yield from _told(found)


def _live(folder: Path, seed: int, over: threading.Event, numbers: range) -> Found:
    """One file, through all these ends."""
    file = folder / f"{numbers.start}.db"
    asyncio.run(victims.make(file))
    found = held = Found()
    for number in numbers:
        if over.is_set():
            break
        found.ended[_end(file, number, seed)] += 1
        held = judge(file, ledger.read(file.with_suffix(".jsonl")))
        found += replace(held, acknowledged=0)
    if not found.wrong:
        for suffix in ("", "-wal", "-shm"):  # the ledger stays; with nothing wrong in them, the files are only large
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return found + Found(acknowledged=held.acknowledged)


def _told(found: Found) -> Iterator[Figure]:
    for call in REACH:
        yield Figure(f"at_{call}", found.ended[call], "kills", SOME)
    yield Figure("not_killed", found.ended[""], "times", NONE)
    yield Figure("acknowledged", found.acknowledged, "writes", SOME)
    for name in ("lost", "torn", "of_nobody"):
        yield Figure(name, getattr(found, name), "writes", NONE)
    yield Figure("damaged", found.damaged, "files", NONE)


def point(number: int) -> tuple[str, int]:
    """At which call, and at the how manieth of it, a process ends: each tenth, and one further each time around."""
    calls = list(REACH)
    call = calls[number % len(calls)]
    around, step = divmod(number // len(calls), REACH[call])
    return call, STEP * (step + 1) + around % STEP


def _end(file: Path, number: int, seed: int) -> str:
    """Let a process write until its call; what it says goes to the ledger beside the file. Returns where it ended."""
    call, when = point(number)
    reading, writing = victims.CONTEXT.Pipe(duplex=False)
    process = victims.CONTEXT.Process(target=victims.write, args=(str(file), seed * KILLS + number, writing))
    process.start()
    writing.close()
    with _traced(process, call, when), Ledger(file.with_suffix(".jsonl")) as kept, reading:
        _listen(reading, kept)
        process.join(PATIENCE)
    return call if process.exitcode == -signal.SIGKILL else ""


@contextmanager
def _traced(process: BaseProcess, call: str, when: int) -> Iterator[None]:
    inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
    command = ["strace", "-f", "-qq", "-o", os.devnull, *inject, "-p", str(process.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as strace:
        try:
            yield
            _, told = strace.communicate(timeout=PATIENCE)
            if strace.returncode:
                raise Unjudged(f"strace failed: {told}")
        finally:
            strace.kill()  # of no consequence for those that have ended
            process.kill()


def _listen(pipe: "Connection[Any, Any]", kept: Ledger) -> None:
    """Until nobody can write to the pipe any more."""
    while pipe.poll(PATIENCE):
        try:
            kind, key = pipe.recv()
        except EOFError:
            return
        kept.note(kind, key=key)
    raise Unjudged(f"a process that was to be killed said nothing for {PATIENCE:g} s")


def judge(file: Path, told: list[dict[str, Any]]) -> Found:
    """What the file holds after all that was told."""
    counts, integrity = _read(file)
    refused = {entry["key"] for entry in told if entry["kind"] == "refused"}
    meant = {entry["key"] for entry in told if entry["kind"] == "intent"} - refused
    acknowledged = {entry["key"] for entry in told if entry["kind"] == "ack"}
    return Found(
        acknowledged=len(acknowledged),
        lost=len(acknowledged - counts.keys()),
        torn=sum(there != parts for there, parts in counts.values()),
        of_nobody=len(counts.keys() - meant),
        damaged=int(integrity != "ok"),
    )


def _read(file: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """By key how many rows there are and should be, and what SQLite thinks of the file; from a copy of it and its log."""
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        for suffix in ("", "-wal"):
            if (source := file.with_name(file.name + suffix)).exists():
                shutil.copyfile(source, Path(folder) / source.name)
        with closing(sqlite3.connect(Path(folder) / file.name)) as connection:
            rows = connection.execute("SELECT key, count(*), max(parts) FROM entries GROUP BY key")
            counts = {key: (there, parts) for key, there, parts in rows}
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
    return counts, integrity
