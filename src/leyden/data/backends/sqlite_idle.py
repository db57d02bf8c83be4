"""The end of a transaction in which nothing happens, on the one connection that writes: everybody else waits for it."""

import asyncio
import math
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, cast

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection


class Idling:
    """Calls `end` when `limit` seconds pass between two statements of a transaction."""

    def __init__(self, limit: float, end: Callable[[], None]) -> None:
        self._limit = limit
        self._end = end
        self._until = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """A statement has ended, and its transaction has not."""
        if self._limit == math.inf:
            return
        self._until = monotonic() + self._limit
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limit, self._look)

    def pause(self) -> None:
        """A statement begins."""
        self._until = math.inf

    def stop(self) -> None:
        """The transaction ends."""
        self._until = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def passed(self) -> bool:
        return monotonic() >= self._until

    def _look(self) -> None:
        """One timer serves the statements of a while: each of them only moves the end."""
        self._timer = None
        if self.passed():
            self._end()
        elif self._until < math.inf:
            self._timer = asyncio.get_running_loop().call_later(self._until - monotonic(), self._look)


def replace_when_idle(engine: AsyncEngine) -> None:
    """Have the pool open another connection in the place of one whose transaction was ended: its holder keeps that."""

    def know(connection: Any, entry: ConnectionPoolEntry) -> None:
        connection.when_idle = partial(_detach, entry)

    event.listen(engine.sync_engine, "connect", know)


def _detach(entry: ConnectionPoolEntry) -> None:
    loan = entry.fairy_ref  # type: ignore[attr-defined]  # which the protocol leaves out
    if loan is not None and (held := cast("PoolProxiedConnection | None", loan())) is not None:
        held.detach()
