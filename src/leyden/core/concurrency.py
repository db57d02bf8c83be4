"""Structured concurrency with bounds: fan out, threads, processes."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, ParamSpec, TypeVar, cast
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter
from anyio import to_process as anyio_process
from anyio import to_thread as anyio_thread

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
    if limit < 1:
        raise ValueError("limit must be at least 1")
    waiting = list(enumerate(coros))
    outcomes = [Outcome[T](error=TimeoutError("not finished in time")) for _ in waiting]
    waiting.reverse()

    async def work() -> None:
        while waiting:
            place, coro = waiting.pop()
            outcomes[place] = await _outcome(coro)

    try:
        with suppress(TimeoutError):  # the outcomes say which were not finished
            async with asyncio.timeout(timeout), asyncio.TaskGroup() as group:
                for _ in range(min(limit, len(waiting))):
                    group.create_task(work())
    finally:
        for _, coro in waiting:
            coro.close()
    return outcomes


async def _outcome(coro: Coroutine[Any, Any, T]) -> Outcome[T]:
    try:
        return Outcome(value=await coro)
    except Exception as error:  # noqa: BLE001 -- an outcome carries it to the caller
        return Outcome(error=error)


class Limit:
    """How many calls may run at once, and how many may wait; one more is refused with OverloadedError."""

    def __init__(self, concurrent: int, *, waiting: int = 100) -> None:
        if concurrent < 1 or waiting < 0:
            raise ValueError("concurrent must be at least 1 and waiting at least 0")
        self.concurrent = concurrent
        self.waiting = waiting
        self._limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()

    def limiter(self) -> CapacityLimiter:
        """The limiter of the running event loop; raises OverloadedError when the queue before it is full."""
        loop = asyncio.get_running_loop()
        limiter = self._limiters.get(loop)
        if limiter is None:
            limiter = self._limiters[loop] = CapacityLimiter(self.concurrent)
        if limiter.statistics().tasks_waiting >= self.waiting and limiter.available_tokens < 1:
            raise OverloadedError
        return limiter


async def to_thread(limit: Limit, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread, within `limit`."""
    call = functools.partial(function, *args, **kwargs)
    return await anyio_thread.run_sync(call, limiter=limit.limiter())


async def to_process(limit: Limit, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a picklable, CPU-bound function in another process, within `limit`; cancelling kills the process."""
    call = functools.partial(function, *args, **kwargs)
    return await anyio_process.run_sync(call, cancellable=True, limiter=limit.limiter())
