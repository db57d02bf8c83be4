"""asyncmy takes in whatever a server sends; here the rows of a stream wait with the server until somebody asks."""

from functools import cache
from importlib import import_module
from typing import Any
from weakref import ref

_ENOUGH = 64 * 1024
"""Bytes that may have come unasked. As many as asyncmy has room for, 256 kB, may come at once on top of them."""


def hold_back(connection: Any) -> None:
    """Before a stream begins on this connection; the ones after it will be held back too."""
    protocol, transport = connection._proto, connection._transport  # noqa: SLF001 -- there are no public ones
    if protocol is None or transport is None or isinstance(protocol, _protocol()):
        return
    protocol.of = ref(connection)
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
            await super().wait_for_data(need)

    return Protocol
