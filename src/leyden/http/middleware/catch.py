"""The last resort: what escapes from inside is logged once and becomes a problem."""

from collections.abc import Callable
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.core.errors import LeydenError
from leyden.http.logs import mark_logged
from leyden.http.middleware.note import escape_of
from leyden.http.problems import Problems

_ANSWERS = (HTTPException, LeydenError, RequestValidationError)


class Catch:
    """An error that is an answer, such as HTTPException raised in a middleware, ends here.

    Any other goes on to the server when it has been answered, as ASGI asks, or unanswered to an app that handles it
    itself. One that comes after the response has started goes on too, so that the server breaks the connection: half an
    answer must not look like a whole one. So the end of an answer is kept back once an error has left the endpoints:
    BaseHTTPMiddleware ends it in order before it lets the error through.
    """

    def __init__(self, app: ASGIApp, *, problems: Problems, handler: Callable[..., Any]) -> None:
        self.app = app
        self.problems = problems
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        ours = self._is_ours(scope)  # asked now: a mounted application puts itself into the scope
        started = scope["type"] == "websocket"
        escape = escape_of(scope)
        end: Message | None = None

        async def watch(message: Message) -> None:
            nonlocal started, end
            started = started or message["type"] == "http.response.start"
            if escape.happened and message["type"] == "http.response.body" and not message.get("more_body"):
                end = message
            else:
                await send(message)

        try:
            await self.app(scope, receive, watch)
            if end is not None:  # somebody inside has dealt with the error
                await send(end)
        except Exception as raised:
            error = _alone(raised)
            self.problems.report(scope, error, late=started)
            if not started and (ours or isinstance(error, _ANSWERS)):
                await self._response(scope, error)(scope, receive, send)
            if started or not isinstance(error, _ANSWERS):
                mark_logged(raised)
                raise

    def _is_ours(self, scope: Scope) -> bool:
        """Whether the app left unexpected errors to us."""
        known = scope["app"].exception_handlers
        return known.get(500, known.get(Exception, self.handler)) is self.handler

    def _response(self, scope: Scope, error: Exception) -> Response:
        response = self.problems.response(scope, error)
        if not isinstance(error, _ANSWERS) and scope.get("http_version", "").startswith("1"):
            response.headers["Connection"] = "close"  # the server closes it when the error arrives there
        return response


def _alone(error: Exception) -> Exception:
    """The one error in a group of one: task groups, also those of BaseHTTPMiddleware, wrap what they let through."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
