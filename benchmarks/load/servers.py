"""An app behind uvicorn on a core of its own, and whether it answers what it should."""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from load.apps import App
from load.rows import ROWS, row

CORE = "1"
DEADLINE = 30.0
OPTIONS = (
    "--loop=uvloop",
    "--http=httptools",
    "--workers=1",
    "--no-access-log",
    "--log-level=warning",
    "--host=127.0.0.1",
)

# As on a user's machine: compiled once. Some build machines forbid it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


class WrongError(Exception):
    """An app did not start, or answered what it should not."""


@dataclass
class Server:
    """A running app; `acknowledged` counts the inserts it answered with 201."""

    app: App
    url: str
    port: int
    log: Path
    acknowledged: int = 0
    cut: int = 0
    nonces: Iterator[str] = field(default_factory=lambda: iter(lambda: secrets.token_hex(4), ""))

    def check(self) -> None:
        """Rows, a page, an insert and its row are what they should be. Raises WrongError."""
        for number in (1, 2, 3, ROWS // 2, ROWS):
            self._expect(f"/users/{number}", 200, row(number))
        for after in (0, ROWS // 2, ROWS - 20):
            self._expect(f"/users?after={after}", 200, [row(after + place) for place in range(1, 21)])
        self._expect("/users/1000000000", 404, None)
        new = {"name": "Ada", "email": f"{next(self.nonces)}@check.example", "score": -7, "active": True}
        status, made = self.ask("POST", "/users", new)
        self.acknowledged += status == 201
        if status != 201 or {**plain(made), **new} != plain(made) or made["id"] <= ROWS:
            raise WrongError(f"{self.app.name} answered POST /users of {new} with {status} {made}")
        if abs((plain(made)["created_at"] - datetime.now(UTC)).total_seconds()) > 60:
            raise WrongError(f"{self.app.name} says that a new user is of {made['created_at']}")
        self._expect(f"/users/{made['id']}", 200, plain(made))

    def _expect(self, path: str, status: int, body: Any) -> None:
        answer = self.ask("GET", path)
        if answer[0] != status or (body is not None and plain(answer[1]) != body):
            raise WrongError(f"{self.app.name} answered GET {path} with {answer[0]} {answer[1]}, not {status} {body}")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            read = answer.read()
        finally:
            connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(read) if is_json else read.decode()


def plain(answer: Any) -> Any:
    """An answer with its moments as moments.

    On SQLite SQLAlchemy loses the time zone of a column, so handbook code answers without one; it is the same moment.
    """
    if isinstance(answer, list):
        return [plain(item) for item in answer]
    moment = datetime.fromisoformat(answer["created_at"])
    return {**answer, "created_at": moment if moment.tzinfo else moment.replace(tzinfo=UTC)}


@contextlib.contextmanager
def serving(app: App, url: str, folder: Path) -> Iterator[Server]:
    """Raises WrongError, with what it wrote, when the app does not start."""
    port, log = _free_port(), folder / f"{app.name}.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            ["taskset", "-c", CORE, app.python, "-m", "uvicorn", *_arguments(app, port)],
            cwd=folder,  # python -m puts the working folder first on the path
            env={**ENVIRONMENT, "BENCH_URL": url},
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    server = Server(app, url, port, log)
    try:
        _wait(server, process)
        yield server
    finally:
        _stop(process)


def _arguments(app: App, port: int) -> tuple[str, ...]:
    return (f"{app.module}:app", f"--app-dir={app.folder}", f"--port={port}", *OPTIONS)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError):
            server.ask("GET", "/users/1")
            return
        time.sleep(0.05)
    raise WrongError(f"{server.app.name} did not start:\n{server.log.read_text()[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
