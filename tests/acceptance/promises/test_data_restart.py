"""Promise 39: a PostgreSQL server that is restarted under load costs only what comes while it is down."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from leyden.testing import LiveServer
from leyden.testing.clusters import PostgreSQLCluster
from leyden.testing.services import Unavailable, skip_or_fail

RESTARTS = int(os.environ.get("LEYDEN_TEST_RESTARTS", "4"))
RATE = 50
BACK = 2.0
"""Seconds after the server accepts connections in which the first request must have succeeded."""
PATHS = ("/read", "/prepared", "/outbound?seconds=0", "/change")


@pytest.fixture
def cluster() -> Iterator[PostgreSQLCluster]:
    try:
        with PostgreSQLCluster() as cluster:
            yield cluster
    except Unavailable as reason:
        skip_or_fail(str(reason))


@pytest.fixture
def server(cluster: PostgreSQLCluster) -> Iterator[LiveServer]:
    with LiveServer(Path(__file__).parent, app="data_app:app", env={"PROMISE_URL": cluster.url}) as live:
        assert httpx2.post(f"{live.url}/items").status_code == 200
        yield live


@dataclass
class Load:
    """A constant rate of requests; each answer with the time at which it was asked for, and at which it came."""

    browser: httpx2.AsyncClient
    answers: list[tuple[float, float, int]] = field(default_factory=list)

    async def run(self) -> None:
        asked: set[asyncio.Task[None]] = set()
        try:
            for number in range(10**9):
                asked.add(asyncio.create_task(self.ask(PATHS[number % len(PATHS)])))
                await asyncio.sleep(1 / RATE)
        finally:
            await asyncio.gather(*asked)

    async def ask(self, path: str) -> None:
        began = time.monotonic()
        answer = await self.browser.request("POST" if path == "/change" else "GET", path)
        self.answers.append((began, time.monotonic(), answer.status_code))


async def test_requests_fail_only_while_the_server_is_down_and_succeed_soon_after(
    cluster: PostgreSQLCluster, server: LiveServer
) -> None:
    outages: list[tuple[float, float]] = []
    async with server.client(timeout=30) as browser:
        load = Load(browser)
        running = asyncio.create_task(load.run())
        for number in range(RESTARTS):
            await asyncio.sleep(1.5)
            down = time.monotonic()
            await asyncio.to_thread(cluster.stop, "fast" if number % 2 else "immediate")
            await asyncio.sleep(0.3)
            outages.append((down, await asyncio.to_thread(cluster.start)))
        await asyncio.sleep(BACK + 0.5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert {status for _, _, status in load.answers} <= {200, 503}
    failed = [(asked, came) for asked, came, status in load.answers if status == 503]
    assert failed, "nobody noticed"
    for asked, came in failed:
        assert any(asked <= up and came >= down for down, up in outages), "failed while the server was up"
    for _, up in outages:
        assert min(came for asked, came, status in load.answers if status == 200 and asked >= up) - up <= BACK
