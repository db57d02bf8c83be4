"""Counts the body while it arrives, with the limits FastAPI's routers and routes may set for themselves."""

import sys
from typing import Any

from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.http.errors import ContentTooLargeError
from leyden.http.problems import Problems

_ACTIVE = "starlette._body_limit_responder"
"""Where Starlette keeps the counter that a router's or route's `max_body_size` adjusts."""

_FIRST_ERROR = 400


class BodyLimit:
    """Where the app has a `max_body_size` of its own, that is the limit: this one counts in its place."""

    def __init__(self, app: ASGIApp, *, largest: int, problems: Problems) -> None:
        self.app = app
        self.largest = largest
        self.problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await _Counter(self.app, self._limit(scope), self.problems)(scope, receive, send)

    def _limit(self, scope: Scope) -> int:
        outer: Any = scope.pop(_ACTIVE, None)
        if outer is None:
            return self.largest
        limit: int = outer.max_body_size
        outer.max_body_size = sys.maxsize  # it would answer in plain text
        return limit


class _Counter(RequestBodyLimitResponder):
    def __init__(self, app: ASGIApp, limit: int, problems: Problems) -> None:
        super().__init__(app, limit)
        self.problems = problems
        self.refused = False

    async def send_with_limit(self, message: Message) -> None:
        """Also refuse a declared size that nobody read: a success must not stand for half a body."""
        if self.refused:
            return
        if message["type"] == "http.response.start":
            self.response_started = True
            declared = self.content_length or 0
            if declared > self.max_body_size and message["status"] < _FIRST_ERROR:
                self.refused = True
                response = self.problems.answer(self.scope, ContentTooLargeError())
                await response(self.scope, self.receive, self.send)
                return
        await self.send(message)
