"""Structured concurrency with bounds: fan out, threads, processes."""

import asyncio
import functools
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter
from anyio import to_process as anyio_process

from leyden.core.errors import OverloadedError

T = TypeVar("T")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How one item of many ended: with a value, or with the error that stopped it."""

    value: T | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        return self.error is None

    def result(self) -> T:
        """The value; raises the error if there is one."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


async def gather_limited(
    coros: Iterable[Coroutine[Any, Any, T]],
    *,
    limit: int,
    timeout: float | None = None,  # noqa: ASYNC109 -- returns outcomes instead of raising
) -> list[Outcome[T]]:
    """Run coroutines, at most `limit` at once, and return one outcome each, in order.

    After `timeout` seconds the unfinished ones are cancelled and their outcome is a TimeoutError; the finished
    ones keep their values. If the caller is cancelled, all are cancelled and awaited before it goes on.
    """
    waiting = list(enumerate(coros))
    outcomes = [_unfinished(coro) for _, coro in waiting]
    waiting.reverse()

    async def work() -> None:
        while waiting and not _cancelled():  # a coroutine may have swallowed the cancellation
            place, coro = waiting.pop()
            outcomes[place] = await _outcome(coro)

    try:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        with suppress(TimeoutError):  # the outcomes say which were not finished
            async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
                for _ in range(min(limit, len(waiting))):
                    group.create_task(work())
    finally:
        for _, coro in waiting:
            coro.close()
    return outcomes


def _unfinished(_coro: Coroutine[Any, Any, T]) -> Outcome[T]:
    return Outcome(error=TimeoutError("not finished in time"))


async def _outcome(coro: Coroutine[Any, Any, T]) -> Outcome[T]:
    try:
        return Outcome(value=await coro)
    except asyncio.CancelledError as error:
        if _cancelled():
            raise
        return Outcome(error=_as_exception(error))
    except Exception as error:  # noqa: BLE001 -- an outcome carries it to the caller
        return Outcome(error=error)


def _cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _as_exception(error: asyncio.CancelledError) -> CancelledError:
    """What one item waited for was cancelled, not we: raising it must not look like our own cancellation."""
    stopped = CancelledError("what it waited for was cancelled")
    stopped.__cause__ = error
    return stopped


class Limit:
    """How many calls may run at once, and how many may wait; one more is refused with OverloadedError.

    A call counts until it has really ended: a thread goes on when nobody waits for it any more. On Linux, threads that
    are `nice` (0 to 19, see nice(1)), and those that they start, leave the processor to the others of the process.
    """

    def __init__(self, concurrent: int, *, waiting: int = 100, nice: int = 0) -> None:
        if concurrent < 1 or waiting < 0:
            raise ValueError("concurrent must be at least 1 and waiting at least 0")
        self.concurrent = concurrent
        self.waiting = waiting
        self.nice = nice
        self._inside = 0
        self._lock = threading.Lock()
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """As many threads as calls may run at once, started when they are needed."""
        return ThreadPoolExecutor(self.concurrent, "leyden", initializer=_be_nice, initargs=(self.nice,))

    @property
    def processes(self) -> CapacityLimiter:
        """The limiter of the running event loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._limiters:
            self._limiters[loop] = CapacityLimiter(self.concurrent)
        return self._limiters[loop]

    def enter(self) -> None:
        """Take a place among those that run or wait. Raises OverloadedError when all are taken."""
        with self._lock:
            if self._inside >= self.concurrent + self.waiting:
                raise OverloadedError
            self._inside += 1

    def leave(self, _job: object = None) -> None:
        with self._lock:
            self._inside -= 1


def _be_nice(by: int) -> None:
    if by and sys.platform == "linux":  # elsewhere it is the whole process that has a priority
        with suppress(OSError):  # forbidden in some sandboxes; then it is as it would be without
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + by)


async def to_thread(limit: Limit, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread, within `limit`; cancelled while it waits, it is never called."""
    limit.enter()
    job = limit.threads.submit(copy_context().run, functools.partial(function, *args, **kwargs))
    job.add_done_callback(limit.leave)
    return await asyncio.wrap_future(job)


async def to_process(limit: Limit, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a picklable, CPU-bound function in another process, within `limit`; cancelling kills the process."""
    limit.enter()
    try:
        call = functools.partial(function, *args, **kwargs)
        return await anyio_process.run_sync(call, cancellable=True, limiter=limit.processes)
    finally:
        limit.leave()
