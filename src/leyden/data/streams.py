"""Streams: the rows of a statement as JSON Lines or CSV, any number of them in flat memory."""

import asyncio
import math
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from anyio import CancelScope
from sqlalchemy import Row, Select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncResult
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from leyden.core import ConfigurationError
from leyden.data.attachments import content_disposition
from leyden.data.csv_lines import CsvLines
from leyden.data.database import Database
from leyden.data.json_lines import JsonLines
from leyden.data.prepared import Prepared

T = TypeVar("T")
Rows = Select[*tuple[Any, ...]]

PATIENCE = 30.0
_PIECE = 64 * 1024
"""Bytes to send at once: what a server's buffer takes, and what is compressed in a few milliseconds."""
_WINDOW = 128 * 1024
"""Bytes that a server may send ahead."""
_AGAIN = 0.05
_FIRST = 50
_MOST = 1000
"""Rows to take at once: a few milliseconds of the event loop, whatever they hold."""

# A transaction that waits for a slow client is not idle: the stream says how long it may wait.
_MAY_WAIT = {
    "postgresql": text(
        "SELECT set_config('idle_in_transaction_session_timeout', CAST(:seconds AS integer) || 's', true)"
    ),
    "mysql": text("SET SESSION net_write_timeout = :seconds /*M!100300 , idle_transaction_timeout = :seconds */"),
}


class Lines(Protocol):
    """How rows are written."""

    @property
    def media_type(self) -> str: ...

    def head(self) -> bytes:
        """What stands before the first row."""
        ...

    def write(self, rows: Sequence[Row[Any]]) -> bytes: ...


def stream_json_lines(
    database: Database,
    statement: Rows | Prepared[Any],
    *,
    into: Any = None,
    parameters: Mapping[str, Any] | None = None,
    filename: str | None = None,
    patience: float = PATIENCE,
) -> "RowStream":
    """A response with one JSON object a line, sent while the database finds the rows, all as of one moment.

    `into` is what a row becomes, as in `prepared`; without it an object has the columns as they are. With `filename` the
    browser saves it. A client that takes nothing for `patience` seconds is given up. Returned by an endpoint, it
    answers 503 where no connection is free; an error after the first rows breaks the connection.
    """
    source = _Source.of(database, statement, parameters)
    chosen = into if into is not None or not isinstance(statement, Prepared) else statement.into
    return RowStream(source, JsonLines(source.names, chosen), filename=filename, patience=patience)


def stream_csv(
    database: Database,
    statement: Rows | Prepared[Any],
    *,
    headers: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    filename: str | None = None,
    bom: bool = False,
    guard_formulas: bool = True,
    patience: float = PATIENCE,
) -> "RowStream":
    """A response with one line of CSV (RFC 4180) a row, sent as `stream_json_lines` sends it.

    `headers` says what a column is called in the first line where that is not its own name. `bom` lets Excel see that it
    is UTF-8. `guard_formulas` puts an apostrophe before a text that a spreadsheet would take for a formula.
    """
    source = _Source.of(database, statement, parameters)
    lines = CsvLines(source.names, headers or {}, bom=bom, guard=guard_formulas)
    return RowStream(source, lines, filename=filename, patience=patience)


@dataclass(frozen=True, slots=True)
class _Source:
    """What is read, and where."""

    database: Database
    statement: Rows
    parameters: Mapping[str, Any]
    names: tuple[str, ...]

    @classmethod
    def of(cls, database: Database, statement: Rows | Prepared[Any], parameters: Mapping[str, Any] | None) -> "_Source":
        found = statement if isinstance(statement, Prepared) else Prepared(statement)
        if not isinstance(found.statement, Select):
            raise ConfigurationError("Only select(...) can be streamed: what writes must not depend on who listens.")
        names = tuple(column["name"] for column in found.statement.column_descriptions)
        return cls(database, found.statement, parameters or {}, names)

    @asynccontextmanager
    async def opened(self, patience: float) -> AsyncIterator["_Reading"]:
        """The rows, which the database keeps until they are asked for."""
        async with self.database.snapshot() as session:
            connection = await session.connection()
            reading = _Reading(connection)
            try:
                if (may_wait := _MAY_WAIT.get(self.database.dialect)) is not None:
                    await connection.execute(may_wait, {"seconds": math.ceil(2 * patience) + 1})
                await reading.open(self.statement, self.parameters)
                yield reading
            finally:
                await reading.close()


