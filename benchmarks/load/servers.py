"""An app behind uvicorn, or a server of its own, on a core that it has for itself."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load.apps import App

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
    """A running app."""

    app: App
    port: int
    log: Path

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Its status and what it says: read where that is JSON, else a text."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            answer = connection.getresponse()
            read = answer.read()
        finally:
            connection.close()
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, json.loads(read) if is_json else read.decode()


@contextlib.contextmanager
def serving(app: App, environment: Mapping[str, str], folder: Path, ready: str) -> Iterator[Server]:
    """Raises WrongError, with what it wrote, when the app does not start."""
    port, log = _free_port(), folder / f"{app.name}.log"
    with log.open("w") as written:
        process = subprocess.Popen(
            ["taskset", "-c", CORE, app.python, *_arguments(app, port)],
            cwd=folder,  # python -m puts the working folder first on the path
            env={**ENVIRONMENT, **environment, **app.environment},
            stdout=written,
            stderr=written,
            start_new_session=True,
        )
    server = Server(app, port, log)
    try:
        _wait(server, process, ready)
        yield server
    finally:
        _stop(process)


def _arguments(app: App, port: int) -> tuple[str, ...]:
    if app.own_server:
        return (str(app.folder / f"{app.module}.py"), str(port), "--log-level=WARNING")
    return ("-m", "uvicorn", f"{app.module}:app", f"--app-dir={app.folder}", f"--port={port}", *OPTIONS)


def _wait(server: Server, process: subprocess.Popen[bytes], ready: str) -> None:
    limit = time.monotonic() + DEADLINE
    while process.poll() is None and time.monotonic() < limit:
        with contextlib.suppress(OSError):
            server.ask("GET", ready)
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
