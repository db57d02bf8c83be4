"""One HTTP/1.1 connection, and nothing that repeats a request by itself: the ledger must know of every attempt."""

import asyncio
import contextlib
import json
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

PATIENCE = 15.0
"""Seconds for an answer; longer than any timeout of the server's."""


@dataclass(frozen=True)
class Answer:
    """`status` is None where the connection broke, or nothing came in time."""

    status: int | None
    body: Any
    began: float
    ended: float

    @property
    def code(self) -> str:
        """What a problem calls itself; of a broken connection, how it broke."""
        return str(self.body.get("code", "")) if isinstance(self.body, dict) else str(self.body)

    @property
    def settles(self) -> bool:
        """Whether there is nothing left to ask."""
        return self.status is not None and self.status < 500


class Connection:
    """Opened when it is needed, and again when it has ended."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, *, token: str, content: Any = None) -> Answer:
        began = monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._exchange(method, path, token, content)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            return Answer(None, f"{type(error).__name__} {error}".strip(), began, monotonic())
        return Answer(status, body, began, monotonic())

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(self, method: str, path: str, token: str, content: Any) -> tuple[int, Any]:
        reader, writer = await self._open()
        body = b"" if content is None else json.dumps(content).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await writer.drain()
        return await self._answer(reader)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is not None and self._streams[0].at_eof():  # the server has closed it while it was idle
            self.close()
        if self._streams is None:
            host, _, port = self._host.rpartition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, Any]:
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        if headers.get("connection", "").lower() == "close":
            self.close()
        with contextlib.suppress(ValueError):
            body = json.loads(body)
        return int(status.split()[1]), body
