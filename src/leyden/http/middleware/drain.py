"""While the process stops: connections are not kept for another request, event streams end."""

import asyncio
from contextlib import ExitStack

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.http.stopping import Stopping, stopping_of

FAREWELL = 0.5
"""Seconds an event stream has to end by itself; its client reconnects, to another process."""


class Drain:
    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stopping = stopping_of(scope) if scope["type"] == "http" else None
        if stopping is None:
            await self.app(scope, receive, send)
        else:
            await self._serve(stopping, scope, receive, send)

    async def _serve(self, stopping: Stopping, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as stack:
            try:
                async with asyncio.timeout(None) as limit:

                    async def watch(message: Message) -> None:
                        if message["type"] == "http.response.start":
                            if _is_event_stream(message):
                                stack.enter_context(stopping.interrupting(limit, after=FAREWELL))
                            if stopping.is_set() and scope["http_version"].startswith("1"):
                                message.setdefault("headers", [])
                                MutableHeaders(scope=message)["Connection"] = "close"
                        await send(message)

                    await self.app(scope, receive, watch)
            except TimeoutError:
                if not limit.expired():
                    raise
                await send({"type": "http.response.body", "body": b"", "more_body": False})


def _is_event_stream(start: Message) -> bool:
    return Headers(raw=start.get("headers", [])).get("content-type", "").startswith("text/event-stream")
