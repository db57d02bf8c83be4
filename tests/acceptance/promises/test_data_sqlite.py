"""Promises 35 and 36: processes that write to one SQLite file wait for each other, and what they acknowledge is there."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from leyden.data import Database, DataSettings
from leyden.testing.services import skip_or_fail

WRITER = Path(__file__).with_name("sqlite_writer.py")
PROCESSES, TIMES = 4, 40
ROUNDS = 3
KILLS = int(os.environ.get("LEYDEN_TEST_KILLS", "20"))
"""How many writers are killed, each at the tenth write of its file after the one before; more bound the risk better."""
FIRST = 60
"""Writes in which a process opens the database and has begun to add rows."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE counters (value INTEGER)")
        connection.execute("INSERT INTO counters VALUES (0)")
        connection.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY)")
    connection.close()
    return path


def test_read_modify_writes_of_four_processes_all_succeed_and_soon(file: Path) -> None:
    """The best of a few rounds counts for the time: other processes of the machine are no fault of these."""
    best = float("inf")
    for number in range(1, ROUNDS + 1):
        took = sorted(seconds for one in at_once(file) for seconds in one)
        assert len(took) == PROCESSES * TIMES
        assert asked(file, "SELECT value FROM counters") == number * PROCESSES * TIMES
        best = min(best, took[int(len(took) * 0.99)])
        if best < 0.5:
            break
    assert best < 0.5


def at_once(file: Path) -> Iterator[list[float]]:
    command = [sys.executable, str(WRITER), "increment", str(file), str(TIMES)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(PROCESSES)]
    for process in running:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        yield json.loads(output)


def test_what_was_acknowledged_is_there_after_a_kill_at_any_write(file: Path) -> None:
    if shutil.which("strace") is None:
        skip_or_fail("strace is not installed")
    acknowledged: set[int] = set()
    for kill in range(KILLS):
        write = FIRST + 10 * kill + random.randrange(10)  # noqa: S311 -- any write will do
        acknowledged |= killed(file, write)
        there = {row[0] for row in rows(file, "SELECT id FROM entries")}
        assert acknowledged <= there, f"lost after kill {kill}: {sorted(acknowledged - there)[:10]}"
        assert asked(file, "PRAGMA integrity_check") == "ok"
    assert len(acknowledged) > KILLS, "next to nothing was written before the kills"


def killed(file: Path, write: int) -> set[int]:
    """What a writer acknowledged that is killed at this write to disk."""
    inject = f"inject=pwrite64:signal=SIGKILL:when={write}"
    trace = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "trace=pwrite64", "-e", inject]
    command = [*trace, sys.executable, str(WRITER), "append", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (-9, 137), done.stderr
    return {int(line) for line in done.stdout.splitlines()}


def rows(file: Path, question: str) -> list[Any]:
    connection = sqlite3.connect(file)
    try:
        return connection.execute(question).fetchall()
    finally:
        connection.close()


def asked(file: Path, question: str) -> Any:
    return rows(file, question)[0][0]


PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


@pytest.mark.parametrize("synchronous", ["FULL", "NORMAL"])
async def test_every_connection_is_as_durable_and_strict_as_promised(tmp_path: Path, synchronous: Any) -> None:
    promised = PRAGMAS | {"synchronous": {"FULL": 2, "NORMAL": 1}[synchronous]}
    settings = DataSettings(url=f"sqlite:///{tmp_path}/x.db", synchronous=synchronous)
    async with Database(settings) as database:
        for engine in (database.writer, database.readers, database.snapshots):
            async with engine.connect() as connection:
                found = {name: (await connection.execute(text(f"PRAGMA {name}"))).scalar() for name in promised}
            assert found == promised, engine
        backend: Any = database.backend
        arguments = database.readers.dialect.create_connect_args(database.readers.url)
        thread = backend._connect_to_read(*arguments)  # as the threads of prepared statements do
        try:
            assert {name: thread.execute(f"PRAGMA {name}").fetchone()[0] for name in promised} == promised
            assert thread.execute("PRAGMA query_only").fetchone() == (1,)
        finally:
            thread.close()
