"""Promise 2: a database that goes away is a problem with an id for the client, and the reason is in the log alone."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Self

import httpx2
import pytest
from sqlalchemy import URL, make_url

from leyden.testing import LiveServer

INTERNALS = ("sqlalchemy", "asyncpg", "asyncmy", "select ", "/usr/", "traceback", "password", "127.0.0.1", "errno")
PORTS = {"postgresql": 5432, "mysql": 3306}
VIDEO = "00000000-0000-0000-0000-000000000000"
ACCOUNT = {"email": "eve@example.com", "password": "correct horse"}
ROUTES: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/", {}),
    ("GET", "/?q=steam", {}),
    ("GET", f"/videos/{VIDEO}", {}),
    ("GET", "/@engines", {}),
    ("GET", "/api/channels", {}),
    ("POST", "/api/channels", {"json": {"handle": "boats", "title": "Boats"}}),
    ("GET", "/api/channels/engines", {}),
    ("PATCH", "/api/channels/engines", {"json": {"title": "Boats"}}),
    ("DELETE", "/api/channels/engines", {}),
    ("GET", "/api/channels/engines/dashboard", {}),
    ("GET", "/api/videos", {}),
    ("GET", "/api/videos?tag=steam", {}),
    ("GET", "/api/videos/feed", {}),
    ("POST", "/api/videos", {"json": {"channel": "engines", "title": "Steam"}}),
    ("POST", "/api/videos/batch", {"json": {"videos": [{"channel": "engines", "title": "Steam"}]}}),
    ("GET", f"/api/videos/{VIDEO}", {}),
    ("PATCH", f"/api/videos/{VIDEO}", {"json": {"title": "Steam"}}),
    ("DELETE", f"/api/videos/{VIDEO}", {}),
    ("GET", "/api/wallet", {}),
    ("GET", "/api/wallet/transfers", {}),
    ("POST", "/api/wallet/transfers", {"json": {"to": VIDEO, "amount": 1, "reference": VIDEO}}),
    ("POST", "/api/auth/register", {"json": ACCOUNT}),
    ("POST", "/api/auth/login", {"data": {"username": ACCOUNT["email"], "password": ACCOUNT["password"]}}),
    ("POST", "/api/auth/refresh", {"json": {"refresh_token": "x" * 43}}),
    ("POST", "/api/auth/logout", {}),
    ("GET", "/api/auth/me", {}),
    ("PATCH", "/api/auth/me", {"json": {"name": "Eve"}}),
]


class Forwarder:
    """A port of its own that leads to a server, until it is cut; mended, it leads there again."""

    def __init__(self, server: URL) -> None:
        self._target = (server.host or "127.0.0.1", server.port or PORTS[server.get_backend_name()])
        self._threads = ThreadPoolExecutor(200)
        self._open: list[socket.socket] = []
        self.port = 0

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._threads.shutdown()

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._open.append(listener)
        self._threads.submit(self._accept, listener)

    def cut(self) -> None:
        while self._open:
            end = self._open.pop()
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits for it
            end.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._target)
                self._open += [near, far]
                self._threads.submit(self._pump, near, far)
                self._threads.submit(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def forwarder(database_url: str) -> Iterator[Forwarder]:
    with Forwarder(make_url(database_url)) as forwarder:
        yield forwarder


@pytest.mark.parametrize("database_url", ["postgresql", "mariadb"], indirect=True)
async def test_a_database_that_goes_away_is_told_to_the_log_and_not_to_the_client(
    serve: Callable[..., LiveServer],
    sign_in: Callable[..., Any],
    database_url: str,
    forwarder: Forwarder,
    workers: int,
) -> None:
    through = make_url(database_url).set(host="127.0.0.1", port=forwarder.port)
    server = serve(through.render_as_string(hide_password=False), workers=workers)
    async with server.client(timeout=30) as client:
        await sign_in(client, "ada@example.com")
        assert (await client.get("/api/auth/me")).status_code == 200
        forwarder.cut()
        answers = {route[:2]: await client.request(route[0], route[1], **route[2]) for route in ROUTES}
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
        for route, answer in answers.items():
            assert_tells_nothing(route, answer)
            reasons = [line for line in server.log.splitlines() if answer.json()["request_id"] in line]
            assert len(reasons) > 1, (route, reasons)  # the request itself, and why it failed
        forwarder.mend()
        assert (await client.get("/api/auth/me")).json()["email"] == "ada@example.com"
        assert (await client.get("/health/ready")).status_code == 200


def assert_tells_nothing(route: tuple[str, str], answer: httpx2.Response) -> None:
    assert answer.status_code in (500, 503), route
    assert answer.headers["content-type"] == "application/problem+json", route
    assert answer.json()["request_id"] == answer.headers["x-request-id"], route
    told = answer.text.lower() + str(answer.headers).lower()
    assert [word for word in INTERNALS if word in told] == [], route
