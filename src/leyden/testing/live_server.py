"""A real server in its own processes, that a test may call, kill and start again."""

import os
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from leyden.testing.processes import accepts, alive, workers_of


class ServerFailedError(AssertionError):
    """A server under test did not do what it was started for; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a server ended after SIGTERM: its exit code, and how long it took."""

    code: int
    seconds: float


class LiveServer:
    """`leyden run` for the project in `folder`, or plain uvicorn for `app="module:name"`, on a port of its own.

    A context manager; whatever it started has ended when it is left. Needs Linux.
    `env` is added to the environment of the test. `deadline` bounds every wait, in seconds.
    """

    def __init__(
        self,
        folder: Path,
        *,
        app: str | None = None,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        ready: str = "/health/ready",
        deadline: float = 30.0,
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._app = app
        self._workers = workers
        self._env = dict(env or {})
        self._arguments = arguments
        self._ready = ready
        self._deadline = deadline
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 -- closed in __exit__
        self._log_from = 0

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.kill()
        self._output.close()

    def __repr__(self) -> str:
        return f"LiveServer({self.url}, workers={self._workers})"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerFailedError("the server is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the server has written so far, over every start."""
        return self._read(0)

    def start(self) -> None:
        """Start and wait until every worker is ready. Raises ServerFailedError with the log when it is not."""
        self._log_from = os.fstat(self._output.fileno()).st_size
        self._process = subprocess.Popen(  # noqa: S603 -- our own command
            self.command(),
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **self._env},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it and its workers can be ended as one group
        )
        self._wait_for(self._is_ready, "was not ready")

    def command(self) -> list[str]:
        """What is started, with its arguments."""
        where = ("--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self._workers))
        if self._app is not None:
            return [sys.executable, "-m", "uvicorn", self._app, *where, *self._arguments]
        leyden = Path(sysconfig.get_path("scripts"), "leyden")
        return [str(leyden), "run", "--no-reload", *where, *self._arguments]

    def client(self, **options: Any) -> httpx2.AsyncClient:
        """A client of the server; the keywords are those of httpx2.AsyncClient."""
        return httpx2.AsyncClient(base_url=self.url, **options)

    def workers(self) -> list[int]:
        """The process ids of the workers, oldest first."""
        return workers_of(self.pid)

    def stop(self) -> Stopped:
        """Ask it to end with SIGTERM and wait. Raises ServerFailedError, and kills it, when it does not end."""
        process = self._running()
        before = time.monotonic()
        process.terminate()
        try:
            code = process.wait(self._deadline)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self._failure(f"did not end within {self._deadline} s of SIGTERM") from None
        _kill_group(process.pid)  # whoever it has left behind
        self._process = None
        return Stopped(code, time.monotonic() - before)

    def kill(self) -> None:
        """End it and its workers with SIGKILL, as a power cut would."""
        process = self._running()
        workers = self.workers()
        _kill_group(process.pid)
        process.wait(self._deadline)
        self._wait_for(lambda: not any(map(alive, workers)), "left a worker behind")
        self._process = None

    def kill_worker(self, pid: int | None = None) -> int:
        """End one worker with SIGKILL, the oldest unless told otherwise, and return its id once it is gone."""
        victim = self.workers()[0] if pid is None else pid
        os.kill(victim, signal.SIGKILL)
        self._wait_for(lambda: not alive(victim), f"kept the worker {victim}")
        return victim

    def restart(self) -> None:
        """Start it again on the same port, after ending it with SIGKILL if it still runs."""
        if self._process is not None:
            self.kill()
        self.start()

    def wait_for_workers(self) -> list[int]:
        """Wait until as many workers live as were asked for, as after kill_worker, and return their ids."""
        self._wait_for(self._is_ready, "did not replace its worker")
        return self.workers()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ServerFailedError("the server is not running")
        return self._process

    def _is_ready(self) -> bool:
        serving = [pid for pid in self.workers() if accepts(pid, self.port)]
        if len(serving) < self._workers:
            return False
        try:
            status = httpx2.get(self.url + self._ready, timeout=2).status_code
        except httpx2.TransportError:
            return False
        return status in (200, 404)  # 404: an app without a health page, that answers

    def _wait_for(self, done: Callable[[], bool], complaint: str) -> None:
        end = time.monotonic() + self._deadline
        while not done():
            if self._process is not None and (code := self._process.poll()) not in (None, -signal.SIGKILL):
                raise self._failure(f"ended with exit code {code}")
            if time.monotonic() > end:
                raise self._failure(f"{complaint} within {self._deadline} s")
            time.sleep(0.02)

    def _failure(self, complaint: str) -> ServerFailedError:
        return ServerFailedError(f"the server {complaint}; its log:\n{self._read(self._log_from)[-4000:]}")

    def _read(self, offset: int) -> str:
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size - offset, offset).decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
