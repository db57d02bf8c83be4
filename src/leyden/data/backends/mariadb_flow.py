"""How asyncmy waits for a server: with the rows of a stream left there until somebody asks, and cancellable at any time.

It takes in whatever a server sends. And it waits with a timeout through `asyncio.wait_for`, which in Python 3.11 forgets
that it was cancelled when what it waits for comes at the same moment: in a stream, about once in 300 times.
"""

import asyncio
from functools import cache
from importlib import import_module
from typing import Any
from weakref import ref

_ENOUGH = 64 * 1024
"""Bytes that may have come unasked. As many as asyncmy has room for, 256 kB, may come at once on top of them."""


async def connect(*, patience: float, read_timeout: float | None, **arguments: Any) -> Any:
    """A connection of asyncmy's, whose timeouts are ours. Raises its errors, and TimeoutError after `patience` seconds."""
    connection = import_module("asyncmy.connection").Connection(**arguments)
    connection._connect_timeout = None  # noqa: SLF001 -- else it has one of its own
    async with asyncio.timeout(patience):
        await connection.connect()
    _take_over(connection, read_timeout)
    return connection


def _take_over(connection: Any, patience: float | None) -> None:
    protocol, transport = connection._proto, connection._transport  # noqa: SLF001 -- there are no public ones
    protocol.of, protocol.patience = ref(connection), patience
    protocol.__class__ = _protocol()
    transport.set_protocol(protocol)  # loops keep the methods of a protocol


def unread(connection: Any) -> bool:
    """Whether rows of a stream are still to come."""
    result = connection._result  # noqa: SLF001 -- as above
    return result is not None and bool(result.unbuffered_active)


@cache
def _protocol() -> type:
    """asyncmy's, which need not be installed before it is used."""
    base: Any = import_module("asyncmy.connection")._MySQLProtocol  # noqa: SLF001 -- as above

    class Protocol(base):  # type: ignore[misc]  # asyncmy has no types for it
        stopped: bool = False
        patience: float | None = None

        def buffer_updated(self, nbytes: int) -> None:
            super().buffer_updated(nbytes)
            if self.length - self.pos > _ENOUGH and not self.stopped:
                connection = self.of()
                if connection is not None and unread(connection) and not self.transport.is_closing():
                    self.stopped = True
                    self.transport.pause_reading()

        async def wait_for_data(self, need: int) -> None:
            if self.stopped and self.transport is not None and not self.transport.is_closing():
                self.stopped = False
                self.transport.resume_reading()
            try:
                async with asyncio.timeout(self.patience):
                    await super().wait_for_data(need)
            except TimeoutError:
                if (connection := self.of()) is not None:
                    connection._close_on_cancel()  # noqa: SLF001 -- the answer may still come, to whoever asks next
                raise TimeoutError(f"nothing came for {self.patience:g} s") from None

    return Protocol
