"""Gives the request its id."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.http import request_ids

_STARTS = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class Identify:
    def __init__(self, app: ASGIApp, *, header: str) -> None:
        self.app = app
        self.header = header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        value = request_ids.choose(Headers(scope=scope).get(self.header))

        async def echo(message: Message) -> None:
            if message["type"] in _STARTS:
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[self.header] = value
            await send(message)

        token = request_ids.begin(scope, value)
        try:
            await self.app(scope, receive, echo)
        finally:
            request_ids.end(token)
