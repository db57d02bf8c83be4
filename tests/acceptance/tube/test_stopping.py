"""Promise 17: a Tube with two workers that is told to stop fails nobody."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

from leyden.testing import LiveServer
from leyden.testing.processes import alive

DRAIN, GRACE = 2, 15
LOGINS = 20
PASSWORD = "a long enough password"


async def test_requests_in_flight_are_answered_readiness_goes_at_once_and_it_ends_in_time(
    serve: Callable[..., LiveServer], sign_in: Callable[..., Any], tmp_path: Path
) -> None:
    server = serve(f"sqlite:///{tmp_path}/tube.db", workers=2, http__drain_delay=DRAIN, http__grace=GRACE)
    async with server.client(timeout=60) as client:
        await sign_in(client, "ada@example.com", PASSWORD)
        form = {"username": "ada@example.com", "password": PASSWORD}
        logins = [asyncio.create_task(client.post("/api/auth/login", data=form)) for _ in range(LOGINS)]
        away = asyncio.Event()
        visits = [asyncio.create_task(visit(server, away)) for _ in range(3)]
        await asyncio.sleep(0.3)
        processes = [server.pid, *server.workers()]
        stopping = asyncio.create_task(asyncio.to_thread(server.stop))
        readiness = await readiness_until_nobody_listens(server, away)
        assert [answer.status_code for answer in await asyncio.gather(*logins)] == [200] * LOGINS
        counts = await asyncio.gather(*visits)
        stopped = await stopping
    assert min(counts) > 0
    assert stopped.code == 0
    assert stopped.seconds < DRAIN + GRACE
    assert not any(map(alive, processes))
    refused = [asked for asked, status in readiness if status == 503]
    assert refused[0] < 1.5  # the supervisor looks for signals twice a second
    assert all(asked < refused[0] for asked, status in readiness if status == 200)
    assert refused[-1] - refused[0] > DRAIN / 2  # it went on serving while it drained


async def visit(server: LiveServer, away: asyncio.Event) -> int:
    """A visitor whom a load balancer sends here until it has seen that this server is not ready."""
    visited = 0
    while not away.is_set():
        async with server.client(timeout=30) as client:
            assert (await client.get("/api/videos")).status_code == 200
        visited += 1
    return visited


async def readiness_until_nobody_listens(server: LiveServer, away: asyncio.Event) -> list[tuple[float, int]]:
    """When readiness was asked for, in seconds from now, and what it was."""
    begun, heard = time.monotonic(), list[tuple[float, int]]()
    while True:
        asked = time.monotonic() - begun
        try:
            async with server.client(timeout=30) as client:
                heard.append((asked, (await client.get("/health/ready")).status_code))
        except httpx2.TransportError:
            return heard
        if heard[-1][1] == 503:
            away.set()
        await asyncio.sleep(0.05)
