"""Giving up what runs in this task without losing count of the threads it waits for."""

import asyncio
from types import TracebackType
from typing import Self

from anyio import CancelScope

_AGAIN = 0.02


class Interruption:
    """What runs inside is cancelled by `interrupt`, but only where anyio does not shield it.

    A native cancellation would break through the shield around a thread of anyio's pool: its place would be given away
    while it still runs, and the pool would know no bound. Unlike anyio's own, this cancellation strikes once, so that
    what cleans up may wait for something.
    """

    def __init__(self) -> None:
        self._cancelled = CancelScope()
        self._door = CancelScope()  # open for a moment, it lets the cancellation of the outer scope in
        self._task: asyncio.Task[object] | None = None
        self._next: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._cancelled.__enter__()
        self._door.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._next is not None:
            self._next.cancel()
        self._door.__exit__(kind, error, traceback)
        return bool(self._cancelled.__exit__(kind, error, traceback))

    def interrupt(self) -> None:
        """Cancel now, or when the shield is gone; to be called once, from the loop, while it runs."""
        self._door.shield = True
        self._cancelled.cancel()
        self._strike()

    def _strike(self) -> None:
        if self._task is None:
            return
        before = self._task.cancelling()
        self._door.shield = False
        self._door.shield = True
        if self._task.cancelling() == before:
            self._next = asyncio.get_running_loop().call_later(_AGAIN, self._strike)
