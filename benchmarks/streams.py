"""Whether a stream of any length runs in flat memory, and how many rows a second it sends.

    make bench NAME=streams                                     5,000,000 rows, about ten minutes
    .venv/bin/python benchmarks/streams.py --rows 200000        about a minute

A server in a process of its own streams one table as JSON Lines (through a model, and its columns as they are) and as
CSV to one client that reads as fast as it can, on each database that answers. Its memory is looked at while it does: the
growth is what the largest moment had over the one after a first short stream, and may be 50 MB.

Prints `name value unit target pass|short`, saves the whole run in benchmarks/results/streams.json, and ends with exit
code 1 where one is short of its target.
"""

import argparse
import asyncio
import contextlib
import http.client
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from load import figures
from load.figures import Figure, Target
from sqlalchemy import text

from leyden.data import Database, DataSettings
from leyden.testing import LiveServer
from leyden.testing.services import DATABASES, Unavailable, fresh_database

WHOLE = 5_000_000
FLAT = Target("<", 50)
PATHS = ("json", "columns", "csv")
PIECE = 1 << 20

TABLE = """CREATE TABLE videos (id INTEGER PRIMARY KEY, title VARCHAR(100) NOT NULL, views INTEGER NOT NULL,
           price NUMERIC(12, 2) NOT NULL, published BOOLEAN NOT NULL, created_at {moment} NOT NULL)"""
MOMENTS = {"sqlite": "DATETIME", "postgresql": "TIMESTAMPTZ", "mariadb": "DATETIME(6)"}
ROWS = {
    "sqlite": """WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})
                 SELECT n, 'Video ' || n, n * 7919 % 100000, n % 1000 / 8.0, n % 3 <> 0,
                 strftime('%Y-%m-%d %H\\:%M\\:%S.000000', 1704067200 + n, 'unixepoch') FROM c""",
    "postgresql": """SELECT n, 'Video ' || n, n::bigint * 7919 % 100000, n % 1000 / 8.0, n % 3 <> 0,
                     timestamptz '2024-01-01 00\\:00\\:00+00' + n * interval '1 second'
                     FROM generate_series(1, {rows}) AS n""",
    "mariadb": """SELECT seq, concat('Video ', seq), seq * 7919 % 100000, truncate(seq % 1000 / 8, 2), seq % 3 <> 0,
                  timestamp '2024-01-01 00\\:00\\:00' + INTERVAL seq SECOND FROM seq_1_to_{rows}""",
}


@dataclass
class Memory:
    """The resident memory of a process, looked at every few milliseconds."""

    pid: int
    most: int = 0
    over: bool = False

    @property
    def now(self) -> int:
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * 4096

    def watch(self) -> None:
        while not self.over:
            self.most = max(self.most, self.now)
            time.sleep(0.02)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        self.most, self.over = 0, False
        thread = threading.Thread(target=self.watch)
        thread.start()
        try:
            yield
        finally:
            self.over = True
            thread.join()


def measured(kind: str, rows: int, paths: Sequence[str], folder: Path) -> Iterator[Figure]:
    with fresh_database(kind, folder) as url:
        asyncio.run(fill(kind, url, rows))
        apps = Path(__file__).parent / "apps"
        with LiveServer(apps, app="leyden_streams:app", env={"BENCH_URL": url}, ready="/ready") as server:
            memory = Memory(server.pid)
            for path in paths:
                read(server.port, path, most=5_000)  # what is made once is made
                before = memory.now
                with memory.watched():
                    began = time.perf_counter()
                    lines = read(server.port, path)
                    seconds = time.perf_counter() - began
                if lines != rows + (path == "csv"):
                    sys.exit(f"{kind}: {path} had {lines} lines of {rows}")
                yield Figure(f"{kind}_{path}_growth", (memory.most - before) / 1e6, "MB", FLAT)
                yield Figure(f"{kind}_{path}_rate", rows / seconds, "rows/s")


async def fill(kind: str, url: str, rows: int) -> None:
    settings = DataSettings(url=url, statement_timeout=None)
    async with Database(settings) as database, database.writer.begin() as connection:
        await connection.execute(text(TABLE.format(moment=MOMENTS[kind])))
        source = "INSERT INTO videos " + ROWS[kind].format(rows=rows)
        await connection.execute(text(source))


def read(port: int, path: str, most: int | None = None) -> int:
    """How many lines there are, or as many as `most`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            sys.exit(f"{path} answered {answer.status} {answer.read()!r}")
        lines = 0
        while (piece := answer.read1(PIECE)) and (most is None or lines < most):
            lines += piece.count(b"\n")
        return lines
    finally:
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="Whether streams run in flat memory.")
    parser.add_argument("--rows", type=int, default=WHOLE, help="fewer than all is not saved")
    parser.add_argument("--only", choices=DATABASES, help="one database")
    parser.add_argument("--path", choices=PATHS, help="one way to write the rows")
    asked = parser.parse_args()
    found: list[Figure] = []
    for kind in [asked.only] if asked.only else DATABASES:
        with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as folder:
            try:
                for figure in measured(kind, asked.rows, [asked.path] if asked.path else PATHS, Path(folder)):
                    print(figure, flush=True)
                    found.append(figure)
            except Unavailable as reason:
                print(f"Error: {reason}", file=sys.stderr)
                return 2
    if asked.rows >= WHOLE and not asked.only and not asked.path:
        figures.save("streams", found, rows=asked.rows)
    return int(not all(figure.good for figure in found))


if __name__ == "__main__":
    sys.exit(main())
