"""Promise 17: a process that is told to stop sends work away, finishes what it has, and is gone in time."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from leyden.testing.live_server import LiveServer
from leyden.testing.processes import alive

Serve = Callable[..., LiveServer]
DRAIN, GRACE = 1.5, 4


async def wait_for_end(server: LiveServer, pids: list[int], seconds: float) -> float:
    begun = time.monotonic()
    while any(map(alive, pids)):
        assert time.monotonic() - begun < seconds, server.log
        await asyncio.sleep(0.02)
    return time.monotonic() - begun


def lines_of(ledger: Path) -> list[str]:
    return ledger.read_text().splitlines()


async def readiness_after(server: LiveServer) -> list[int]:
    """The statuses of readiness, asked again and again until nobody listens."""
    statuses = []
    while True:
        try:
            async with server.client() as client:
                statuses.append((await client.get("/health/ready")).status_code)
        except httpx2.TransportError:
            return statuses
        await asyncio.sleep(0.05)


async def test_readiness_goes_at_once_and_requests_in_flight_are_finished(serve: Serve, workers: int) -> None:
    server = serve(workers=workers, drain_delay=DRAIN, grace=GRACE)
    async with server.client(timeout=20) as client:
        running = asyncio.create_task(client.get("/slow", params={"seconds": 3}))
        await asyncio.sleep(0.3)
        pids = [server.pid, *server.workers()]
        os.kill(server.pid, signal.SIGTERM)
        statuses = await readiness_after(server)
        assert (await running).text == '"done"'
        await wait_for_end(server, pids, 10)
    gone = statuses.index(503)
    assert set(statuses[gone:]) == {503}
    assert gone * 0.05 < 1  # uvicorn's supervisor looks for signals twice a second
    assert len(statuses) - gone > 5  # it went on serving for the drain delay


async def test_streams_end_and_sockets_are_told_to_come_back(serve: Serve, workers: int) -> None:
    server = serve(workers=workers, drain_delay=DRAIN, grace=GRACE)

    async def follow(path: str) -> str:
        async with server.client(timeout=20) as client:
            return (await client.get(path)).text  # a broken stream would raise

    async def talk() -> int:
        async with connect(f"ws://127.0.0.1:{server.port}/socket") as talking:
            await talking.send("hello")
            assert str(await talking.recv()).startswith("hello ")
            try:
                await talking.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 0
        raise AssertionError("it was not closed")

    running = [asyncio.create_task(work) for work in (follow("/ticks"), follow("/polite"), talk())]
    await asyncio.sleep(0.5)
    pids = [server.pid, *server.workers()]
    os.kill(server.pid, signal.SIGTERM)
    ticks, polite, code = await asyncio.gather(*running)
    assert str(ticks).count("tick") > 3
    assert str(polite) == "line\ngoodbye\n"
    assert code == 1012
    await wait_for_end(server, pids, DRAIN + GRACE)


FLOOD = "GET /flood HTTP/1.1\r\nHost: x\r\n"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(("headers", "status"), [("", b" 200 "), (UPGRADE, b" 101 ")], ids=["http", "websocket"])
async def test_a_reader_that_stalls_cannot_keep_it_alive(
    serve: Serve, workers: int, ledger: Path, headers: str, status: bytes
) -> None:
    server = serve(workers=workers, drain_delay=0.2, grace=2)
    pids = [server.pid, *server.workers()]
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", server.port))
        stalled.settimeout(10)
        stalled.sendall(f"{FLOOD}{headers}\r\n".encode())
        assert status in stalled.recv(20)
        await asyncio.sleep(0.5)
        os.kill(server.pid, signal.SIGTERM)
        assert await wait_for_end(server, pids, 8) < 5
    assert lines_of(ledger).count("closed") == workers  # resources were closed in order


async def test_a_second_signal_ends_the_drain(serve: Serve) -> None:
    server = serve(drain_delay=30)
    pid = server.pid
    os.kill(pid, signal.SIGTERM)
    await asyncio.sleep(0.3)
    assert alive(pid)
    os.kill(pid, signal.SIGTERM)
    assert await wait_for_end(server, [pid], 5) < 3


async def test_an_interrupt_ends_it_at_once(serve: Serve) -> None:
    server = serve(drain_delay=30)
    os.kill(server.pid, signal.SIGINT)
    assert await wait_for_end(server, [server.pid], 5) < 3


async def test_connections_are_not_kept_while_it_stops(serve: Serve) -> None:
    server = serve(drain_delay=DRAIN)
    async with server.client() as client:
        assert "connection" not in (await client.get("/public")).headers
        os.kill(server.pid, signal.SIGTERM)
        await asyncio.sleep(0.2)
        assert (await client.get("/public")).headers["connection"] == "close"
        await wait_for_end(server, [server.pid], 5)


async def test_a_serious_finding_takes_readiness_away_without_saying_why(serve: Serve, ledger: Path) -> None:
    server = serve()
    async with server.client() as client:
        assert (await client.get("/health/ready")).status_code == 200
        ledger.with_suffix(".sick").touch()
        answer = await client.get("/health/ready")
        assert (await client.get("/health/live")).status_code == 200
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["code"] == "ledger.E001"
    assert "secret" not in answer.text
