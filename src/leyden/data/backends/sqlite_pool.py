"""The one connection that writes."""

import asyncio
from typing import Any

from sqlalchemy.pool import ConnectionPoolEntry

from leyden.data.errors import UnitOfWorkError
from leyden.data.pool import Pool


class WriterPool(Pool):
    """A task that has the connection and asks for it again would wait for itself."""

    _holder: asyncio.Task[Any] | None = None

    def refuse_holder(self) -> None:
        """Raises UnitOfWorkError in the task that has the connection."""
        if self._holder is not None and self._holder is asyncio.current_task():
            raise UnitOfWorkError

    def _do_get(self) -> ConnectionPoolEntry:
        self.refuse_holder()
        entry = super()._do_get()
        self._holder = asyncio.current_task()
        return entry

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        self._holder = None  # first: whoever waits is given the connection by the next line
        super()._do_return_conn(record)
