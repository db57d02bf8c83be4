"""Counts the body while it arrives, with the limits FastAPI's routers and routes may set for themselves."""

import sys
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.body_limit import RequestBodyLimitResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.http.errors import ContentTooLargeError
from leyden.http.problems import Problems
from leyden.http.route import body_limit

_ACTIVE = "starlette._body_limit_responder"
"""Where Starlette keeps the counter that a router's or route's `max_body_size` adjusts."""


class BodyLimit:
    """Where the app has a `max_body_size` of its own, that is the limit: this one counts in its place.

    A declared size is refused before the endpoint runs where its limit is known, else when it reads.
    """

    def __init__(self, app: ASGIApp, *, largest: int, problems: Problems) -> None:
        self.app = app
        self.largest = largest
        self.problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(scope)
        declared = _declared(scope)
        # Most bodies are small enough for every route: only for the others it is worth the search.
        known = body_limit(scope, limit) if declared > limit else None
        if known is not None and declared > known:
            await self.problems.answer(scope, ContentTooLargeError())(scope, receive, send)
        else:
            await _Counter(self.app, limit)(scope, receive, send)

    def _limit(self, scope: Scope) -> int:
        outer: Any = scope.pop(_ACTIVE, None)
        if outer is None:
            return self.largest
        limit: int = outer.max_body_size
        outer.max_body_size = sys.maxsize  # it would answer in plain text
        return limit


class _Counter(RequestBodyLimitResponder):
    """Starlette's, but a success of who did not look at a declared body stands: what it did is done."""

    async def send_with_limit(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.response_started = True
        await self.send(message)


def _declared(scope: Scope) -> int:
    try:
        return int(Headers(scope=scope).get("content-length", "0"))
    except ValueError:
        return 0
