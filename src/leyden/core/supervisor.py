"""An owner for coroutines that run beside requests: kept alive, never silent, finished at stop."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from leyden.core.errors import OverloadedError
from leyden.core.events import Events

_log = logging.getLogger("leyden.supervisor")

UNWIND = 5.0
"""Seconds that cancelled coroutines get to clean up."""


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A supervised coroutine ended with an exception."""

    name: str
    error: BaseException


class Supervisor:
    """Runs coroutines in the background of this process; what must survive the process belongs in a durable task."""

    def __init__(self, events: Events, *, limit: int = 100_000) -> None:
        self._events = events
        self._limit = limit
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str | None = None) -> asyncio.Task[Any]:
        """Start `work` and own it. Raises OverloadedError when too many are running already."""
        if len(self._running) >= self._limit:
            work.close()
            raise OverloadedError
        task = asyncio.get_running_loop().create_task(work, name=name or getattr(work, "__qualname__", None))
        self._running.add(task)
        task.add_done_callback(self._finished)
        return task

    async def drain(self, grace: float) -> None:
        """Wait up to `grace` seconds for what runs, cancel the rest, and give it UNWIND seconds to end."""
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        cancelled = set[asyncio.Task[Any]]()
        end = asyncio.get_running_loop().time() + UNWIND
        while self._running and (left := end - asyncio.get_running_loop().time()) > 0:
            for task in self._running - cancelled:  # again for what a cancelled coroutine spawned while it unwound
                task.cancel("the app is stopping")
                cancelled.add(task)
            await asyncio.wait(self._running, timeout=left)
        if self._running:
            names = ", ".join(sorted(task.get_name() for task in self._running))
            _log.error("background coroutines would not be cancelled and are left behind: %s", names)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        _log.error("the background coroutine %r failed", task.get_name(), exc_info=error)
        self._events.emit(TaskFailed(task.get_name(), error))
