"""The moment the process is told to stop, for whatever runs long."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.types import Scope

from leyden.core.resources import installed, resource

T = TypeVar("T")


class Stopping:
    """Set once, from any thread or signal handler; streams, sockets and readiness look at it."""

    def __init__(self) -> None:
        self._set = False
        self._event = asyncio.Event()
        self._interrupted: dict[asyncio.Timeout, float] = {}
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        """Tell everybody; a second call does nothing."""
        if self._set:
            return
        self._set = True
        if self._loop is None:
            self._wake()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)  # a signal alone does not wake a sleeping loop

    async def wait(self) -> None:
        """Return when the process is told to stop."""
        await self._event.wait()

    async def until(self, source: AsyncIterable[T]) -> AsyncIterator[T]:
        """The items of `source` until the process is told to stop; then `source` is closed where it waits."""
        iterator = aiter(source)
        try:
            while not self._set:
                try:
                    # Around each step alone: a timeout must not stay open while the consumer has the item.
                    async with asyncio.timeout(None) as limit:
                        with self.interrupting(limit):
                            item = await anext(iterator)
                except StopAsyncIteration:
                    return
                except TimeoutError:
                    if limit.expired():
                        return
                    raise
                yield item
        finally:
            close = getattr(iterator, "aclose", None)  # generators have it, other iterators need not
            if close is not None:
                await close()

    @contextmanager
    def interrupting(self, limit: asyncio.Timeout, *, after: float = 0.0) -> Iterator[None]:
        """Let this timeout expire `after` seconds from the moment of stopping."""
        self._interrupted[limit] = after
        if self._set:
            self._expire(limit, after)
        try:
            yield
        finally:
            del self._interrupted[limit]

    def _wake(self) -> None:
        self._event.set()
        for limit, after in self._interrupted.items():
            self._expire(limit, after)

    def _expire(self, limit: asyncio.Timeout, after: float) -> None:
        if not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time() + after)


StoppingDep = Annotated[Stopping, Depends(resource(Stopping))]


def stopping_of(scope: Scope) -> Stopping | None:
    """The running app's Stopping, or None where its lifespan has not started."""
    resources = installed(scope["app"]).resources
    return resources[Stopping] if resources is not None and Stopping in resources else None
