"""Promises 4 and 37 for exports: half a file is no file, and no client keeps a connection to the database for long."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from leyden.testing import LiveServer

FOLDER = Path(__file__).parent
ENDED_TOO_SOON = 18
"""What curl says of a file that ended too soon."""


@pytest.fixture
def server(database_url: str) -> Iterator[LiveServer]:
    with LiveServer(FOLDER, app="exports:app", env={"EXPORT_URL": database_url}) as live:
        yield live


def curl(server: LiveServer, path: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    command = ["curl", "-sf", "--http1.1", "--max-time", "60", *options, server.url + path]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_whole_export_is_a_success_and_one_that_breaks_is_none(server: LiveServer, encoding: str) -> None:
    whole = curl(server, "/whole", "--compressed", "-H", f"Accept-Encoding: {encoding}")
    assert whole.returncode == 0
    assert whole.stdout.count(b"\r\n") == 60_001
    assert curl(server, "/broken", "-H", f"Accept-Encoding: {encoding}").returncode == ENDED_TOO_SOON
    assert curl(server, "/whole").returncode == 0


def test_clients_that_do_not_read_and_clients_that_leave_free_the_only_connection(server: LiveServer) -> None:
    with closing(stalled(server, "/whole")):
        time.sleep(0.3)
        busy = httpx2.get(f"{server.url}/whole")
        assert busy.status_code == 503
        assert busy.headers["Content-Type"] == "application/problem+json"
        assert int(busy.headers["Retry-After"]) > 0
    time.sleep(0.3)
    assert curl(server, "/whole").returncode == 0
    with closing(stalled(server, "/impatient")):
        time.sleep(2.5)
        assert curl(server, "/whole").returncode == 0


def stalled(server: LiveServer, path: str) -> socket.socket:
    """A client that asks, and reads nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection
