"""SIGTERM says stop taking work, and only after the drain delay stop serving."""

import asyncio
import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from leyden.http.stopping import Stopping

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_Handler = Callable[[int, FrameType | None], Any]


@contextmanager
def chained(stopping: Stopping, *, drain_delay: float, grace: float) -> Iterator[None]:
    """Stand before the server's own signal handlers until left.

    Does nothing outside the main thread, where Python lets nobody handle signals, nor for a signal nobody handles:
    then no server waits to be told, and the process must die at once as it always did.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    chain = _Chain(stopping, drain_delay)
    chain.install()
    chain.bound_the_wait(grace)
    try:
        yield
    finally:
        chain.restore()


class _Chain:
    def __init__(self, stopping: Stopping, drain_delay: float) -> None:
        self._stopping = stopping
        self._drain_delay = drain_delay
        self._loop = asyncio.get_running_loop()
        self._previous: dict[int, _Handler] = {}
        self._draining = False

    def install(self) -> None:
        for number in _SIGNALS:
            previous = signal.getsignal(number)
            if callable(previous):
                self._previous[number] = previous
                signal.signal(number, self._heard)

    def bound_the_wait(self, grace: float) -> None:
        """Tell uvicorn how long to wait for a client that does not read; by itself it waits for ever."""
        server = getattr(self._previous.get(signal.SIGTERM), "__self__", None)
        config = getattr(server, "config", None)
        if getattr(config, "timeout_graceful_shutdown", grace) is None:
            config.timeout_graceful_shutdown = math.ceil(grace)  # type: ignore[union-attr] # it has the attribute

    def restore(self) -> None:
        self._draining = False
        for number, previous in self._previous.items():
            if signal.getsignal(number) == self._heard:
                signal.signal(number, previous)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        again = self._stopping.is_set()
        self._stopping.set()
        if number == signal.SIGTERM and not again and self._drain_delay > 0:
            self._draining = True
            self._loop.call_soon_threadsafe(self._loop.call_later, self._drain_delay, self._drained)
        else:
            self._draining = False
            self._previous[number](number, frame)

    def _drained(self) -> None:
        if self._draining:
            self._previous[signal.SIGTERM](signal.SIGTERM, None)
