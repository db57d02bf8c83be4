"""A live server with the edge app, on one worker and on two."""

import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from leyden.testing.live_server import LiveServer

FOLDER = Path(__file__).parent


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "ledger"
    path.touch()
    return path


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory, workers: int) -> Iterator[LiveServer]:
    """One server with the settings as they come, for tests that leave nothing behind."""
    with LiveServer(FOLDER, app="edge:app", workers=workers, env=_variables(tmp_path_factory)) as server:
        yield server


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory, workers: int) -> Iterator[LiveServer]:
    """As `edge`, under a middleware that raises errors."""
    variables = {"EDGE_LIMITED": "1", **_variables(tmp_path_factory)}
    with LiveServer(FOLDER, app="edge:app", workers=workers, env=variables) as server:
        yield server


def _variables(folders: pytest.TempPathFactory) -> dict[str, str]:
    return {"EDGE_LEDGER": str(folders.mktemp("edge") / "ledger"), "APP_ENVIRONMENT": "production"}


@pytest.fixture
def serve(ledger: Path) -> Iterator[Callable[..., LiveServer]]:
    """Start the edge app; keywords are options of HttpSettings, `env` and `workers` are the server's."""
    with ExitStack() as stack:

        def start(*, workers: int = 1, env: dict[str, str] | None = None, **options: Any) -> LiveServer:
            variables = {f"APP_HTTP__{name.upper()}": _as_text(value) for name, value in options.items()}
            variables |= {"EDGE_LEDGER": str(ledger), "APP_ENVIRONMENT": "production", **(env or {})}
            return stack.enter_context(LiveServer(FOLDER, app="edge:app", workers=workers, env=variables))

        yield start


@pytest.fixture(scope="session", params=[1, 2], ids=["one_worker", "two_workers"])
def workers(request: pytest.FixtureRequest) -> int:
    count: int = request.param
    return count


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came over the wire."""

    status: int
    head: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def raw() -> Callable[[LiveServer, bytes], Raw]:
    """Send bytes no client library would send."""

    def send(server: LiveServer, request: bytes) -> Raw:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        head, _, body = answer.partition(b"\r\n\r\n")
        return Raw(int(head.split()[1]), head.decode("latin-1"), body)

    return send


def wait_until(done: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


@pytest.fixture
def eventually() -> Callable[..., None]:
    return wait_until


@pytest.fixture
def peak() -> Callable[[LiveServer], int]:
    """The most memory that the workers of a server have ever held, in bytes."""

    def most(pid: int) -> int:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(os.strerror(3))

    return lambda server: sum(map(most, server.workers()))
