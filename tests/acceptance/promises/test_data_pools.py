"""Promises 37 and 38: nobody keeps a connection while they do something else, and no cancelled request spoils one."""

import asyncio
import os
import random
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import websockets
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from leyden.testing import LiveServer

CALLERS = 100
SOCKETS = int(os.environ.get("LEYDEN_TEST_SOCKETS", "200"))
ABORTS = int(os.environ.get("LEYDEN_TEST_ABORTS", "300"))
LATE = 0.2


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    with LiveServer(Path(__file__).parent, app="data_app:app", env={"PROMISE_URL": database_url}) as live:
        assert httpx2.post(f"{live.url}/items").status_code == 200
        yield live


@pytest.fixture
async def browser(server: LiveServer) -> AsyncIterator[httpx2.AsyncClient]:
    limits = httpx2.Limits(max_connections=400)
    async with server.client(timeout=30, limits=limits) as client:
        yield client


async def in_use(browser: httpx2.AsyncClient) -> int:
    return sum(pool["in_use"] for pool in (await browser.get("/pools")).json().values())


async def timed(browser: httpx2.AsyncClient, path: str) -> float:
    began = time.monotonic()
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return time.monotonic() - began


async def unrelated(browser: httpx2.AsyncClient, seconds: float) -> float:
    """The 99th percentile of how long a read of somebody else takes, in the best of three parts of the time."""
    parts = []
    for _ in range(3):
        took: list[float] = []
        until = time.monotonic() + seconds / 3
        while time.monotonic() < until:
            took += [await timed(browser, "/read"), await timed(browser, "/prepared")]
        parts.append(sorted(took)[int(len(took) * 0.99)])
    return min(parts)


@pytest.mark.parametrize("path", ["/outbound", "/outbound-after-commit", "/streamed"])
async def test_a_hundred_callers_that_wait_for_something_else_keep_nobody_from_the_database(
    server: LiveServer, browser: httpx2.AsyncClient, path: str
) -> None:
    async with server.client(timeout=30) as other:
        waiting = []
        for _ in range(CALLERS):  # not all within the pool's timeout, on a busy machine
            waiting.append(asyncio.create_task(timed(browser, f"{path}?seconds=20")))
            await asyncio.sleep(0.02)
        async with asyncio.timeout(10):  # until the last of them has come as far as its waiting
            while await in_use(other):  # noqa: ASYNC110 -- another process
                await asyncio.sleep(0.1)
        assert await unrelated(other, 1.5) < LATE
        assert [task.exception() or task.result() for task in waiting if task.done()] == []
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_full_pool_is_a_503_with_retry_after_within_its_timeout_and_no_matter_to_readers(
    server: LiveServer, browser: httpx2.AsyncClient
) -> None:
    async with server.client(timeout=30) as other:
        holders = [asyncio.create_task(browser.get("/hold?seconds=3")) for _ in range(30)]
        began = time.monotonic()
        most = 0
        while time.monotonic() < began + 1.6:
            most = max(most, (await other.get("/pools")).json()["write"]["waiting"])
            await asyncio.sleep(0.1)
        assert most > 10
        refused = [task.result() for task in holders if task.done()]
        assert len(refused) >= 25
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}
        assert await timed(other, "/read") < 1
        held = [answer.status_code for answer in await asyncio.gather(*holders)]
        assert held.count(200) in (1, 5)  # SQLite has one writer


async def test_idle_sockets_hold_no_connection(server: LiveServer, browser: httpx2.AsyncClient) -> None:
    address = f"ws://127.0.0.1:{server.port}/socket"
    opened = []
    try:
        for _ in range(SOCKETS // 20):
            opened += await asyncio.gather(*(websockets.connect(address) for _ in range(20)))
        assert {await one.recv() for one in opened} == {"ready"}
        assert await in_use(browser) == 0
        assert await timed(browser, "/read") < 1
    finally:
        await asyncio.gather(*(one.send("end") for one in opened))
        await asyncio.gather(*(one.close() for one in opened))


async def test_requests_that_were_cut_off_leave_the_pools_as_they_were(
    server: LiveServer, browser: httpx2.AsyncClient, database_url: str
) -> None:
    paths = ["/read", "/prepared", "/slow", "/outbound?seconds=0.1", "/hold?seconds=0.1", "/change?seconds=0.1"]
    for _ in range(ABORTS // 20):
        await asyncio.gather(*(cut(server.port, random.choice(paths)) for _ in range(20)))  # noqa: S311 -- any
    await asyncio.sleep(0.5)
    async with asyncio.timeout(10):
        while await in_use(browser):  # noqa: ASYNC110 -- another process
            await asyncio.sleep(0.1)
    for _ in range(10):
        answers = await asyncio.gather(
            *(browser.get(path) for path in ("/read", "/prepared", "/slow", "/outbound?seconds=0") * 5),
            *(browser.post("/change") for _ in range(5)),
        )
        assert {answer.status_code for answer in answers} == {200}
    pools: dict[str, Any] = (await browser.get("/pools")).json()
    assert all(pool["in_use"] == pool["waiting"] == 0 and pool["opened"] <= pool["size"] for pool in pools.values())
    if database_url.startswith("postgresql"):
        assert await idle_in_transaction(database_url) == 0


async def cut(port: int, path: str) -> None:
    """Ask, and be gone within 50 ms."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    method = "POST" if path.startswith("/change") else "GET"
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n".encode())
    await asyncio.sleep(random.uniform(0, 0.05))  # noqa: S311 -- any moment
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # with a reset
    writer.close()
    reader.feed_eof()


async def idle_in_transaction(url: str) -> int:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.connect() as connection:
            asked = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
            )
            return int(await connection.scalar(text(asked)) or 0)
    finally:
        await engine.dispose()
