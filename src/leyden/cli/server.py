"""The server of `leyden run`: uvicorn with the app's own settings, and failures told in a sentence, once."""

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType
from typing import Any, Self

import typer
from fastapi import FastAPI
from uvicorn import Config, Server
from uvicorn.lifespan.on import LifespanOn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from leyden.cli.address import BACKLOG
from leyden.cli.banner import announce
from leyden.cli.logs import LIFESPAN_LOG, log_config
from leyden.cli.migrating import apply_migrations
from leyden.cli.once import Once
from leyden.cli.plan import Plan
from leyden.core.errors import LeydenError
from leyden.core.project import Project

START_FAILED = 3
GRACE = 20  # seconds, for an app without the http battery, whose own `grace` comes first
HURRIES, HURRY = 3, 0.1  # how often, and seconds between
WORKER_SILENCE = 30  # seconds; a worker does not answer while it imports the app, which takes long on a busy host

_log = logging.getLogger("leyden.run")


class ServerConfig(Config):
    """uvicorn's configuration for one of our projects; the app is imported where it is served."""

    def __init__(self, project: Project, plan: Plan) -> None:
        self.project = project
        self.plan = plan
        self.announced = Once(shared=plan.workers > 1)
        self.told = Once(shared=plan.workers > 1)
        super().__init__(
            project.entrypoint,
            host=plan.host,
            port=plan.port,
            workers=plan.workers,
            lifespan="on",
            log_config=log_config(production=plan.production, access_log=plan.access_log),
            server_header=False,
            backlog=BACKLOG,
            timeout_worker_healthcheck=WORKER_SILENCE,
        )

    def load(self) -> None:
        super().load()
        self.lifespan_class: type[Any] = Lifespan

    def load_app(self) -> FastAPI:
        try:
            return self.project.app
        except LeydenError as error:
            self.tell(error)
            sys.exit(START_FAILED)

    def tell(self, error: BaseException) -> None:
        """Say why there is no start: a sentence, from one process only; a traceback for what nobody foresaw."""
        if not isinstance(error, LeydenError) or os.environ.get("LEYDEN_DEBUG"):
            _log.critical("The app could not start.", exc_info=error)
        elif self.told.first():
            typer.echo(f"Error: {error}", err=True)


class Lifespan(LifespanOn):
    """Migrates in development, starts the app, says where to look."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if not isinstance(config, ServerConfig):
            raise TypeError("leyden.cli.server.Lifespan needs its own ServerConfig")
        self.ours = config
        self.logger = logging.getLogger(LIFESPAN_LOG)
        self._last_words = ""

    async def startup(self) -> None:
        try:
            if self.ours.plan.development:
                await apply_migrations(self.ours.project)
        except Exception as error:  # noqa: BLE001 -- the start ends here, with the reason told
            self.ours.tell(error)
            self.should_exit = True
            return
        await super().startup()
        if not self.should_exit:
            self._started()

    def _started(self) -> None:
        if self.ours.timeout_graceful_shutdown is None:  # uvicorn's None waits for ever
            self.ours.timeout_graceful_shutdown = GRACE
        if self.ours.announced.first():
            announce(self.ours.project, self.ours.plan)

    async def main(self) -> None:
        """The app's side of the lifespan protocol; its errors are told here, where they are still exceptions."""
        scope = {
            "type": "lifespan",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.config.loaded_app(scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 -- whatever ends the lifespan ends the server
            self.error_occurred = True
            if not isinstance(error, asyncio.CancelledError):
                self.ours.tell(error)
        else:
            if self._last_words:
                _log.critical("%s", self._last_words)
        finally:
            self.startup_event.set()
            self.shutdown_event.set()

    async def send(self, message: Any) -> None:
        """Failures come with a traceback as text; the exception itself follows, and is told instead."""
        if message["type"].endswith(".failed"):
            self._last_words = message.get("message", "")
            message = {"type": message["type"], "message": ""}
        await super().send(message)


class Stopped(SystemExit):
    """A signal ends the process, not the code in which it arrived."""


class Signals:
    """SIGTERM and SIGINT end the process with code 0: at once before it serves, gracefully by the server while it does."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.seen: list[int] = []

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.seen.append(number)
        if self.server is None:
            raise Stopped(0)
        self.server.should_exit = True  # before the server handles signals itself, and when it tells of them afterwards


def serve(config: ServerConfig, taken: socket.socket, signals: Signals) -> int:
    """Serve in this process until a signal; the exit code."""
    server = Server(config)
    config.load()
    signals.server = server
    try:
        server.run([taken])
    finally:
        signals.server = None
    return 0 if server.started else START_FAILED


class Workers(Multiprocess):
    """uvicorn's supervisor, which notices at once that a worker has died while it was importing the app, does not end
    the others when one cannot be replaced, and does not wait for a load balancer when it is interrupted.
    """

    config: ServerConfig
    _interrupted = False

    def keep_subprocess_alive(self) -> None:
        if self.should_exit.is_set():
            return
        for process in self.processes:
            process.child_conn.close()  # while the parent has it too, the pipe of a dead worker stays open
        before = list(self.processes)
        super().keep_subprocess_alive()
        for process in before:
            if process not in self.processes:
                _log.error(
                    "The worker %s died, with code %s; another one takes its place.", process.pid, process.exitcode
                )
        if self.should_exit.is_set() and self.config.announced.done:
            self._start_again()

    def _start_again(self) -> None:
        """An app that has served can start: what a worker lacked, such as its database, will be there again."""
        self.should_exit.clear()
        for number, process in enumerate(self.processes):
            if process.exitcode == START_FAILED:
                _log.error("The worker %s could not start; another one tries.", process.pid)
                self.processes[number] = another = Process(self.config, self.sockets)
                another.start()

    def handle_int(self) -> None:
        super().handle_int()
        self._interrupted = True

    def terminate_all(self) -> None:
        super().terminate_all()
        if self._interrupted and os.name == "posix":
            self._hurry()

    def _hurry(self) -> None:
        """A second SIGTERM ends a worker's drain delay. A terminal has sent SIGINT to the workers as well, and a second
        one of those would cut off the requests they are finishing.
        """
        for _ in range(HURRIES):
            time.sleep(HURRY)  # signals of one kind that come at once are one
            for process in self.processes:
                if process.pid is not None and process.exitcode is None:
                    os.kill(process.pid, signal.SIGTERM)


def serve_with_workers(config: ServerConfig, taken: socket.socket) -> int:
    """Serve in several processes, replaced when they die, until a signal; the exit code."""
    supervisor = Workers(config, sockets=[taken])
    supervisor.run()
    failed = any(process.exitcode == START_FAILED for process in supervisor.processes)
    return START_FAILED if failed else 0
