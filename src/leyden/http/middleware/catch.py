"""The last resort: what escapes from inside is logged once and becomes a problem."""

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.core.errors import LeydenError
from leyden.http.logs import mark_logged
from leyden.http.problems import Problems

_ANSWERS = (HTTPException, LeydenError, RequestValidationError)


class Catch:
    """An error that is an answer, such as HTTPException raised in a middleware, ends here.

    Any other goes on to the server when it has been answered, as ASGI asks. One that comes after the response has
    started goes on too, so that the server breaks the connection: half an answer must not look like a whole one.
    """

    def __init__(self, app: ASGIApp, *, problems: Problems) -> None:
        self.app = app
        self.problems = problems

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        started = scope["type"] == "websocket"

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as raised:
            error = _alone(raised)
            self.problems.report(scope, error, late=started)
            if not started:
                await self._response(scope, error)(scope, receive, send)
            if started or not isinstance(error, _ANSWERS):
                mark_logged(raised)
                raise

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
