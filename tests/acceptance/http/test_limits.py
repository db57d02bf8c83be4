"""Promise 5 and the deadline: nobody can make the server hold more, or wait longer, than it was set to."""

import asyncio
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from leyden.testing.live_server import LiveServer

Serve = Callable[..., LiveServer]
Peak = Callable[[LiveServer], int]
MEGABYTE = 1024 * 1024
CHUNK = b"10000\r\n" + b"\0" * 65536 + b"\r\n"
HEAD = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"


def pour(port: int, megabytes: int) -> bytes:
    """Send a chunked body to its end, whatever the server says, then read the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(HEAD)
        try:
            for _ in range(megabytes * MEGABYTE // 65536):
                connection.sendall(CHUNK)
            connection.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has heard enough
        try:
            return connection.recv(65536)
        except ConnectionResetError:
            return b""


def warm_up(server: LiveServer) -> None:
    """Every worker has refused a body."""
    for _ in range(20):
        pour(server.port, 2)


def test_a_body_without_a_length_is_refused_while_it_comes(serve: Serve, workers: int, peak: Peak) -> None:
    server = serve(workers=workers)
    warm_up(server)
    before = peak(server)
    pour(server.port, 200)
    assert peak(server) - before < 5 * MEGABYTE


def test_the_refusal_comes_before_the_body_is_sent(edge: LiveServer) -> None:
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(HEAD)
        for _ in range(17):
            connection.sendall(CHUNK)
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"application/problem+json" in answer


def test_twenty_at_once_are_refused_in_the_same_memory(serve: Serve, workers: int, peak: Peak) -> None:
    server = serve(workers=workers, max_body_size=100_000)
    warm_up(server)
    before = peak(server)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: pour(server.port, 10), range(20)))
    assert peak(server) - before < 5 * MEGABYTE


@pytest.mark.parametrize(
    ("path", "size", "status"),
    [
        ("/echo", MEGABYTE, 200),
        ("/echo", MEGABYTE + 1, 413),
        ("/roomy", 3_000_000, 200),
        ("/roomy", 3_000_001, 413),
        ("/public", 2 * MEGABYTE, 405),
    ],
)
async def test_a_declared_length_is_held_to_the_limit_of_the_route(
    edge: LiveServer, path: str, size: int, status: int
) -> None:
    async with edge.client() as client:
        answer = await client.post(path, content=b"\0" * size)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_limit_holds_under_a_middleware_with_task_groups(limited: LiveServer) -> None:
    async with limited.client() as client:
        assert (await client.post("/echo", content=b"\0" * (MEGABYTE + 1))).status_code == 413


async def test_deeply_nested_json_is_refused_and_the_server_lives(edge: LiveServer) -> None:
    async with edge.client() as client:
        deep = await client.post("/register", content=b"[" * 200_000, headers={"Content-Type": "application/json"})
        assert deep.status_code in (400, 422)
        assert deep.headers["content-type"] == "application/problem+json"
        assert (await client.get("/public")).status_code == 200


async def test_a_refused_password_is_never_sent_back(edge: LiveServer) -> None:
    async with edge.client() as client:
        answer = await client.post("/register", json={"email": "a@b.cd", "password": "hunter2"})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text
    assert answer.json()["errors"] == [
        {"field": "body.password", "code": "string_too_short", "message": "String should have at least 12 characters"}
    ]


@pytest.mark.parametrize("path", ["/slow", "/blocked"])
async def test_a_request_past_its_deadline_is_answered_at_once(serve: Serve, path: str) -> None:
    async with serve(deadline=0.5).client() as client:
        before = time.monotonic()
        answer = await client.get(path, params={"seconds": 3})
        took = time.monotonic() - before
        assert (await client.get("/public")).status_code == 200
    assert answer.status_code == 504
    assert answer.json()["code"] == "deadline_exceeded"
    assert took < 2


async def test_a_stream_may_last_longer_than_the_deadline(serve: Serve) -> None:
    async with serve(deadline=0.3).client() as client, client.stream("GET", "/ticks") as stream:
        begun = time.monotonic()
        async for _line in stream.aiter_lines():
            if time.monotonic() - begun > 1:
                break


async def test_unknown_origins_are_told_nothing(serve: Serve, workers: int) -> None:
    server = serve(workers=workers, cors_origins=["https://app.example"], cors_credentials=True)
    async with server.client() as client:
        known = await client.get("/public", headers={"Origin": "https://app.example"})
        answers = [await client.get("/public", headers={"Origin": one}) for one in ("https://evil.example", "null")]
        preflight = await client.options(
            "/public", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
        )
    assert known.headers["access-control-allow-origin"] == "https://app.example"
    for answer in answers:
        assert "access-control-allow-origin" not in answer.headers
        assert "Origin" in answer.headers["vary"]
    assert preflight.status_code == 400
    assert preflight.json()["code"] == "cors_refused"
    assert "access-control-allow-origin" not in preflight.headers


def test_every_origin_with_credentials_does_not_boot(serve: Serve) -> None:
    with pytest.raises(AssertionError, match="lets every website act as your users"):
        serve(cors_origins=["*"], cors_credentials=True)


async def test_context_variables_of_endpoints_reach_the_listeners_of_their_own_request(
    serve: Serve, workers: int, ledger: Any
) -> None:
    async with serve(workers=workers).client(timeout=30) as client:

        async def call(number: int) -> None:
            who, name = f"tenant{number % 7}", f"request-{number:04}-tenant{number % 7}"
            answer = await client.get(f"/tenants/{who}", headers={"X-Tenant": who, "X-Request-ID": name})
            assert answer.json() == {"name": who, "who": who, "request_id": name}

        for start in range(0, 1000, 50):
            await asyncio.gather(*(call(number) for number in range(start, start + 50)))
    lines = [line.split() for line in ledger.read_text().splitlines() if line.startswith("finished")]
    assert len(lines) == 1000
    assert [line for line in lines if line[1].rpartition("-")[2] != line[2]] == []


async def test_background_coroutines_are_kept_and_their_failures_told(
    serve: Serve, workers: int, ledger: Any, eventually: Callable[..., None]
) -> None:
    async with serve(workers=workers).client(timeout=30) as client:
        await client.post("/tasks", params={"count": 10_000})
    eventually(lambda: ledger.read_text().count("task ") == 10_000)
    assert ledger.read_text().count("failed failing") == 1
