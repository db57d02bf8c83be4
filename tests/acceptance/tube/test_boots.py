"""Promise 18: what must happen once happens once, however many processes start at the same time."""

import asyncio
import re
import tomllib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
from pydantic import SecretStr
from sqlalchemy import text

from leyden.data import Database, DataSettings
from leyden.testing import LiveServer

TUBE = Path(__file__).parents[3] / "examples" / "tube"
CONTENT = tomllib.loads((TUBE / "tube" / "demo" / "content.toml").read_text(encoding="utf-8"))
ALL_OF_IT = {"users": len(CONTENT["people"]), "channels": len(CONTENT["channels"]), "videos": len(CONTENT["videos"])}
AT_ONCE = 4
BOOTS = 10
"""Starts of one server with AT_ONCE workers, in pairs: as much as one start waits for, another can use. In development
each worker of each start would migrate, if another had not."""
HISTORY = "".join(file.read_text(encoding="utf-8") for file in sorted((TUBE / "migrations").glob("*.py")))
REVISIONS = re.findall(r'^revision, down_revision = "(\w+)"', HISTORY, re.MULTILINE)

Serve = Callable[..., LiveServer]
Leyden = Callable[..., str]
Variables = Callable[..., dict[str, str]]


def test_many_processes_migrate_seed_and_serve_a_fresh_database_and_all_is_done_once(
    serve: Serve, leyden: Leyden, variables: Variables, database_url: str
) -> None:
    env = variables(database_url)
    upgrades = leyden("db", "upgrade", env=env, times=AT_ONCE)
    assert applied(upgrades) == dict.fromkeys(REVISIONS, 1), upgrades

    with ThreadPoolExecutor() as threads:
        seeding = threads.submit(leyden, "db", "seed", "--yes", env=env, times=AT_ONCE)
        server = serve(database_url, workers=AT_ONCE, migrate=False)
        seeds = seeding.result()
    assert len(set(server.workers())) == AT_ONCE
    assert seeds.count(CONTENT["people"][0]["email"]) == 1, seeds
    assert seeds.count("demo was done already") == AT_ONCE - 1, seeds
    assert httpx2.get(f"{server.url}/api/channels").json()["total"] == ALL_OF_IT["channels"]
    assert asyncio.run(rows(database_url)) == ALL_OF_IT


def test_workers_that_start_over_and_over_migrate_a_fresh_database_and_seed_it_once(
    serve: Serve, leyden: Leyden, variables: Variables, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/tube.db"
    options = {"workers": AT_ONCE, "migrate": False, "environment": "development", "http__drain_delay": 0}
    seeds = ""
    with ThreadPoolExecutor() as threads:
        starting = [threads.submit(serve, url, **options) for _ in range(2)]
        servers = [one.result() for one in starting]
        for _ in range(BOOTS // len(servers) - 1):
            assert {stopped.code for stopped in threads.map(LiveServer.stop, servers)} == {0}
            seeding = threads.submit(leyden, "db", "seed", "--yes", env=variables(url))
            list(threads.map(LiveServer.start, servers))
            seeds += seeding.result()
    log = "".join(server.log for server in servers)
    assert re.findall(r"Applied the migrations (.*)\.", log) == [", ".join(REVISIONS)], log
    assert seeds.count("sowed demo") == 1, seeds
    assert asyncio.run(rows(url)) == ALL_OF_IT


def applied(output: str) -> dict[str, int]:
    """How often each revision is said to have been applied."""
    return Counter(re.findall(r"applied (\w+) \(", output))


async def rows(url: str) -> dict[str, int]:
    """How many rows there are of each kind of thing that the demonstration has."""
    async with Database(DataSettings(url=SecretStr(url))) as database, database.reader() as session:
        return {table: int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0) for table in ALL_OF_IT}  # noqa: S608 -- our own names
