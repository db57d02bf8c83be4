"""FastAPI's exception handlers: the same problem document for every kind of error."""

from collections.abc import Callable
from typing import Any

from fastapi.exceptions import RequestValidationError, ResponseValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.status import WS_1008_POLICY_VIOLATION, WS_1011_INTERNAL_ERROR
from starlette.websockets import WebSocket, WebSocketState

from leyden.core.errors import LeydenError
from leyden.http.problems import Problems

_DENIAL = "websocket.http.response"


def handlers(problems: Problems) -> dict[int | type[Exception], Callable[..., Any]]:
    """What a battery or an app puts into `exception_handlers`."""

    async def answer(connection: HTTPConnection, error: Exception) -> Response | None:
        response = problems.answer(connection.scope, error)
        if isinstance(connection, WebSocket) and not _can_be_denied(connection):
            await _close(connection, response.status_code)
            return None
        return response

    kinds = (HTTPException, RequestValidationError, ResponseValidationError, LeydenError, Exception)
    return dict.fromkeys(kinds, answer)


def _can_be_denied(socket: WebSocket) -> bool:
    return socket.application_state is WebSocketState.CONNECTING and _DENIAL in socket.scope.get("extensions", {})


async def _close(socket: WebSocket, status: int) -> None:
    if socket.application_state is not WebSocketState.DISCONNECTED:
        refused = status < 500  # noqa: PLR2004 -- HTTP's own border
        await socket.close(WS_1008_POLICY_VIOLATION if refused else WS_1011_INTERNAL_ERROR)