class _Reading:
    """Takes as many rows at once as make a piece."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._driver: Any = None
        self._tap = _Tap(None)
        self._result: AsyncResult[Any] | None = None
        self._finished = False
        self._size = _FIRST

    async def open(self, statement: Rows, parameters: Mapping[str, Any]) -> None:
        self._driver = (await self._connection.get_raw_connection()).driver_connection
        self._tap = _Tap.of(self._connection, self._driver)
        self._result = await self._interruptible(self._opened(statement, parameters))

    async def _opened(self, statement: Rows, parameters: Mapping[str, Any]) -> AsyncResult[Any]:
        return await self._connection.stream(statement, parameters)

    async def write(self, lines: Lines) -> bytes:
        """The next piece; empty when there are no rows left."""
        rows = await self._rows()
        if not rows:
            self._finished = True
            return b""
        piece = lines.write(rows)
        self._size = max(1, min(_MOST, len(rows) * _PIECE // max(1, len(piece))))
        return piece

    async def _rows(self) -> Sequence[Row[Any]]:
        if self._result is None or self._finished:
            return ()
        self._tap.open()
        try:
            return await self._interruptible(self._result.fetchmany(self._size))
        finally:
            self._tap.close()

    async def close(self) -> None:
        """Take no more rows, though there are some: a driver that would read all of them first loses its connection."""
        self._tap.open()
        if self._finished:
            return
        with CancelScope(shield=True), suppress(SQLAlchemyError):  # it is broken already, then
            if self._result is not None and (not self._tap.needed or self._connection.in_nested_transaction()):
                await self._result.close()
            elif not self._connection.in_nested_transaction():  # which is a test's own, and goes on
                await self._connection.invalidate()

    async def _interruptible(self, work: Coroutine[Any, Any, T]) -> T:
        """SQLite's thread would first end what it does, and whoever is cancelled would wait for that."""
        interrupt = getattr(self._driver, "interrupt", None)
        if interrupt is None:
            return await work
        task = asyncio.create_task(work)
        try:
            return await asyncio.shield(task)
        finally:
            with CancelScope(shield=True), suppress(ValueError):  # it is closed
                while not task.done():  # an interrupt before the statement begins is lost
                    await interrupt()
                    await asyncio.wait([task], timeout=_AGAIN)
            if not task.cancelled():
                task.exception()  # the caller has its own


class _Tap:
    """Lets the server send: asyncmy takes in whatever comes, whether anybody wants it or not, and all of it at once."""

    def __init__(self, transport: asyncio.ReadTransport | None) -> None:
        self._transport = transport

    @property
    def needed(self) -> bool:
        return self._transport is not None

    @classmethod
    def of(cls, connection: AsyncConnection, driver: Any) -> "_Tap":
        if connection.dialect.driver != "asyncmy":
            return cls(None)
        transport = driver._transport  # noqa: SLF001 -- there is no public one
        # As much is there at once when the tap is opened, and rows as objects are ten times as large.
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        return cls(transport)

    def open(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()


class RowStream(Response):
    """The rows of a statement on their way to a client."""

    def __init__(self, source: _Source, lines: Lines, *, filename: str | None, patience: float) -> None:
        self.status_code = 200
        self.media_type = lines.media_type
        self.background = None
        self._source = source
        self._lines = lines
        self._patience = patience
        self.init_headers({"Content-Disposition": content_disposition(filename)} if filename else None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(None) as presence:
                watching = asyncio.create_task(_watch(receive, presence))
                try:
                    await self._answer(scope, send)
                finally:
                    watching.cancel()
        except TimeoutError:
            if not presence.expired():
                raise
            return
        if self.background is not None:
            await self.background()

    async def _answer(self, scope: Scope, send: Send) -> None:
        """The first rows are there before the head is sent: what goes wrong until then is a problem document."""
        async with self._source.opened(self._patience) as reading:
            piece = await reading.write(self._lines)
            await self._send(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if scope["method"] != "HEAD":
                await self._send_all(send, reading, self._lines.head() + piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send, reading: "_Reading", first: bytes) -> None:
        piece = first
        while piece:
            await self._send(send, {"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # neither a fast database nor a fast client would let others have a turn
            piece = await reading.write(self._lines)

    async def _send(self, send: Send, message: Message) -> None:
        """A server lets us wait here while its client does not read."""
        try:
            async with asyncio.timeout(self._patience) as limit:
                await send(message)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(
                f"The client has taken nothing for {self._patience:g} s; the stream was ended."
            ) from None


async def _watch(receive: Receive, presence: asyncio.Timeout) -> None:
    """End it all when the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        """The body of the request, which nobody needs."""
    if not presence.expired():
        presence.reschedule(asyncio.get_running_loop().time())
