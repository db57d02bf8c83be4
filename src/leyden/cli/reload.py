"""Reloading: one process that serves, and becomes a new one by exec when a file changes.

It keeps its id, its terminal and its socket, so clients wait for the new code instead of being refused; and a start
costs one interpreter, not two.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, Self

import typer
from watchfiles import Change, watch

from leyden.cli.server import START_FAILED, ServerConfig, Signals, serve

_SOCKET = "LEYDEN_RELOAD_SOCKET"
_IGNORED = frozenset({"var", "migrations", "tests", "node_modules", "venv", "dist", "build", "__pycache__"})
_WATCHED = frozenset({".py", ".toml", ".html", ".jinja"})


def inherited_socket() -> socket.socket | None:
    """The listening socket of the process that this one replaced."""
    number = os.environ.pop(_SOCKET, None)
    return socket.socket(fileno=int(number)) if number else None


def serve_and_reload(config: ServerConfig, taken: socket.socket, signals: Signals, *, first: bool) -> int:
    """Serve until a signal, which gives the exit code, or until a file changes, after which this never returns."""
    spare = taken.dup()
    spare.set_inheritable(True)
    with Watch(config.project.root) as files:
        try:
            code = _serve(config, taken, signals)
            if code == START_FAILED and not first:
                typer.echo("Waiting for a change. Ctrl+C stops.", err=True)
                files.changed.wait()
        except SystemExit:  # a signal before or after serving: the thread's own one when a file changed
            if not files.reload_wanted(signals):
                raise
        if not files.reload_wanted(signals):
            return code
        typer.echo(f"Reloading: {', '.join(files.names)} changed.", err=True)
    return _become_new(spare)


def _serve(config: ServerConfig, taken: socket.socket, signals: Signals) -> int:
    try:
        return serve(config, taken, signals)
    except SystemExit as stop:
        if stop.code == START_FAILED:
            return START_FAILED
        raise


def _become_new(taken: socket.socket) -> NoReturn:
    os.environ[_SOCKET] = str(taken.fileno())
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- the very command that runs now


class Watch:
    """A thread that waits for the first change of the project's own files and then stops the server with SIGINT,
    which, unlike SIGTERM, does not wait for a load balancer.
    """

    def __init__(self, root: Path) -> None:
        self.changed = threading.Event()
        self.names: list[str] = []
        self._own_signals = 0
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leyden-reload", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=2)

    def reload_wanted(self, signals: Signals) -> bool:
        """Whether a file changed and nobody else has asked the process to stop."""
        return self.changed.is_set() and len(signals.seen) <= self._own_signals

    def _run(self) -> None:
        for changes in watch(*watched(self._root), watch_filter=_is_ours, stop_event=self._stop, raise_interrupt=False):
            self.names = sorted({self._shown(Path(name)) for _, name in changes})
            self._own_signals = 1
            self.changed.set()
            os.kill(os.getpid(), signal.SIGINT)
            return

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._root) if path.is_relative_to(self._root) else path)


def watched(root: Path) -> Iterator[Path]:
    """The folders and files at the top of a project that hold its code and its settings."""
    for path in sorted(root.iterdir()):
        wanted = path.name not in _IGNORED and not path.name.startswith(".") if path.is_dir() else _matters(path)
        if wanted:
            yield path


def _matters(path: Path) -> bool:
    return path.suffix in _WATCHED or path.name == ".env"


def _is_ours(_change: Change, name: str) -> bool:
    return _matters(Path(name))
