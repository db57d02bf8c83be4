"""Streams: the rows of a statement as JSON Lines or CSV, any number of them in flat memory."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Row, Select, text
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from leyden.core import ConfigurationError
from leyden.data.attachments import content_disposition
from leyden.data.csv_lines import CsvLines
from leyden.data.database import Database
from leyden.data.json_lines import JsonLines
from leyden.data.prepared import Prepared
from leyden.data.reading import Reading, reading

Rows = Select[*tuple[Any, ...]]

PATIENCE = 30.0
_PIECE = 64 * 1024
"""Bytes to send at once: what a server's buffer takes, and what is compressed in a few milliseconds."""
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
    async def opened(self, patience: float) -> AsyncIterator[Reading]:
        async with self.database.snapshot() as session:
            connection = await session.connection()
            if (may_wait := _MAY_WAIT.get(self.database.dialect)) is not None:
                await connection.execute(may_wait, {"seconds": math.ceil(2 * patience) + 1})
            async with reading(connection, self.statement, self.parameters) as rows:
                yield rows


class _Pieces:
    """As many rows at once as make a piece."""

    def __init__(self, rows: Reading, lines: Lines) -> None:
        self._rows = rows
        self._lines = lines
        self._size = _FIRST

    async def next(self) -> bytes:
        """Empty when there are no rows left."""
        rows = await self._rows.rows(self._size)
        if not rows:
            return b""
        piece = self._lines.write(rows)
        self._size = max(1, min(_MOST, len(rows) * _PIECE // max(1, len(piece))))
        return piece


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
        async with self._source.opened(self._patience) as rows:
            pieces = _Pieces(rows, self._lines)
            piece = await pieces.next()
            await self._send(
                send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            )
            if scope["method"] != "HEAD":
                await self._send_all(send, pieces, self._lines.head() + piece)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_all(self, send: Send, pieces: _Pieces, first: bytes) -> None:
        piece = first
        while piece:
            await self._send(send, {"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(0)  # neither a fast database nor a fast client would let others have a turn
            piece = await pieces.next()

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
